//! What a model call costs, by an embedded table of the providers' list prices. Unknown is
//! told from free: a model without a known price costs `None`, never 0.

mod match_rule;
mod rate;
mod table;

pub use table::PriceTable;

use crate::{AttributeValue, Span, Usage, conventions};

/// Prices a model call that has ended, from its own attributes, at its start. A span that was
/// priced already keeps its price, and a failed call without usage has none.
pub fn apply_cost(span: &mut Span) {
    let priced = span.attributes.contains_key(conventions::PRICE_TABLE);
    if !span.kind.is_model_call() || priced {
        return;
    }
    let usage = Usage::of(span);
    if usage.is_none() && span.is_error() {
        return;
    }
    let table = PriceTable::embedded();
    let cost = usage.and_then(|usage| {
        let provider = span.text(conventions::PROVIDER_NAME);
        // The answering model is the exact one; some answers give names that no table has.
        [conventions::RESPONSE_MODEL, conventions::REQUEST_MODEL]
            .into_iter()
            .filter_map(|key| span.text(key))
            .find_map(|model| table.price(provider, model, &usage, span.start))
    });
    match cost {
        Some(cost) => {
            span.set(conventions::COST_USD, cost.to_usd_f64());
            span.set(
                conventions::COST_PICO_USD,
                AttributeValue::Int(cost.pico_usd),
            );
        }
        None => span.set(conventions::COST_UNKNOWN, true),
    }
    span.set(conventions::PRICE_TABLE, table.version());
}

#[cfg(test)]
mod tests;
