//! How an execution ends, and that a redrive takes it up again.

use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType as Type};
use trace_model::{Attributes, Event, RunStatus, Timestamp, conventions};

use crate::failure::Failure;
use crate::recorder::{HistoryRecorder, Leaving, Position};
use crate::tree::{Closing, NodeId, Outcome, add_content};

/// The name of the run span's event for each redrive.
pub const REDRIVE_EVENT: &str = "redrive";

/// How an execution ended.
struct Ending {
    status: RunStatus,
    failure: Failure,
    output: Option<String>,
    /// Why what was still open ended.
    reason: &'static str,
}

impl Ending {
    fn of(event: &HistoryEvent) -> Self {
        let failure = |error: &Option<String>, cause: &Option<String>, otherwise: &str| {
            let mut failure = Failure::new(error.as_deref(), cause.as_deref());
            failure.error.get_or_insert_with(|| otherwise.to_owned());
            failure
        };
        let (status, failure, reason) = match &event.r#type {
            Type::ExecutionFailed => {
                let details = event
                    .execution_failed_event_details
                    .clone()
                    .unwrap_or_else(|| {
                        aws_sdk_sfn::types::ExecutionFailedEventDetails::builder().build()
                    });
                let failure = Failure::new(details.error.as_deref(), details.cause.as_deref());
                (RunStatus::Failed, failure, "the execution failed")
            }
            Type::ExecutionTimedOut => {
                let details = event.execution_timed_out_event_details.as_ref();
                let (error, cause) = details
                    .map(|details| (details.error.clone(), details.cause.clone()))
                    .unwrap_or_default();
                let failure = failure(&error, &cause, "States.Timeout");
                (RunStatus::TimedOut, failure, "the execution timed out")
            }
            Type::ExecutionAborted => {
                let details = event.execution_aborted_event_details.as_ref();
                let (error, cause) = details
                    .map(|details| (details.error.clone(), details.cause.clone()))
                    .unwrap_or_default();
                let failure = failure(&error, &cause, "Aborted");
                (RunStatus::Aborted, failure, "the execution was aborted")
            }
            _ => (
                RunStatus::Succeeded,
                Failure::default(),
                "the execution had succeeded",
            ),
        };
        let details = event.execution_succeeded_event_details.as_ref();
        Self {
            status,
            failure,
            output: details.and_then(|details| details.output.clone()),
            reason,
        }
    }
}

impl HistoryRecorder {
    pub(crate) fn execution_redriven(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        run: NodeId,
        from: Position,
    ) -> Position {
        let details = event.execution_redriven_event_details.as_ref();
        let said = details.and_then(|details| u32::try_from(details.redrive_count?).ok());
        let known = self.outline.as_ref().map_or(0, |outline| outline.redrives);
        // The larger one: a cut history has not seen them all.
        let count = said.unwrap_or(0).max(known + 1);
        // Before it is opened again, so that its next telling has it.
        let span = &mut self.tree.node_mut(run).span;
        span.set(conventions::REDRIVE_COUNT, count);
        span.events.push(Event {
            name: REDRIVE_EVENT.to_owned(),
            time: at,
            attributes: Attributes::from_iter([(
                conventions::REDRIVE_COUNT.to_owned(),
                count.into(),
            )]),
        });
        self.tree.reopen(run);
        if let Some(outline) = &mut self.outline {
            outline.status = RunStatus::Running;
            outline.finished_at = None;
            outline.redrives = count;
            outline.error = None;
        }
        from
    }

    pub(crate) fn execution_ended(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        run: NodeId,
        from: Position,
    ) {
        let mut leaving: Vec<Leaving> = self.leaving.drain().map(|(_, leaving)| leaving).collect();
        leaving.sort_by_key(|leaving| leaving.node);
        for leaving in leaving {
            self.leave(leaving, None);
        }
        self.tenants.decide();
        let ending = Ending::of(event);
        if ending.status == RunStatus::Failed {
            let chain: Vec<NodeId> = self
                .tree
                .upwards(from.node)
                .take_while(|id| *id != run)
                .collect();
            for id in chain {
                let own = self.tree.node(id).failure.clone();
                let failure = own
                    .filter(Failure::is_told)
                    .unwrap_or_else(|| ending.failure.clone());
                let at = self.tree.node(id).failed_at.unwrap_or(at);
                self.tree
                    .close(id, at, Outcome::Failed(failure), Closing::UntilRedriven);
            }
        }
        self.tree.close_below(
            run,
            at,
            ending.reason,
            Some(&ending.failure),
            Closing::UntilRedriven,
        );
        let outcome = if ending.status == RunStatus::Succeeded {
            if let Some(output) = &ending.output {
                add_content(
                    &mut self.tree.node_mut(run).span,
                    conventions::OUTPUT,
                    output,
                );
            }
            Outcome::Succeeded
        } else {
            Outcome::Failed(ending.failure.clone())
        };
        self.tree.close(run, at, outcome, Closing::UntilRedriven);
        if let Some(outline) = &mut self.outline {
            outline.status = ending.status;
            outline.finished_at = Some(at);
            outline.error = ending.failure.error;
        }
    }
}
