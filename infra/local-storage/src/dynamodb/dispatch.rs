//! One DynamoDB operation by its name, from JSON to JSON.

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Tables;
use crate::change_feed::{self, StreamSetting};
use crate::error::sqlite_advice;

/// What goes back: the HTTP status and the body of AWS JSON 1.0.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) effect: Effect,
}

/// Whether consumers of the change feed have a reason to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    MayHaveWritten,
    ReadOnly,
}

pub(super) fn answer(tables: &Tables, operation: &str, body: &[u8]) -> Answer {
    let effect = effect_of(operation);
    match perform(tables, operation, body) {
        Ok(body) => Answer {
            status: 200,
            body,
            effect,
        },
        Err(error) => {
            let error = in_wire_words(operation, error);
            if error.status_code() >= 500 {
                tracing::error!(operation, %error, file = %tables.path.display(), "the embedded DynamoDB failed");
            }
            Answer {
                status: error.status_code(),
                body: error.to_json(),
                effect,
            }
        }
    }
}

pub(super) fn unknown_operation() -> Answer {
    let body =
        json!({ "__type": "com.amazon.coral.service#UnknownOperationException" }).to_string();
    Answer {
        status: 400,
        body,
        effect: Effect::ReadOnly,
    }
}

/// The names are those of `DynamoDB_20120810`. An operation that is not there is answered as
/// AWS answers it.
pub(super) fn is_known(operation: &str) -> bool {
    matches!(
        operation,
        "BatchGetItem"
            | "BatchWriteItem"
            | "CreateTable"
            | "DeleteItem"
            | "DeleteTable"
            | "DescribeTable"
            | "DescribeTimeToLive"
            | "GetItem"
            | "ListTables"
            | "ListTagsOfResource"
            | "PutItem"
            | "Query"
            | "Scan"
            | "TagResource"
            | "TransactGetItems"
            | "TransactWriteItems"
            | "UntagResource"
            | "UpdateItem"
            | "UpdateTable"
            | "UpdateTimeToLive"
    )
}

fn effect_of(operation: &str) -> Effect {
    match operation {
        "BatchWriteItem" | "DeleteItem" | "PutItem" | "TransactWriteItems" | "UpdateItem" => {
            Effect::MayHaveWritten
        }
        _ => Effect::ReadOnly,
    }
}

fn perform(tables: &Tables, operation: &str, body: &[u8]) -> dynoxide::Result<String> {
    let database = &tables.database;
    match operation {
        "BatchGetItem" => call(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => call(body, |request| database.batch_write_item(request)),
        "DeleteItem" => call(body, |request| database.delete_item(request)),
        "DescribeTimeToLive" => call(body, |request| database.describe_time_to_live(request)),
        "GetItem" => call(body, |request| database.get_item(request)),
        "ListTables" => call(body, |request| database.list_tables(request)),
        "ListTagsOfResource" => call(body, |request| database.list_tags_of_resource(request)),
        "PutItem" => call(body, |request| database.put_item(request)),
        "Query" => call(body, |request| database.query(request)),
        "Scan" => call(body, |request| database.scan(request)),
        "TagResource" => call(body, |request| database.tag_resource(request)),
        "TransactGetItems" => call(body, |request| database.transact_get_items(request)),
        "TransactWriteItems" => call(body, |request| database.transact_write_items(request)),
        "UntagResource" => call(body, |request| database.untag_resource(request)),
        "UpdateItem" => call(body, |request| database.update_item(request)),
        "UpdateTimeToLive" => call(body, |request| database.update_time_to_live(request)),
        "CreateTable" => table_call(tables, body, "TableDescription", Database::create_table),
        "DeleteTable" => table_call(tables, body, "TableDescription", Database::delete_table),
        "DescribeTable" => table_call(tables, body, "Table", Database::describe_table),
        "UpdateTable" => table_call(tables, body, "TableDescription", Database::update_table),
        other => Err(DynoxideError::InternalServerError(format!(
            "no dispatch for the operation {other}"
        ))),
    }
}

fn call<Request: DeserializeOwned, Response: Serialize>(
    body: &[u8],
    method: impl FnOnce(Request) -> dynoxide::Result<Response>,
) -> dynoxide::Result<String> {
    write(&method(read(body)?)?)
}

/// Table operations carry the stream's setting, which is ours: the engine's own stream slows
/// every write with the number of its records, so it never hears of it.
fn table_call<Request: DeserializeOwned, Response: Serialize>(
    tables: &Tables,
    body: &[u8],
    description_field: &str,
    method: impl FnOnce(&Database, Request) -> dynoxide::Result<Response>,
) -> dynoxide::Result<String> {
    let mut request: Value = read(body)?;
    let wanted = request
        .as_object_mut()
        .and_then(|request| request.remove("StreamSpecification"));
    let table_name = request
        .get("TableName")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let only_the_stream = wanted.is_some()
        && request
            .as_object()
            .is_some_and(|request| request.len() == 1);

    let mut response = if only_the_stream {
        let description = database_description(tables, &table_name)?;
        json!({ description_field: description })
    } else {
        let request = serde_json::to_vec(&request).map_err(unwritable)?;
        serde_json::to_value(method(&tables.database, read(&request)?)?).map_err(unwritable)?
    };
    if let Some(wanted) = wanted {
        let setting = StreamSetting::from_specification(&wanted)
            .map_err(DynoxideError::ValidationException)?;
        change_feed::set_stream(&tables.feed, &table_name, setting)?;
    }
    tables
        .watch_table(&table_name)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
    if let Some(description) = response
        .get_mut(description_field)
        .and_then(Value::as_object_mut)
        && let StreamSetting::On(view) = change_feed::stream_setting(&tables.feed, &table_name)?
    {
        description.insert(
            "StreamSpecification".to_owned(),
            json!({ "StreamEnabled": true, "StreamViewType": view.name() }),
        );
        description.insert(
            "LatestStreamArn".to_owned(),
            json!(change_feed::stream_arn(&table_name)),
        );
        description.insert(
            "LatestStreamLabel".to_owned(),
            json!(change_feed::STREAM_LABEL),
        );
    }
    write(&response)
}

fn database_description(tables: &Tables, table_name: &str) -> dynoxide::Result<Value> {
    let request = read(json!({ "TableName": table_name }).to_string().as_bytes())?;
    let mut description =
        serde_json::to_value(tables.database.describe_table(request)?).map_err(unwritable)?;
    Ok(description
        .get_mut("Table")
        .map(Value::take)
        .unwrap_or_default())
}

/// The engine's readers mark which of DynamoDB's errors a refused value is with a prefix of the
/// message, as its own server reads them.
fn read<Request: DeserializeOwned>(body: &[u8]) -> dynoxide::Result<Request> {
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        let text = text
            .rsplit_once(" at line ")
            .map_or(text.as_str(), |(message, _)| message);
        for prefix in ["VALIDATION_AS_READ:", "VALIDATION_REQUEST:", "VALIDATION:"] {
            if let Some(message) = text.strip_prefix(prefix) {
                return match prefix {
                    "VALIDATION_REQUEST:" => DynoxideError::EnvelopedValidation(message.to_owned()),
                    _ => DynoxideError::ValidationException(message.to_owned()),
                };
            }
        }
        for prefix in ["SERIALIZATION_AS_READ:", "SERIALIZATION:"] {
            if let Some(message) = text.strip_prefix(prefix) {
                return DynoxideError::SerializationException(message.to_owned());
            }
        }
        let is_validation = [
            "missing field",
            "unknown variant",
            "invalid type: null",
            "AttributeValue",
        ]
        .iter()
        .any(|words| text.contains(words));
        if is_validation {
            DynoxideError::ValidationException(text.to_owned())
        } else {
            DynoxideError::SerializationException(text.to_owned())
        }
    })
}

fn write<Response: Serialize>(response: &Response) -> dynoxide::Result<String> {
    serde_json::to_string(response).map_err(unwritable)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape map_err wants")]
fn unwritable(error: serde_json::Error) -> DynoxideError {
    DynoxideError::InternalServerError(format!("the answer cannot be written as JSON: {error}"))
}

/// The engine tags one family of refusals that DynamoDB words differently by operation, and
/// words a fault of the file as SQLite does; both get the words a client should see.
fn in_wire_words(operation: &str, error: DynoxideError) -> DynoxideError {
    match error {
        DynoxideError::EnvelopedValidation(message) => {
            DynoxideError::ValidationException(match operation {
                "PutItem" | "UpdateItem" | "DeleteItem" => {
                    format!("1 validation error detected: {message}")
                }
                _ => message,
            })
        }
        DynoxideError::SqliteError(error) => DynoxideError::InternalServerError(format!(
            "the embedded DynamoDB cannot use its file: {}: {error}",
            sqlite_advice(&error)
        )),
        other => other,
    }
}
