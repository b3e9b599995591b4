//! States: entered, left, aborted, and failed by an expression.

use aws_sdk_sfn::types::HistoryEvent;
use trace_model::{SpanKind, Timestamp, conventions};

use crate::failure::Failure;
use crate::recorder::{ERROR_LOCATION, HistoryRecorder, Leaving, Position, ROUND};
use crate::tree::{Closing, NodeId, Outcome, Shape, StateProgress, add_content, span_of_event};

impl HistoryRecorder {
    pub(crate) fn state_entered(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        from: Position,
        state_type: &str,
    ) -> Position {
        let details = event.state_entered_event_details.as_ref();
        let name = details.map_or("", |details| details.name.as_str());
        if let Some(leaving) = self.leaving.remove(&event.previous_event_id) {
            self.leave(leaving, Some(name));
        }
        let (parent, branch) = self.container(from, at);
        let mut span = span_of_event(
            &self.arn,
            self.trace_id,
            event.id,
            name.to_owned(),
            SpanKind::State,
            at,
        );
        self.describe(&mut span);
        span.parent_span_id = Some(self.tree.node(parent).span.span_id);
        span.set(conventions::WORKFLOW_STATE, name);
        span.set(conventions::WORKFLOW_STATE_TYPE, state_type);
        if let Some(branch) = branch {
            span.set(conventions::WORKFLOW_BRANCH, branch);
            if let Shape::State(progress) = &self.tree.node(parent).shape
                && progress.rounds > 1
            {
                span.set(ROUND, progress.rounds);
            }
        }
        if let Some(input) = details.and_then(|details| details.input.as_deref()) {
            add_content(&mut span, conventions::INPUT, input);
        }
        let progress = StateProgress {
            state_type: state_type.to_owned(),
            ..StateProgress::default()
        };
        Position::inside(
            self.tree
                .open(span, Some(parent), branch, Shape::State(progress)),
        )
    }

    /// What a state that is entered from here is part of.
    pub(crate) fn container(&mut self, from: Position, at: Timestamp) -> (NodeId, Option<u32>) {
        if from.branch.is_some() {
            return (from.node, from.branch);
        }
        let mut id = from.node;
        loop {
            let node = self.tree.node_mut(id);
            let (parent, branch) = (node.parent, node.branch);
            match &mut node.shape {
                Shape::State(progress) if progress.state_type == "Parallel" && !progress.failed => {
                    let branch = progress.branches;
                    progress.branches += 1;
                    return (id, Some(branch));
                }
                Shape::State(progress) if progress.state_type == "Map" && !progress.failed => {
                    return (id, None);
                }
                Shape::Run | Shape::Iteration { .. } => return (id, None),
                Shape::State(_) => {
                    // It was left without an exit: after a redrive, or in a cut history.
                    self.tree
                        .close(id, at, Outcome::Succeeded, Closing::ForGood);
                    let Some(parent) = parent else {
                        return (id, None);
                    };
                    if branch.is_some() {
                        return (parent, branch);
                    }
                    id = parent;
                }
                Shape::Attempt | Shape::ModelCall => {
                    let Some(parent) = parent else {
                        return (id, None);
                    };
                    id = parent;
                }
            }
        }
    }

    pub(crate) fn state_exited(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        from: Position,
    ) -> Position {
        let details = event.state_exited_event_details.as_ref();
        let name = details.map_or("", |details| details.name.as_str());
        let found = self
            .tree
            .upwards(from.node)
            .find(|id| self.state(*id).is_some() && self.tree.node(*id).span.name == name);
        let Some(id) = found else { return from };
        // A redriven state that only waited is left without another event before.
        self.tree.reopen(id);
        let node = self.tree.node_mut(id);
        let output = details.and_then(|details| details.output.as_deref());
        if let Some(output) = output {
            add_content(&mut node.span, conventions::OUTPUT, output);
            if let Some(failure) = &mut node.failure
                && !failure.is_told()
                && let Some(told) = Failure::from_error_output(output)
            {
                *failure = told;
            }
        }
        let failure = node.failure.clone();
        let caught = failure.is_some();
        let is_choice =
            matches!(&node.shape, Shape::State(progress) if progress.state_type == "Choice");
        let after = Position {
            node: node.parent.unwrap_or(id),
            branch: node.branch,
        };
        let leaving = Leaving { node: id, at };
        if caught || is_choice {
            self.tree.close_below(
                id,
                at,
                "the state was left",
                failure.as_ref(),
                Closing::ForGood,
            );
            self.leaving.insert(event.id, leaving);
        } else {
            self.leave(leaving, None);
        }
        after
    }

    pub(crate) fn leave(&mut self, leaving: Leaving, next: Option<&str>) {
        let node = self.tree.node_mut(leaving.node);
        if let Some(next) = next {
            node.span.set(conventions::WORKFLOW_NEXT, next);
        }
        let outcome = match node.failure.take() {
            Some(failure) => Outcome::Caught(failure),
            None => Outcome::Succeeded,
        };
        self.tree
            .close(leaving.node, leaving.at, outcome, Closing::ForGood);
    }

    pub(crate) fn state_aborted(
        &mut self,
        at: Timestamp,
        from: Position,
        state_type: &str,
    ) -> Position {
        let found = self.tree.upwards(from.node).find(|id| {
            self.state(*id)
                .is_some_and(|state| state.state_type == state_type)
        });
        let Some(id) = found else { return from };
        let reason = "Step Functions ended it with what it was part of".to_owned();
        self.tree
            .close(id, at, Outcome::Aborted { reason }, Closing::UntilRedriven);
        let node = self.tree.node(id);
        Position {
            node: node.parent.unwrap_or(id),
            branch: node.branch,
        }
    }

    pub(crate) fn evaluation_failed(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        from: Position,
    ) -> Position {
        let Some(details) = &event.evaluation_failed_event_details else {
            return from;
        };
        let is_it = |id: &NodeId| {
            self.state(*id).is_some() && self.tree.node(*id).span.name == details.state
        };
        // A state's first expression fails with an event that links past the state's own entry,
        // to what came before it: there the state is a child, and not on the way up.
        let above = self.tree.upwards(from.node).find(is_it);
        let named = above.or_else(|| self.tree.newest_unsettled_child(from.node, is_it));
        let Some(id) = named else { return from };
        self.tree.reopen(id);
        if above.is_some() {
            // It fails with what failed inside it.
            self.fail_chain(at, from.node, id);
        }
        let node = self.tree.node_mut(id);
        node.failure = Some(Failure::new(
            details.error.as_deref(),
            details.cause.as_deref(),
        ));
        if let Some(location) = &details.location {
            node.span.set(ERROR_LOCATION, location.as_str());
        }
        Position::inside(id)
    }
}
