use std::collections::HashSet;

use crate::tree::latest;
use crate::{RunStatus, Span, SpanId, Status, Timestamp, conventions};

/// What a run without an execution is: what its spans say, all of them together, so that the
/// order in which they came changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOfSpans {
    pub workflow: String,
    /// [`RunStatus::Running`] while a span on top is open or still to come.
    pub status: RunStatus,
    /// When the first span started.
    pub started_at: Timestamp,
    /// When the last span ended, once the run is over.
    pub finished_at: Option<Timestamp>,
    /// The first span on top; where its parent is not here, that parent.
    pub root_span_id: SpanId,
    /// `error.type` of the first failed span on top.
    pub error: Option<String>,
}

/// Of a failed span that names no `error.type`.
const UNNAMED_ERROR: &str = "error";

/// Where nothing says what ran.
const UNNAMED: &str = "unnamed";

impl RunOfSpans {
    /// `None` without spans.
    pub fn of<'a>(spans: impl IntoIterator<Item = &'a Span>) -> Option<Self> {
        let spans = latest(spans);
        let first = *spans.first()?;
        let here: HashSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
        let is_on_top = |span: &Span| span.parent_span_id.is_none_or(|id| !here.contains(&id));
        let mut on_top: Vec<&Span> = spans
            .iter()
            .copied()
            .filter(|span| is_on_top(span))
            .collect();
        // All are each other's ancestors.
        if on_top.is_empty() {
            on_top.push(first);
        }
        let root = on_top.iter().find(|span| span.parent_span_id.is_none());
        let root = *root.unwrap_or(&on_top[0]);
        let status = status(&on_top);
        let failed = on_top.iter().find(|span| span.is_error());
        let ends = spans.iter().filter_map(|span| span.end);
        Some(Self {
            workflow: workflow(root),
            status,
            started_at: first.start,
            finished_at: ends.max().filter(|_| status.is_over()),
            root_span_id: match root.parent_span_id {
                Some(parent) if !here.contains(&parent) => parent,
                _ => root.span_id,
            },
            error: failed.filter(|_| status == RunStatus::Failed).map(|span| {
                let name = span.text(conventions::ERROR_TYPE);
                name.unwrap_or(UNNAMED_ERROR).to_owned()
            }),
        })
    }
}

fn status(on_top: &[&Span]) -> RunStatus {
    // A parent within the same process comes, since it ends after this; one elsewhere may
    // never be sent here.
    let is_awaited = |span: &Span| {
        span.parent_span_id.is_some_and(|id| id != span.span_id)
            && !span.attributes.contains_key(conventions::PARENT_IS_REMOTE)
    };
    if on_top
        .iter()
        .any(|span| span.end.is_none() || is_awaited(span))
    {
        RunStatus::Running
    } else if on_top
        .iter()
        .any(|span| matches!(span.status, Status::Error { .. }))
    {
        RunStatus::Failed
    } else {
        RunStatus::Succeeded
    }
}

fn workflow(root: &Span) -> String {
    let named = ["gen_ai.workflow.name", "gen_ai.agent.name"]
        .into_iter()
        .find_map(|key| root.text(key));
    let service = || {
        root.resource
            .get("service.name")
            .and_then(|name| name.as_str())
    };
    [named, service(), Some(root.name.as_str())]
        .into_iter()
        .flatten()
        .find(|name| !name.is_empty())
        .unwrap_or(UNNAMED)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SpanKind, TraceId};

    fn span(id: u8, parent: u8, start: u64) -> Span {
        Span::open(
            TraceId::from_bytes([1; 16]).unwrap(),
            SpanId::from_bytes([id; 8]).unwrap(),
            SpanId::from_bytes([parent; 8]),
            "answer",
            SpanKind::Internal,
            Timestamp::from_unix_millis(start),
        )
    }

    fn ended(mut span: Span, end: u64, status: Status) -> Span {
        span.finish(Timestamp::from_unix_millis(end), status);
        span
    }

    fn remote(mut span: Span) -> Span {
        span.set(conventions::PARENT_IS_REMOTE, true);
        span
    }

    fn failure() -> Status {
        Status::Error {
            message: "no".to_owned(),
        }
    }

    /// In whatever order the spans come.
    fn check(spans: &[Span], status: RunStatus, finished_at: Option<u64>, root: u8) {
        let run = RunOfSpans::of(spans).unwrap();
        let finished_at = finished_at.map(Timestamp::from_unix_millis);
        let root = SpanId::from_bytes([root; 8]).unwrap();
        let found = (run.status, run.finished_at, run.root_span_id);
        assert_eq!(found, (status, finished_at, root));
        assert_eq!(RunOfSpans::of(spans.iter().rev()), Some(run));
    }

    #[test]
    fn a_run_is_what_its_spans_say() {
        let root = ended(span(1, 0, 10), 50, Status::Unset);
        let child = ended(span(2, 1, 20), 40, failure());
        check(
            &[root.clone(), child.clone()],
            RunStatus::Succeeded,
            Some(50),
            1,
        );
        let failed = ended(span(1, 0, 10), 50, failure());
        check(&[failed.clone(), child], RunStatus::Failed, Some(50), 1);
        assert_eq!(
            RunOfSpans::of(&[failed]).unwrap().error.as_deref(),
            Some("error")
        );
        assert_eq!(RunOfSpans::of([]), None);
    }

    #[test]
    fn hard_case_13_children_that_come_before_their_root_await_it() {
        let child = ended(span(2, 1, 20), 40, Status::Ok);
        check(std::slice::from_ref(&child), RunStatus::Running, None, 1);
        let of_another_process = remote(child);
        check(&[of_another_process], RunStatus::Succeeded, Some(40), 1);
    }

    #[test]
    fn hard_case_13_a_root_that_ends_first_does_not_end_the_run_s_time() {
        let root = ended(span(1, 0, 10), 50, Status::Ok);
        let late = ended(span(2, 1, 20), 90, Status::Ok);
        check(&[root, late], RunStatus::Succeeded, Some(90), 1);
    }

    #[test]
    fn hard_case_13_circles_and_open_roots_have_an_outcome() {
        let own_parent = ended(span(1, 1, 10), 20, Status::Ok);
        check(&[own_parent], RunStatus::Succeeded, Some(20), 1);
        let circle = [
            ended(span(1, 2, 10), 20, Status::Ok),
            ended(span(2, 1, 11), 20, Status::Ok),
        ];
        check(&circle, RunStatus::Running, None, 1);
        check(&[span(1, 0, 10)], RunStatus::Running, None, 1);
    }

    #[test]
    fn its_name_is_the_most_telling_one() {
        let mut root = span(1, 0, 10);
        let name = |span: &Span| RunOfSpans::of([span]).unwrap().workflow;
        assert_eq!(name(&root), "answer");
        root.resource
            .insert("service.name".to_owned(), "shop".into());
        assert_eq!(name(&root), "shop");
        root.set("gen_ai.agent.name", "support");
        assert_eq!(name(&root), "support");
    }
}
