//! `GetExecutionHistory`. A token is a position in the history, so it stays
//! good while the run goes on.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{invalid_token, page_size, set_next_token};
use crate::history::ExecutionData;
use crate::store::{Order, Page};
use crate::{AwsError, LocalStepFunctions};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetExecutionHistory {
    execution_arn: String,
    max_results: Option<usize>,
    next_token: Option<String>,
    #[serde(default)]
    reverse_order: bool,
    include_execution_data: Option<bool>,
}

impl LocalStepFunctions {
    pub(super) async fn get_execution_history(
        &self,
        request: GetExecutionHistory,
    ) -> Result<Value, AwsError> {
        let order = if request.reverse_order {
            Order::NewestFirst
        } else {
            Order::OldestFirst
        };
        let limit = page_size(request.max_results)?;
        let after = match &request.next_token {
            Some(token) => Some(position(token, order)?),
            None => None,
        };
        let execution = self.execution(request.execution_arn).await?;
        let page = Page {
            limit: limit + 1,
            after,
        };
        let mut events = self
            .reader
            .run(move |reading| reading.events(execution.id, page, order))
            .await?;
        let has_more = events.len() > limit;
        events.truncate(limit);
        let data = match request.include_execution_data {
            Some(false) => ExecutionData::Omit,
            Some(true) | None => ExecutionData::Include,
        };
        let last = events
            .last()
            .map(|event| format!("{}{}", prefix(order), event.id));
        let events: Vec<Value> = events.iter().map(|event| event.to_json(data)).collect();
        let mut answer = json!({"events": events});
        set_next_token(&mut answer, last.filter(|_| has_more));
        Ok(answer)
    }
}

fn prefix(order: Order) -> &'static str {
    match order {
        Order::OldestFirst => "after-",
        Order::NewestFirst => "before-",
    }
}

fn position(token: &str, order: Order) -> Result<i64, AwsError> {
    let id = token
        .strip_prefix(prefix(order))
        .and_then(|id| id.parse().ok());
    id.ok_or_else(|| invalid_token(token))
}
