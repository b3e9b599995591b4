//! A process that stops in the middle, and the next one.

use aws_sdk_sfn::types::ExecutionStatus::{Failed, Running, Succeeded};
use local_step_functions::{Config, Error, FunctionInvoker, LocalStepFunctions, Place};
use serde_json::json;
use trace_model::Clock;

use crate::support::{Cloud, client, crashed, functions, invoke, machine, start_engine};

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_where_it_stood() {
    let cloud = Cloud::start().await;
    let branch =
        |name: &str, state: serde_json::Value| json!({"StartAt": name, "States": {name: state}});
    let states = json!({
        "Set": {"Type": "Pass", "Assign": {"who": "Ada"}, "Next": "Both"},
        "Both": {
            "Type": "Parallel",
            "Branches": [
                branch("Sleep", json!({"Type": "Wait", "Seconds": 30, "Output": "{% $who %}", "End": true})),
                branch("Each", json!({
                    "Type": "Map",
                    "Items": [1, 2, 3],
                    "MaxConcurrency": 1,
                    "ItemProcessor": branch("Nap", json!({"Type": "Wait", "Seconds": 7, "Output": "{% $who & $string($states.input) %}", "End": true})),
                    "End": true,
                })),
            ],
            "End": true,
        },
    });
    let arn = cloud
        .begin(&cloud.create("m", &machine(&states)).await, &json!({}))
        .await;
    cloud.reached(&arn, "MapIterationSucceeded").await;
    let again = crashed(&cloud, functions()).await;
    let ended = again.ended(&arn).await;
    assert_eq!(ended.status, Succeeded, "{:?}", ended.cause);
    assert_eq!(ended.output, Some(json!(["Ada", ["Ada1", "Ada2", "Ada3"]])));
    let undisturbed = cloud.ended(&arn).await;
    assert_eq!(ended.links(), undisturbed.links());
}

#[tokio::test(start_paused = true)]
async fn a_map_knows_how_many_items_began_and_failed() {
    let cloud = Cloud::start().await;
    let states = json!({"Each": {
        "Type": "Map",
        "MaxConcurrency": 2,
        "ToleratedFailureCount": 1,
        "ItemProcessor": {"StartAt": "Nap", "States": {
            "Nap": {"Type": "Wait", "Seconds": "{% $abs($states.input) %}", "Next": "Bad?"},
            "Bad?": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $states.input < 0 %}", "Next": "Bad"}],
                "Default": "Good",
            },
            "Bad": {"Type": "Fail", "Error": "Below"},
            "Good": {"Type": "Pass", "End": true},
        }},
        "End": true,
    }});
    let machine = cloud.create("m", &machine(&states)).await;
    for (items, status) in [
        (json!([-2, 9, 3, 4, 5]), Succeeded),
        (json!([-2, 9, 3, -4, 5]), Failed),
    ] {
        let arn = cloud.begin(&machine, &items).await;
        cloud.reached(&arn, "MapIterationFailed").await;
        let again = crashed(&cloud, functions()).await;
        let ended = again.ended(&arn).await;
        assert_eq!(ended.status, status, "{:?}", ended.cause);
        let undisturbed = cloud.ended(&arn).await;
        assert_eq!(ended.links(), undisturbed.links());
        assert_eq!(ended.output, undisturbed.output);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_under_way_fails_and_is_retried() {
    let cloud = Cloud::start().await;
    let retry =
        json!([{"ErrorEquals": ["Lambda.Unknown"], "IntervalSeconds": 1, "MaxAttempts": 1}]);
    let states = json!({"Ask": invoke("never", &json!({}), &json!({"Retry": retry}))});
    let retried = cloud
        .begin(
            &cloud.create("retried", &machine(&states)).await,
            &json!({}),
        )
        .await;
    let states = json!({"Ask": invoke("never", &json!({}), &json!({}))});
    let failed = cloud
        .begin(&cloud.create("failed", &machine(&states)).await, &json!({}))
        .await;
    let answers = FunctionInvoker::new().with_function("never", |_| async { Ok(json!("at last")) });
    let again = crashed(&cloud, answers).await;
    let ended = again.ended(&retried).await;
    assert_eq!(
        (ended.status.clone(), ended.output.clone()),
        (Succeeded, Some(json!("at last")))
    );
    assert_eq!(
        ended.types()[2..8],
        [
            "TaskScheduled",
            "TaskStarted",
            "TaskFailed",
            "TaskScheduled",
            "TaskStarted",
            "TaskSucceeded"
        ]
    );
    let ended = again.ended(&failed).await;
    assert_eq!(
        (ended.status, ended.error.as_deref()),
        (Failed, Some("Lambda.Unknown"))
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_is_there_after_a_shutdown() {
    let cloud = Cloud::start().await;
    let states = json!({"Sleep": {"Type": "Wait", "Seconds": 50, "End": true}});
    let sleeping = cloud
        .begin(
            &cloud.create("m", &machine(&states)).await,
            &json!({"a": 1}),
        )
        .await;
    let done = cloud
        .run(
            &machine(&json!({"Go": {"Type": "Pass", "End": true}})),
            &json!(7),
        )
        .await;
    cloud.engine.shutdown().await;
    let refused = cloud
        .client
        .start_execution()
        .state_machine_arn("arn:aws:states:us-east-1:000000000000:stateMachine:m");
    assert!(refused.send().await.is_err());

    let engine = start_engine(cloud.folder.path(), functions()).await;
    let client = client(&engine);
    let again = Cloud {
        engine,
        client,
        folder: cloud.folder,
    };
    let described = again
        .client
        .describe_execution()
        .execution_arn(&sleeping)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (described.status(), described.input()),
        (&Running, Some(r#"{"a":1}"#))
    );
    assert_eq!(again.events(&done.arn).await, done.events);
    assert_eq!(again.ended(&sleeping).await.seconds(), 50);
    // Names and row ids go on from where they were.
    let third = again
        .begin(
            "arn:aws:states:us-east-1:000000000000:stateMachine:m",
            &json!({}),
        )
        .await;
    assert_eq!(again.ended(&third).await.status, Succeeded);
}

#[tokio::test]
async fn a_newer_database_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let database = rusqlite::Connection::open(folder.path().join("step-functions.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let config = Config {
        data: folder.path().to_owned(),
        place: Place::default(),
        clock: Clock::system(),
        functions: FunctionInvoker::new(),
    };
    let error = LocalStepFunctions::start(config).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::NewerSchema {
                found: 99,
                known: 2,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("use the newer program"),
        "{error}"
    );
}
