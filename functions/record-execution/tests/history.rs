//! The spans of recorded histories: right parents, right order, each state and attempt once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_sfn::types::HistoryEvent;
use proptest::prelude::*;
use record_execution::{HistoryRecorder, RecorderOptions, flags};
use support::{arn, history, stories, tree};
use trace_model::{RunStatus, Span, SpanId, SpanKind, TenantId, TraceId, conventions};

fn recorder(story: &str) -> HistoryRecorder {
    HistoryRecorder::new(arn(story), RecorderOptions::default())
}

async fn record(story: &str) -> (HistoryRecorder, Vec<Span>) {
    let mut recorder = recorder(story);
    let spans = recorder.feed(&history(story).await);
    (recorder, spans)
}

#[tokio::test]
async fn every_story_has_its_tree() {
    for story in stories() {
        let (recorder, spans) = record(&story).await;
        let outline = recorder.outline().unwrap();
        let mut text = format!(
            "tenant {} · {} · error {:?}\n",
            recorder.tenant().unwrap(),
            outline.status.as_str(),
            outline.error
        );
        for notice in recorder.notices() {
            text += "notice: ";
            text += notice;
            text.push('\n');
        }
        text.push_str(&tree(&spans));
        insta::assert_snapshot!(story.as_str(), text);
    }
}

#[tokio::test]
async fn each_state_and_attempt_is_there_once() {
    for story in stories() {
        let events = history(&story).await;
        let (_, spans) = record(&story).await;
        let ids: BTreeSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
        assert_eq!(ids.len(), spans.len(), "{story}");
        let count = |kind| spans.iter().filter(|span| span.kind == kind).count();
        let events_ending = |ends: &[&str]| {
            let ends_so =
                |event: &&HistoryEvent| ends.iter().any(|end| event.r#type.as_str().ends_with(end));
            events.iter().filter(ends_so).count()
        };
        assert_eq!(count(SpanKind::Run), 1, "{story}");
        assert_eq!(
            count(SpanKind::State),
            events_ending(&["StateEntered"]),
            "{story}"
        );
        assert_eq!(
            count(SpanKind::Attempt),
            events_ending(&["Scheduled"]),
            "{story}"
        );
        assert_eq!(
            count(SpanKind::Iteration),
            events_ending(&["MapIterationStarted"]),
            "{story}"
        );
        for span in &spans {
            let parent = spans
                .iter()
                .find(|other| Some(other.span_id) == span.parent_span_id);
            assert_eq!(
                parent.is_none(),
                span.kind == SpanKind::Run,
                "{story}: {}",
                span.name
            );
            if let Some(parent) = parent {
                assert!(parent.start <= span.start, "{story}: {}", span.name);
                assert!(
                    parent.end.is_none() || span.end <= parent.end,
                    "{story}: {}",
                    span.name
                );
            }
        }
    }
}

#[tokio::test]
async fn an_attempt_has_the_span_id_its_function_was_sent() {
    let (_, spans) = record("retry-and-catch").await;
    let attempts: Vec<&Span> = spans
        .iter()
        .filter(|span| span.kind == SpanKind::Attempt)
        .collect();
    let ids: Vec<String> = attempts
        .iter()
        .map(|span| span.span_id.to_string())
        .collect();
    assert_eq!(
        ids,
        [
            "aa00000000000001",
            "aa00000000000002",
            "aa00000000000003",
            "aa00000000000004"
        ]
    );
    let state = spans
        .iter()
        .find(|span| span.kind == SpanKind::State)
        .unwrap();
    let arn = arn("retry-and-catch");
    assert_eq!(state.span_id, SpanId::of_history_event(&arn, 2));
    assert_eq!(state.trace_id, TraceId::of_execution(&arn));
    assert_eq!(state.parent_span_id, Some(SpanId::of_execution(&arn)));
}

#[tokio::test]
async fn a_traceparent_of_another_trace_is_a_link_only() {
    let (_, spans) = record("odd-parameters").await;
    let flags_of = |name: &str| {
        let span = spans.iter().find(|span| span.name == name).unwrap();
        (
            span.span_id,
            span.flags().collect::<Vec<_>>(),
            span.links.len(),
        )
    };
    let (id, flags, links) = flags_of("Foreign attempt 1");
    assert_eq!((flags, links), (vec![flags::FOREIGN_TRACEPARENT], 1));
    assert_ne!(id.to_string(), "b7ad6b7169203331");
    assert_eq!(
        flags_of("Invalid attempt 1").1,
        [flags::INVALID_TRACEPARENT]
    );
    assert_eq!(
        flags_of("Constant attempt 1").0.to_string(),
        "00000000000000c1"
    );
    assert_eq!(
        flags_of("Constant again attempt 1").1,
        [flags::REUSED_TRACEPARENT]
    );
    let child = spans
        .iter()
        .find(|span| span.name == "Start child attempt 1")
        .unwrap();
    let started = arn("x").as_str().replace("x:run-1", "child:c-1");
    let started = trace_model::ExecutionArn::parse(&started).unwrap();
    assert_eq!(child.links[0].trace_id, TraceId::of_execution(&started));
}

#[tokio::test]
async fn the_tenant_is_decided_before_anything_can_be_written_for_another() {
    let check = async |story: &str, expected: &[Option<&str>]| {
        let mut recorder = recorder(story);
        let mut decided = Vec::new();
        for event in history(story).await.chunks(1).take(expected.len()) {
            recorder.feed(event);
            decided.push(recorder.tenant().map(ToString::to_string));
        }
        let expected: Vec<Option<String>> = expected
            .iter()
            .map(|tenant| tenant.map(str::to_owned))
            .collect();
        assert_eq!(decided, expected, "{story}");
    };
    // From the execution's input; from the first payload, when the input says nothing.
    check("aborted", &[Some("acme"), Some("acme"), Some("acme")]).await;
    check("odd-parameters", &[None, None, Some("acme")]).await;
    let (recorder, _) = record("odd-parameters").await;
    let [other, none] = recorder.notices() else {
        panic!("{:?}", recorder.notices());
    };
    assert!(other.contains("globex"), "{other}");
    assert!(none.contains("Start child names no tenant"), "{none}");

    let options = RecorderOptions {
        default_tenant: TenantId::parse("ours").unwrap(),
        state_machine_arn: None,
        ..RecorderOptions::default()
    };
    let mut recorder = HistoryRecorder::new(arn("x"), options);
    recorder.feed(&[started_with(r#"{"stepscope":{"tenant":"ACME"}}"#)]);
    assert_eq!(recorder.tenant(), None);
    assert!(
        recorder.notices()[0].contains("ACME"),
        "{:?}",
        recorder.notices()
    );
    recorder.decide_tenant();
    assert_eq!(recorder.tenant().unwrap().as_str(), "ours");
}

/// The tracer writes a node's spans to the tenant of its payload or, where that names none, to
/// the default one: where the run is another tenant's, its reader is told.
#[test]
fn hard_case_4_a_payload_of_another_tenant_than_the_run_is_told() {
    let check = |payload: &str, expected: &[&str]| {
        let mut recorder = recorder("x");
        recorder.feed(&[
            started_with(r#"{"stepscope":{"tenant":"acme"}}"#),
            scheduled_with(2, payload),
            scheduled_with(3, payload),
        ]);
        assert_eq!(recorder.tenant().unwrap().as_str(), "acme");
        let notices = recorder.notices();
        assert_eq!(notices.len(), expected.len(), "{payload}: {notices:?}");
        for (notice, words) in notices.iter().zip(expected) {
            assert!(notice.contains(words), "{payload}: {notice}");
        }
    };
    let traceparent = format!(
        r#""headers":{{"traceparent":"00-{}-b7ad6b7169203331-01"}}"#,
        TraceId::of_execution(&arn("x"))
    );
    check(
        &format!(r#"{{"Payload":{{{traceparent},"stepscope":{{"tenant":"acme"}}}}}}"#),
        &[],
    );
    check(
        &format!(r#"{{"Payload":{{{traceparent},"stepscope":{{"tenant":"globex"}}}}}}"#),
        &["names the tenant globex, but the run belongs to acme"],
    );
    let missing = ["names no tenant, so that what it calls is recorded for default"];
    check(&format!(r#"{{"Payload":{{{traceparent}}}}}"#), &missing);
    check(r#"{"Payload":{"stepscope":{"execution":"arn"}}}"#, &missing);
    check(
        r#"{"Payload":{"stepscope":{"execution":"arn","tenant":null}}}"#,
        &missing,
    );
    // What is not traced is written nowhere.
    check(r#"{"TableName":"orders"}"#, &[]);
}

fn scheduled_with(id: i64, parameters: &str) -> HistoryEvent {
    let details = aws_sdk_sfn::types::TaskScheduledEventDetails::builder()
        .resource_type("lambda")
        .resource("invoke")
        .region("us-east-1")
        .parameters(parameters)
        .build()
        .unwrap();
    HistoryEvent::builder()
        .timestamp(aws_sdk_sfn::primitives::DateTime::from_secs(id))
        .r#type(aws_sdk_sfn::types::HistoryEventType::TaskScheduled)
        .id(id)
        .previous_event_id(1)
        .task_scheduled_event_details(details)
        .build()
        .unwrap()
}

fn started_with(input: &str) -> HistoryEvent {
    let details = aws_sdk_sfn::types::ExecutionStartedEventDetails::builder()
        .input(input)
        .build();
    HistoryEvent::builder()
        .timestamp(aws_sdk_sfn::primitives::DateTime::from_secs(1))
        .r#type(aws_sdk_sfn::types::HistoryEventType::ExecutionStarted)
        .id(1)
        .execution_started_event_details(details)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_task_token_is_nowhere_in_the_spans() {
    let (_, spans) = record("aborted").await;
    let text = format!("{spans:?}");
    assert!(!text.contains("AQCAAAAqAAAAAg"), "{text}");
    assert!(text.contains("[task token removed]"));
}

#[tokio::test]
async fn a_redriven_run_outranks_its_first_end() {
    let events = history("redriven").await;
    let mut recorder = recorder("redriven");
    let redriven = events
        .iter()
        .position(|event| event.r#type.as_str() == "ExecutionRedriven")
        .unwrap();
    let first = recorder.feed(&events[..redriven]);
    assert_eq!(recorder.outline().unwrap().status, RunStatus::Failed);
    assert!(first[0].is_error() && first[0].end.is_some());
    let reopened = recorder.feed(&events[redriven..=redriven]);
    assert_eq!(recorder.outline().unwrap().status, RunStatus::Running);
    assert_eq!(reopened.len(), 1);
    assert!(reopened[0].end.is_none() && reopened[0].revision > first[0].revision);
    let last = recorder.feed(&events[redriven + 1..]);
    assert_eq!(recorder.outline().unwrap().status, RunStatus::Succeeded);
    let run = last.iter().find(|span| span.kind == SpanKind::Run).unwrap();
    assert!(!run.is_error() && run.revision > reopened[0].revision);
    assert!(run.content.contains_key(conventions::INPUT));
}

#[tokio::test]
async fn a_span_is_told_when_it_opens_and_when_it_ends() {
    let mut recorder = recorder("retry-and-catch");
    let mut told: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    for event in &history("retry-and-catch").await {
        for span in recorder.feed(std::slice::from_ref(event)) {
            told.entry(span.name).or_default().push(span.end.is_some());
        }
    }
    assert_eq!(told.len(), 8);
    for (name, ends) in told {
        assert_eq!(ends, [false, true], "{name}");
    }
}

#[tokio::test]
async fn a_history_without_its_beginning_still_has_a_tree() {
    for story in stories() {
        let events = history(&story).await;
        for cut in 1..events.len() {
            let mut recorder = recorder(&story);
            let spans = recorder.feed(&events[cut..]);
            tree(&spans);
        }
    }
}

/// The highest revision of each span, in the order of their first telling.
fn latest(told: impl IntoIterator<Item = Span>) -> Vec<Span> {
    let mut latest: Vec<Span> = Vec::new();
    let mut seen: HashMap<SpanId, usize> = HashMap::new();
    for span in told {
        match seen.get(&span.span_id) {
            None => {
                seen.insert(span.span_id, latest.len());
                latest.push(span);
            }
            Some(at) if latest[*at].revision < span.revision => latest[*at] = span,
            Some(at) => assert_eq!(latest[*at], span, "one revision, told in two ways"),
        }
    }
    latest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn spans_do_not_depend_on_where_the_history_was_cut(
        story in 0..stories().len(),
        cuts in prop::collection::vec((0usize..60, 0usize..8), 0..12),
    ) {
        let story = stories().swap_remove(story);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let events = runtime.block_on(history(&story));
        let whole = recorder(&story).feed(&events);

        let mut cuts: Vec<(usize, usize)> = cuts
            .into_iter()
            .map(|(cut, overlap)| (cut.min(events.len()), overlap))
            .collect();
        cuts.push((events.len(), 3));
        cuts.sort_unstable();
        let mut pieces = recorder(&story);
        let mut told = Vec::new();
        let mut begin = 0;
        for (cut, overlap) in cuts {
            // Each piece begins with events that were fed before.
            told.extend(pieces.feed(&events[begin..cut]));
            begin = cut.saturating_sub(overlap);
        }
        prop_assert_eq!(pieces.feed(&events), vec![]);
        let mut latest = latest(told);
        latest.sort_by_key(|span| (span.start, span.span_id));
        let mut whole = whole;
        whole.sort_by_key(|span| (span.start, span.span_id));
        prop_assert_eq!(latest, whole);
    }

    #[test]
    fn events_in_any_order_make_a_tree_and_no_panic(
        story in 0..stories().len(),
        previous in prop::collection::vec(0i64..60, 60),
        kept in prop::collection::vec(any::<bool>(), 60),
    ) {
        let story = stories().swap_remove(story);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut events = runtime.block_on(history(&story));
        for (event, previous) in events.iter_mut().zip(&previous) {
            event.previous_event_id = *previous;
        }
        let mut kept = kept.into_iter();
        events.retain(|_| kept.next().unwrap_or(true));
        let spans = recorder(&story).feed(&events);
        if !events.is_empty() {
            tree(&spans);
        }
    }
}
