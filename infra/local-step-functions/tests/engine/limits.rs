//! Quotas of Step Functions that a run may meet.

use aws_sdk_sfn::types::ExecutionStatus::{Failed, Succeeded};
use serde_json::{Value, json};

use crate::support::{Cloud, invoke, machine};

#[tokio::test(start_paused = true)]
async fn data_beyond_the_limit_fails_the_state() {
    let cloud = Cloud::start().await;
    // With its quotes this is as long as state data may be.
    let fitting = "x".repeat(262_142);
    let doubled = json!({"Twice": {"Type": "Pass", "Output": "{% $states.input & $states.input %}", "End": true}});
    let same = json!({"Same": {"Type": "Pass", "End": true}});
    let ended = cloud.run(&machine(&same), &json!(fitting)).await;
    assert_eq!(ended.status, Succeeded);
    let ended = cloud.run(&machine(&doubled), &json!(fitting)).await;
    assert_eq!(
        (ended.status, ended.error.as_deref()),
        (Failed, Some("States.DataLimitExceeded"))
    );

    let catch =
        json!([{"ErrorEquals": ["States.DataLimitExceeded"], "Output": "too large", "Next": "On"}]);
    let states = json!({
        "Ask": invoke("echo", &json!("{% $pad('', 262000, 'é') %}"), &json!({"Catch": catch})),
        "On": {"Type": "Succeed"},
    });
    let ended = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(ended.output, Some(json!("too large")), "{:?}", ended.cause);

    let machine = cloud.create("m", &machine(&same)).await;
    let start = cloud.client.start_execution().state_machine_arn(machine);
    let refused = start
        .input(json!("x".repeat(262_143)).to_string())
        .send()
        .await
        .unwrap_err();
    assert!(refused.into_service_error().is_invalid_execution_input());
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_never_ends_meets_the_history_quota() {
    let cloud = Cloud::start().await;
    let states = json!({
        "Ping": {"Type": "Pass", "Next": "Pong"},
        "Pong": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input.stop = true %}", "Next": "Stop"}],
            "Default": "Ping",
        },
        "Stop": {"Type": "Succeed"},
    });
    let looping = cloud.create("looping", &machine(&states)).await;
    let arn = cloud.begin(&looping, &json!({})).await;
    // The loop leaves room for others.
    let other = cloud
        .run(
            &machine(&json!({"Go": {"Type": "Pass", "End": true}})),
            &json!({}),
        )
        .await;
    assert_eq!(other.status, Succeeded);
    let ended = cloud.ended(&arn).await;
    assert_eq!((ended.status.clone(), ended.events.len()), (Failed, 25_000));
    let details = ended.events[24_999]
        .execution_failed_event_details()
        .unwrap();
    assert!(details.cause().unwrap().contains("25000"), "{details:?}");
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_executions_share_one_timer_queue() {
    let cloud = Cloud::start().await;
    let states = json!({
        "Sleep": {"Type": "Wait", "Seconds": "{% $states.input.seconds %}", "Next": "Ask"},
        "Ask": invoke("echo", &json!("{% $states.input %}"), &json!({})),
    });
    let machine = cloud.create("m", &machine(&states)).await;
    let inputs: Vec<Value> = (0..300).map(|n| json!({"seconds": n % 50 + 1})).collect();
    let started = inputs.iter().map(|input| cloud.begin(&machine, input));
    let arns = futures::future::join_all(started).await;
    for (arn, input) in arns.iter().zip(inputs) {
        let ended = cloud.ended(arn).await;
        assert_eq!(ended.seconds(), input["seconds"].as_i64().unwrap());
        assert_eq!(ended.output, Some(input));
    }
}
