//! Query strings, read strictly: what is not known is refused by name.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use trace_model::{Cost, Timestamp};
use url::form_urlencoded;
use utoipa::IntoParams;

use crate::problem::Problem;

/// Decimals of a US dollar that a [`Cost`] is exact to.
const PICO_DIGITS: usize = 12;

/// The parameters of one request, each known and given once.
#[derive(Debug)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// `Q` declares the names, in the `OpenAPI` document too.
    pub(crate) fn read<Q: IntoParams>(query: Option<&str>) -> Result<Self, Problem> {
        let known: Vec<String> = Q::into_params(|| None)
            .into_iter()
            .map(|parameter| parameter.name)
            .collect();
        let mut values = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.iter().any(|known| *known == name) {
                return Err(Problem::invalid_query(unknown(&name, &known)));
            }
            if values
                .insert(name.to_string(), value.into_owned())
                .is_some()
            {
                return Err(Problem::invalid_query(format!(
                    "the parameter {name} is there twice: give it once"
                )));
            }
        }
        Ok(Self(values))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A whole number from 1 to `most`.
    pub(crate) fn limit(&self, default: usize, most: usize) -> Result<usize, Problem> {
        let expected = format!("a whole number from 1 to {most}");
        let parse = |text: &str| {
            let number = usize::try_from(digits(text)?).ok()?;
            (1..=most).contains(&number).then_some(number)
        };
        Ok(self.parsed("limit", parse, &expected)?.unwrap_or(default))
    }

    /// A whole number from 0.
    pub(crate) fn count(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.parsed(name, digits, "a whole number, such as 1500")
    }

    /// US dollars, read digit by digit: costs are exact.
    pub(crate) fn cost(&self, name: &str) -> Result<Option<Cost>, Problem> {
        let parse = |text: &str| {
            let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
            if decimals.len() > PICO_DIGITS {
                return None;
            }
            let pico = digits(&format!("{decimals:0<PICO_DIGITS$}"))?;
            let pico_per_usd = 10_u64.pow(12);
            let pico = digits(whole)?
                .checked_mul(pico_per_usd)?
                .checked_add(pico)?;
            i64::try_from(pico).ok().map(Cost::from_pico_usd)
        };
        let expected = "US dollars with at most 12 decimals, such as 0.25";
        self.parsed(name, parse, expected)
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let expected = "an RFC 3339 time, such as 2026-01-31T12:00:00Z (a + in it is written %2B)";
        self.parsed(name, Timestamp::parse_rfc3339, expected)
    }

    /// One of a few words.
    pub(crate) fn one_of<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        words: impl IntoIterator<Item = &'static str>,
    ) -> Result<Option<T>, Problem> {
        let words: Vec<&str> = words.into_iter().collect();
        self.parsed(name, parse, &format!("one of {}", words.join(", ")))
    }

    fn parsed<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        expected: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        parse(text).map(Some).ok_or_else(|| {
            let found: String = text.chars().take(80).collect();
            Problem::invalid_query(format!(
                "the parameter {name} is {found:?}; expected {expected}"
            ))
        })
    }

    /// What a cursor is bound to: everything but the cursor and the size of a page.
    pub(crate) fn fingerprint(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            if name != "cursor" && name != "limit" {
                // Lengths keep one value from looking like two; writing to a string cannot fail.
                let _ = write!(text, "{}:{name}{}:{value}", name.len(), value.len());
            }
        }
        text
    }
}

/// Digits and nothing else: no sign, no blank.
fn digits(text: &str) -> Option<u64> {
    let only_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    only_digits.then(|| text.parse().ok()).flatten()
}

fn unknown(name: &str, known: &[String]) -> String {
    let shown: String = name.chars().take(80).collect();
    if known.is_empty() {
        return format!("the parameter {shown:?} is unknown: this route takes none");
    }
    let nearest = known
        .iter()
        .map(|known| (strsim::jaro_winkler(&shown, known), known))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .filter(|(likeness, _)| *likeness > 0.7);
    let question = nearest.map_or_else(String::new, |(_, known)| format!(" did you mean {known}?"));
    format!(
        "the parameter {shown:?} is unknown:{question} this route takes {}",
        known.join(", ")
    )
}
