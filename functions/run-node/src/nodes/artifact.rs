//! `artifact`: stores what the workflow made, with a name, a content type and a hash.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mime::Mime;
use redaction::Policy;
use serde::Deserialize;
use serde_json::{Value, json};
use trace_model::conventions;
use trace_store::NewArtifact;
use tracer::{annotate, current_task, storage_call};

use super::NodeCall;
use crate::error::NodeError;
use crate::parameters;
use crate::template::{Escape, Templates};

const MOST_BYTES: usize = 20 * 1024 * 1024;
const LONGEST_NAME: usize = 200;
const LONGEST: Duration = Duration::from_mins(1);

/// Content types of names that say what they hold.
const TYPES: [(&str, &str); 7] = [
    ("csv", "text/csv; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("json", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("pdf", "application/pdf"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// A file's name, without a folder; a template.
    name: String,
    /// By default what the name's ending says.
    content_type: Option<String>,
    /// Filled in from the input; in HTML and SVG its values are escaped.
    template: Option<String>,
    /// Stored as it is.
    text: Option<String>,
    json: Option<Value>,
    /// Bytes, in standard base64.
    base64: Option<String>,
}

/// `{"artifact": {"id", "name", "content_type", "bytes", "sha256"}}`.
pub(crate) async fn run(call: NodeCall<'_>) -> Result<Value, NodeError> {
    let parameters: Parameters = parameters::parse(call.parameters)?;
    let name =
        Templates::new(call.input, Escape::Nothing).render("parameters.name", &parameters.name)?;
    check_name(&name)?;
    let content_type = content_type(&parameters, &name)?;
    let body = body(&parameters, &content_type, call.input)?;
    if body.len() > MOST_BYTES {
        return Err(NodeError::ArtifactTooLarge {
            name,
            bytes: body.len() as u64,
            limit: MOST_BYTES as u64,
        });
    }
    store(&call, name, content_type.to_string(), body).await
}

async fn store(
    call: &NodeCall<'_>,
    name: String,
    content_type: String,
    body: Vec<u8>,
) -> Result<Value, NodeError> {
    let task = current_task().expect("a node runs within its span");
    let artifact = NewArtifact {
        name: Policy::standard().redact_text(&name),
        content_type: content_type.clone(),
        body,
        attempt: task.attempt,
        span_id: task.span_id,
    };
    let span = storage_call("aws.s3", "PutObject", "artifacts");
    let store = call.environment.store();
    let writing = store.write_artifact(&task.tenant, task.trace_id, artifact);
    let longest = call.deadline.within(LONGEST);
    let written = match tokio::time::timeout(longest, writing).await {
        Ok(written) => written.map_err(|error| NodeError::store("the artifact", &error)),
        Err(_) => Err(NodeError::StoreUnavailable {
            problem: format!("it did not answer in {longest:?}"),
        }),
    };
    let written = match written {
        Ok(written) => written,
        Err(error) => {
            span.fail(&error.name(), &error.to_string());
            return Err(error);
        }
    };
    span.finish();
    annotate(conventions::ARTIFACT_ID, written.id.as_str());
    annotate(conventions::ARTIFACT_NAME, name.as_str());
    annotate(conventions::ARTIFACT_CONTENT_TYPE, content_type.as_str());
    annotate(conventions::ARTIFACT_BYTES, written.bytes);
    annotate(conventions::ARTIFACT_SHA256, written.sha256.as_str());
    Ok(json!({"artifact": {
        "id": written.id, "name": name, "content_type": content_type,
        "bytes": written.bytes, "sha256": written.sha256,
    }}))
}

/// A file's name on any system, and nothing that reads otherwise than it is.
fn check_name(name: &str) -> Result<(), NodeError> {
    let problem = if name.trim().is_empty() {
        "it is empty".to_owned()
    } else if name != name.trim() {
        "it begins or ends with a space".to_owned()
    } else if name.chars().count() > LONGEST_NAME {
        format!("it has more than {LONGEST_NAME} characters")
    } else if name.contains(['/', '\\']) || name.chars().all(|character| character == '.') {
        "it is a path".to_owned()
    } else if name.chars().any(is_invisible) {
        "it has control characters, or marks that turn text around".to_owned()
    } else {
        return Ok(());
    };
    let problem = format!("{problem}; expected a file's name, such as reply.html");
    Err(NodeError::parameter("name", problem))
}

/// Control characters, line and paragraph separators, and the marks of direction.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn content_type(parameters: &Parameters, name: &str) -> Result<Mime, NodeError> {
    let by_name = || {
        let (_, ending) = name.rsplit_once('.')?;
        let known = TYPES.iter();
        let mut known = known.filter(|(known, _)| ending.eq_ignore_ascii_case(known));
        known.next().map(|(_, content_type)| *content_type)
    };
    let by_source = if parameters.json.is_some() {
        "application/json"
    } else if parameters.base64.is_some() {
        "application/octet-stream"
    } else {
        "text/plain; charset=utf-8"
    };
    let text = parameters.content_type.as_deref();
    let text = text.or_else(by_name).unwrap_or(by_source);
    let invalid = |problem: &str| {
        let problem = format!("{problem}; expected one such as text/html or application/pdf");
        NodeError::parameter("content_type", problem)
    };
    let content_type: Mime = text.parse().map_err(|_| invalid("it is no content type"))?;
    if content_type.type_() == mime::STAR || content_type.subtype() == mime::STAR {
        return Err(invalid("it has a wildcard"));
    }
    if content_type.params().any(|(name, _)| name != mime::CHARSET) {
        return Err(invalid("it has another parameter than charset"));
    }
    // It is kept beside the trace and unmasked, so it must need no masking.
    if Policy::standard().redact_text(text).as_str() != text {
        return Err(invalid("it holds what looks like a secret"));
    }
    Ok(content_type)
}

fn body(parameters: &Parameters, content_type: &Mime, input: &Value) -> Result<Vec<u8>, NodeError> {
    let Parameters {
        template,
        text,
        json,
        base64,
        ..
    } = parameters;
    match (template, text, json, base64) {
        (Some(template), None, None, None) => {
            let templates = Templates::new(input, escape(content_type));
            let text = templates.render("parameters.template", template)?;
            Ok(text.into_bytes())
        }
        (None, Some(text), None, None) => Ok(text.as_bytes().to_vec()),
        (None, None, Some(json), None) => Ok(json.to_string().into_bytes()),
        (None, None, None, Some(base64)) => STANDARD.decode(base64).map_err(|error| {
            NodeError::parameter("base64", format!("it is no standard base64: {error}"))
        }),
        _ => {
            let problem = "expected one of template, text, json and base64, and one only";
            Err(NodeError::parameter("", problem))
        }
    }
}

/// Where a value could become markup, it is escaped.
fn escape(content_type: &Mime) -> Escape {
    let is_xml = content_type.suffix() == Some(mime::XML) || content_type.subtype() == mime::XML;
    if content_type.subtype() == mime::HTML || is_xml {
        Escape::Html
    } else {
        Escape::Nothing
    }
}
