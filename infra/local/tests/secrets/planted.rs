//! Values that must not be kept, each unique to where it was planted, so that a leak names
//! its origin.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
const MIXED: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const DIGITS: &[u8] = b"0123456789";

/// That much of a secret in a row is a leak: half a key is worth half the search.
const PIECE: usize = 12;
/// Of what is looked for in base64, whatever stands before it.
const ENCODED_PIECE: usize = 15;

/// Where it was planted, and what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    pub(crate) place: String,
    pub(crate) kind: &'static str,
}

/// Everything planted so far.
#[derive(Default)]
pub(crate) struct Planted {
    secrets: BTreeMap<String, Origin>,
    canaries: BTreeMap<String, String>,
}

/// Finds what is planted in bytes, as it is and encoded.
pub(crate) struct Search {
    secrets: AhoCorasick,
    origins: Vec<Origin>,
    canaries: AhoCorasick,
    places: Vec<String>,
}

impl Planted {
    /// No secret: it stands where the secrets stand, and must be found there.
    pub(crate) fn canary(&mut self, place: &str) -> String {
        let canary = format!("canary {} sings", random(place, "canary", LOWER, 14));
        self.canaries.insert(canary.clone(), place.to_owned());
        canary
    }

    /// Prose with one secret of each kind in it, as people paste them.
    pub(crate) fn text(&mut self, place: &str) -> String {
        let canary = self.canary(place);
        let mut of = |kind| self.secret(place, kind);
        let lines = [
            format!(
                "The {canary} here, then deploy with {}",
                of("aws access key")
            ),
            format!(
                "and aws_secret_access_key = {} for now.",
                of("aws secret key")
            ),
            format!("Model key: {}, git: {}.", of("model key"), of("git token")),
            format!(
                "Slack says {} and Stripe {}",
                of("slack token"),
                of("stripe key")
            ),
            format!("maps want {} and we call", of("google key")),
            format!(
                "curl -H 'Authorization: Bearer {}' https://example.com",
                of("bearer")
            ),
            format!("login password={} or ask {}", of("password"), of("email")),
            format!("paid with {} yesterday;", of("card in groups")),
            format!("session {} is signed", of("json web token")),
            format!(
                "database at postgres://app:{}@db.example.com/x",
                of("url password")
            ),
            format!("callback token {}", of("task token")),
            of("private key"),
        ];
        lines.join("\n")
    }

    /// The same as an object: by key, nested, as text in JSON and as base64.
    pub(crate) fn json(&mut self, place: &str) -> Value {
        let at = |part: &str| format!("{place}, {part}");
        let inner = json!({
            "clientSecret": self.secret(&at("JSON in a string"), "client secret"),
            "note": self.secret(&at("JSON in a string"), "model key"),
            "canary": self.canary(&at("JSON in a string")),
        });
        let encoded = json!({
            "password": self.secret(&at("base64"), "password"),
            "key": self.secret(&at("base64"), "git token"),
        });
        json!({
            "canary": self.canary(place),
            "password": self.secret(place, "password"),
            "api_key": self.secret(place, "api key"),
            "accessToken": self.secret(place, "access token"),
            "pin": {"cvv": self.secret(place, "cvv")},
            "credentials": {"user": "ann", "code": self.secret(place, "value under credentials")},
            "contact": self.secret(place, "email"),
            "card": self.secret(place, "card"),
            "cardNumber": self.secret(place, "card number").parse::<u64>().unwrap(),
            "headers": [{"name": "X-Api-Key", "value": self.secret(place, "named value")}],
            "deep": {"deeper": [{"deepest": {
                "aws": self.secret(place, "aws access key"),
                "secret_access_key": self.secret(place, "aws secret key"),
                "jwt": self.secret(place, "json web token"),
                "pem": self.secret(place, "private key"),
            }}]},
            "text": self.text(&at("text")),
            "payload": inner.to_string(),
            "encoded": STANDARD.encode(encoded.to_string()),
        })
    }

    pub(crate) fn secret(&mut self, place: &str, kind: &'static str) -> String {
        let of = |alphabet, length| random(place, kind, alphabet, length);
        let (text, cores) = match kind {
            "aws access key" => whole(format!("AKIA{}", of(UPPER, 16))),
            "aws secret key" => whole(of(MIXED, 40)),
            "model key" => whole(format!("sk-proj-{}", of(MIXED, 40))),
            "git token" => whole(format!("ghp_{}", of(MIXED, 36))),
            "slack token" => whole(format!("xoxb-{}", of(MIXED, 40))),
            "stripe key" => whole(format!("sk_live_{}", of(MIXED, 24))),
            "google key" => whole(format!("AIza{}", of(MIXED, 35))),
            "email" => {
                let name = of(LOWER, 16);
                (format!("{name}@example.com"), vec![name])
            }
            "card" | "card number" => whole(card(&of(DIGITS, 14))),
            "card in groups" => {
                let digits = card(&of(DIGITS, 14));
                let groups = [&digits[..4], &digits[4..8], &digits[8..12], &digits[12..]];
                let text = groups.join(" ");
                (text.clone(), vec![text, digits])
            }
            "json web token" => {
                let subject = of(MIXED, 30);
                let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
                let claims = part(&json!({"sub": subject, "name": of(LOWER, 20)}));
                let header = part(&json!({"alg": "ES256", "typ": "JWT"}));
                let signature = random(place, "signature", MIXED, 86);
                let text = format!("{header}.{claims}.{signature}");
                (text, vec![subject, claims[12..].to_owned(), signature])
            }
            "private key" => {
                let lines = ["one", "two", "three"].map(|part| random(place, part, MIXED, 64));
                let text = format!(
                    "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
                    lines.join("\n")
                );
                (text, lines.to_vec())
            }
            "task token" => {
                let rest = of(MIXED, 100);
                (format!("AQCEAAAAKgAAAAMAAAAAAAAAA{rest}"), vec![rest])
            }
            _ => whole(of(MIXED, 32)),
        };
        for core in cores {
            self.known(place, kind, core);
        }
        text
    }

    /// A secret that somebody else made.
    pub(crate) fn known(&mut self, place: &str, kind: &'static str, core: String) {
        let origin = Origin {
            place: place.to_owned(),
            kind,
        };
        let before = self.secrets.insert(core, origin.clone());
        assert!(
            before.as_ref().is_none_or(|before| *before == origin),
            "{origin:?} is the same as {before:?}"
        );
    }

    /// What was planted there was refused, so that nothing of it is stored.
    pub(crate) fn is_not_stored(&mut self, place: &str) {
        self.canaries.retain(|_, of| of != place);
    }

    pub(crate) fn places(&self) -> BTreeSet<String> {
        self.canaries.values().cloned().collect()
    }

    pub(crate) fn search(&self) -> Search {
        let mut pieces = Vec::new();
        let mut origins = Vec::new();
        for (core, origin) in &self.secrets {
            for piece in forms(core) {
                pieces.push(piece);
                origins.push(origin.clone());
            }
        }
        let (canaries, places): (Vec<_>, Vec<_>) = self.canaries.clone().into_iter().unzip();
        Search {
            secrets: AhoCorasick::new(pieces).unwrap(),
            origins,
            canaries: AhoCorasick::new(canaries).unwrap(),
            places,
        }
    }
}

impl Search {
    pub(crate) fn secrets(&self, bytes: &[u8]) -> BTreeSet<Origin> {
        let found = self.secrets.find_overlapping_iter(bytes);
        let origins = found.map(|found| self.origins[found.pattern().as_usize()].clone());
        origins.collect()
    }

    pub(crate) fn canaries(&self, bytes: &[u8]) -> BTreeSet<String> {
        let found = self.canaries.find_overlapping_iter(bytes);
        let places = found.map(|found| self.places[found.pattern().as_usize()].clone());
        places.collect()
    }
}

/// Pieces of the secret, as they are, as UTF-16, and in the encodings that text is put into.
fn forms(core: &str) -> Vec<Vec<u8>> {
    let bytes = core.as_bytes();
    let mut forms: Vec<Vec<u8>> = bytes
        .windows(PIECE.min(bytes.len()))
        .map(<[u8]>::to_vec)
        .collect();
    for piece in bytes.windows(ENCODED_PIECE.min(bytes.len())).step_by(3) {
        for before in 0..3 {
            let mut shifted = vec![b'x'; before];
            shifted.extend(piece);
            // Characters that hold bits of the neighbours are none of the piece's.
            let first = (before * 8).div_ceil(6);
            let last = shifted.len() * 8 / 6;
            for alphabet in [&STANDARD, &URL_SAFE] {
                forms.push(alphabet.encode(&shifted).as_bytes()[first..last].to_vec());
            }
        }
        let every = |form: fn(u8) -> String| -> Vec<u8> {
            piece
                .iter()
                .flat_map(|byte| form(*byte).into_bytes())
                .collect()
        };
        forms.push(every(|byte| format!("%{byte:02X}")));
        forms.push(every(|byte| format!("%{byte:02x}")));
        forms.push(every(|byte| format!("\\u{byte:04x}")));
        forms.push(every(|byte| format!("{byte:02x}")));
        forms.push(piece.iter().flat_map(|byte| [*byte, 0]).collect());
        forms.push(piece.iter().flat_map(|byte| [0, *byte]).collect());
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn whole(text: String) -> (String, Vec<String>) {
    (text.clone(), vec![text])
}

/// A Visa number: an issuer's digit, the given ones, and Luhn's.
fn card(digits: &str) -> String {
    let digits = format!("4{digits}");
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(
            |(index, digit)| match (index % 2, u32::from(digit - b'0')) {
                (0, digit) if digit > 4 => digit * 2 - 9,
                (0, digit) => digit * 2,
                (_, digit) => digit,
            },
        )
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

/// The same characters for the same place and kind.
fn random(place: &str, kind: &str, alphabet: &[u8], length: usize) -> String {
    let mut hasher = DefaultHasher::new();
    (place, kind).hash(&mut hasher);
    let mut state = hasher.finish();
    let characters = (0..length).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let index = usize::try_from(state >> 33).unwrap_or_default();
        char::from(alphabet[index % alphabet.len()])
    });
    characters.collect()
}
