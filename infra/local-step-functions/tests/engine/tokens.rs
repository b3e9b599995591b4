//! Tasks that end when somebody sends their token back.

use aws_sdk_sfn::types::ExecutionStatus::{Failed, Succeeded};
use serde_json::{Value, json};

use crate::support::{Cloud, machine};

fn approval(fields: &Value) -> Value {
    let mut state = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": {"FunctionName": "echo", "Payload": {"token": "{% $states.context.Task.Token %}"}},
        "End": true,
    });
    state
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    machine(&json!({"Approve": state}))
}

async fn waiting(cloud: &Cloud, fields: &Value) -> (String, String) {
    let machine = cloud
        .create(&format!("m-{}", uuid::Uuid::new_v4()), &approval(fields))
        .await;
    let arn = cloud.begin(&machine, &json!({})).await;
    cloud.reached(&arn, "TaskSubmitted").await;
    let events = cloud.events(&arn).await;
    let scheduled = events[2].task_scheduled_event_details().unwrap();
    assert_eq!(scheduled.resource(), "invoke.waitForTaskToken");
    let parameters: Value = serde_json::from_str(scheduled.parameters()).unwrap();
    (
        arn,
        parameters["Payload"]["token"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_token_sent_back_ends_the_task_once() {
    let cloud = Cloud::start().await;
    let (arn, token) = waiting(&cloud, &json!({})).await;
    let send = cloud
        .client
        .send_task_success()
        .task_token(&token)
        .output(r#"{"ok":true}"#);
    send.clone().send().await.unwrap();
    let ended = cloud.ended(&arn).await;
    assert_eq!(
        (ended.status.clone(), ended.output.clone()),
        (Succeeded, Some(json!({"ok": true})))
    );
    assert_eq!(
        ended.links()[2..],
        [
            ("TaskScheduled", 2),
            ("TaskStarted", 3),
            ("TaskSubmitted", 4),
            ("TaskSucceeded", 5),
            ("TaskStateExited", 6),
            ("ExecutionSucceeded", 7),
        ]
    );
    assert!(
        send.send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_task_timed_out()
    );
    let foreign = cloud
        .client
        .send_task_success()
        .task_token("made-up")
        .output("1")
        .send()
        .await;
    assert!(foreign.unwrap_err().into_service_error().is_invalid_token());
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_not_json_is_refused_and_the_token_stays_good() {
    let cloud = Cloud::start().await;
    let (arn, token) = waiting(&cloud, &json!({})).await;
    let send = cloud.client.send_task_success().task_token(&token);
    let too_large = format!("\"{}\"", "x".repeat(262_143));
    for output in ["{", "", &too_large] {
        let refused = send.clone().output(output).send().await;
        let refused = refused.unwrap_err().into_service_error();
        assert!(refused.is_invalid_output(), "{refused:?}");
    }
    send.output("{}").send().await.unwrap();
    assert_eq!(cloud.ended(&arn).await.output, Some(json!({})));
}

#[tokio::test(start_paused = true)]
async fn a_token_can_bring_a_failure() {
    let cloud = Cloud::start().await;
    let (arn, token) = waiting(&cloud, &json!({})).await;
    let forged = format!("{}0", &token[..token.len() - 1]);
    if forged != token {
        let forged = cloud
            .client
            .send_task_failure()
            .task_token(forged)
            .send()
            .await;
        assert!(forged.unwrap_err().into_service_error().is_task_timed_out());
    }
    let send = cloud
        .client
        .send_task_failure()
        .task_token(token)
        .error("Denied")
        .cause("by Ada");
    send.send().await.unwrap();
    let ended = cloud.ended(&arn).await;
    assert_eq!(
        (ended.status, ended.error.as_deref(), ended.cause.as_deref()),
        (Failed, Some("Denied"), Some("by Ada"))
    );
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_a_task_alive() {
    let cloud = Cloud::start().await;
    let (arn, token) = waiting(&cloud, &json!({"HeartbeatSeconds": 10})).await;
    for _ in 0..3 {
        tokio::time::sleep(std::time::Duration::from_secs(8)).await;
        cloud
            .client
            .send_task_heartbeat()
            .task_token(&token)
            .send()
            .await
            .unwrap();
    }
    let ended = cloud.ended(&arn).await;
    assert_eq!(
        (ended.error.as_deref(), ended.seconds()),
        (Some("States.Timeout"), 34)
    );
    assert!(ended.types().contains(&"TaskTimedOut"));
}
