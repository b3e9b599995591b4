use std::cmp::Ordering;
use std::collections::HashMap;

use crate::{Span, SpanId, Timestamp, otlp};

/// Of each span its highest revision, in start order (then span id). The order in which the
/// tellings came changes nothing.
pub fn merge(spans: impl IntoIterator<Item = Span>) -> Vec<Span> {
    let mut kept: HashMap<SpanId, Span> = HashMap::new();
    for span in spans {
        match kept.get_mut(&span.span_id) {
            Some(known) if supersedes(&span, known) => *known = span,
            Some(_) => {}
            None => {
                kept.insert(span.span_id, span);
            }
        }
    }
    let mut spans: Vec<_> = kept.into_values().collect();
    spans.sort_by_key(place);
    spans
}

/// [`merge`] of borrowed spans.
pub fn latest<'a>(spans: impl IntoIterator<Item = &'a Span>) -> Vec<&'a Span> {
    let mut kept: HashMap<SpanId, &'a Span> = HashMap::new();
    for span in spans {
        let known = kept.entry(span.span_id).or_insert(span);
        if supersedes(span, known) {
            *known = span;
        }
    }
    let mut spans: Vec<_> = kept.into_values().collect();
    spans.sort_by_key(|span| place(span));
    spans
}

/// Spans as their parents order them: flat, each before its children, siblings by start (then
/// span id). Every span is in it once, whatever its parent says.
#[derive(Clone, Debug)]
pub struct Tree<'a> {
    pub nodes: Vec<Node<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Node<'a> {
    pub span: NodeSpan<'a>,
    /// 0 for a root.
    pub depth: usize,
    /// Index of the parent node.
    pub parent: Option<usize>,
    /// Index after the last node below this one.
    pub subtree_end: usize,
    pub placement: Placement,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NodeSpan<'a> {
    Here(&'a Span),
    /// A placeholder: others call it their parent, and it has not come.
    Missing(SpanId),
}

/// Why a node stands where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It has no parent, or is a placeholder.
    Root,
    Child,
    /// Under the placeholder of its parent.
    Orphan,
    /// It is its own ancestor. Of such a circle the first span, by start and span id, becomes a
    /// root; the others stay below it.
    CutFromCycle,
}

/// The parent of a span among those at hand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parent {
    None,
    At(usize),
    Missing(SpanId),
    Cut,
}

impl<'a> Tree<'a> {
    /// Revisions may be mixed: the highest counts.
    pub fn of(spans: &'a [Span]) -> Self {
        let spans = latest(spans);
        let parents = parents(&spans);
        let mut roots: Vec<Root> = Vec::new();
        let mut placeholders: HashMap<SpanId, usize> = HashMap::new();
        // Spans come sorted, so every list of children is, and a placeholder stands where its
        // first orphan would.
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
        for (index, parent) in parents.iter().enumerate() {
            match *parent {
                Parent::At(parent) => children[parent].push(index),
                Parent::None | Parent::Cut => roots.push(Root::Span(index)),
                Parent::Missing(id) => {
                    let root = *placeholders.entry(id).or_insert_with(|| {
                        roots.push(Root::Placeholder(id, Vec::new()));
                        roots.len() - 1
                    });
                    if let Root::Placeholder(_, orphans) = &mut roots[root] {
                        orphans.push(index);
                    }
                }
            }
        }
        let mut builder = Builder {
            spans: &spans,
            children: &children,
            nodes: Vec::with_capacity(spans.len() + placeholders.len()),
        };
        for root in roots {
            match root {
                Root::Span(index) => {
                    let placement = match parents[index] {
                        Parent::Cut => Placement::CutFromCycle,
                        _ => Placement::Root,
                    };
                    builder.add_subtree(index, None, placement);
                }
                Root::Placeholder(id, orphans) => {
                    let placeholder = builder.add(NodeSpan::Missing(id), None, Placement::Root);
                    for orphan in orphans {
                        builder.add_subtree(orphan, Some(placeholder), Placement::Orphan);
                    }
                }
            }
        }
        let mut nodes = builder.nodes;
        for index in (0..nodes.len()).rev() {
            if let Some(parent) = nodes[index].parent {
                nodes[parent].subtree_end = nodes[parent].subtree_end.max(nodes[index].subtree_end);
            }
        }
        Self { nodes }
    }

    /// Indices of the nodes right below a node.
    pub fn children(&self, node: usize) -> impl Iterator<Item = usize> {
        let end = self.nodes[node].subtree_end;
        let first = (node + 1 < end).then_some(node + 1);
        std::iter::successors(first, move |child| {
            Some(self.nodes[*child].subtree_end).filter(|next| *next < end)
        })
    }

    /// Indices of the nodes without a parent.
    pub fn roots(&self) -> impl Iterator<Item = usize> {
        let first = (!self.nodes.is_empty()).then_some(0);
        std::iter::successors(first, move |root| {
            Some(self.nodes[*root].subtree_end).filter(|next| *next < self.nodes.len())
        })
    }
}

impl<'a> Node<'a> {
    pub const fn span(&self) -> Option<&'a Span> {
        match self.span {
            NodeSpan::Here(span) => Some(span),
            NodeSpan::Missing(_) => None,
        }
    }

    pub const fn span_id(&self) -> SpanId {
        match self.span {
            NodeSpan::Here(span) => span.span_id,
            NodeSpan::Missing(span_id) => span_id,
        }
    }
}

/// Each span's parent, with circles cut: no walk upwards through the result is endless. The
/// spans come from [`latest`].
pub(crate) fn parents(spans: &[&Span]) -> Vec<Parent> {
    let places: HashMap<SpanId, usize> = spans
        .iter()
        .enumerate()
        .map(|(index, span)| (span.span_id, index))
        .collect();
    let mut parents: Vec<_> = spans
        .iter()
        .map(|span| match span.parent_span_id {
            None => Parent::None,
            Some(id) => places
                .get(&id)
                .map_or(Parent::Missing(id), |place| Parent::At(*place)),
        })
        .collect();
    // The number of the walk that came by; 0 for none.
    let mut walked = vec![0; spans.len()];
    for start in 0..spans.len() {
        let walk = start + 1;
        let mut here = start;
        while walked[here] == 0 {
            walked[here] = walk;
            let Parent::At(parent) = parents[here] else {
                break;
            };
            here = parent;
            if walked[here] == walk {
                let first = first_of_circle(&parents, here);
                parents[first] = Parent::Cut;
            }
        }
    }
    parents
}

enum Root {
    Span(usize),
    Placeholder(SpanId, Vec<usize>),
}

struct Builder<'s, 'a> {
    spans: &'s [&'a Span],
    children: &'s [Vec<usize>],
    nodes: Vec<Node<'a>>,
}

impl<'a> Builder<'_, 'a> {
    /// Iterative: a trace may be 10,000 levels deep.
    fn add_subtree(&mut self, index: usize, parent: Option<usize>, placement: Placement) {
        let mut open = vec![(index, parent, placement)];
        while let Some((index, parent, placement)) = open.pop() {
            let node = self.add(NodeSpan::Here(self.spans[index]), parent, placement);
            let children = self.children[index].iter().rev();
            open.extend(children.map(|child| (*child, Some(node), Placement::Child)));
        }
    }

    fn add(&mut self, span: NodeSpan<'a>, parent: Option<usize>, placement: Placement) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node {
            span,
            depth: parent.map_or(0, |parent| self.nodes[parent].depth + 1),
            parent,
            subtree_end: index + 1,
            placement,
        });
        index
    }
}

fn first_of_circle(parents: &[Parent], member: usize) -> usize {
    let mut first = member;
    let mut here = member;
    while let Parent::At(parent) = parents[here] {
        here = parent;
        first = first.min(here);
        if here == member {
            break;
        }
    }
    first
}

const fn place(span: &Span) -> (Timestamp, SpanId) {
    (span.start, span.span_id)
}

/// What comes from the history is displaced by nothing that claims its id. Two different
/// tellings with one revision should not be; one of them still has to win whichever comes
/// first: the one that ended, ended later, or else the greater in bytes.
fn supersedes(span: &Span, known: &Span) -> bool {
    let rank = |span: &Span| {
        let from_history = span.kind.is_of_history();
        (from_history, span.revision, span.end, span.start)
    };
    match rank(span).cmp(&rank(known)) {
        Ordering::Greater => true,
        Ordering::Less => false,
        Ordering::Equal => {
            span != known && otlp::encode_to_vec(&[span]) > otlp::encode_to_vec(&[known])
        }
    }
}

#[cfg(test)]
mod tests;
