use std::sync::LazyLock;

use serde::Deserialize;

use super::match_rule::MatchRule;
use super::rate::Price;
use crate::{Cost, Timestamp, Usage};

/// List prices by provider and model. `prices/README.md` says where they come from and what
/// the files hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTable {
    version: String,
    pub(super) providers: Vec<Provider>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provider {
    id: String,
    #[serde(rename = "provider_match")]
    pub(super) named: Option<MatchRule>,
    /// Finds the provider of a model whose provider is not told.
    pub(super) model_match: Option<MatchRule>,
    /// Others whose models this one offers at their prices.
    #[serde(default)]
    fallback: Vec<String>,
    pub(super) models: Vec<Model>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Model {
    #[serde(rename = "match")]
    pub(super) matched: MatchRule,
    pub(super) prices: Vec<Price>,
}

static EMBEDDED: LazyLock<PriceTable> = LazyLock::new(|| {
    let parse = |json| {
        serde_json::from_str::<PriceTable>(json).expect("the embedded files parse: a test does it")
    };
    let mut table = parse(include_str!("../../prices/genai-prices.json"));
    let own = parse(include_str!("../../prices/stepscope.json"));
    table.providers.extend(own.providers);
    table
});

/// OpenTelemetry's `gen_ai.provider.name` where the table's own rules miss it or take it for
/// another.
const OPENTELEMETRY_NAMES: [(&str, &str); 5] = [
    ("azure.ai.inference", "azure"),
    ("azure.ai.openai", "azure"),
    ("gcp.gen_ai", "google"),
    ("moonshot_ai", "moonshotai"),
    ("x_ai", "x-ai"),
];

impl PriceTable {
    /// Parsed at the first call, once a process.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// Source and version, for `stepscope.cost.price_table`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What the call cost at that time. `None` when the provider, the model, its price then, or
    /// a token count that the price needs is unknown. Without a provider the model's name has
    /// to tell it.
    pub fn price(
        &self,
        provider: Option<&str>,
        model: &str,
        usage: &Usage,
        at: Timestamp,
    ) -> Option<Cost> {
        let model = model.trim().to_lowercase();
        let provider = match provider {
            Some(name) => self.provider(&name.trim().to_lowercase())?,
            None => self.providers.iter().find(|provider| {
                let rule = provider.model_match.as_ref();
                rule.is_some_and(|rule| rule.matches(&model))
            })?,
        };
        let model = self
            .model(provider, &model)
            .or_else(|| self.model(provider, &with_dashed_date(&model)?))?;
        // The last price that holds takes precedence; before all of them, the first.
        let held = model.prices.iter().rev().find(|price| price.holds_at(at));
        held.or(model.prices.first())?.cost(usage)
    }

    fn provider(&self, name: &str) -> Option<&Provider> {
        let alias = OPENTELEMETRY_NAMES.iter().find(|(alias, _)| *alias == name);
        let name = alias.map_or(name, |(_, id)| id);
        let by_id = self.providers.iter().find(|provider| provider.id == name);
        by_id.or_else(|| {
            self.providers.iter().find(|provider| {
                let rule = provider.named.as_ref();
                rule.is_some_and(|rule| rule.matches(name))
            })
        })
    }

    fn model<'a>(&'a self, provider: &'a Provider, name: &str) -> Option<&'a Model> {
        let others = provider.fallback.iter().filter_map(|id| {
            let mut providers = self.providers.iter();
            providers.find(|provider| provider.id == *id)
        });
        std::iter::once(provider)
            .chain(others)
            .flat_map(|provider| &provider.models)
            .find(|model| model.matched.matches(name))
    }
}

/// `gpt-5.2-20251211` as `gpt-5.2-2025-12-11`: routers write the date of a model without the
/// dashes that the table has. `None` when there is no such date.
fn with_dashed_date(model: &str) -> Option<String> {
    let (start, _) = model.match_indices("-20").find(|(start, _)| {
        let date = model.get(start + 1..start + 9);
        let ends = matches!(model.as_bytes().get(start + 9), None | Some(b'-' | b':'));
        ends && date.is_some_and(|date| {
            date.bytes().all(|byte| byte.is_ascii_digit())
                && ("01"..="12").contains(&&date[4..6])
                && ("01"..="31").contains(&&date[6..8])
        })
    })?;
    let (year, month, day) = (start + 1, start + 5, start + 7);
    Some(format!(
        "{}{}-{}-{}",
        &model[..year],
        &model[year..month],
        &model[month..day],
        &model[day..]
    ))
}
