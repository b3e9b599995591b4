//! What a request's headers say of its body.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use trace_model::otlp::Form;

use crate::error::IngestError;

/// A content coding, as HTTP calls what a body was packed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Zstd,
}

/// No sender packs twice; a proxy between may once more.
const MOST_CODINGS: usize = 2;

/// `None` for what is no OTLP.
pub(crate) fn form(headers: &HeaderMap) -> Option<Form> {
    let media_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-protobuf") {
        Some(Form::Protobuf)
    } else if essence.eq_ignore_ascii_case("application/json") {
        Some(Form::Json)
    } else {
        None
    }
}

/// In the order in which they were applied: the last is undone first.
pub(crate) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, IngestError> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let names = value.to_str().map_err(|_| IngestError::UnknownCoding)?;
        for name in names.split(',').map(str::trim) {
            let coding = match name.to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "zstd" => Coding::Zstd,
                _ => return Err(IngestError::UnknownCoding),
            };
            codings.push(coding);
        }
    }
    if codings.len() > MOST_CODINGS {
        return Err(IngestError::TooManyCodings);
    }
    Ok(codings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &http::HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn otlp_has_two_media_types() {
        fn check(value: &'static str, expected: Option<Form>) {
            assert_eq!(form(&headers(&CONTENT_TYPE, &[value])), expected, "{value}");
        }
        check("application/x-protobuf", Some(Form::Protobuf));
        check("Application/JSON; charset=utf-8", Some(Form::Json));
        check("application/protobuf", None);
        check("text/plain", None);
        assert_eq!(form(&HeaderMap::new()), None);
    }

    #[test]
    fn hard_case_11_codings_are_few_and_known() {
        fn check(values: &[&'static str], expected: Option<&[Coding]>) {
            let found = codings(&headers(&CONTENT_ENCODING, values)).ok();
            assert_eq!(found.as_deref(), expected, "{values:?}");
        }
        check(&[], Some(&[]));
        check(&["identity"], Some(&[]));
        check(&["gzip"], Some(&[Coding::Gzip]));
        check(&["X-Gzip"], Some(&[Coding::Gzip]));
        check(&["gzip, zstd"], Some(&[Coding::Gzip, Coding::Zstd]));
        check(&["zstd", "gzip"], Some(&[Coding::Zstd, Coding::Gzip]));
        check(&["gzip, gzip, gzip"], None);
        check(&["br"], None);
        check(&["deflate"], None);
    }
}
