//! The spans of one execution as they open and close, and which of them changed.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use trace_model::{
    AttributeValue, Content, ExecutionArn, Link, Revision, Span, SpanId, SpanKind, Status,
    Timestamp, TraceId, conventions,
};

use crate::attempt::millis;
use crate::failure::Failure;
use crate::flags;

/// Index into the tree; nodes are never removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(usize);

#[derive(Debug)]
pub(crate) struct Node {
    pub span: Span,
    pub parent: Option<NodeId>,
    pub shape: Shape,
    /// Which branch of the parent, a Parallel state, it is in.
    pub branch: Option<u32>,
    /// What failed last and nothing has made good yet: a retry clears it, a Catch takes it.
    pub failure: Option<Failure>,
    /// It failed then, and why is told later: by the Catch's output or the execution's end.
    pub failed_at: Option<Timestamp>,
    /// When an attempt had handed over what is answered elsewhere.
    pub submitted_at: Option<Timestamp>,
    ended: Ended,
    open_children: BTreeSet<NodeId>,
}

#[derive(Debug)]
pub(crate) enum Shape {
    Run,
    State(StateProgress),
    Iteration {
        index: i32,
    },
    Attempt,
    /// Of a task that calls a model without a function.
    ModelCall,
}

/// How far a state has come.
#[derive(Debug, Default)]
pub(crate) struct StateProgress {
    /// `Task`, `Map`, … as the history's event types begin.
    pub state_type: String,
    pub attempts: u32,
    pub last_attempt_end: Option<Timestamp>,
    /// How often a Map or Parallel state has started; more than once when it is retried.
    pub rounds: u32,
    /// Branches begun in this round.
    pub branches: u32,
    /// A Map or Parallel state has failed in this round.
    pub failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    No,
    ByItself,
    /// With a failure that reached the end of the execution, or may yet.
    UntilRedriven,
}

/// How a span ends.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Succeeded,
    Failed(Failure),
    /// Failed, and a Catch led on.
    Caught(Failure),
    Aborted {
        reason: String,
    },
}

/// Why something ended without an event of its own.
const PARENT_ENDED: &str = "what it was part of ended first";

/// Whether a redrive may open again what is closed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    ForGood,
    UntilRedriven,
}

#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    changed: BTreeMap<NodeId, Span>,
    span_ids: HashSet<SpanId>,
}

impl Tree {
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0]
    }

    pub(crate) fn has_span(&self, span_id: SpanId) -> bool {
        self.span_ids.contains(&span_id)
    }

    /// Adds an open span. Its first telling is what it is now: later attributes come with its
    /// end, so that one revision of a span is always the same, however the history was cut.
    pub(crate) fn open(
        &mut self,
        span: Span,
        parent: Option<NodeId>,
        branch: Option<u32>,
        shape: Shape,
    ) -> NodeId {
        let id = NodeId(self.nodes.len());
        if let Some(parent) = parent {
            self.reopen(parent);
            self.node_mut(parent).open_children.insert(id);
        }
        self.span_ids.insert(span.span_id);
        self.changed.insert(id, span.clone());
        self.nodes.push(Node {
            span,
            parent,
            shape,
            branch,
            failure: None,
            failed_at: None,
            submitted_at: None,
            ended: Ended::No,
            open_children: BTreeSet::new(),
        });
        id
    }

    /// Tells an open span again, with what has become known of it.
    pub(crate) fn tell_again(&mut self, id: NodeId) {
        let node = self.node_mut(id);
        if node.ended == Ended::No {
            node.span.revision = next_revision(node.span.revision);
            let told = node.span.clone();
            self.changed.insert(id, told);
        }
    }

    /// Ends a span and what is open below it. Nothing happens to one that has ended.
    pub(crate) fn close(&mut self, id: NodeId, end: Timestamp, outcome: Outcome, closing: Closing) {
        if self.node(id).ended != Ended::No {
            return;
        }
        let (reason, explanation) = match &outcome {
            Outcome::Aborted { reason } => (reason.as_str(), None),
            Outcome::Failed(failure) | Outcome::Caught(failure) => (PARENT_ENDED, Some(failure)),
            Outcome::Succeeded => (PARENT_ENDED, None),
        };
        self.close_below(id, end, reason, explanation, closing);
        let node = self.node_mut(id);
        let end = end.max(node.span.start);
        if let Some(submitted_at) = node.submitted_at {
            let waited = millis(end.since(submitted_at));
            node.span.set(conventions::WORKFLOW_WAIT_MS, waited);
        }
        let status = match outcome {
            Outcome::Succeeded => Status::Ok,
            Outcome::Failed(failure) => failed(&mut node.span, &failure),
            Outcome::Caught(failure) => {
                node.span.flag(flags::CAUGHT);
                failed(&mut node.span, &failure)
            }
            Outcome::Aborted { reason } => {
                node.span.flag(flags::ABORTED);
                if let Some(failure) = node.failure.clone() {
                    failed(&mut node.span, &failure)
                } else {
                    Status::Error {
                        message: format!("aborted: {reason}"),
                    }
                }
            }
        };
        let revision = next_revision(node.span.revision);
        node.span.finish(end, status);
        node.span.revision = revision;
        node.ended = match closing {
            Closing::ForGood => Ended::ByItself,
            Closing::UntilRedriven => Ended::UntilRedriven,
        };
        let told = match closing {
            // Its content has been told and is not needed again.
            Closing::ForGood => {
                let content = std::mem::take(&mut node.span.content);
                let mut told = node.span.clone();
                told.content = content;
                told
            }
            Closing::UntilRedriven => node.span.clone(),
        };
        let parent = node.parent;
        self.changed.insert(id, told);
        if let Some(parent) = parent {
            self.node_mut(parent).open_children.remove(&id);
        }
    }

    /// Ends everything open below a span: what failed and waited for its explanation with it,
    /// the rest as aborted.
    pub(crate) fn close_below(
        &mut self,
        id: NodeId,
        end: Timestamp,
        reason: &str,
        explanation: Option<&Failure>,
        closing: Closing,
    ) {
        for child in self.node(id).open_children.clone() {
            if let Some(failed_at) = self.node(child).failed_at {
                let failure = explanation.cloned().unwrap_or_default();
                self.close(child, failed_at, Outcome::Failed(failure), closing);
            } else {
                let reason = reason.to_owned();
                self.close(child, end, Outcome::Aborted { reason }, closing);
            }
        }
    }

    /// After a redrive: opens again what had ended with a failure, and everything above it.
    pub(crate) fn reopen(&mut self, id: NodeId) {
        let mut next = Some(id);
        while let Some(id) = next {
            let node = self.node_mut(id);
            if node.ended != Ended::UntilRedriven {
                break;
            }
            node.ended = Ended::No;
            node.failure = None;
            node.failed_at = None;
            node.span.end = None;
            node.span.status = Status::Unset;
            node.span.revision = Revision(node.span.revision.0 + 1);
            for attribute in [conventions::ERROR_TYPE, conventions::FLAGS] {
                node.span.attributes.shift_remove(attribute);
            }
            node.span.content.remove(conventions::ERROR_CAUSE);
            if let Shape::State(progress) = &mut node.shape {
                progress.failed = false;
            }
            let told = node.span.clone();
            let parent = node.parent;
            self.changed.insert(id, told);
            if let Some(parent) = parent {
                self.node_mut(parent).open_children.insert(id);
            }
            next = parent;
        }
    }

    /// From a node up to the root, the node first.
    pub(crate) fn upwards(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(Some(id), |id| self.node(*id).parent)
    }

    pub(crate) fn open_children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.node(id).open_children.iter().copied()
    }

    /// The child that opened last of those that are open, or that a redrive may open again.
    pub(crate) fn newest_unsettled_child(
        &self,
        parent: NodeId,
        is_it: impl Fn(&NodeId) -> bool,
    ) -> Option<NodeId> {
        let newest_first = (parent.0 + 1..self.nodes.len()).rev().map(NodeId);
        newest_first
            .filter(|id| self.node(*id).parent == Some(parent))
            .filter(|id| self.node(*id).ended != Ended::ByItself)
            .find(is_it)
    }

    /// The latest telling of each span that changed since the last call, in the order in which
    /// they opened.
    pub(crate) fn take_changed(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.changed).into_values().collect()
    }
}

/// A state's, iteration's or attempt's span before it has a place in the tree.
pub(crate) fn span_of_event(
    arn: &ExecutionArn,
    trace_id: TraceId,
    event_id: i64,
    name: String,
    kind: SpanKind,
    start: Timestamp,
) -> Span {
    let span_id = SpanId::of_history_event(arn, event_id);
    let mut span = Span::open(trace_id, span_id, None, name, kind, start);
    span.set(conventions::WORKFLOW_EVENT_ID, event_id);
    span
}

/// A recorded input or output: JSON nearly always, for that is all that a state passes on.
pub(crate) fn add_content(span: &mut Span, field: &str, text: &str) {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let media_type = if is_json {
        "application/json"
    } else {
        "text/plain"
    };
    span.content
        .insert(field.to_owned(), Content::text(media_type, text));
}

pub(crate) fn add_link_to_execution(span: &mut Span, arn: &ExecutionArn) {
    let link = Link {
        trace_id: TraceId::of_execution(arn),
        span_id: SpanId::of_execution(arn),
        attributes: [(
            conventions::EXECUTION_ARN.to_owned(),
            AttributeValue::from(arn.as_str()),
        )]
        .into_iter()
        .collect(),
    };
    if !span.links.contains(&link) {
        span.links.push(link);
    }
}

/// Above what a function that is given up for lost is told with.
fn next_revision(revision: Revision) -> Revision {
    Revision(revision.0.max(Revision::FINISHED.0 - 1) + 1)
}

fn failed(span: &mut Span, failure: &Failure) -> Status {
    if let Some(error) = &failure.error {
        span.set(conventions::ERROR_TYPE, error.as_str());
    }
    if let Some(cause) = &failure.cause {
        add_content(span, conventions::ERROR_CAUSE, cause);
    }
    Status::Error {
        message: failure.message(),
    }
}
