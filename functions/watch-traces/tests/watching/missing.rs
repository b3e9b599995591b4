//! Executions whose status events were lost.

use std::sync::atomic::Ordering;
use std::time::Duration;

use trace_model::{RunStatus, TraceId};
use trace_store::RunFilter;

use crate::support::{Cloud, calls, pass, tenant_id, told};

const FIVE_MINUTES: Duration = Duration::from_mins(5);

#[tokio::test]
async fn hard_case_23_an_execution_that_left_no_trace_is_found_and_recorded() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("triage", &pass()).await;
    assert_eq!(told(&cloud.visit().await), []);
    cloud.clock.advance(Duration::from_secs(1));
    let lost = cloud.run(&machine, "acme").await;
    let told_of = cloud.run(&machine, "acme").await;
    cloud.record(&told_of).await;
    // Its event may still be on its way.
    assert_eq!(told(&cloud.visit().await), []);
    assert_eq!(cloud.stored("acme", &lost).await, None);

    let found = cloud.visit_after(FIVE_MINUTES).await;
    assert_eq!(told(&found), [("executions", 2), ("missing", 1)]);
    assert_eq!(cloud.asked_for(), [lost.as_str()]);
    let run = cloud.stored("acme", &lost).await.unwrap();
    assert_eq!(run.status, RunStatus::Succeeded);
    assert_eq!(
        told(&cloud.visit_after(FIVE_MINUTES).await),
        [("repaired", 1)]
    );
    assert_eq!(told(&cloud.visit_after(FIVE_MINUTES).await), []);
}

#[tokio::test]
async fn hard_case_23_an_end_that_nobody_told_of_is_found() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("slow", &calls("wait")).await;
    cloud.visit().await;
    cloud.clock.advance(Duration::from_secs(1));
    let slow = cloud.begin(&machine, "acme").await;
    cloud.record(&slow).await;
    assert_eq!(
        told(&cloud.visit_after(FIVE_MINUTES).await),
        [("executions", 1)]
    );
    // Days go by, and it waits.
    for _ in 0..3 {
        assert_eq!(told(&cloud.visit_after(Duration::from_hours(24)).await), []);
    }
    let run = cloud.stored("acme", &slow).await.unwrap();
    assert_eq!(run.status, RunStatus::Running);

    cloud.functions.go_on.add_permits(1);
    cloud.ended(&slow).await;
    assert_eq!(
        told(&cloud.visit().await),
        [],
        "the event may be on its way"
    );
    assert_eq!(
        told(&cloud.visit_after(FIVE_MINUTES).await),
        [("missing", 1)]
    );
    let run = cloud.stored("acme", &slow).await.unwrap();
    assert_eq!(run.status, RunStatus::Succeeded);
    assert_eq!(
        told(&cloud.visit_after(FIVE_MINUTES).await),
        [("repaired", 1)]
    );
}

#[tokio::test]
async fn an_end_that_was_told_of_is_not_missing() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("slow", &calls("wait")).await;
    cloud.visit().await;
    cloud.clock.advance(Duration::from_secs(1));
    let slow = cloud.begin(&machine, "acme").await;
    cloud.record(&slow).await;
    assert_eq!(
        told(&cloud.visit_after(FIVE_MINUTES).await),
        [("executions", 1)]
    );
    cloud.functions.go_on.add_permits(1);
    cloud.ended(&slow).await;
    cloud.record(&slow).await;
    cloud.summarise("acme", TraceId::of_execution(&slow)).await;
    for _ in 0..3 {
        assert_eq!(told(&cloud.visit_after(FIVE_MINUTES).await), []);
    }
    assert!(cloud.asked_for().is_empty());
}

#[tokio::test]
async fn hard_case_23_a_redrive_that_nobody_told_of_is_found() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("flaky", &calls("flaky")).await;
    cloud.visit().await;
    cloud.clock.advance(Duration::from_secs(1));
    cloud.functions.fails.store(true, Ordering::SeqCst);
    let failed = cloud.run(&machine, "acme").await;
    cloud.record(&failed).await;
    assert_eq!(
        told(&cloud.visit_after(FIVE_MINUTES).await),
        [("executions", 1)]
    );
    // Long after the looks at new executions have passed it.
    cloud.visit_after(Duration::from_hours(48)).await;
    cloud.functions.fails.store(false, Ordering::SeqCst);
    let redrive = cloud.clients.sfn().redrive_execution();
    redrive.execution_arn(failed.as_str()).send().await.unwrap();
    cloud.ended(&failed).await;
    let run = cloud.stored("acme", &failed).await.unwrap();
    assert_eq!((run.status, run.redrives), (RunStatus::Failed, 0));

    let found = cloud.visit_after(Duration::from_mins(70)).await;
    assert_eq!(told(&found), [("missing", 1)]);
    let run = cloud.stored("acme", &failed).await.unwrap();
    assert_eq!((run.status, run.redrives), (RunStatus::Succeeded, 1));
    assert_eq!(
        told(&cloud.visit_after(FIVE_MINUTES).await),
        [("repaired", 1)]
    );
    assert_eq!(told(&cloud.visit_after(Duration::from_mins(70)).await), []);
}

#[tokio::test]
async fn executions_of_all_tenants_are_looked_for() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("triage", &pass()).await;
    cloud.visit().await;
    cloud.clock.advance(Duration::from_secs(1));
    let mut lost = Vec::new();
    for tenant in ["acme", "globex"] {
        cloud.record(&cloud.run(&machine, tenant).await).await;
        lost.push((tenant, cloud.run(&machine, tenant).await));
    }
    let found = cloud.visit_after(FIVE_MINUTES).await;
    assert_eq!(told(&found), [("executions", 4), ("missing", 2)]);
    for (tenant, arn) in lost {
        assert!(cloud.stored(tenant, &arn).await.is_some());
    }
    for tenant in ["acme", "globex"] {
        let runs = cloud
            .store
            .list_runs(&tenant_id(tenant), &RunFilter::default(), 10, None)
            .await;
        assert_eq!(runs.unwrap().runs.len(), 2, "{tenant}");
    }
    assert_eq!(
        told(&cloud.visit_after(FIVE_MINUTES).await),
        [("repaired", 2)]
    );
}

/// The recorder has so much to do that it is late: asking it once more would make that worse.
#[tokio::test]
async fn what_may_wait_in_the_queue_is_not_missing_for_a_while() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("triage", &pass()).await;
    cloud.visit().await;
    cloud.clock.advance(Duration::from_secs(1));
    let late = cloud.run(&machine, "acme").await;
    let lost = cloud.run(&machine, "acme").await;
    cloud.queue.waiting.store(700, Ordering::SeqCst);
    assert_eq!(
        told(&cloud.visit_after(FIVE_MINUTES).await),
        [("executions", 2)]
    );
    cloud.record(&late).await;
    assert_eq!(told(&cloud.visit_after(FIVE_MINUTES).await), []);
    assert!(cloud.asked_for().is_empty());
    let found = cloud.visit_after(Duration::from_mins(30)).await;
    assert_eq!(told(&found), [("missing", 1)]);
    assert_eq!(cloud.asked_for(), [lost.as_str()]);
}

#[tokio::test]
async fn the_recorder_is_asked_again_and_at_last_no_more() {
    let mut cloud = Cloud::start().await;
    let machine = cloud.create("triage", &pass()).await;
    cloud.visit().await;
    cloud.clock.advance(Duration::from_secs(1));
    cloud.run(&machine, "acme").await;
    cloud.stop_recorder();
    let found = cloud.visit_after(FIVE_MINUTES).await;
    assert_eq!(told(&found), [("executions", 1), ("missing", 1)]);
    for _ in 0..5 {
        assert_eq!(told(&cloud.visit_after(FIVE_MINUTES).await), []);
    }
    assert_eq!(cloud.asked_for().len(), 1, "not within an hour");
    for _ in 0..40 {
        assert_eq!(told(&cloud.visit_after(Duration::from_hours(1)).await), []);
    }
    assert_eq!(cloud.asked_for().len(), 24, "not for ever");
}

#[tokio::test]
async fn what_ran_before_the_first_visit_and_what_the_prefix_leaves_out_is_not_missing() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("prod-triage", &pass()).await;
    let other = cloud.create("dev-triage", &pass()).await;
    cloud.run(&machine, "acme").await;
    cloud.clock.advance(Duration::from_mins(30));
    let watcher = || cloud.watcher().of_state_machines("prod-");
    let visit = || async {
        let deadline = cloud.clock.now().plus(FIVE_MINUTES);
        watcher().visit(deadline).await.unwrap()
    };
    assert_eq!(told(&visit().await), []);
    cloud.clock.advance(Duration::from_secs(1));
    let lost = cloud.run(&machine, "acme").await;
    cloud.run(&other, "acme").await;
    // A machine of later is looked at from its beginning.
    cloud.clock.advance(FIVE_MINUTES);
    let newer = cloud.create("prod-newer", &pass()).await;
    let newest = cloud.run(&newer, "acme").await;
    cloud.clock.advance(FIVE_MINUTES);
    assert_eq!(told(&visit().await), [("executions", 2), ("missing", 2)]);
    let mut asked = cloud.asked_for();
    asked.sort();
    assert_eq!(asked, [newest.as_str(), lost.as_str()]);
}
