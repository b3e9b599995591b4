use proptest::prelude::*;

use super::*;
use crate::{Revision, SpanKind, TraceId};

fn id(number: u64) -> SpanId {
    SpanId::from_bytes(number.to_be_bytes()).unwrap()
}

fn span(number: u64, parent: u64, start: u64) -> Span {
    Span::open(
        TraceId::from_bytes([1; 16]).unwrap(),
        id(number),
        SpanId::from_bytes(parent.to_be_bytes()),
        number.to_string(),
        SpanKind::Internal,
        Timestamp::from_unix_nanos(start),
    )
}

/// `spans` are (id, parent, start); the tree is drawn with a dot a level, `?` for a
/// placeholder and `!` for a cut.
fn check(spans: &[(u64, u64, u64)], expected: &str) {
    let mut spans: Vec<_> = spans
        .iter()
        .map(|(number, parent, start)| span(*number, *parent, *start))
        .collect();
    for _ in 0..2 {
        let tree = Tree::of(&spans);
        let lines: Vec<_> = tree
            .nodes
            .iter()
            .map(|node| {
                let mark = match (node.span, node.placement) {
                    (NodeSpan::Missing(_), _) => "?",
                    (_, Placement::CutFromCycle) => "!",
                    _ => "",
                };
                let number = u64::from_be_bytes(*node.span_id().as_bytes());
                format!("{}{number}{mark}", ".".repeat(node.depth))
            })
            .collect();
        assert_eq!(lines.join(" "), expected);
        spans.reverse();
    }
}

#[test]
fn children_follow_their_parent_in_start_order() {
    check(&[], "");
    check(
        &[(1, 0, 0), (2, 1, 5), (3, 1, 3), (4, 3, 4), (5, 1, 5)],
        "1 .3 ..4 .2 .5",
    );
}

#[test]
fn hard_case_13_self_parents_and_circles_are_cut_at_their_first_span() {
    check(&[(1, 1, 0)], "1!");
    check(&[(1, 3, 5), (2, 1, 4), (3, 2, 6)], "2! .3 ..1");
    // What hangs off a circle stays below it.
    check(&[(9, 1, 0), (1, 2, 3), (2, 1, 3)], "1! .9 .2");
}

#[test]
fn hard_case_13_an_orphan_waits_under_a_placeholder() {
    check(
        &[(1, 0, 0), (5, 7, 9), (6, 7, 8), (8, 5, 9)],
        "1 7? .6 .5 ..8",
    );
    // Its parent came.
    check(
        &[(1, 0, 0), (5, 7, 9), (6, 7, 8), (8, 5, 9), (7, 1, 10)],
        "1 .7 ..6 ..5 ...8",
    );
}

#[test]
fn hard_case_13_a_root_that_comes_last_takes_its_place() {
    check(&[(2, 1, 5), (3, 1, 6)], "1? .2 .3");
    check(&[(2, 1, 5), (3, 1, 6), (1, 0, 7)], "1 .2 .3");
}

#[test]
fn hard_case_13_100000_siblings_and_10000_levels() {
    let mut spans = vec![span(1, 0, 0)];
    spans.extend((2..=100_001).map(|number| span(number, 1, number)));
    spans.extend((100_002..=110_001).map(|number| span(number, number - 1, number)));
    let tree = Tree::of(&spans);
    assert_eq!(tree.nodes.len(), 110_001);
    assert_eq!(tree.children(0).count(), 100_000);
    let deepest = tree.nodes.iter().map(|node| node.depth).max();
    assert_eq!(deepest, Some(10_001));
    assert_eq!(tree.roots().collect::<Vec<_>>(), [0]);
}

#[test]
fn hard_case_13_a_circle_of_10000_spans() {
    let spans: Vec<_> = (1..=10_000)
        .map(|number| span(number, number % 10_000 + 1, number))
        .collect();
    let tree = Tree::of(&spans);
    assert_eq!(tree.nodes.len(), 10_000);
    assert_eq!(tree.nodes[0].placement, Placement::CutFromCycle);
    assert_eq!(tree.nodes[0].span_id(), id(1));
    assert_eq!(tree.nodes[9_999].depth, 9_999);
}

#[test]
fn hard_case_14_the_highest_revision_is_kept() {
    let opened = span(1, 0, 3);
    let mut finished = span(1, 0, 3);
    finished.finish(Timestamp::from_unix_nanos(9), crate::Status::Ok);
    let mut abandoned = opened.clone();
    abandoned.revision = Revision::ABANDONED;
    abandoned.end = Some(Timestamp::from_unix_nanos(50));
    for order in [
        [&opened, &finished, &abandoned],
        [&finished, &abandoned, &opened],
    ] {
        let merged = merge(order.map(Clone::clone));
        assert_eq!(merged, vec![finished.clone()]);
    }
}

proptest! {
    #[test]
    fn every_span_is_in_the_tree_once(
        links in proptest::collection::vec((1..12u64, 0..14u64, 0..5u64), 0..20)
    ) {
        let spans: Vec<_> = links.iter().map(|(number, parent, start)| span(*number, *parent, *start)).collect();
        let tree = Tree::of(&spans);
        let mut seen: Vec<_> = tree.nodes.iter().filter_map(Node::span).map(|span| span.span_id).collect();
        seen.sort();
        let mut expected: Vec<_> = spans.iter().map(|span| span.span_id).collect();
        expected.sort();
        expected.dedup();
        prop_assert_eq!(seen, expected);
        for (index, node) in tree.nodes.iter().enumerate() {
            prop_assert!(node.subtree_end > index && node.subtree_end <= tree.nodes.len());
            match node.parent {
                Some(parent) => {
                    prop_assert!(parent < index && tree.nodes[parent].subtree_end >= node.subtree_end);
                    prop_assert_eq!(node.depth, tree.nodes[parent].depth + 1);
                    prop_assert!(tree.children(parent).any(|child| child == index));
                }
                None => prop_assert!(tree.roots().any(|root| root == index)),
            }
        }
    }
}
