//! The checksums of S3, as it keeps and compares them: base64, by algorithm.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::ChecksumAlgorithm;
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Checksums {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crc32: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crc32c: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crc64nvme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
}

/// The fields that every input and output with checksums has.
macro_rules! read_checksums {
    ($from:expr) => {
        $crate::s3::checksums::Checksums {
            crc32: $from.checksum_crc32.clone(),
            crc32c: $from.checksum_crc32c.clone(),
            crc64nvme: $from.checksum_crc64nvme.clone(),
            sha1: $from.checksum_sha1.clone(),
            sha256: $from.checksum_sha256.clone(),
        }
    };
}
macro_rules! write_checksums {
    ($into:expr, $checksums:expr) => {{
        let checksums = $checksums.clone();
        $into.checksum_crc32 = checksums.crc32;
        $into.checksum_crc32c = checksums.crc32c;
        $into.checksum_crc64nvme = checksums.crc64nvme;
        $into.checksum_sha1 = checksums.sha1;
        $into.checksum_sha256 = checksums.sha256;
    }};
}
pub(super) use {read_checksums, write_checksums};

impl Checksums {
    fn fields(&self) -> [(&'static str, Option<&String>); 5] {
        [
            ("CRC32", self.crc32.as_ref()),
            ("CRC32C", self.crc32c.as_ref()),
            ("CRC64NVME", self.crc64nvme.as_ref()),
            ("SHA1", self.sha1.as_ref()),
            ("SHA256", self.sha256.as_ref()),
        ]
    }

    /// What the trailer of a chunked upload says, once the body was read.
    pub(super) fn of_trailers(trailers: &HeaderMap) -> Self {
        let value = |name: &str| {
            trailers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        Self {
            crc32: value("x-amz-checksum-crc32"),
            crc32c: value("x-amz-checksum-crc32c"),
            crc64nvme: value("x-amz-checksum-crc64nvme"),
            sha1: value("x-amz-checksum-sha1"),
            sha256: value("x-amz-checksum-sha256"),
        }
    }

    /// Refuses a body whose checksums are not the announced ones.
    pub(super) fn expect(&self, announced: &Self) -> S3Result<()> {
        for ((algorithm, computed), (_, announced)) in
            self.fields().into_iter().zip(announced.fields())
        {
            if let Some(announced) = announced
                && computed != Some(announced)
            {
                return Err(s3_error!(
                    BadDigest,
                    "The {algorithm} you specified did not match the calculated checksum."
                ));
            }
        }
        Ok(())
    }

    /// [`Self::expect`], but an algorithm that was not computed passes.
    pub(super) fn expect_as_far_as_known(&self, announced: &Self) -> S3Result<()> {
        let known = |computed: &Option<String>, announced: &Option<String>| {
            computed.as_ref().and(announced.clone())
        };
        self.expect(&Self {
            crc32: known(&self.crc32, &announced.crc32),
            crc32c: known(&self.crc32c, &announced.crc32c),
            crc64nvme: known(&self.crc64nvme, &announced.crc64nvme),
            sha1: known(&self.sha1, &announced.sha1),
            sha256: known(&self.sha256, &announced.sha256),
        })
    }

    /// The checksum of the parts' checksums, with their number, for each algorithm that all have.
    pub(super) fn composite(parts: &[Self]) -> Self {
        let mut hasher = ChecksumHasher::default();
        let all_have =
            |field: fn(&Self) -> &Option<String>| parts.iter().all(|part| field(part).is_some());
        enable(&mut hasher, |algorithm| match algorithm {
            ChecksumAlgorithm::CRC32 => all_have(|part| &part.crc32),
            ChecksumAlgorithm::CRC32C => all_have(|part| &part.crc32c),
            ChecksumAlgorithm::SHA1 => all_have(|part| &part.sha1),
            ChecksumAlgorithm::SHA256 => all_have(|part| &part.sha256),
            _ => false,
        });
        for part in parts {
            let bytes = |field: &Option<String>| {
                field
                    .as_ref()
                    .and_then(|text| STANDARD.decode(text).ok())
                    .unwrap_or_default()
            };
            if let Some(digest) = &mut hasher.crc32 {
                digest.update(&bytes(&part.crc32));
            }
            if let Some(digest) = &mut hasher.crc32c {
                digest.update(&bytes(&part.crc32c));
            }
            if let Some(digest) = &mut hasher.sha1 {
                digest.update(&bytes(&part.sha1));
            }
            if let Some(digest) = &mut hasher.sha256 {
                digest.update(&bytes(&part.sha256));
            }
        }
        let numbered = |text: Option<String>| text.map(|text| format!("{text}-{}", parts.len()));
        let sums = Self::from(hasher);
        Self {
            crc32: numbered(sums.crc32),
            crc32c: numbered(sums.crc32c),
            crc64nvme: None,
            sha1: numbered(sums.sha1),
            sha256: numbered(sums.sha256),
        }
    }
}

impl From<ChecksumHasher> for Checksums {
    fn from(hasher: ChecksumHasher) -> Self {
        let sums = hasher.finalize();
        read_checksums!(sums)
    }
}

/// A hasher for what the request announces: in a header, in a trailer, or as an algorithm alone.
pub(super) fn hasher_for(
    announced: &Checksums,
    algorithm: Option<&ChecksumAlgorithm>,
    headers: &HeaderMap,
) -> ChecksumHasher {
    let trailers: Vec<String> = headers
        .get_all("x-amz-trailer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut hasher = ChecksumHasher::default();
    enable(&mut hasher, |name| {
        algorithm.is_some_and(|algorithm| algorithm.as_str() == name)
            || announced
                .fields()
                .iter()
                .any(|(field, value)| *field == name && value.is_some())
            || trailers.contains(&format!("x-amz-checksum-{}", name.to_ascii_lowercase()))
    });
    hasher
}

/// A hasher for the algorithms that `checksums` has.
pub(super) fn hasher_like(checksums: &Checksums) -> ChecksumHasher {
    hasher_for(checksums, None, &HeaderMap::new())
}

fn enable(hasher: &mut ChecksumHasher, wanted: impl Fn(&str) -> bool) {
    hasher.crc32 = wanted(ChecksumAlgorithm::CRC32).then(Crc32::new);
    hasher.crc32c = wanted(ChecksumAlgorithm::CRC32C).then(Crc32c::new);
    hasher.crc64nvme = wanted(ChecksumAlgorithm::CRC64NVME).then(Crc64Nvme::new);
    hasher.sha1 = wanted(ChecksumAlgorithm::SHA1).then(Sha1::new);
    hasher.sha256 = wanted(ChecksumAlgorithm::SHA256).then(Sha256::new);
}

/// `Content-MD5` is base64 of 16 bytes.
pub(super) fn expect_md5(announced: Option<&str>, computed: &[u8]) -> S3Result<()> {
    let Some(announced) = announced else {
        return Ok(());
    };
    match STANDARD.decode(announced) {
        Ok(announced) if announced.len() != 16 => Err(s3_error!(InvalidDigest)),
        Err(_) => Err(s3_error!(InvalidDigest)),
        Ok(announced) if announced != computed => Err(s3_error!(
            BadDigest,
            "The Content-MD5 you specified did not match what we received."
        )),
        Ok(_) => Ok(()),
    }
}
