use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, PutRequest, ReturnValue, TimeToLiveSpecification,
    TransactWriteItem, Update, WriteRequest,
};
use chrono::DateTime;

use crate::fixture::{
    ACCESS_KEY_ID, Cloud, Item, TABLE, dynamodb_config, get, item, key, number, put, text,
};

#[tokio::test]
async fn an_item_comes_back_as_it_was_put() {
    let (_cloud, client) = Cloud::with_table().await;
    let written = item(
        "acme#1",
        "run",
        &[
            ("chunk", AttributeValue::B(Blob::new([0, 255, 10, 13]))),
            (
                "big",
                AttributeValue::N("12345678901234567890123456789012345678".into()),
            ),
            ("ok", AttributeValue::Bool(true)),
            ("none", AttributeValue::Null(true)),
            ("names", AttributeValue::Ss(vec!["a".into(), "b".into()])),
            (
                "nested",
                AttributeValue::M(
                    [("list".into(), AttributeValue::L(vec![text("é\u{1f600}")]))].into(),
                ),
            ),
        ],
    );
    put(&client, written.clone()).await;
    assert_eq!(get(&client, "acme#1", "run").await, Some(written));
    assert_eq!(get(&client, "acme#1", "other").await, None);
}

#[tokio::test]
async fn a_conditional_write_that_fails_changes_nothing_and_says_so() {
    let (_cloud, client) = Cloud::with_table().await;
    put(&client, item("acme#1", "run", &[("revision", number(3))])).await;
    let refused = client
        .put_item()
        .table_name(TABLE)
        .set_item(Some(item("acme#1", "run", &[("revision", number(2))])))
        .condition_expression("attribute_not_exists(pk) OR revision < :revision")
        .expression_attribute_values(":revision", number(2))
        .return_values_on_condition_check_failure(
            aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld,
        )
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(
        refused.is_conditional_check_failed_exception(),
        "{refused:?}"
    );
    let aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(
        refused,
    ) = refused
    else {
        panic!("checked above")
    };
    assert_eq!(refused.item().unwrap()["revision"], number(3));
    assert_eq!(
        get(&client, "acme#1", "run").await.unwrap()["revision"],
        number(3)
    );
}

#[tokio::test]
async fn an_update_returns_what_it_made() {
    let (_cloud, client) = Cloud::with_table().await;
    let answer = client
        .update_item()
        .table_name(TABLE)
        .set_key(Some(key("acme#1", "run")))
        .update_expression("SET #status = :status ADD attempts :one")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":status", text("RUNNING"))
        .expression_attribute_values(":one", number(1))
        .return_values(ReturnValue::AllNew)
        .send()
        .await
        .unwrap();
    let expected = item(
        "acme#1",
        "run",
        &[("status", text("RUNNING")), ("attempts", number(1))],
    );
    assert_eq!(answer.attributes, Some(expected));
}

#[tokio::test]
async fn errors_carry_dynamodbs_codes_and_words() {
    let (_cloud, client) = Cloud::with_table().await;
    let missing = client
        .get_item()
        .table_name("absent")
        .set_key(Some(key("a", "b")))
        .send()
        .await
        .unwrap_err();
    assert!(
        missing
            .into_service_error()
            .is_resource_not_found_exception()
    );

    let no_sort_key = client
        .put_item()
        .table_name(TABLE)
        .item("pk", text("a"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(no_sort_key.code(), Some("ValidationException"));
    assert_eq!(
        no_sort_key.message(),
        Some("One or more parameter values were invalid: Missing the key sk in the item")
    );

    let bad_expression = client
        .query()
        .table_name(TABLE)
        .key_condition_expression("pk ==== :pk")
        .expression_attribute_values(":pk", text("a"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(bad_expression.code(), Some("ValidationException"));
    assert!(
        bad_expression
            .message()
            .unwrap()
            .starts_with("Invalid KeyConditionExpression"),
        "{bad_expression:?}"
    );

    let unknown = client.list_backups().send().await.unwrap_err();
    assert_eq!(unknown.code(), Some("UnknownOperationException"));
}

/// Hard case 16: depth is refused or answered, and the database lives on.
#[tokio::test]
async fn deep_nesting_ends_in_an_error_and_not_in_a_crash() {
    let (_cloud, client) = Cloud::with_table().await;
    let nested =
        |depth: usize| (0..depth).fold(text("core"), |value, _| AttributeValue::L(vec![value]));
    let deep_value = async |depth| {
        let item = item("acme#1", "deep", &[("value", nested(depth))]);
        client
            .put_item()
            .table_name(TABLE)
            .set_item(Some(item))
            .send()
            .await
    };
    assert!(deep_value(30).await.is_ok());
    for depth in [33, 200, 1_000] {
        let refused = deep_value(depth).await.unwrap_err();
        assert_eq!(
            refused
                .raw_response()
                .map(|answer| answer.status().as_u16()),
            Some(400),
            "{depth}"
        );
    }
    let parentheses = format!(
        "{}attribute_exists(pk){}",
        "(".repeat(2_000),
        ")".repeat(2_000)
    );
    let refused = client
        .delete_item()
        .table_name(TABLE)
        .set_key(Some(key("acme#1", "absent")))
        .condition_expression(parentheses)
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        refused
            .raw_response()
            .map(|answer| answer.status().as_u16()),
        Some(400)
    );
    assert!(get(&client, "acme#1", "deep").await.is_some());
}

#[tokio::test]
async fn a_query_pages_in_key_order_and_stays_in_its_partition() {
    let (_cloud, client) = Cloud::with_table().await;
    for number_of_chunk in 0..25 {
        put(
            &client,
            item("acme#1", &format!("chunk#{number_of_chunk:04}"), &[]),
        )
        .await;
    }
    put(&client, item("acme#2", "chunk#0003", &[])).await;
    put(&client, item("acme#1", "run", &[])).await;
    let pages: Vec<Vec<String>> = {
        let mut pages = client
            .query()
            .table_name(TABLE)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text("acme#1"))
            .expression_attribute_values(":prefix", text("chunk#"))
            .into_paginator()
            .page_size(10)
            .send();
        let mut read = Vec::new();
        while let Some(page) = pages.next().await {
            read.push(sort_keys(page.unwrap().items()));
        }
        read
    };
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    let expected: Vec<String> = (0..25).map(|chunk| format!("chunk#{chunk:04}")).collect();
    assert_eq!(pages.concat(), expected);
}

fn sort_keys(items: &[Item]) -> Vec<String> {
    items
        .iter()
        .map(|item| item["sk"].as_s().unwrap().clone())
        .collect()
}

#[tokio::test]
async fn an_index_follows_its_items() {
    let (_cloud, client) = Cloud::with_table().await;
    for (name, start) in [("a", 30), ("b", 10), ("c", 20)] {
        let attributes = [("by_start", text("acme")), ("start", number(start))];
        put(&client, item(&format!("acme#{name}"), "run", &attributes)).await;
    }
    put(&client, item("acme#sparse", "run", &[])).await;
    let newest_first = async || {
        let answer = client
            .query()
            .table_name(TABLE)
            .index_name("by-start")
            .key_condition_expression("by_start = :tenant")
            .expression_attribute_values(":tenant", text("acme"))
            .scan_index_forward(false)
            .send()
            .await
            .unwrap();
        answer
            .items()
            .iter()
            .map(|item| item["pk"].as_s().unwrap().clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(newest_first().await, ["acme#a", "acme#c", "acme#b"]);
    client
        .delete_item()
        .table_name(TABLE)
        .set_key(Some(key("acme#c", "run")))
        .send()
        .await
        .unwrap();
    assert_eq!(newest_first().await, ["acme#a", "acme#b"]);
}

#[tokio::test]
async fn a_batch_writes_all_and_names_nothing_unprocessed() {
    let (_cloud, client) = Cloud::with_table().await;
    let answer = batch_put(&client, 25).await.unwrap();
    assert_eq!(
        answer.unprocessed_items(),
        Some(&std::collections::HashMap::new())
    );
    let count = client
        .scan()
        .table_name(TABLE)
        .send()
        .await
        .unwrap()
        .count();
    assert_eq!(count, 25);

    let too_many = batch_put(&client, 26).await.unwrap_err();
    assert_eq!(too_many.code(), Some("ValidationException"));
}

async fn batch_put(
    client: &Client,
    count: usize,
) -> Result<
    aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput,
    aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemError,
> {
    let requests = (0..count).map(|index| {
        let put = PutRequest::builder()
            .set_item(Some(item("acme#1", &format!("{index:03}"), &[])))
            .build()
            .unwrap();
        WriteRequest::builder().put_request(put).build()
    });
    let request = client
        .batch_write_item()
        .request_items(TABLE, requests.collect());
    request
        .send()
        .await
        .map_err(aws_sdk_dynamodb::error::SdkError::into_service_error)
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    let (_cloud, client) = Cloud::with_table().await;
    put(&client, item("acme#1", "run", &[("revision", number(1))])).await;
    let transaction = |expected_revision: i64| {
        let put = Put::builder()
            .table_name(TABLE)
            .set_item(Some(item("acme#1", "chunk#1", &[])))
            .build()
            .unwrap();
        let update = Update::builder()
            .table_name(TABLE)
            .set_key(Some(key("acme#1", "run")))
            .update_expression("SET revision = revision + :one")
            .condition_expression("revision = :expected")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":expected", number(expected_revision))
            .build()
            .unwrap();
        let delete = Delete::builder()
            .table_name(TABLE)
            .set_key(Some(key("acme#1", "old")))
            .build()
            .unwrap();
        let check = ConditionCheck::builder()
            .table_name(TABLE)
            .set_key(Some(key("acme#1", "deleted")))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .unwrap();
        client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().put(put).build())
            .transact_items(TransactWriteItem::builder().update(update).build())
            .transact_items(TransactWriteItem::builder().delete(delete).build())
            .transact_items(TransactWriteItem::builder().condition_check(check).build())
            .send()
    };
    let refused = transaction(7).await.unwrap_err().into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(refused) = refused else {
        panic!("{refused:?}")
    };
    let codes: Vec<_> = refused
        .cancellation_reasons()
        .iter()
        .filter_map(|reason| reason.code())
        .collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed", "None", "None"]);
    assert_eq!(get(&client, "acme#1", "chunk#1").await, None);

    transaction(1).await.unwrap();
    assert_eq!(
        get(&client, "acme#1", "run").await.unwrap()["revision"],
        number(2)
    );
    assert!(get(&client, "acme#1", "chunk#1").await.is_some());
}

/// Hard case 22: the attribute that time to live names is the one that counts.
#[tokio::test]
async fn the_sweep_deletes_what_has_expired_and_nothing_else() {
    let (cloud, client) = Cloud::with_table().await;
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
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
    let second = now.timestamp();
    for (name, attribute) in [
        ("expired", ("expires_at", number(second - 1))),
        ("due-later", ("expires_at", number(second + 1))),
        ("text", ("expires_at", text("1"))),
        ("other-attribute", ("ttl", number(1))),
        ("ancient", ("expires_at", number(second - 6 * 365 * 86_400))),
    ] {
        put(
            &client,
            item(
                "acme#1",
                name,
                &[attribute, ("by_start", text("acme")), ("start", number(1))],
            ),
        )
        .await;
    }
    for index in 0..1_100 {
        put(
            &client,
            item(
                "acme#2",
                &format!("{index:05}"),
                &[("expires_at", number(second - index))],
            ),
        )
        .await;
    }
    assert_eq!(cloud.storage.sweep_expired(now).await.unwrap(), 1_100);
    assert_eq!(cloud.storage.sweep_expired(now).await.unwrap(), 0);
    let left = client.scan().table_name(TABLE).send().await.unwrap();
    let mut left = sort_keys(left.items());
    left.sort();
    assert_eq!(
        left,
        ["00000", "ancient", "due-later", "other-attribute", "text"]
    );
    let by_index = client
        .scan()
        .table_name(TABLE)
        .index_name("by-start")
        .send()
        .await
        .unwrap();
    assert_eq!(by_index.count(), 4);
}

#[tokio::test]
async fn a_process_elsewhere_uses_it_over_http_with_the_key_of_this_cloud() {
    let (cloud, client) = Cloud::with_table().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = cloud.storage.dynamodb_router();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let over_http = |access_key_id: &str| {
        let credentials =
            aws_credential_types::Credentials::new(access_key_id, "any", None, None, "test");
        let config = dynamodb_config()
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(&endpoint)
            .credentials_provider(credentials);
        Client::from_conf(config.build())
    };
    put(&over_http(ACCESS_KEY_ID), item("acme#1", "run", &[])).await;
    assert!(get(&client, "acme#1", "run").await.is_some());
    let refused = over_http("stranger")
        .list_tables()
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("UnrecognizedClientException"));
    server.abort();
}
