//! Executions that ended badly and go on from where they stood.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use trace_model::Timestamp;

use super::{Batch, Core};
use crate::description::{REDRIVABLE_PERIOD, why_not_redrivable};
use crate::engine::Request;
use crate::history::epoch_seconds;
use crate::interpreter::Signal;
use crate::store::{Execution, RowId, Write};
use crate::{AwsError, Error};

/// A client token stands for its redrive so long, and among so many: the API reference's numbers.
const TOKEN_LIFE: Duration = Duration::from_mins(15);
const TOKENS_KEPT: u32 = 10;

impl Core {
    /// An execution that ends in this batch is redriven in the next, from what is on disk then.
    pub(super) fn must_wait(&self, request: &Request, batch: &Batch) -> bool {
        match request {
            Request::RedriveExecution { arn, .. } => {
                !self.runs_by_arn.contains_key(arn.as_str())
                    && batch.ended.contains_key(arn.as_str())
            }
            _ => false,
        }
    }

    pub(super) fn redrive_execution(
        &mut self,
        arn: &str,
        token: Option<String>,
        batch: &mut Batch,
    ) -> Result<Value, AwsError> {
        let stored = self.reader.run_blocking(|reading| reading.execution(arn))?;
        let running = self.runs_by_arn.get(arn).and_then(|id| self.runs.get(id));
        let Some(execution) = stored else {
            return Err(match running {
                Some(_) => not_redrivable("Execution is RUNNING and cannot be redriven"),
                None => AwsError::no_execution(arn),
            });
        };
        if let Some(token) = &token
            && let Some(at) = self.redriven_with(execution.id, token, batch)?
        {
            return Ok(json!({"redriveDate": epoch_seconds(at)}));
        }
        if running.is_some() {
            return Err(not_redrivable(
                "Execution is RUNNING and cannot be redriven",
            ));
        }
        if let Some(reason) = why_not_redrivable(&execution, batch.now) {
            return Err(not_redrivable(&reason));
        }
        self.run_again(execution, token, batch)?;
        Ok(json!({"redriveDate": epoch_seconds(batch.now)}))
    }

    fn run_again(
        &mut self,
        execution: Execution,
        token: Option<String>,
        batch: &mut Batch,
    ) -> Result<(), AwsError> {
        let (id, arn) = (execution.id, execution.arn.clone());
        let stored = self
            .reader
            .run_blocking(|reading| reading.stored_run(execution))?;
        let mut stored = stored
            .filter(|stored| !stored.frames.is_empty())
            .ok_or_else(|| not_redrivable("Execution redrivable period exceeded"))?;
        let machine = self
            .definition(stored.revision.id, &stored.revision.definition)
            .map_err(|problem| AwsError::new("InvalidDefinition", problem))?;
        self.forget_old_definitions();
        let count = stored.execution.redrive_count + 1;
        stored.execution.redrive_count = count;
        stored.execution.redriven = Some(batch.now);
        let run = self.run_of(stored, machine)?;
        batch
            .redriven
            .extend(token.clone().map(|token| (id, token)));
        batch.writes.push(Write::Redrive {
            execution: id,
            count,
            at: batch.now,
            token,
        });
        self.runs_by_arn.insert(Arc::from(arn), id);
        self.runs.insert(id, run);
        self.signal(id, Signal::Redrive, batch);
        Ok(())
    }

    /// When the execution was redriven with that token, in this batch or before.
    fn redriven_with(
        &self,
        execution: RowId,
        token: &str,
        batch: &Batch,
    ) -> Result<Option<Timestamp>, Error> {
        let same = |(id, known): &(RowId, String)| *id == execution && known == token;
        if batch.redriven.iter().any(same) {
            return Ok(Some(batch.now));
        }
        let not_before = before(batch.now, TOKEN_LIFE);
        self.reader.run_blocking(|reading| {
            reading.redriven_with(execution, token, TOKENS_KEPT, not_before)
        })
    }

    /// What executions stood at is kept as long as they can be redriven.
    pub(super) fn forget_what_nobody_can_redrive(&mut self) -> Result<(), Error> {
        let time = before(self.clock.now(), REDRIVABLE_PERIOD);
        self.commit(&[Write::DeleteFramesOfEndedBefore(time)])
    }
}

fn before(time: Timestamp, duration: Duration) -> Timestamp {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    Timestamp::from_unix_nanos(time.as_unix_nanos().saturating_sub(nanos))
}

fn not_redrivable(reason: &str) -> AwsError {
    AwsError::new(
        "ExecutionNotRedrivable",
        format!("Execution Not Redrivable: '{reason}'"),
    )
}
