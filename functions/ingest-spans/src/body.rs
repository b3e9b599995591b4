//! A body within bounds, packed and unpacked.

use std::fmt;
use std::io::{self, Read};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;

use crate::error::IngestError;
use crate::headers::Coding;

/// As it is sent. Lambda takes 6 MB, in base64 where it is no text.
pub const LARGEST_BODY: usize = 6 << 20;

/// Once unpacked, and between one unpacking and the next.
pub const LARGEST_UNPACKED: usize = 20 << 20;

/// What a frame of zstd may make us remember: as much as a whole body in one piece.
const LARGEST_WINDOW_LOG: u32 = 25;

/// Refused by its Content-Length before a byte is read, where that says enough; counted all the
/// same.
pub(crate) async fn read(mut body: Body) -> Result<Bytes, IngestError> {
    let too_large = IngestError::TooLarge {
        limit: LARGEST_BODY,
    };
    let told = axum::body::HttpBody::size_hint(&body).lower();
    if told > LARGEST_BODY as u64 {
        return Err(too_large);
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|source| IngestError::BrokenOff { source })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > LARGEST_BODY {
            return Err(too_large);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Takes as much memory as the result may have, whatever the body claims.
pub(crate) fn unpack(body: Bytes, codings: &[Coding]) -> Result<Bytes, IngestError> {
    if codings.is_empty() {
        return Ok(body);
    }
    let mut reader: Box<dyn Read + '_> = Box::new(body.as_ref());
    for coding in codings.iter().rev() {
        let unpacked: Box<dyn Read + '_> = match coding {
            Coding::Gzip => Box::new(MultiGzDecoder::new(reader)),
            Coding::Zstd => Box::new(zstd_decoder(reader).map_err(damaged)?),
        };
        reader = Box::new(AtMost {
            reader: unpacked,
            left: LARGEST_UNPACKED,
        });
    }
    let mut unpacked = Vec::new();
    reader.read_to_end(&mut unpacked).map_err(damaged)?;
    Ok(unpacked.into())
}

fn zstd_decoder<'a>(
    reader: impl Read + 'a,
) -> io::Result<zstd::stream::read::Decoder<'a, io::BufReader<impl Read + 'a>>> {
    let mut decoder = zstd::stream::read::Decoder::new(reader)?;
    decoder.window_log_max(LARGEST_WINDOW_LOG)?;
    Ok(decoder)
}

fn damaged(error: io::Error) -> IngestError {
    let is_too_much = error
        .get_ref()
        .is_some_and(|inner| inner.downcast_ref::<TooMuch>().is_some())
        // What zstd says of a window beyond the bound.
        || error.to_string().contains("too much memory");
    if is_too_much {
        IngestError::TooLarge {
            limit: LARGEST_UNPACKED,
        }
    } else {
        IngestError::Damaged { source: error }
    }
}

/// Ends in an error where the reader has more.
struct AtMost<R> {
    reader: R,
    left: usize,
}

#[derive(Debug)]
struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("more than a body may have")
    }
}

impl std::error::Error for TooMuch {}

impl<R: Read> Read for AtMost<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read)
            .ok_or_else(|| io::Error::other(TooMuch))?;
        Ok(read)
    }
}
