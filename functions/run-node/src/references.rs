//! Values beyond what a state's data may hold, by reference: resolved before a node sees its
//! input and parameters, and made of what its answer has no room for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use trace_model::conventions;
use trace_store::{Payload, StoreError};
use tracer::{CurrentTask, StorageCall, current_task, storage_call};

use crate::deadline::Deadline;
use crate::environment::NodeEnvironment;
use crate::error::NodeError;
use crate::parameters::kind_of;

/// The one field of an object that stands for a value in the store.
const REFERENCE: &str = "stepscope_reference";

/// Where a payload says how large the answer may be.
const MAX_OUTPUT_BYTES: &str = "max_output_bytes";

/// Step Functions' quota is 262,144 bytes for all that `lambda:invoke` answers, which adds
/// headers and status to the function's own answer, and for what a state makes of it.
const MOST_OUTPUT_BYTES: usize = 240 * 1024;

/// A reference and little beside it.
const LEAST_OUTPUT_BYTES: usize = 1024;

/// A value smaller than this is not worth a reference, which has some 350 bytes.
const LEAST_REFERRED: usize = 1024;

/// What the references of one task may hold, and one answer: it all lies in memory.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

const AT_ONCE: usize = 8;
const LONGEST: Duration = Duration::from_mins(1);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// A task's parameters and input with nothing left to resolve.
pub(crate) struct Given<'a> {
    pub(crate) parameters: Cow<'a, Value>,
    pub(crate) input: Cow<'a, Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    bucket: String,
    key: String,
    bytes: u64,
    sha256: String,
    content_type: String,
}

/// A reference, and where it stands.
struct Found {
    place: String,
    payload: Payload,
}

pub(crate) fn most_output_bytes(payload: &Value) -> Result<usize, NodeError> {
    let Some(found) = payload.get(MAX_OUTPUT_BYTES) else {
        return Ok(MOST_OUTPUT_BYTES);
    };
    let bytes = found.as_u64().and_then(|bytes| usize::try_from(bytes).ok());
    bytes
        .filter(|bytes| (LEAST_OUTPUT_BYTES..=MOST_OUTPUT_BYTES).contains(bytes))
        .ok_or_else(|| NodeError::InvalidPayload {
            problem: format!(
                "the payload's {MAX_OUTPUT_BYTES:?} is {found}: expected a number of bytes from \
                 {LEAST_OUTPUT_BYTES} to {MOST_OUTPUT_BYTES}"
            ),
        })
}

/// What a reference holds is taken as it is: a reference in it is not followed.
pub(crate) async fn resolve<'a>(
    environment: &NodeEnvironment,
    deadline: Deadline,
    payload: &'a Value,
) -> Result<Given<'a>, NodeError> {
    let parameters = payload.get("parameters").unwrap_or(&Value::Null);
    let input = payload.get("input").unwrap_or(&Value::Null);
    let mut found = Vec::new();
    collect("parameters", parameters, &mut found)?;
    collect("input", input, &mut found)?;
    if found.is_empty() {
        return Ok(Given {
            parameters: Cow::Borrowed(parameters),
            input: Cow::Borrowed(input),
        });
    }
    let values = fetch_all(environment, deadline, found).await?;
    Ok(Given {
        parameters: Cow::Owned(with_values(parameters, &values)),
        input: Cow::Owned(with_values(input, &values)),
    })
}

/// The answer as it fits: the largest of its fields become references until it does, and if
/// that is not enough, the whole.
pub(crate) async fn fit(
    environment: &NodeEnvironment,
    deadline: Deadline,
    output: Value,
    most_bytes: usize,
) -> Result<Value, NodeError> {
    let mut size = json_bytes(&output);
    if size <= most_bytes {
        return Ok(output);
    }
    if size as u64 > MOST_BYTES {
        return Err(NodeError::OutputTooLarge {
            bytes: size as u64,
            limit: MOST_BYTES,
        });
    }
    let output = match output {
        Value::Object(mut fields) => {
            for (name, bytes) in largest_first(&fields) {
                if size <= most_bytes {
                    break;
                }
                if let Some(value) = fields.get_mut(&name) {
                    *value = leave(environment, deadline, value.take()).await?;
                    size = size - bytes + json_bytes(value);
                }
            }
            Value::Object(fields)
        }
        other => other,
    };
    if size <= most_bytes {
        Ok(output)
    } else {
        leave(environment, deadline, output).await
    }
}

/// Puts a value into the store; what refers to it.
async fn leave(
    environment: &NodeEnvironment,
    deadline: Deadline,
    value: Value,
) -> Result<Value, NodeError> {
    let (content_type, body) = match value {
        Value::String(text) => (TEXT, text.into_bytes()),
        value => (JSON, value.to_string().into_bytes()),
    };
    let CurrentTask {
        tenant, trace_id, ..
    } = task();
    let store = environment.store();
    let span = storage_call("aws.s3", "PutObject", "payloads");
    let writing = store.write_payload(&tenant, trace_id, content_type, body);
    let written = in_time(deadline, writing).await;
    let written =
        written.and_then(|written| written.map_err(|error| NodeError::store("the value", &error)));
    if let Ok(payload) = &written {
        describe(&span, payload);
    }
    let payload = ended(span, written)?;
    Ok(json!({REFERENCE: Reference::from(payload)}))
}

async fn fetch_all(
    environment: &NodeEnvironment,
    deadline: Deadline,
    found: Vec<Found>,
) -> Result<HashMap<String, Value>, NodeError> {
    let tenant = &task().tenant;
    let store = environment.store();
    let mut bytes: u64 = 0;
    let mut wanted: HashMap<String, Found> = HashMap::new();
    for found in found {
        store
            .check_payload(tenant, &found.payload)
            .map_err(|error| told(found.place.clone(), &error))?;
        // Each place gets a copy of its own.
        bytes = bytes.saturating_add(found.payload.bytes);
        if let Some(other) = wanted.get(&found.payload.key)
            && other.payload != found.payload
        {
            let problem = format!("it is told otherwise at {}", other.place);
            let place = found.place;
            return Err(NodeError::InvalidReference { place, problem });
        }
        wanted.insert(found.payload.key.clone(), found);
    }
    if bytes > MOST_BYTES {
        return Err(NodeError::ReferencesTooLarge {
            bytes,
            limit: MOST_BYTES,
        });
    }
    let fetching = wanted.into_iter().map(|(key, found)| async move {
        let span = storage_call("aws.s3", "GetObject", "payloads");
        describe(&span, &found.payload);
        let reading = store.read_payload(tenant, &found.payload);
        let read = in_time(deadline, reading).await;
        let read = read.and_then(|read| read.map_err(|error| told(found.place.clone(), &error)));
        let bytes = ended(span, read)?;
        let value = value_of(&found, bytes)?;
        Ok((key, value))
    });
    stream::iter(fetching)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Text as a string, JSON as what it says, anything else as base64.
fn value_of(found: &Found, bytes: Vec<u8>) -> Result<Value, NodeError> {
    let invalid = |problem: String| NodeError::InvalidReference {
        place: found.place.clone(),
        problem,
    };
    let content_type = &found.payload.content_type;
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence == JSON || essence.ends_with("+json") {
        return serde_json::from_slice(&bytes)
            .map_err(|error| invalid(format!("{content_type}, and no JSON: {error}")));
    }
    if essence.starts_with("text/") {
        return String::from_utf8(bytes)
            .map(Value::String)
            .map_err(|_| invalid(format!("{content_type}, and no UTF-8")));
    }
    Ok(STANDARD.encode(bytes).into())
}

fn told(place: String, error: &StoreError) -> NodeError {
    match error {
        StoreError::PayloadRefused { problem } => NodeError::InvalidReference {
            place,
            problem: (*problem).to_owned(),
        },
        StoreError::PayloadGone => NodeError::ReferenceGone { place },
        StoreError::PayloadAltered { problem } => NodeError::ReferenceAltered { place, problem },
        error => NodeError::store("to read a value", error),
    }
}

fn collect(place: &str, value: &Value, found: &mut Vec<Found>) -> Result<(), NodeError> {
    match value {
        Value::Object(fields) => {
            if let Some(reference) = fields.get(REFERENCE) {
                found.push(read(place, fields, reference)?);
                return Ok(());
            }
            for (name, value) in fields {
                collect(&format!("{place}.{name}"), value, found)?;
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(&format!("{place}[{index}]"), item, found)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn read(place: &str, fields: &Map<String, Value>, value: &Value) -> Result<Found, NodeError> {
    let invalid = |problem: String| NodeError::InvalidReference {
        place: place.to_owned(),
        problem,
    };
    if let Some(other) = fields.keys().find(|name| *name != REFERENCE) {
        return Err(invalid(format!("{other:?} stands beside it, and is lost")));
    }
    if !value.is_object() {
        let problem = format!("expected an object, found {}", kind_of(value));
        return Err(invalid(problem));
    }
    let reference: Reference =
        serde_path_to_error::deserialize(value).map_err(|error| invalid(error.to_string()))?;
    Ok(Found {
        place: place.to_owned(),
        payload: reference.into(),
    })
}

fn with_values(value: &Value, values: &HashMap<String, Value>) -> Value {
    match value {
        Value::Object(fields) => {
            let resolved = fields
                .get(REFERENCE)
                .and_then(|reference| values.get(reference["key"].as_str()?));
            resolved.cloned().unwrap_or_else(|| {
                let fields = fields
                    .iter()
                    .map(|(name, value)| (name.clone(), with_values(value, values)));
                Value::Object(fields.collect())
            })
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| with_values(item, values));
            Value::Array(items.collect())
        }
        other => other.clone(),
    }
}

/// Fields that are worth a reference, with their sizes.
fn largest_first(fields: &Map<String, Value>) -> Vec<(String, usize)> {
    let sizes = fields
        .iter()
        .map(|(name, value)| (name.clone(), json_bytes(value)));
    let mut sizes: Vec<_> = sizes
        .filter(|(_, bytes)| *bytes >= LEAST_REFERRED)
        .collect();
    sizes.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    sizes
}

async fn in_time<T>(deadline: Deadline, work: impl Future<Output = T>) -> Result<T, NodeError> {
    let longest = deadline.within(LONGEST);
    tokio::time::timeout(longest, work)
        .await
        .map_err(|_| NodeError::StoreUnavailable {
            problem: format!("it did not answer in {longest:?}"),
        })
}

fn ended<T>(span: StorageCall, outcome: Result<T, NodeError>) -> Result<T, NodeError> {
    match &outcome {
        Ok(_) => span.finish(),
        Err(error) => span.fail(&error.name(), &error.to_string()),
    }
    outcome
}

fn describe(span: &StorageCall, payload: &Payload) {
    span.set(conventions::REFERENCE_BYTES, payload.bytes);
    span.set(conventions::REFERENCE_SHA256, payload.sha256.as_str());
    span.set(
        conventions::REFERENCE_CONTENT_TYPE,
        payload.content_type.as_str(),
    );
}

fn task() -> CurrentTask {
    current_task().expect("a node runs within its span")
}

fn json_bytes(value: &Value) -> usize {
    struct Counted(usize);
    impl Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counted = Counted(0);
    serde_json::to_writer(&mut counted, value).expect("a JSON value has text keys");
    counted.0
}

impl From<Reference> for Payload {
    fn from(reference: Reference) -> Self {
        Self {
            bucket: reference.bucket,
            key: reference.key,
            bytes: reference.bytes,
            sha256: reference.sha256,
            content_type: reference.content_type,
        }
    }
}

impl From<Payload> for Reference {
    fn from(payload: Payload) -> Self {
        Self {
            bucket: payload.bucket,
            key: payload.key,
            bytes: payload.bytes,
            sha256: payload.sha256,
            content_type: payload.content_type,
        }
    }
}
