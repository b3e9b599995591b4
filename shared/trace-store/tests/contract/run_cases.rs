use std::collections::BTreeMap;
use std::time::Duration;

use trace_model::{
    Cost, ExecutionArn, Run, RunOfSpans, RunStatus, SpanId, TenantId, Totals, TraceId,
};
use trace_store::{RunCursor, RunFilter, RunWrite, StoreError, Summary, SummaryWrite, TraceStore};

use crate::backend::{Backend, RETENTION};
use crate::spans::{acme, at, finished, globex, redacted};

/// Run `number` of a workflow, running, started so many seconds into the case.
pub(crate) fn run(workflow: &str, number: u64) -> Run {
    let arn = format!("arn:aws:states:us-east-1:000000000000:execution:{workflow}:run-{number}");
    let arn = ExecutionArn::parse(&arn).unwrap();
    Run {
        tenant: acme(),
        execution_id: arn.execution_id(),
        trace_id: TraceId::of_execution(&arn),
        root_span_id: SpanId::of_execution(&arn),
        workflow: workflow.to_owned(),
        status: RunStatus::Running,
        started_at: at(number * 1000),
        redrives: 0,
        finished_at: None,
        error: None,
        totals: None,
        redactions: BTreeMap::new(),
        notices: Vec::new(),
        revision: 0,
        expires_at: None,
        execution_arn: Some(arn),
    }
}

fn ended(mut run: Run, status: RunStatus, millis: u64) -> Run {
    run.status = status;
    run.finished_at = Some(run.started_at.plus(Duration::from_millis(millis)));
    if status == RunStatus::Failed {
        run.error = Some("States.Timeout".to_owned());
    }
    run
}

/// The run as it is read back.
fn stored(backend: &Backend, mut run: Run, revision: u64) -> Run {
    let expires_at = backend.clock.now().plus(RETENTION);
    run.revision = revision;
    run.expires_at = Some(expires_at);
    run
}

async fn read(store: &TraceStore, run: &Run) -> Option<Run> {
    store.run(&run.tenant, run.trace_id).await.unwrap()
}

pub(crate) async fn a_run_opens_and_closes(backend: Backend) {
    let store = backend.store().await;
    let run = run("triage", 1);
    assert_eq!(read(&store, &run).await, None);
    assert_eq!(store.open_run(&run).await.unwrap(), RunWrite::Written);
    assert_eq!(
        read(&store, &run).await,
        Some(stored(&backend, run.clone(), 1))
    );
    let failed = ended(run.clone(), RunStatus::Failed, 1500);
    assert_eq!(store.close_run(&failed).await.unwrap(), RunWrite::Written);
    assert_eq!(
        read(&store, &run).await,
        Some(stored(&backend, failed.clone(), 2))
    );
    assert!(matches!(
        store.open_run(&failed).await,
        Err(StoreError::WrongStatus { .. })
    ));
    assert!(matches!(
        store.close_run(&run).await,
        Err(StoreError::WrongStatus { .. })
    ));
}

pub(crate) async fn events_out_of_order_and_twice_change_nothing(backend: Backend) {
    let store = backend.store().await;
    let open = run("triage", 1);
    let close = ended(open.clone(), RunStatus::Succeeded, 1500);
    assert_eq!(store.close_run(&close).await.unwrap(), RunWrite::Written);
    let expected = Some(stored(&backend, close.clone(), 1));
    assert_eq!(read(&store, &open).await, expected);
    for _ in 0..2 {
        assert_eq!(store.open_run(&open).await.unwrap(), RunWrite::Unchanged);
        assert_eq!(store.close_run(&close).await.unwrap(), RunWrite::Unchanged);
    }
    // The same start, told with another rounding.
    let mut rounded = open.clone();
    rounded.started_at = at(1999);
    assert_eq!(store.open_run(&rounded).await.unwrap(), RunWrite::Unchanged);
    assert_eq!(read(&store, &open).await, expected);
    let list = store
        .list_runs(&acme(), &RunFilter::default(), 10, None)
        .await;
    assert_eq!(list.unwrap().runs.len(), 1);
}

pub(crate) async fn a_redriven_run_ends_with_its_last_status(backend: Backend) {
    let store = backend.store().await;
    let open = run("triage", 1);
    store.open_run(&open).await.unwrap();
    let failed = ended(open.clone(), RunStatus::Failed, 1500);
    let succeeded = ended(open.clone(), RunStatus::Succeeded, 9500);
    assert_eq!(
        store.close_run(&succeeded).await.unwrap(),
        RunWrite::Written
    );
    assert_eq!(store.close_run(&failed).await.unwrap(), RunWrite::Unchanged);
    assert_eq!(
        read(&store, &open).await.unwrap().status,
        RunStatus::Succeeded
    );
}

pub(crate) async fn a_redriven_run_goes_on_and_ends_again(backend: Backend) {
    let store = backend.store().await;
    let open = run("triage", 1);
    let redriven = |redrives| {
        let mut run = open.clone();
        run.redrives = redrives;
        run
    };
    // Ends at one and the same time as it is redriven: counts decide, not clocks.
    let failed = ended(open.clone(), RunStatus::Failed, 1500);
    let failed_again = ended(redriven(1), RunStatus::Failed, 1500);
    let succeeded = ended(redriven(2), RunStatus::Succeeded, 9500);
    assert_eq!(store.open_run(&open).await.unwrap(), RunWrite::Written);
    assert_eq!(store.close_run(&failed).await.unwrap(), RunWrite::Written);
    let mut known = vec![failed];
    for (count, end) in [(1, failed_again), (2, succeeded)] {
        let again = redriven(count);
        assert_eq!(store.reopen_run(&again).await.unwrap(), RunWrite::Written);
        let stored_run = read(&store, &open).await.unwrap();
        assert_eq!(
            (stored_run.status, stored_run.finished_at, stored_run.error),
            (RunStatus::Running, None, None)
        );
        for late in &known {
            assert_eq!(store.close_run(late).await.unwrap(), RunWrite::Unchanged);
        }
        assert_eq!(store.reopen_run(&again).await.unwrap(), RunWrite::Unchanged);
        assert_eq!(store.close_run(&end).await.unwrap(), RunWrite::Written);
        assert_eq!(store.close_run(&end).await.unwrap(), RunWrite::Unchanged);
        assert_eq!(store.reopen_run(&again).await.unwrap(), RunWrite::Unchanged);
        known.push(end);
    }
    let end = known.pop().unwrap();
    let last = read(&store, &open).await.unwrap();
    assert_eq!(last, stored(&backend, end, last.revision));
    assert_eq!(last.error, None);
    assert!(matches!(
        store.reopen_run(&open).await,
        Err(StoreError::WrongStatus { .. })
    ));
}

pub(crate) async fn a_name_used_again_is_another_run(backend: Backend) {
    let store = backend.store().await;
    let first = run("triage", 1);
    let mut second = first.clone();
    second.started_at = at(3 * 60 * 60 * 1000);
    let mut early = finished(1);
    early.trace_id = first.trace_id;
    let mut late = finished(2);
    late.trace_id = first.trace_id;
    late.start = second.started_at;

    store.open_run(&first).await.unwrap();
    let spans = redacted([early, late.clone()]);
    store
        .write_spans(&acme(), first.trace_id, spans)
        .await
        .unwrap();
    let structure = store.read_structure(&acme(), first.trace_id).await.unwrap();
    assert_eq!(structure.spans.len(), 2);

    assert_eq!(store.open_run(&second).await.unwrap(), RunWrite::Written);
    assert_eq!(
        read(&store, &first).await.unwrap().started_at,
        second.started_at
    );
    let structure = store.read_structure(&acme(), first.trace_id).await.unwrap();
    let names: Vec<_> = structure
        .spans
        .iter()
        .map(|span| span.span().name.clone())
        .collect();
    assert_eq!(names, [late.name], "spans of the newest run only");
    assert_eq!(store.open_run(&second).await.unwrap(), RunWrite::Unchanged);

    // What is told late of the first one reaches the first one.
    let close = ended(first.clone(), RunStatus::Aborted, 500);
    assert_eq!(store.close_run(&close).await.unwrap(), RunWrite::Written);
    assert_eq!(store.open_run(&first).await.unwrap(), RunWrite::Unchanged);
    let list = store
        .list_runs(&acme(), &RunFilter::default(), 10, None)
        .await
        .unwrap();
    let listed: Vec<_> = list
        .runs
        .iter()
        .map(|run| (run.started_at, run.status))
        .collect();
    assert_eq!(
        listed,
        [
            (second.started_at, RunStatus::Running),
            (first.started_at, RunStatus::Aborted)
        ]
    );
}

fn summary(structure_revision: u64) -> Summary {
    Summary {
        totals: Totals {
            spans: structure_revision,
            input_tokens: 1234,
            cost: Cost {
                pico_usd: 42_000_000_000,
            },
            models: ["demo-model".to_owned()].into(),
            ..Totals::default()
        },
        redactions: BTreeMap::from([("email".to_owned(), 3)]),
        notices: vec!["a span was abandoned".to_owned()],
        run_of_spans: None,
        structure_revision,
    }
}

pub(crate) async fn an_older_summary_never_overwrites_a_newer(backend: Backend) {
    let store = backend.store().await;
    let run = run("triage", 1);
    store.open_run(&run).await.unwrap();
    let write = |revision| {
        let (store, trace_id) = (store.clone(), run.trace_id);
        async move {
            store
                .write_summary(&acme(), trace_id, &summary(revision))
                .await
                .unwrap()
        }
    };
    assert_eq!(write(3).await, SummaryWrite::Written);
    assert_eq!(write(2).await, SummaryWrite::Outdated);
    assert_eq!(write(3).await, SummaryWrite::Outdated);
    futures::future::join_all((0..12).map(write)).await;
    let read = read(&store, &run).await.unwrap();
    let newest = summary(11);
    assert_eq!(read.totals, Some(newest.totals));
    assert_eq!(read.redactions, newest.redactions);
    assert_eq!(read.notices, newest.notices);
    assert!(read.revision > 2);
}

pub(crate) async fn a_summary_may_come_before_its_run(backend: Backend) {
    let store = backend.store().await;
    let run = run("triage", 1);
    store
        .write_summary(&acme(), run.trace_id, &summary(5))
        .await
        .unwrap();
    assert_eq!(read(&store, &run).await, None);
    let list = store
        .list_runs(&acme(), &RunFilter::default(), 10, None)
        .await;
    assert_eq!(list.unwrap().runs, []);
    assert_eq!(store.open_run(&run).await.unwrap(), RunWrite::Written);
    assert_eq!(
        read(&store, &run).await.unwrap().totals,
        Some(summary(5).totals)
    );
}

pub(crate) async fn hard_case_22_an_expired_run_is_invisible_and_makes_room(backend: Backend) {
    let store = backend.store().await;
    let first = run("triage", 1);
    store.open_run(&first).await.unwrap();
    let close = ended(first.clone(), RunStatus::Succeeded, 1500);
    store.close_run(&close).await.unwrap();
    backend.clock.advance(RETENTION + Duration::from_secs(1));
    assert_eq!(read(&store, &first).await, None);
    let list = store
        .list_runs(&acme(), &RunFilter::default(), 10, None)
        .await;
    assert_eq!(list.unwrap().runs, []);
    let items = || backend.items_of_kind("run");
    assert_eq!(items().await.len(), 1, "nothing deleted it");
    let late = store
        .write_summary(&acme(), first.trace_id, &summary(9))
        .await;
    assert_eq!(
        late.unwrap(),
        SummaryWrite::Outdated,
        "a late span revives no run"
    );
    let mut second = first.clone();
    second.started_at = backend.clock.now();
    assert_eq!(store.open_run(&second).await.unwrap(), RunWrite::Written);
    let read = read(&store, &first).await.unwrap();
    assert_eq!((read.status, read.finished_at), (RunStatus::Running, None));
    assert_eq!(items().await.len(), 1);
}

/// Eleven runs of three workflows; the third one failed, the fourth has totals.
async fn write_runs(store: &TraceStore) -> Vec<Run> {
    let mut runs: Vec<_> = (0..6).map(|number| run("triage", number)).collect();
    runs.extend((6..9).map(|number| run("digest", number)));
    // A nanosecond apart, in numbers larger than a double holds.
    for number in 0..2 {
        let mut close = run("close", number);
        let nanos = at(20_000).as_unix_nanos() + number;
        close.started_at = trace_model::Timestamp::from_unix_nanos(nanos);
        runs.push(close);
    }
    for run in &runs {
        store.open_run(run).await.unwrap();
    }
    store
        .close_run(&ended(runs[2].clone(), RunStatus::Failed, 700))
        .await
        .unwrap();
    store
        .write_summary(&acme(), runs[3].trace_id, &summary(1))
        .await
        .unwrap();
    runs
}

pub(crate) async fn lists_are_newest_first_and_filtered(backend: Backend) {
    let store = backend.store().await;
    let runs = write_runs(&store).await;
    let check = async |filter: RunFilter, expected: &[usize]| {
        let list = settled(async || pages(&store, &filter, 100).await, expected.len()).await;
        let found: Vec<_> = list.into_iter().map(|run| run.execution_id).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|n| runs[*n].execution_id.clone())
            .collect();
        assert_eq!(found, expected, "{filter:?}");
    };
    let all = RunFilter::default;
    check(all(), &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]).await;
    let workflow = Some("digest".to_owned());
    check(RunFilter { workflow, ..all() }, &[8, 7, 6]).await;
    let status = Some(RunStatus::Failed);
    check(RunFilter { status, ..all() }, &[2]).await;
    check(
        RunFilter {
            error: Some("States.Timeout".to_owned()),
            ..all()
        },
        &[2],
    )
    .await;
    check(
        RunFilter {
            min_duration: Some(Duration::from_millis(700)),
            ..all()
        },
        &[2],
    )
    .await;
    check(
        RunFilter {
            max_duration: Some(Duration::from_millis(699)),
            ..all()
        },
        &[],
    )
    .await;
    check(
        RunFilter {
            model: Some("demo-model".to_owned()),
            ..all()
        },
        &[3],
    )
    .await;
    check(
        RunFilter {
            min_tokens: Some(1234),
            ..all()
        },
        &[3],
    )
    .await;
    check(
        RunFilter {
            min_cost: Some(Cost {
                pico_usd: 42_000_000_001,
            }),
            ..all()
        },
        &[],
    )
    .await;
    let (started_after, started_before) = (Some(at(4000)), Some(at(7000)));
    check(
        RunFilter {
            started_after,
            started_before,
            ..all()
        },
        &[6, 5, 4],
    )
    .await;
    let backwards = RunFilter {
        started_after: started_before,
        started_before: started_after,
        ..all()
    };
    check(backwards, &[]).await;
}

/// Indexes follow the table a moment later.
async fn settled(list: impl AsyncFn() -> Vec<Run>, count: usize) -> Vec<Run> {
    for _ in 0..100 {
        let runs = list().await;
        if runs.len() == count {
            return runs;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    list().await
}

async fn pages(store: &TraceStore, filter: &RunFilter, limit: usize) -> Vec<Run> {
    let (mut runs, mut cursor) = (Vec::new(), None);
    loop {
        let page = store
            .list_runs(&acme(), filter, limit, cursor.as_ref())
            .await
            .unwrap();
        assert!(page.runs.len() <= limit);
        runs.extend(page.runs);
        let Some(next) = page.next else {
            return runs;
        };
        // As the API carries it.
        cursor = Some(RunCursor::from_text(next.as_str()));
    }
}

pub(crate) async fn pages_of_a_list_are_complete(backend: Backend) {
    let store = backend.store().await;
    for number in 0..60 {
        let run = run(if number % 3 == 0 { "digest" } else { "triage" }, number);
        store.open_run(&run).await.unwrap();
        if number % 4 == 0 {
            store
                .close_run(&ended(run, RunStatus::Succeeded, 10))
                .await
                .unwrap();
        }
    }
    let check = async |filter: RunFilter, count: usize| {
        for limit in [1, 7, 20, 1000] {
            let runs = settled(async || pages(&store, &filter, limit).await, count).await;
            assert_eq!(runs.len(), count, "{filter:?} {limit}");
            assert!(
                runs.windows(2)
                    .all(|pair| pair[0].started_at > pair[1].started_at)
            );
        }
    };
    check(RunFilter::default(), 60).await;
    let workflow = Some("digest".to_owned());
    check(
        RunFilter {
            workflow,
            ..RunFilter::default()
        },
        20,
    )
    .await;
    let status = Some(RunStatus::Succeeded);
    check(
        RunFilter {
            status,
            ..RunFilter::default()
        },
        15,
    )
    .await;
}

pub(crate) async fn hard_case_5_a_list_and_its_cursor_belong_to_one_tenant(backend: Backend) {
    let store = backend.store().await;
    let prefix = TenantId::parse("acm").unwrap();
    for number in 0..5 {
        for tenant in [acme(), prefix.clone()] {
            let mut run = run("triage", number);
            run.tenant = tenant;
            store.open_run(&run).await.unwrap();
        }
    }
    let all = RunFilter::default();
    let page = store.list_runs(&acme(), &all, 3, None).await.unwrap();
    assert!(page.runs.iter().all(|run| run.tenant == acme()));
    let cursor = page.next.unwrap();
    assert_eq!(
        store
            .list_runs(&globex(), &all, 3, None)
            .await
            .unwrap()
            .runs,
        []
    );
    for tenant in [globex(), prefix] {
        let stolen = store.list_runs(&tenant, &all, 3, Some(&cursor)).await;
        assert!(matches!(stolen, Err(StoreError::InvalidCursor)));
    }
    let other = RunFilter {
        status: Some(RunStatus::Failed),
        ..RunFilter::default()
    };
    let replayed = store.list_runs(&acme(), &other, 3, Some(&cursor)).await;
    assert!(matches!(replayed, Err(StoreError::InvalidCursor)));
    let rest = store
        .list_runs(&acme(), &all, 3, Some(&cursor))
        .await
        .unwrap();
    assert_eq!(rest.runs.len(), 2);
}

fn of_spans(status: RunStatus, started_at: u64) -> RunOfSpans {
    RunOfSpans {
        workflow: "shop".to_owned(),
        status,
        started_at: at(started_at),
        finished_at: status.is_over().then(|| at(started_at + 500)),
        root_span_id: SpanId::from_bytes([1; 8]).unwrap(),
        error: None,
    }
}

fn summary_of_spans(structure_revision: u64, run: RunOfSpans) -> Summary {
    Summary {
        run_of_spans: Some(run),
        ..summary(structure_revision)
    }
}

pub(crate) async fn a_trace_without_an_execution_is_what_its_spans_say(backend: Backend) {
    let store = backend.store().await;
    let trace_id = TraceId::from_bytes([9; 16]).unwrap();
    let opened = store.open_trace(&acme(), trace_id).await.unwrap();
    assert_eq!(opened, RunWrite::Written);
    assert_eq!(
        store.open_trace(&acme(), trace_id).await.unwrap(),
        RunWrite::Unchanged
    );
    // Nobody has said yet what it is.
    assert_eq!(store.run(&acme(), trace_id).await.unwrap(), None);
    let over = summary_of_spans(1, of_spans(RunStatus::Failed, 2000));
    store.write_summary(&acme(), trace_id, &over).await.unwrap();
    let running = summary_of_spans(2, of_spans(RunStatus::Running, 1000));
    store
        .write_summary(&acme(), trace_id, &running)
        .await
        .unwrap();
    let run = store.run(&acme(), trace_id).await.unwrap().unwrap();
    assert_eq!(run.execution_id.as_str(), trace_id.to_string());
    assert_eq!((run.status, run.finished_at), (RunStatus::Running, None));
    assert_eq!(run.totals, Some(summary(2).totals));
    let page = store
        .list_runs(&acme(), &RunFilter::default(), 10, None)
        .await
        .unwrap();
    assert_eq!(page.runs, [run]);
    // An older summary changes nothing of the run either.
    let outdated = store.write_summary(&acme(), trace_id, &over).await.unwrap();
    assert_eq!(outdated, SummaryWrite::Outdated);
    assert_eq!(store.run(&globex(), trace_id).await.unwrap(), None);
}

pub(crate) async fn an_execution_takes_its_trace_over(backend: Backend) {
    let store = backend.store().await;
    let run = run("triage", 1);
    store.open_trace(&acme(), run.trace_id).await.unwrap();
    // The spans say another start, as another machine's clock had it.
    let said = summary_of_spans(1, of_spans(RunStatus::Succeeded, 1_000_000));
    store
        .write_summary(&acme(), run.trace_id, &said)
        .await
        .unwrap();
    assert_eq!(store.open_run(&run).await.unwrap(), RunWrite::Written);
    let found = read(&store, &run).await.unwrap();
    assert_eq!(found.execution_id, run.execution_id);
    assert_eq!(found.started_at, run.started_at);
    assert_eq!(
        (found.status, found.finished_at),
        (RunStatus::Running, None)
    );
    assert_eq!(found.totals, Some(summary(1).totals));
    // Later spans neither open the trace again nor change what the execution said.
    assert_eq!(
        store.open_trace(&acme(), run.trace_id).await.unwrap(),
        RunWrite::Unchanged
    );
    let later = summary_of_spans(2, of_spans(RunStatus::Failed, 1));
    store
        .write_summary(&acme(), run.trace_id, &later)
        .await
        .unwrap();
    let closed = ended(run.clone(), RunStatus::Succeeded, 1500);
    assert_eq!(store.close_run(&closed).await.unwrap(), RunWrite::Written);
    let found = read(&store, &run).await.unwrap();
    assert_eq!(found.status, RunStatus::Succeeded);
    assert_eq!(found.started_at, run.started_at);
    assert_eq!(found.totals, Some(summary(2).totals));
}

pub(crate) async fn spans_of_an_expired_trace_open_it_anew(backend: Backend) {
    let store = backend.store().await;
    let run = run("triage", 1);
    store.open_run(&run).await.unwrap();
    backend.clock.advance(RETENTION + Duration::from_secs(2));
    assert_eq!(
        store.open_trace(&acme(), run.trace_id).await.unwrap(),
        RunWrite::Written
    );
    let said = summary_of_spans(1, of_spans(RunStatus::Succeeded, 1000));
    store
        .write_summary(&acme(), run.trace_id, &said)
        .await
        .unwrap();
    let found = read(&store, &run).await.unwrap();
    assert_eq!(found.workflow, "shop");
    assert_eq!(found.execution_arn, None);
}

pub(crate) async fn one_of_those_who_look_has_the_run_recorded_on(backend: Backend) {
    const PACE: Duration = Duration::from_secs(3);
    let store = backend.store().await;
    let run = run("triage", 1);
    let claim = || store.claim_look(&run.tenant, run.trace_id, PACE);
    assert_eq!(claim().await.unwrap(), None, "there is no run");
    store
        .note_recorded(&run.tenant, run.trace_id, 4)
        .await
        .unwrap();
    assert_eq!(read(&store, &run).await, None, "a note makes no run");
    store.open_run(&run).await.unwrap();
    let before = read(&store, &run).await;

    let claims = futures::future::join_all((0..8).map(|_| claim())).await;
    let claimed: Vec<_> = claims.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(claimed, [0]);
    assert_eq!(claim().await.unwrap(), None);
    for event in [17, 5] {
        store
            .note_recorded(&run.tenant, run.trace_id, event)
            .await
            .unwrap();
    }
    backend.clock.advance(PACE);
    assert_eq!(claim().await.unwrap(), Some(17));
    let other = store
        .claim_look(&globex(), run.trace_id, Duration::ZERO)
        .await;
    assert_eq!(other.unwrap(), None);
    assert_eq!(read(&store, &run).await, before, "the run is the same");
}
