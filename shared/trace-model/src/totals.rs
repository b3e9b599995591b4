use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::tree::{Parent, latest, parents};
use crate::{AttributeValue, Cost, Span, Usage, conventions};

/// A run in numbers, computed from its spans and never incremented. Tokens and cost count
/// leaf model calls only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    pub spans: u64,
    pub errors: u64,
    /// Spans that have not ended.
    pub open: u64,
    pub model_calls: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cached_tokens: u64,
    pub reasoning_tokens: u64,
    pub cost: Cost,
    /// Model calls whose price is unknown, so not in `cost`.
    pub cost_unknown: u64,
    pub models: BTreeSet<String>,
}

impl Totals {
    /// Of each span the highest revision counts, in whatever order and however often they come.
    /// A model call above another repeats the other's usage, so only the lowest counts.
    pub fn of<'a>(spans: impl IntoIterator<Item = &'a Span>) -> Self {
        let spans = latest(spans);
        let repeats = has_model_call_below(&spans);
        let mut totals = Self::default();
        for (span, repeats) in spans.into_iter().zip(repeats) {
            totals.spans += 1;
            totals.errors += u64::from(span.is_error());
            totals.open += u64::from(span.end.is_none());
            if span.kind.is_model_call() && !repeats {
                totals.add_model_call(span);
            }
        }
        totals
    }

    fn add_model_call(&mut self, span: &Span) {
        self.model_calls += 1;
        let usage = Usage::of(span);
        let counts = usage.unwrap_or_default();
        for (total, count) in [
            (&mut self.input_tokens, counts.input_tokens),
            (&mut self.output_tokens, counts.output_tokens),
            (&mut self.cached_tokens, counts.cached_tokens),
            (&mut self.reasoning_tokens, counts.reasoning_tokens),
        ] {
            *total = total.saturating_add(count.unwrap_or(0));
        }
        let said_unknown = span.attributes.get(conventions::COST_UNKNOWN);
        match span.int(conventions::COST_PICO_USD) {
            Some(pico_usd) => {
                let sum = self.cost.checked_add(Cost { pico_usd });
                self.cost = sum.unwrap_or(Cost { pico_usd: i64::MAX });
            }
            None if usage.is_some() || said_unknown == Some(&AttributeValue::Bool(true)) => {
                self.cost_unknown += 1;
            }
            // Still open, or refused before it used anything.
            None => {}
        }
        let model = span
            .text(conventions::RESPONSE_MODEL)
            .or_else(|| span.text(conventions::REQUEST_MODEL));
        self.models.extend(model.map(str::to_owned));
    }
}

/// For each span whether any span below it is a model call.
fn has_model_call_below(spans: &[&Span]) -> Vec<bool> {
    let parents = parents(spans);
    let mut has = vec![false; spans.len()];
    for (start, span) in spans.iter().enumerate() {
        let mut here = start;
        while let Parent::At(parent) = parents[here]
            && span.kind.is_model_call()
            && !has[parent]
        {
            has[parent] = true;
            here = parent;
        }
    }
    has
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Revision, SpanId, SpanKind, Status, Timestamp, TraceId};

    fn span(id: u8, parent: u8, kind: SpanKind) -> Span {
        Span::open(
            TraceId::from_bytes([1; 16]).unwrap(),
            SpanId::from_bytes([id; 8]).unwrap(),
            SpanId::from_bytes([parent; 8]),
            "span",
            kind,
            Timestamp::from_unix_millis(u64::from(id)),
        )
    }

    fn call(id: u8, parent: u8, tokens: i64, pico_usd: i64) -> Span {
        let mut span = span(id, parent, SpanKind::Model);
        span.set(conventions::REQUEST_MODEL, "demo-model");
        span.set(conventions::USAGE_INPUT_TOKENS, tokens);
        span.set(conventions::COST_PICO_USD, pico_usd);
        span.finish(Timestamp::from_unix_millis(200), Status::Ok);
        span
    }

    #[test]
    fn a_wrapper_that_repeats_its_child_s_usage_does_not_double_it() {
        let spans = [
            span(1, 0, SpanKind::Run),
            call(2, 1, 100, 7),
            span(3, 2, SpanKind::Http),
            call(4, 3, 60, 3),
            call(5, 3, 40, 4),
        ];
        let totals = Totals::of(&spans);
        assert_eq!(totals.model_calls, 2);
        assert_eq!(totals.input_tokens, 100);
        assert_eq!(totals.cost.pico_usd, 7);
        assert_eq!((totals.spans, totals.models.len()), (5, 1));
    }

    #[test]
    fn hard_case_14_a_revision_replaces_what_it_revises() {
        let mut opened = call(2, 1, 1, 1);
        opened.revision = Revision::OPENED;
        let totals = Totals::of([&opened, &call(2, 1, 100, 7), &opened, &call(2, 1, 100, 7)]);
        assert_eq!((totals.spans, totals.model_calls), (1, 1));
        assert_eq!((totals.input_tokens, totals.cost.pico_usd), (100, 7));
    }

    #[test]
    fn unknown_prices_are_counted_apart() {
        let mut unknown = call(2, 0, 100, 0);
        unknown.attributes.shift_remove(conventions::COST_PICO_USD);
        let mut said = span(3, 0, SpanKind::Embedding);
        said.set(conventions::COST_UNKNOWN, true);
        let open = span(4, 0, SpanKind::Model);
        let mut refused = span(5, 0, SpanKind::Model);
        let message = "429".to_owned();
        refused.finish(Timestamp::default(), Status::Error { message });
        let totals = Totals::of([&unknown, &said, &open, &refused, &call(6, 0, 1, 0)]);
        assert_eq!((totals.model_calls, totals.cost_unknown), (5, 2));
        assert_eq!((totals.errors, totals.cost), (1, Cost::ZERO));
        assert_eq!(totals.open, 2);
    }

    #[test]
    fn hard_case_13_a_call_that_is_its_own_ancestor_still_counts() {
        assert_eq!(Totals::of(&[call(1, 1, 5, 1)]).input_tokens, 5);
        let circle = [call(1, 3, 5, 1), call(2, 1, 6, 1), call(3, 2, 7, 1)];
        assert_eq!(Totals::of(&circle).input_tokens, 7);
    }

    prop_compose! {
        fn any_span()(
            id in 1..8u8,
            parent in 0..9u8,
            kind in proptest::sample::select(SpanKind::ALL.to_vec()),
            revision in 0..3u32,
            tokens in 0..5i64,
            error in any::<bool>(),
        ) -> Span {
            let mut span = call(id, parent, tokens, tokens);
            span.kind = kind;
            if error {
                span.status = Status::Error { message: String::new() };
            }
            span.revision = Revision(revision);
            span
        }
    }

    proptest! {
        #[test]
        fn order_and_repetition_change_nothing(
            spans in proptest::collection::vec(any_span(), 0..20),
            order in any::<proptest::sample::Index>(),
        ) {
            let expected = Totals::of(&spans);
            let mut shuffled = [spans.clone(), spans.clone()].concat();
            if !shuffled.is_empty() {
                let turn = order.index(shuffled.len());
                shuffled.rotate_left(turn);
            }
            prop_assert_eq!(&Totals::of(&shuffled), &expected);
            shuffled.reverse();
            prop_assert_eq!(&Totals::of(&shuffled), &expected);
            let merged = crate::merge(shuffled.clone());
            prop_assert_eq!(&Totals::of(&merged), &expected);
            shuffled.sort_by_key(|span| (span.kind, span.span_id));
            prop_assert_eq!(&crate::merge(shuffled), &merged);
        }
    }
}
