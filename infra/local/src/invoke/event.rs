use anyhow::{Context as _, bail};
use serde_json::Value;

/// What the sample requests have in place of a token.
pub(crate) const SAMPLE_TOKEN: &str = "Bearer TOKEN";

/// Lambda's record of a batch that it gave up, as it leaves it in a bucket.
const GIVEN_UP: &str = "DDBStreamBatchInfo";

/// The event itself, out of Lambda's record of a batch that it gave up.
pub(crate) fn handed_on(event: Value) -> anyhow::Result<Value> {
    if event.get(GIVEN_UP).is_none() {
        return Ok(event);
    }
    match event.get("payload") {
        Some(Value::String(text)) => serde_json::from_str(text)
            .context("the payload of Lambda's record of a given up batch is not valid JSON"),
        Some(payload @ Value::Object(_)) => Ok(payload.clone()),
        _ => bail!(
            "this record of a given up batch has no payload: Lambda leaves it in buckets only, not \
             in queues or topics"
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_lambda_gave_up_holds_its_event() {
        let event = json!({"Records": [{"eventID": "1"}]});
        let check = |given: Value| assert_eq!(handed_on(given).unwrap(), event);
        check(event.clone());
        let record = |payload: Value| {
            json!({
                "requestContext": {"condition": "RetryAttemptsExhausted"},
                "version": "1.0",
                "DDBStreamBatchInfo": {"shardId": "shardId-1", "batchSize": 1},
                "payload": payload,
            })
        };
        check(record(json!(event.to_string())));
        check(record(event.clone()));
        for bad in [record(Value::Null), record(json!("{"))] {
            assert!(handed_on(bad).is_err());
        }
    }
}
