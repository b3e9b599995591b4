use std::time::Duration;

use aws_lambda_events::event::dynamodb::StreamViewType;
use aws_sdk_dynamodb::types::{
    DeleteRequest, Put, PutRequest, StreamSpecification, TimeToLiveSpecification,
    TransactWriteItem, WriteRequest,
};
use chrono::{DateTime, TimeDelta, Utc};
use local_storage::{ChangeRecord, Consumer, StartingPosition};

use crate::fixture::{
    Cloud, TABLE, create_table, dynamodb_client, item, key, number, open, put, text,
};

const NOW: Duration = Duration::ZERO;

async fn consumer(cloud: &Cloud, name: &str) -> Consumer {
    cloud
        .storage
        .change_feed()
        .consumer(name, StartingPosition::TrimHorizon)
        .await
        .unwrap()
}

fn summary(records: &[ChangeRecord]) -> Vec<String> {
    records
        .iter()
        .map(|record| {
            let keys = record.event.change.keys.inner();
            let sort_key: String = serde_json::to_value(&keys["sk"]).unwrap()["S"]
                .as_str()
                .unwrap()
                .to_owned();
            format!("{} {sort_key}", record.event.event_name)
        })
        .collect()
}

#[tokio::test]
async fn every_kind_of_write_is_recorded_in_order() {
    let (cloud, client) = Cloud::with_table().await;
    put(&client, item("acme#1", "a", &[])).await;
    client
        .update_item()
        .table_name(TABLE)
        .set_key(Some(key("acme#1", "a")))
        .update_expression("SET stage = :stage")
        .expression_attribute_values(":stage", text("done"))
        .send()
        .await
        .unwrap();
    let refused = client
        .put_item()
        .table_name(TABLE)
        .set_item(Some(item("acme#1", "a", &[])))
        .condition_expression("attribute_not_exists(pk)")
        .send()
        .await;
    assert!(refused.is_err());
    let transaction = Put::builder()
        .table_name(TABLE)
        .set_item(Some(item("acme#1", "b", &[])))
        .build()
        .unwrap();
    client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().put(transaction).build())
        .send()
        .await
        .unwrap();
    let put_request = PutRequest::builder()
        .set_item(Some(item("acme#1", "c", &[])))
        .build()
        .unwrap();
    let delete_request = DeleteRequest::builder()
        .set_key(Some(key("acme#1", "b")))
        .build()
        .unwrap();
    client
        .batch_write_item()
        .request_items(
            TABLE,
            vec![
                WriteRequest::builder().put_request(put_request).build(),
                WriteRequest::builder()
                    .delete_request(delete_request)
                    .build(),
            ],
        )
        .send()
        .await
        .unwrap();
    client
        .delete_item()
        .table_name(TABLE)
        .set_key(Some(key("acme#1", "a")))
        .send()
        .await
        .unwrap();
    client
        .delete_item()
        .table_name(TABLE)
        .set_key(Some(key("acme#1", "never-there")))
        .send()
        .await
        .unwrap();

    let records = consumer(&cloud, "all")
        .await
        .next_batch(100, NOW)
        .await
        .unwrap();
    assert_eq!(
        summary(&records),
        [
            "INSERT a", "MODIFY a", "INSERT b", "INSERT c", "REMOVE b", "REMOVE a"
        ]
    );
    assert!(records.is_sorted_by(|one, next| one.sequence < next.sequence));
    assert!(records.is_sorted_by_key(|record| record.event.change.sequence_number.clone()));
}

#[tokio::test]
async fn a_record_has_the_shape_of_dynamodb_streams() {
    let (cloud, client) = Cloud::with_table().await;
    put(&client, item("acme#1", "run", &[("revision", number(1))])).await;
    let records = consumer(&cloud, "shape")
        .await
        .next_batch(10, NOW)
        .await
        .unwrap();
    let event = serde_json::to_value(ChangeRecord::into_event(records)).unwrap();
    let record = &event["Records"][0];
    assert_eq!(record["eventName"], "INSERT");
    assert_eq!(record["eventSource"], "aws:dynamodb");
    assert_eq!(record["eventID"].as_str().unwrap().len(), 32);
    let change = &record["dynamodb"];
    assert_eq!(
        change["Keys"],
        serde_json::json!({ "pk": { "S": "acme#1" }, "sk": { "S": "run" } })
    );
    assert_eq!(
        change["NewImage"]["revision"],
        serde_json::json!({ "N": "1" })
    );
    assert_eq!(change["StreamViewType"], "NEW_IMAGE");
    assert_eq!(change["SequenceNumber"].as_str().unwrap().len(), 21);
    assert!(change["SizeBytes"].as_i64().unwrap() > 10);
    assert!(change["ApproximateCreationDateTime"].as_f64().unwrap() > 1_700_000_000.0);
}

#[tokio::test]
async fn a_stream_specification_chooses_the_view_and_is_described() {
    let (cloud, client) = Cloud::with_table().await;
    let keys_only = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(aws_sdk_dynamodb::types::StreamViewType::KeysOnly)
        .build()
        .unwrap();
    client
        .update_table()
        .table_name(TABLE)
        .stream_specification(keys_only.clone())
        .send()
        .await
        .unwrap();
    let described = client
        .describe_table()
        .table_name(TABLE)
        .send()
        .await
        .unwrap()
        .table
        .unwrap();
    assert_eq!(described.stream_specification(), Some(&keys_only));
    assert!(described.latest_stream_arn().unwrap().contains(TABLE));
    put(&client, item("acme#1", "run", &[("secret", text("x"))])).await;

    let off = StreamSpecification::builder()
        .stream_enabled(false)
        .build()
        .unwrap();
    client
        .update_table()
        .table_name(TABLE)
        .stream_specification(off)
        .send()
        .await
        .unwrap();
    put(&client, item("acme#1", "unseen", &[])).await;

    let records = consumer(&cloud, "keys")
        .await
        .next_batch(10, NOW)
        .await
        .unwrap();
    assert_eq!(summary(&records), ["INSERT run"]);
    let change = &records[0].event.change;
    assert!(change.new_image.inner().is_empty());
    assert_eq!(change.stream_view_type, Some(StreamViewType::KeysOnly));
}

#[tokio::test]
async fn consumers_go_at_their_own_pace_and_start_again_at_their_cursor() {
    let (cloud, client) = Cloud::with_table().await;
    for index in 0..6 {
        put(&client, item("acme#1", &index.to_string(), &[])).await;
    }
    let mut fast = consumer(&cloud, "export-spans").await;
    let mut slow = consumer(&cloud, "summarise-run").await;
    let all = fast.next_batch(100, NOW).await.unwrap();
    fast.commit(all.last().unwrap().sequence).await.unwrap();
    let some = slow.next_batch(2, NOW).await.unwrap();
    assert_eq!(summary(&some), ["INSERT 0", "INSERT 1"]);
    assert_eq!(
        slow.next_batch(2, NOW).await.unwrap(),
        some,
        "what is not committed comes again"
    );
    slow.commit(some[0].sequence).await.unwrap();

    let after_kill = cloud.killed();
    let mut fast = consumer(&after_kill, "export-spans").await;
    let mut slow = consumer(&after_kill, "summarise-run").await;
    assert_eq!(fast.next_batch(100, NOW).await.unwrap(), []);
    let rest = slow.next_batch(100, NOW).await.unwrap();
    assert_eq!(
        summary(&rest),
        ["INSERT 1", "INSERT 2", "INSERT 3", "INSERT 4", "INSERT 5"]
    );
    slow.commit(rest.last().unwrap().sequence).await.unwrap();

    put(
        &dynamodb_client(&after_kill.storage),
        item("acme#1", "6", &[]),
    )
    .await;
    let next = fast.next_batch(100, NOW).await.unwrap();
    assert_eq!(
        summary(&next),
        ["INSERT 6"],
        "a sequence is never given twice, though all before were dropped"
    );
    assert!(next[0].sequence > rest.last().unwrap().sequence);
}

#[tokio::test]
async fn a_consumer_that_begins_now_sees_only_what_comes() {
    let (cloud, client) = Cloud::with_table().await;
    put(&client, item("acme#1", "before", &[])).await;
    let mut latest = cloud
        .storage
        .change_feed()
        .consumer("latest", StartingPosition::Latest)
        .await
        .unwrap();
    put(&client, item("acme#1", "after", &[])).await;
    assert_eq!(
        summary(&latest.next_batch(10, NOW).await.unwrap()),
        ["INSERT after"]
    );
}

#[tokio::test]
async fn a_waiting_consumer_wakes_at_the_write() {
    let (cloud, client) = Cloud::with_table().await;
    let mut waiting = consumer(&cloud, "waiting").await;
    let batch = tokio::spawn(async move { waiting.next_batch(10, Duration::from_mins(1)).await });
    put(&client, item("acme#1", "run", &[])).await;
    let batch = tokio::time::timeout(Duration::from_secs(30), batch)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(summary(&batch), ["INSERT run"]);
}

#[tokio::test]
async fn a_filter_passes_over_what_it_does_not_accept() {
    let (cloud, client) = Cloud::with_table().await;
    for index in 0..40 {
        put(
            &client,
            item(
                "acme#1",
                &format!("{index:02}"),
                &[("chunk", number(index))],
            ),
        )
        .await;
    }
    let mut chosen = consumer(&cloud, "chosen")
        .await
        .with_filter(|record| record.sequence % 20 == 0);
    let batch = chosen.next_batch(1, NOW).await.unwrap();
    assert_eq!(summary(&batch), ["INSERT 19"]);
    chosen.commit(batch[0].sequence).await.unwrap();
    assert_eq!(
        summary(&chosen.next_batch(5, NOW).await.unwrap()),
        ["INSERT 39"]
    );

    let mut none = consumer(&cloud, "none").await.with_filter(|_| false);
    assert_eq!(none.next_batch(5, NOW).await.unwrap(), []);
    assert!(
        none.cursor() >= 40,
        "what a filter leaves out is passed, and so not kept for it"
    );
}

#[tokio::test]
async fn an_expired_item_is_removed_by_the_service_and_old_records_go() {
    let (cloud, client) = Cloud::with_table().await;
    let enabled = TimeToLiveSpecification::builder()
        .attribute_name("expires_at")
        .enabled(true)
        .build()
        .unwrap();
    client
        .update_time_to_live()
        .table_name(TABLE)
        .time_to_live_specification(enabled)
        .send()
        .await
        .unwrap();
    let now: DateTime<Utc> = Utc::now();
    put(
        &client,
        item(
            "acme#1",
            "run",
            &[("expires_at", number(now.timestamp() - 10))],
        ),
    )
    .await;
    assert_eq!(cloud.storage.sweep_expired(now).await.unwrap(), 1);
    let mut reader = consumer(&cloud, "reader").await;
    let records = reader.next_batch(10, NOW).await.unwrap();
    assert_eq!(summary(&records), ["INSERT run", "REMOVE run"]);
    assert_eq!(records[0].event.user_identity, None);
    assert_eq!(
        records[1]
            .event
            .user_identity
            .as_ref()
            .unwrap()
            .principal_id,
        "dynamodb.amazonaws.com"
    );

    cloud
        .storage
        .sweep_expired(now + TimeDelta::hours(23))
        .await
        .unwrap();
    assert_eq!(reader.next_batch(10, NOW).await.unwrap().len(), 2);
    cloud
        .storage
        .sweep_expired(now + TimeDelta::hours(25))
        .await
        .unwrap();
    assert_eq!(reader.next_batch(10, NOW).await.unwrap(), []);
}

#[tokio::test]
async fn a_table_made_anew_feeds_again() {
    let (cloud, client) = Cloud::with_table().await;
    client
        .delete_table()
        .table_name(TABLE)
        .send()
        .await
        .unwrap();
    create_table(&client).await;
    put(&client, item("acme#1", "run", &[])).await;
    let folder = cloud.folder;
    drop((client, cloud.storage));
    let storage = open(folder.path());
    put(&dynamodb_client(&storage), item("acme#1", "after", &[])).await;
    let mut all = storage
        .change_feed()
        .consumer("all", StartingPosition::TrimHorizon)
        .await
        .unwrap();
    assert_eq!(
        summary(&all.next_batch(10, NOW).await.unwrap()),
        ["INSERT run", "INSERT after"]
    );
}
