//! `approval`: asks a person. The task waits until its token is sent back with the answer.

use serde::Deserialize;
use serde_json::{Value, json};
use trace_model::{Content, conventions};
use tracer::{annotate, annotate_content};

use super::NodeCall;
use crate::error::NodeError;
use crate::parameters;
use crate::template::{Escape, Templates};

/// What a person reads in a line or two; the rest is `details`.
const LONGEST_QUESTION: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// A template.
    question: String,
    /// What the person needs to know to decide.
    details: Option<Value>,
}

/// `{"question"}`, at once: the task's result is what comes with the token. Who reads the
/// execution's history finds the token there; nothing here keeps it.
#[expect(clippy::unused_async, reason = "as every node")]
pub(crate) async fn run(call: NodeCall<'_>) -> Result<Value, NodeError> {
    check_token(call.task_token)?;
    let parameters: Parameters = parameters::parse(call.parameters)?;
    let question = Templates::new(call.input, Escape::Nothing)
        .render("parameters.question", &parameters.question)?;
    let question = question.trim();
    let characters = question.chars().count();
    if characters == 0 {
        let problem = "nothing is asked; expected a question that yes or no answers";
        return Err(NodeError::parameter("question", problem));
    }
    if characters > LONGEST_QUESTION {
        let problem = format!(
            "it has {characters} characters, and {LONGEST_QUESTION} are read; put the rest into details"
        );
        return Err(NodeError::parameter("question", problem));
    }
    annotate(conventions::APPROVAL_QUESTION, question);
    if let Some(details) = &parameters.details {
        annotate_content(conventions::APPROVAL_DETAILS, Content::json(details));
    }
    Ok(json!({"question": question}))
}

fn check_token(token: Option<&Value>) -> Result<(), NodeError> {
    let problem = match token {
        Some(Value::String(token)) if !token.is_empty() => return Ok(()),
        None | Some(Value::Null) => "the payload has no task_token to answer with",
        Some(_) => "the payload's task_token is none",
    };
    Err(NodeError::ApprovalNoTaskToken { problem })
}
