//! What is stored of what was sent, and how it joins its run.

use std::collections::BTreeMap;
use std::time::Duration;

use trace_model::{
    ExecutionArn, Revision, Run, RunStatus, Span, SpanId, SpanKind, Status, TraceId, conventions,
};

use crate::support::{Cloud, int, request, span, tenant, text, trace_id};

#[tokio::test]
async fn hard_case_14_the_same_batch_twice_and_a_revised_span_are_one() {
    let cloud = Cloud::start().await;
    let mut call = span(2, 1);
    call.attributes = vec![
        text(conventions::OPERATION_NAME, "chat"),
        text(conventions::REQUEST_MODEL, "gpt-4o-mini"),
        text(conventions::PROVIDER_NAME, "openai"),
        int(conventions::USAGE_INPUT_TOKENS, 100),
        int(conventions::USAGE_OUTPUT_TOKENS, 10),
    ];
    let batch = request(vec![span(1, 0), call.clone()]);
    let once = {
        cloud.post_protobuf(&batch).await.assert_all_stored();
        cloud.summarised_run("acme", trace_id()).await.unwrap()
    };
    cloud.post_protobuf(&batch).await.assert_all_stored();
    let twice = cloud.summarised_run("acme", trace_id()).await.unwrap();
    assert_eq!(once, twice);
    assert!(once.totals.as_ref().unwrap().cost.pico_usd > 0);
    // Told again with its end, in another company.
    call.end_time_unix_nano += 1_000;
    call.attributes.push(int(conventions::USAGE_REASONING, 4));
    let revised = request(vec![call, span(3, 1)]);
    cloud.post_protobuf(&revised).await.assert_all_stored();
    let totals = cloud.summarised_run("acme", trace_id()).await.unwrap();
    let totals = totals.totals.unwrap();
    assert_eq!((totals.spans, totals.model_calls), (3, 1));
    assert_eq!((totals.input_tokens, totals.reasoning_tokens), (100, 4));
}

#[tokio::test]
async fn hard_case_14_racing_batches_lose_nothing() {
    let cloud = Cloud::start().await;
    let batches = (0..8_u64).map(|batch| {
        let spans = (0..20).map(|n| span(1 + (batch * 10 + n) % 100, 0));
        request(spans.collect())
    });
    let batches: Vec<_> = batches.collect();
    let sent = batches.iter().map(|batch| cloud.post_protobuf(batch));
    for answer in futures::future::join_all(sent).await {
        answer.assert_all_stored();
    }
    let run = cloud.summarised_run("acme", trace_id()).await.unwrap();
    assert_eq!(run.totals.unwrap().spans, 90);
}

#[tokio::test]
async fn spans_without_an_execution_are_a_run_of_their_own() {
    let cloud = Cloud::start().await;
    let other: TraceId = "00000000000000000000000000000007".parse().unwrap();
    let mut elsewhere = span(1, 0);
    elsewhere.trace_id = other.as_bytes().to_vec();
    let batch = request(vec![span(2, 1), elsewhere]);
    cloud.post_protobuf(&batch).await.assert_all_stored();
    let run = cloud.summarised_run("acme", trace_id()).await.unwrap();
    assert_eq!(run.execution_id.as_str(), trace_id().to_string());
    assert_eq!(run.workflow, "shop");
    assert_eq!(run.status, RunStatus::Running, "its root is still to come");
    let run = cloud.summarised_run("acme", other).await.unwrap();
    assert_eq!(
        (run.status, run.execution_arn),
        (RunStatus::Succeeded, None)
    );
    // A day later.
    cloud.clock.advance(Duration::from_hours(24));
    let mut root = span(1, 0);
    root.end_time_unix_nano += 60_000_000_000;
    cloud
        .post_protobuf(&request(vec![root, span(3, 1)]))
        .await
        .assert_all_stored();
    let run = cloud.summarised_run("acme", trace_id()).await.unwrap();
    assert_eq!(run.status, RunStatus::Succeeded);
    assert_eq!(run.totals.unwrap().spans, 3);
    let duration = run.finished_at.unwrap().since(run.started_at);
    assert_eq!(duration, Duration::from_nanos(60_000_000_500));
}

/// What the recorder writes of an execution whose task's function sent `span(5)` by OTLP.
fn execution(cloud: &Cloud) -> (Run, Span) {
    let arn = "arn:aws:states:us-east-1:000000000000:execution:triage:run-1";
    let arn = ExecutionArn::parse(arn).unwrap();
    let started_at = cloud.clock.now();
    let run = Run {
        tenant: tenant("acme"),
        execution_id: arn.execution_id(),
        trace_id: TraceId::of_execution(&arn),
        root_span_id: SpanId::of_execution(&arn),
        workflow: "triage".to_owned(),
        status: RunStatus::Running,
        started_at,
        redrives: 0,
        finished_at: None,
        error: None,
        totals: None,
        redactions: BTreeMap::new(),
        notices: Vec::new(),
        revision: 0,
        expires_at: None,
        execution_arn: Some(arn),
    };
    let mut attempt = Span::open(
        run.trace_id,
        SpanId::from_bytes(1_u64.to_be_bytes()).unwrap(),
        None,
        "Classify",
        SpanKind::Attempt,
        started_at,
    );
    attempt.finish(started_at.plus(Duration::from_secs(1)), Status::Ok);
    (run, attempt)
}

#[tokio::test]
async fn spans_join_their_execution_whichever_comes_first() {
    for spans_first in [true, false] {
        let cloud = Cloud::start().await;
        let (run, attempt) = execution(&cloud);
        let mut of_function = span(5, 1);
        of_function.trace_id = run.trace_id.as_bytes().to_vec();
        let batch = request(vec![of_function]);
        if spans_first {
            cloud.post_protobuf(&batch).await.assert_all_stored();
            let early = cloud.summarised_run("acme", run.trace_id).await.unwrap();
            assert_eq!(early.execution_id.as_str(), run.trace_id.to_string());
        }
        cloud.store.open_run(&run).await.unwrap();
        let attempt = redaction::Policy::standard().redact(attempt.into());
        cloud
            .store
            .write_spans(&run.tenant, run.trace_id, vec![attempt])
            .await
            .unwrap();
        cloud.post_protobuf(&batch).await.assert_all_stored();
        let found = cloud.summarised_run("acme", run.trace_id).await.unwrap();
        assert_eq!(found.execution_id, run.execution_id, "{spans_first}");
        assert_eq!(found.started_at, run.started_at);
        assert_eq!(found.status, RunStatus::Running);
        assert_eq!(found.totals.unwrap().spans, 2);
        let listed = cloud
            .store
            .list_runs(&run.tenant, &trace_store::RunFilter::default(), 10, None)
            .await
            .unwrap();
        assert_eq!(listed.runs.len(), 1);
    }
}

#[tokio::test]
async fn nobody_outside_replaces_a_span_of_the_history() {
    let cloud = Cloud::start().await;
    let (run, attempt) = execution(&cloud);
    let recorded = redaction::Policy::standard().redact(attempt.clone().into());
    cloud
        .store
        .write_spans(&run.tenant, run.trace_id, vec![recorded])
        .await
        .unwrap();
    let mut forged = span(1, 0);
    forged.trace_id = run.trace_id.as_bytes().to_vec();
    forged.end_time_unix_nano = u64::MAX;
    forged.attributes = vec![
        text(conventions::SPAN_KIND, "attempt"),
        int(conventions::REVISION, 99),
    ];
    cloud
        .post_protobuf(&request(vec![forged]))
        .await
        .assert_all_stored();
    let structure = cloud.structure("acme", run.trace_id).await;
    assert_eq!(structure.spans.len(), 1);
    let kept = structure.spans[0].span();
    assert_eq!(
        (kept.kind, kept.revision),
        (SpanKind::Attempt, Revision::FINISHED)
    );
    assert_eq!(kept.end, attempt.end);
}

#[tokio::test]
async fn hard_case_25_nothing_is_stored_unmasked() {
    const SECRET: &str = "AKIAIOSFODNN7EXAMPLE";
    let cloud = Cloud::start().await;
    let said = |what: &str| format!("{what} {SECRET}");
    let mut leaky = span(1, 0);
    leaky.name = said("name");
    leaky.trace_state = format!("vendor={SECRET}");
    leaky.attributes = vec![
        text(&said("key"), "value"),
        text("attribute", &said("value")),
        text(
            conventions::INPUT_MESSAGES,
            &format!(r#"[{{"role":"user","content":"{SECRET}"}}]"#),
        ),
        text("gen_ai.completion.0.content", &said("completion")),
        text("large", &said(&"x".repeat(9000))),
    ];
    leaky.events = vec![opentelemetry_proto::tonic::trace::v1::span::Event {
        name: "gen_ai.user.message".to_owned(),
        attributes: vec![text("content", &said("event"))],
        ..Default::default()
    }];
    leaky.status = Some(opentelemetry_proto::tonic::trace::v1::Status {
        message: said("status"),
        code: 2,
    });
    let mut batch = request(vec![leaky]);
    let group = &mut batch.resource_spans[0];
    group.scope_spans[0].scope = Some(
        opentelemetry_proto::tonic::common::v1::InstrumentationScope {
            name: said("scope"),
            attributes: vec![text("scope", &said("attribute"))],
            ..Default::default()
        },
    );
    let resource = group.resource.as_mut().unwrap();
    resource
        .attributes
        .push(text("resource", &said("attribute")));
    cloud.post_protobuf(&batch).await.assert_all_stored();
    let structure = cloud.structure("acme", trace_id()).await;
    let stored = &structure.spans[0];
    assert!(!format!("{stored:?}").contains(SECRET));
    assert_eq!(
        stored.span().content.len(),
        4,
        "{:?}",
        stored.span().content
    );
    for field in stored.span().content.keys() {
        let text = cloud
            .store
            .read_content(&tenant("acme"), trace_id(), stored, field)
            .await
            .unwrap();
        assert!(!text.contains(SECRET), "{field}");
        assert!(
            text.contains("[REDACTED:aws-access-key-id"),
            "{field}: {text}"
        );
    }
    let run = cloud.summarised_run("acme", trace_id()).await.unwrap();
    assert!(!format!("{run:?}").contains(SECRET));
    assert!(
        run.redactions["aws-access-key-id"] >= 9,
        "{:?}",
        run.redactions
    );
}

#[tokio::test]
async fn hard_case_17_a_prompt_of_megabytes_stays_whole() {
    let cloud = Cloud::start().await;
    let image: String = (0..3_000_000_u32)
        .map(|n| char::from(b'A' + u8::try_from(n.wrapping_mul(2_654_435_761) >> 28).unwrap()))
        .collect();
    let mut call = span(1, 0);
    call.attributes = vec![text(conventions::INPUT_MESSAGES, &image)];
    cloud
        .post_protobuf(&request(vec![call]))
        .await
        .assert_all_stored();
    let structure = cloud.structure("acme", trace_id()).await;
    let stored = &structure.spans[0];
    let text = cloud
        .store
        .read_content(
            &tenant("acme"),
            trace_id(),
            stored,
            conventions::INPUT_MESSAGES,
        )
        .await
        .unwrap();
    assert_eq!(text.len(), image.len());
    assert!(text == image);
}
