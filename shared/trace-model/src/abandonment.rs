//! Spans that nothing will end: their function is gone, and the history knows that its attempt
//! is over.

use crate::tree::{Parent, latest, parents};
use crate::{Revision, Span, SpanKind, Status, Timestamp, conventions};

/// Who says how what a span was part of has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndsFrom {
    /// The execution's history: what it does not say has not ended.
    History,
    /// Nobody: the spans came without an execution, and all there is to know is that their
    /// functions are gone.
    Nobody,
}

/// What became of the open spans that functions have left in one trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Abandonment {
    /// As [`Revision::ABANDONED`], each with the reason as its status; should the real end come
    /// after all, that outranks it.
    pub spans: Vec<Span>,
    /// Open ones whose attempt goes on: they are to be looked at again once it has ended.
    pub undecided: usize,
}

impl Abandonment {
    /// Of a trace's spans, those that were opened before `gone_before` and never ended, though
    /// what they are part of has. No function that began before `gone_before` runs any more:
    /// Lambda ends each after 15 minutes, and a stopped process has none.
    ///
    /// Run, state, iteration and attempt spans are never among them: their history ends them.
    pub fn of<'a>(
        spans: impl IntoIterator<Item = &'a Span>,
        gone_before: Timestamp,
        ends_from: EndsFrom,
    ) -> Self {
        let spans = latest(spans);
        let parents = parents(&spans);
        let run = spans.iter().position(|span| span.kind == SpanKind::Run);
        let last_sign = last_sign(&spans);
        let mut abandonment = Self::default();
        for (index, span) in spans.iter().enumerate() {
            let is_left = !is_of_history(span) && span.end.is_none() && span.start < gone_before;
            if !is_left {
                continue;
            }
            let around = above(&parents, index)
                .find(|above| is_of_history(spans[*above]))
                .or(run);
            let ended = around.and_then(|around| Some((spans[around], spans[around].end?)));
            let (end, reason) = match ended {
                Some((around, ended)) => (ended, reason_of(around)),
                None if ends_from == EndsFrom::Nobody => (last_sign, NOBODY_KNOWS.to_owned()),
                None => {
                    abandonment.undecided += 1;
                    continue;
                }
            };
            let end = end.min(gone_before).max(span.start);
            abandonment.spans.push(abandoned(span, end, &reason));
        }
        abandonment
    }
}

const fn is_of_history(span: &Span) -> bool {
    matches!(
        span.kind,
        SpanKind::Run | SpanKind::State | SpanKind::Iteration | SpanKind::Attempt
    )
}

/// What a span is part of, the nearest first.
fn above(parents: &[Parent], index: usize) -> impl Iterator<Item = usize> + '_ {
    std::iter::successors(Some(index), |here| match parents[*here] {
        Parent::At(parent) => Some(parent),
        Parent::None | Parent::Missing(_) | Parent::Cut => None,
    })
    .skip(1)
}

const NOBODY_KNOWS: &str = "nothing was heard of it since, for longer than a function may run";

fn reason_of(around: &Span) -> String {
    match around.text(conventions::ERROR_TYPE) {
        Some(error) => format!("its {} ended with {error}", around.kind.as_str()),
        None => format!("its {} has ended", around.kind.as_str()),
    }
}

/// The last time that any span of the trace tells of.
fn last_sign(spans: &[&Span]) -> Timestamp {
    let times = spans
        .iter()
        .flat_map(|span| [Some(span.start), span.end])
        .flatten();
    times.max().unwrap_or_default()
}

fn abandoned(span: &Span, end: Timestamp, reason: &str) -> Span {
    let mut span = span.clone();
    let message = format!("abandoned: the function stopped before it ended; {reason}");
    span.finish(end, Status::Error { message });
    span.revision = Revision::ABANDONED;
    span.flag(conventions::FLAG_ABANDONED);
    span
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SpanId, TraceId};

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_millis(millis)
    }

    fn open(id: u8, parent: u8, kind: SpanKind, start: u64) -> Span {
        Span::open(
            TraceId::from_bytes([1; 16]).unwrap(),
            SpanId::from_bytes([id; 8]).unwrap(),
            SpanId::from_bytes([parent; 8]),
            "span",
            kind,
            at(start),
        )
    }

    fn ended(mut span: Span, end: u64) -> Span {
        span.finish(at(end), Status::Ok);
        span
    }

    /// The ids of what is abandoned, with their ends in milliseconds, and how many are undecided.
    fn check(spans: &[Span], gone_before: u64, expected: &[(u8, u64)], undecided: usize) {
        let found = Abandonment::of(spans, at(gone_before), EndsFrom::History);
        let ends: Vec<(u8, u64)> = found
            .spans
            .iter()
            .map(|span| {
                (
                    span.span_id.as_bytes()[0],
                    span.end.unwrap().as_unix_millis(),
                )
            })
            .collect();
        assert_eq!((ends.as_slice(), found.undecided), (expected, undecided));
        for span in &found.spans {
            assert_eq!(span.revision, Revision::ABANDONED);
            assert!(span.is_error());
            assert!(span.flags().any(|flag| flag == "abandoned"));
        }
    }

    #[test]
    fn hard_case_18_what_a_dead_function_left_open_ends_with_its_attempt() {
        let run = open(1, 0, SpanKind::Run, 0);
        let attempt = open(2, 1, SpanKind::Attempt, 10);
        let node = open(3, 2, SpanKind::Node, 20);
        let model = open(4, 3, SpanKind::Model, 30);
        let over = ended(attempt.clone(), 90);
        check(&[run.clone(), attempt, node.clone()], 100, &[], 1);
        let left = [run.clone(), over.clone(), node.clone(), model.clone()];
        check(&left, 100, &[(3, 90), (4, 90)], 0);
        // The function was gone before the history ended the attempt.
        check(&left, 50, &[(3, 50), (4, 50)], 0);
        // It may still be at work.
        check(&left, 15, &[], 0);
        check(&[run, over, ended(node, 60), model], 100, &[(4, 90)], 0);
    }

    #[test]
    fn what_hangs_nowhere_ends_with_the_run() {
        let run = open(1, 0, SpanKind::Run, 0);
        let lost = open(3, 99, SpanKind::Internal, 20);
        let own_parent = open(4, 4, SpanKind::Internal, 30);
        let left = [ended(run.clone(), 80), lost.clone(), own_parent.clone()];
        check(&left, 100, &[(3, 80), (4, 80)], 0);
        check(&[run, lost, own_parent], 100, &[], 2);
        check(&[open(3, 99, SpanKind::Internal, 20)], 100, &[], 1);
    }

    #[test]
    fn the_reason_names_how_the_attempt_ended() {
        let mut attempt = open(2, 0, SpanKind::Attempt, 10);
        attempt.set(conventions::ERROR_TYPE, "Lambda.Unknown");
        let spans = [ended(attempt, 90), open(3, 2, SpanKind::Node, 20)];
        let found = Abandonment::of(&spans, at(100), EndsFrom::History);
        let Status::Error { message } = &found.spans[0].status else {
            panic!("{:?}", found.spans);
        };
        assert!(
            message.contains("attempt ended with Lambda.Unknown"),
            "{message}"
        );
    }

    #[test]
    fn without_an_execution_a_span_ends_with_the_last_sign_of_its_trace() {
        let node = open(3, 0, SpanKind::Node, 20);
        let model = ended(open(4, 3, SpanKind::Model, 30), 70);
        let late = open(5, 3, SpanKind::Http, 150);
        let spans = [node, model, late];
        check(&spans, 100, &[], 1);
        let found = Abandonment::of(&spans, at(100), EndsFrom::Nobody);
        let ends: Vec<_> = found.spans.iter().map(|span| span.end).collect();
        assert_eq!((ends, found.undecided), (vec![Some(at(100))], 0));
        let found = Abandonment::of(&spans[..2], at(100), EndsFrom::Nobody);
        assert_eq!(found.spans[0].end, Some(at(70)));
        assert!(found.spans[0].is_error());
    }
}
