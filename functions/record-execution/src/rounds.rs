//! Rounds of Map and Parallel states: their iterations, and how what fails inside ends them.

use aws_sdk_sfn::types::HistoryEvent;
use trace_model::{SpanKind, Timestamp, conventions};

use crate::failure::Failure;
use crate::recorder::{HistoryRecorder, MAP_RUN_ARN, Position, ROUND};
use crate::tree::{Closing, NodeId, Outcome, Shape, span_of_event};

#[derive(Clone, Copy, Debug)]
pub(crate) enum IterationEnd {
    Succeeded,
    Failed,
    Aborted,
}

impl HistoryRecorder {
    pub(crate) fn round_started(
        &mut self,
        at: Timestamp,
        from: Position,
        state_type: &str,
    ) -> Position {
        let position = self.nearest_state(from, state_type);
        self.tree.reopen(position.node);
        self.tree.close_below(
            position.node,
            at,
            "the state was retried",
            None,
            Closing::ForGood,
        );
        let node = self.tree.node_mut(position.node);
        node.failure = None;
        if let Shape::State(progress) = &mut node.shape {
            progress.rounds += 1;
            progress.branches = 0;
            progress.failed = false;
        }
        position
    }

    /// A Map or Parallel state failed with what failed inside it, or with a failure of its own.
    pub(crate) fn round_failed(
        &mut self,
        at: Timestamp,
        from: Position,
        state_type: &str,
        own: Option<Failure>,
    ) -> Position {
        let found = self.tree.upwards(from.node).find(|id| {
            self.state(*id)
                .is_some_and(|state| state.state_type == state_type && !state.failed)
        });
        let Some(id) = found else { return from };
        let inside = self.fail_chain(at, from.node, id);
        let node = self.tree.node_mut(id);
        let failure = own.or(inside).or(node.failure.take()).unwrap_or_default();
        node.failure = Some(failure);
        if let Shape::State(progress) = &mut node.shape {
            progress.failed = true;
        }
        Position::inside(id)
    }

    /// Ends what is open between `from` and `above` (not ended itself) as failed, with the
    /// innermost failure, which is the answer.
    pub(crate) fn fail_chain(
        &mut self,
        at: Timestamp,
        from: NodeId,
        above: NodeId,
    ) -> Option<Failure> {
        let chain: Vec<NodeId> = self
            .tree
            .upwards(from)
            .take_while(|id| *id != above)
            .collect();
        let mut failure: Option<Failure> = None;
        for id in chain {
            let known = self.tree.node(id).failure.clone();
            failure = failure.filter(Failure::is_told).or(known);
            self.fail(id, at, failure.as_ref());
        }
        failure
    }

    /// Ends a span as failed, once it is known why.
    pub(crate) fn fail(&mut self, id: NodeId, at: Timestamp, failure: Option<&Failure>) {
        match failure.filter(|failure| failure.is_told()) {
            Some(failure) => {
                let outcome = Outcome::Failed(failure.clone());
                self.tree.close(id, at, outcome, Closing::UntilRedriven);
            }
            None => {
                self.tree.node_mut(id).failed_at.get_or_insert(at);
            }
        }
    }

    pub(crate) fn map_run_started(&mut self, event: &HistoryEvent, from: Position) -> Position {
        let position = self.nearest_state(from, "Map");
        let started = event.map_run_started_event_details.as_ref();
        let redriven = event.map_run_redriven_event_details.as_ref();
        let arn = started
            .and_then(|details| details.map_run_arn.as_deref())
            .or_else(|| redriven.and_then(|details| details.map_run_arn.as_deref()));
        if let Some(arn) = arn {
            self.tree.node_mut(position.node).span.set(MAP_RUN_ARN, arn);
        }
        position
    }

    pub(crate) fn iteration_started(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        from: Position,
    ) -> Position {
        let details = event.map_iteration_started_event_details.as_ref();
        let index = details.map_or(0, |details| details.index);
        let map = self.nearest_state(from, "Map").node;
        let node = self.tree.node(map);
        let name = format!("{} iteration {index}", node.span.name);
        let state = node.span.name.clone();
        let parent = node.span.span_id;
        let rounds = self.state(map).map_or(1, |state| state.rounds);
        let mut span = span_of_event(
            &self.arn,
            self.trace_id,
            event.id,
            name,
            SpanKind::Iteration,
            at,
        );
        self.describe(&mut span);
        span.parent_span_id = Some(parent);
        span.set(conventions::WORKFLOW_STATE, state);
        span.set(conventions::WORKFLOW_ITERATION, index);
        if rounds > 1 {
            span.set(ROUND, rounds);
        }
        Position::inside(
            self.tree
                .open(span, Some(map), None, Shape::Iteration { index }),
        )
    }

    pub(crate) fn iteration_ended(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        from: Position,
        end: IterationEnd,
    ) -> Position {
        let details = match end {
            IterationEnd::Succeeded => &event.map_iteration_succeeded_event_details,
            IterationEnd::Failed => &event.map_iteration_failed_event_details,
            IterationEnd::Aborted => &event.map_iteration_aborted_event_details,
        };
        let index = details.as_ref().map(|details| details.index);
        let name = details.as_ref().and_then(|details| details.name.as_deref());
        let Some(id) = self.iteration(from, index, name) else {
            return from;
        };
        let map = self.tree.node(id).parent.unwrap_or(id);
        match end {
            IterationEnd::Succeeded => {
                self.tree
                    .close(id, at, Outcome::Succeeded, Closing::ForGood);
            }
            IterationEnd::Aborted => {
                let reason = "another iteration failed, or the Map state was ended".to_owned();
                self.tree
                    .close(id, at, Outcome::Aborted { reason }, Closing::UntilRedriven);
            }
            IterationEnd::Failed => {
                let failure = self.fail_chain(at, from.node, id);
                self.fail(id, at, failure.as_ref());
                self.tree.node_mut(map).failure = Some(failure.unwrap_or_default());
            }
        }
        Position::inside(map)
    }

    /// The iteration that an event is about: up the chain, or an open one of a Map on the way.
    pub(crate) fn iteration(
        &self,
        from: Position,
        index: Option<i32>,
        map: Option<&str>,
    ) -> Option<NodeId> {
        let is_it = |id: &NodeId| match &self.tree.node(*id).shape {
            Shape::Iteration { index: found } => {
                let parent = self.tree.node(*id).parent;
                let map_name = parent.map(|map| self.tree.node(map).span.name.as_str());
                index.is_none_or(|index| index == *found)
                    && (map.is_none() || map_name.is_none() || map == map_name)
            }
            _ => false,
        };
        self.tree.upwards(from.node).find(is_it).or_else(|| {
            self.tree
                .upwards(from.node)
                .find_map(|id| self.tree.open_children(id).find(is_it))
        })
    }
}
