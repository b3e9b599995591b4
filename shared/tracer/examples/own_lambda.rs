//! A Lambda of one's own in a workflow: one line in `main`, and what `#[instrument]` marks
//! shows under the state that called it.

use std::fmt;

use lambda_runtime::{Diagnostic, Error, LambdaEvent};
use serde_json::{Value, json};
use trace_model::Usage;
use tracer::{message, model_call};
use tracing::{info, instrument};

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracer::run(handler).await
}

async fn handler(event: LambdaEvent<Value>) -> Result<Value, NoPassage> {
    let question = event.payload["question"].as_str().unwrap_or_default();
    let passages = find_passages(question).await;
    let answer = answer(question, &passages).await?;
    Ok(json!({ "answer": answer }))
}

#[instrument(skip_all, fields(found))]
async fn find_passages(question: &str) -> Vec<&'static str> {
    let library = ["Refunds take five days.", "Parcels leave daily at noon."];
    let is_near = |passage: &&str| question.split(' ').any(|word| passage.contains(word));
    let found: Vec<_> = library.into_iter().filter(is_near).collect();
    tracing::Span::current().record("found", found.len());
    info!("searched the library");
    found
}

#[instrument(skip_all, err)]
async fn answer(question: &str, passages: &[&str]) -> Result<String, NoPassage> {
    let call = model_call("chat", "my-company", "extractive-1");
    call.input_messages(&json!([message("user", question)]));
    let Some(answer) = passages.first() else {
        call.fail("no_passage", "nothing in the library is near the question");
        return Err(NoPassage);
    };
    call.output_messages(&json!([message("assistant", answer)]));
    call.usage(&Usage {
        input_tokens: Some(question.split(' ').count() as u64),
        output_tokens: Some(answer.split(' ').count() as u64),
        ..Usage::default()
    });
    call.finish();
    Ok((*answer).to_owned())
}

/// What a `Catch` matches by its name.
#[derive(Debug)]
struct NoPassage;

impl fmt::Display for NoPassage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no passage answers that")
    }
}

impl From<NoPassage> for Diagnostic {
    fn from(error: NoPassage) -> Self {
        Self {
            error_type: "NoPassage".to_owned(),
            error_message: error.to_string(),
        }
    }
}
