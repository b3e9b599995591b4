use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use trace_model::{Revision, RunOfSpans, Span, SpanId, Totals};
use trace_store::{StoredSpan, Summary, TraceStructure};

/// Clocks of one region's machines agree to within this; more is told.
const CLOCK_SKEW: Duration = Duration::from_millis(100);

/// What is known of a run from its structure alone.
pub fn summarise(structure: &TraceStructure) -> Summary {
    let spans = || structure.spans.iter().map(StoredSpan::span);
    let mut redactions: BTreeMap<String, u64> = BTreeMap::new();
    for span in &structure.spans {
        for (detector, count) in span.redacted().redactions() {
            *redactions.entry(detector.clone()).or_default() += count;
        }
    }
    Summary {
        totals: Totals::of(spans()),
        redactions,
        notices: notices(&spans().collect::<Vec<_>>()),
        run_of_spans: RunOfSpans::of(spans()),
        structure_revision: structure.revision,
    }
}

/// What a reader should know, in words. Counts only: never a name that a person wrote.
fn notices(spans: &[&Span]) -> Vec<String> {
    let starts: HashMap<SpanId, &Span> = spans.iter().map(|span| (span.span_id, *span)).collect();
    let parent = |span: &Span| span.parent_span_id.map(|id| starts.get(&id).copied());
    let abandoned = spans
        .iter()
        .filter(|span| span.revision == Revision::ABANDONED);
    let orphans = spans.iter().filter(|span| parent(span) == Some(None));
    let early = spans.iter().filter(|span| {
        let parent = parent(span).flatten();
        parent.is_some_and(|parent| parent.start.since(span.start) > CLOCK_SKEW)
    });
    let backwards = spans
        .iter()
        .filter(|span| span.end.is_some_and(|end| end < span.start));
    [
        notice(abandoned.count(), "was abandoned", "were abandoned"),
        notice(
            orphans.count(),
            "has a parent that is not recorded",
            "have parents that are not recorded",
        ),
        notice(
            early.count(),
            "started before its parent: the clocks differ, times are shown as recorded",
            "started before their parents: the clocks differ, times are shown as recorded",
        ),
        notice(
            backwards.count(),
            "ended before it started",
            "ended before they started",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn notice(count: usize, one: &str, many: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 span {one}")),
        _ => Some(format!("{count} spans {many}")),
    }
}
