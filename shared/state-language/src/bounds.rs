//! Bounds what an expression may build. The evaluator bounds time, depth and
//! the length of sequences; it does not bound text, which a short expression
//! makes as long as it likes. So what makes text is given a guard around it
//! when it is parsed, and the guards count while it is evaluated.
//!
//! Not guarded: functions that are handed on by name, as in `$map(list, $string)`,
//! and copies of arrays, which time and the length of sequences bound.

use std::cell::Cell;
use std::rc::Rc;

use jsonata_core::ast::{AstNode, BinaryOp, Stage};
use jsonata_core::evaluator::{Evaluator, EvaluatorError};
use jsonata_core::value::JValue;

/// Of one text, or of one value that is made text: 64 times what a state may hold.
pub(crate) const MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;
/// Of all that is made again and again in one expression.
const MAX_KEPT_BYTES: usize = 4 * MAX_TEXT_BYTES;
/// What an item of an array takes.
const ITEM_BYTES: usize = 32;

// No expression can be written that calls these.
const KEPT: &str = "#kept";
const MEASURED: &str = "#measured";
const PADDED: &str = "#padded";
const JOINED: &str = "#joined";
const REPLACED: &str = "#replaced";
const RANGED: &str = "#ranged";

/// Functions that give a text no longer than what they are given, or guarded themselves.
const TEXT_FUNCTIONS: [&str; 20] = [
    "base64decode",
    "base64encode",
    "decodeUrl",
    "decodeUrlComponent",
    "encodeUrl",
    "encodeUrlComponent",
    "formatBase",
    "formatInteger",
    "formatNumber",
    "fromMillis",
    "hash",
    "join",
    "lowercase",
    "now",
    "pad",
    "replace",
    "string",
    "substring",
    "trim",
    "uuid",
];

/// Whether a part is evaluated once, or for each of many values.
#[derive(Clone, Copy, PartialEq)]
enum Times {
    Once,
    Many,
}

/// The expression with its guards; `None` when it needs none.
pub(crate) fn guarded(ast: &AstNode) -> Option<AstNode> {
    let mut guarding = Guarding { guards: 0 };
    let mut guarded = ast.clone();
    guarding.node(&mut guarded, Times::Once);
    (guarding.guards > 0).then_some(guarded)
}

struct Guarding {
    guards: usize,
}

impl Guarding {
    fn node(&mut self, node: &mut AstNode, times: Times) {
        match node {
            AstNode::Path { steps } => {
                for (index, step) in steps.iter_mut().enumerate() {
                    let times = if index == 0 { times } else { Times::Many };
                    self.node(&mut step.node, times);
                    for stage in &mut step.stages {
                        if let Stage::Filter(predicate) = stage {
                            self.node(predicate, Times::Many);
                        }
                    }
                }
            }
            AstNode::Binary { .. } => self.binary(node, times),
            AstNode::Function { args, .. } => {
                self.nodes(args, times);
                self.function(node, times);
            }
            AstNode::Call { procedure, args } => {
                self.node(procedure, times);
                self.nodes(args, times);
            }
            AstNode::Unary { operand, .. } => self.node(operand, times),
            AstNode::Lambda { body, .. } => self.node(body, Times::Many),
            AstNode::FunctionApplication(inner) => self.node(inner, Times::Many),
            AstNode::Array(items) | AstNode::ArrayGroup(items) | AstNode::Block(items) => {
                self.nodes(items, times);
            }
            AstNode::Object(pairs) => self.pairs(pairs, times),
            AstNode::ObjectTransform { input, pattern } => {
                self.node(input, times);
                self.pairs(pattern, Times::Many);
            }
            AstNode::Conditional {
                condition,
                then_branch,
                else_branch,
            } => {
                self.node(condition, times);
                self.node(then_branch, times);
                if let Some(else_branch) = else_branch {
                    self.node(else_branch, times);
                }
            }
            AstNode::Sort { input, terms } => {
                self.node(input, times);
                for (term, _) in terms {
                    self.node(term, Times::Many);
                }
            }
            AstNode::Transform {
                location,
                update,
                delete,
            } => {
                self.node(location, Times::Many);
                self.node(update, Times::Many);
                if let Some(delete) = delete {
                    self.node(delete, Times::Many);
                }
            }
            AstNode::String(_)
            | AstNode::Name(_)
            | AstNode::Number(_)
            | AstNode::Boolean(_)
            | AstNode::Null
            | AstNode::Undefined
            | AstNode::Placeholder
            | AstNode::Regex { .. }
            | AstNode::Variable(_)
            | AstNode::ParentVariable(_)
            | AstNode::Wildcard
            | AstNode::Descendant
            | AstNode::Parent(_) => {}
        }
    }

    fn nodes(&mut self, nodes: &mut [AstNode], times: Times) {
        for node in nodes {
            self.node(node, times);
        }
    }

    fn pairs(&mut self, pairs: &mut [(AstNode, AstNode)], times: Times) {
        for (key, value) in pairs {
            self.node(key, times);
            self.node(value, times);
        }
    }

    fn binary(&mut self, node: &mut AstNode, times: Times) {
        let AstNode::Binary { op, lhs, rhs } = node else {
            return;
        };
        match op {
            BinaryOp::Concatenate => {
                for side in [lhs, rhs] {
                    self.node(side, times);
                    if !is_measured(side) {
                        self.wrap(side, MEASURED, &[]);
                    }
                }
                if times == Times::Many {
                    self.wrap(node, KEPT, &[]);
                }
            }
            BinaryOp::Range => {
                self.node(lhs, times);
                self.node(rhs, times);
                let is_small = |side: &AstNode| matches!(side, AstNode::Number(_));
                if times == Times::Many || !is_small(lhs) || !is_small(rhs) {
                    self.wrap(rhs, RANGED, &[lhs.as_ref().clone()]);
                }
            }
            BinaryOp::ChainPipe => {
                self.node(lhs, times);
                if let AstNode::Function {
                    name,
                    args,
                    is_builtin: true,
                } = rhs.as_mut()
                    && is_guarded(name)
                {
                    // `x ~> $pad(3)` is `$pad(x, 3)`.
                    self.nodes(args, times);
                    let mut arguments = vec![std::mem::replace(lhs.as_mut(), AstNode::Undefined)];
                    arguments.append(args);
                    *node = call(name, arguments);
                    self.function(node, times);
                } else {
                    self.node(rhs, times);
                }
            }
            _ => {
                self.node(lhs, times);
                self.node(rhs, times);
            }
        }
    }

    /// The arguments have their guards already.
    fn function(&mut self, node: &mut AstNode, times: Times) {
        let AstNode::Function { name, args, .. } = node else {
            return;
        };
        if !is_guarded(name) || args.contains(&AstNode::Placeholder) {
            return;
        }
        match (name.as_str(), args.as_mut_slice()) {
            ("pad", [width] | [_, width] | [_, width, _]) if is_number(width) => {
                self.wrap(width, PADDED, &[]);
            }
            ("join", [array, rest @ ..]) => self.wrap(array, JOINED, rest),
            ("replace", [text, pattern, replacement, ..]) => {
                let others = [text.clone(), pattern.clone()];
                self.wrap(replacement, REPLACED, &others);
            }
            ("string", [value, ..]) if !is_measured(value) => self.wrap(value, MEASURED, &[]),
            _ => {}
        }
        if times == Times::Many {
            self.wrap(node, KEPT, &[]);
        }
    }

    /// Hands the value through a guard, beside others that the guard needs.
    fn wrap(&mut self, node: &mut AstNode, guard: &str, others: &[AstNode]) {
        self.guards += 1;
        let mut arguments = vec![std::mem::replace(node, AstNode::Undefined)];
        arguments.extend_from_slice(others);
        *node = call(guard, arguments);
    }
}

fn call(name: &str, args: Vec<AstNode>) -> AstNode {
    AstNode::Function {
        name: name.to_owned(),
        args,
        is_builtin: true,
    }
}

fn is_guarded(name: &str) -> bool {
    ["pad", "join", "replace", "string"].contains(&name)
}

/// Not the text of `$pad('x', 3)` where it is left to the context.
fn is_number(node: &AstNode) -> bool {
    !matches!(node, AstNode::String(_))
}

/// Whether the value is a text that has been bounded where it was made, or as large as it stands.
fn is_measured(node: &AstNode) -> bool {
    match node {
        AstNode::String(_) | AstNode::Number(_) | AstNode::Boolean(_) | AstNode::Null => true,
        AstNode::Binary { op, .. } => *op == BinaryOp::Concatenate,
        AstNode::Function { name, .. } => {
            name == KEPT || name == MEASURED || TEXT_FUNCTIONS.contains(&name.as_str())
        }
        // Of the state's own data, and no more than a part of it.
        AstNode::Path { steps } => {
            matches!(&steps[0].node, AstNode::Variable(name) if name == "states")
                && steps[1..]
                    .iter()
                    .all(|step| matches!(step.node, AstNode::Name(_)))
        }
        _ => false,
    }
}

/// Makes the guards known to an evaluator; they count for it alone.
pub(crate) fn register(evaluator: &mut Evaluator) -> Result<(), EvaluatorError> {
    let kept_bytes = Rc::new(Cell::new(0_usize));
    let keep = move |bytes: usize| {
        let total = kept_bytes.get().saturating_add(bytes);
        kept_bytes.set(total);
        if total > MAX_KEPT_BYTES {
            return too_much(MAX_KEPT_BYTES);
        }
        Ok(())
    };
    let keep_range = keep.clone();
    evaluator.register_fn(KEPT, move |given: &[JValue]| {
        let value = first(given);
        keep(value.as_str().map_or(0, str::len))?;
        Ok(value)
    })?;
    evaluator.register_fn(MEASURED, |given: &[JValue]| {
        let value = first(given);
        within(text_bytes(&value, MAX_TEXT_BYTES))?;
        Ok(value)
    })?;
    evaluator.register_fn(PADDED, |given: &[JValue]| {
        let width = first(given);
        // Four bytes is the longest character.
        within(as_count(&width).saturating_mul(4))?;
        Ok(width)
    })?;
    evaluator.register_fn(JOINED, |given: &[JValue]| {
        let array = first(given);
        let separator = given.get(1).and_then(JValue::as_str).map_or(0, str::len);
        let mut bytes = 0_usize;
        for item in array.as_array().into_iter().flatten() {
            let item = item.as_str().map_or(0, str::len);
            bytes = bytes.saturating_add(item).saturating_add(separator);
        }
        within(bytes)?;
        Ok(array)
    })?;
    evaluator.register_fn(REPLACED, |given: &[JValue]| {
        let replacement = first(given);
        if let (Some(by), Some(text)) =
            (replacement.as_str(), given.get(1).and_then(JValue::as_str))
        {
            let times = match given.get(2).and_then(JValue::as_str) {
                Some(pattern) if !pattern.is_empty() => text.matches(pattern).count(),
                // A regular expression matches at most once a character, and rarely that often.
                _ if by.len() <= 1024 => 0,
                _ => text.len(),
            };
            within(text.len().saturating_add(times.saturating_mul(by.len())))?;
        }
        Ok(replacement)
    })?;
    evaluator.register_fn(RANGED, move |given: &[JValue]| {
        let last = first(given);
        let items = match (given.get(1).and_then(JValue::as_f64), last.as_f64()) {
            (Some(first), Some(last)) => as_count(&JValue::from_f64((last - first).max(0.0))),
            _ => 0,
        };
        keep_range(items.saturating_mul(ITEM_BYTES))?;
        Ok(last)
    })
}

fn first(given: &[JValue]) -> JValue {
    given.first().cloned().unwrap_or(JValue::Undefined)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates, and the sign is taken off"
)]
fn as_count(value: &JValue) -> usize {
    value.as_f64().map_or(0, |number| number.abs() as usize)
}

fn within(bytes: usize) -> Result<(), EvaluatorError> {
    if bytes > MAX_TEXT_BYTES {
        return too_much(MAX_TEXT_BYTES);
    }
    Ok(())
}

fn too_much<T>(most: usize) -> Result<T, EvaluatorError> {
    Err(EvaluatorError::EvaluationError(format!(
        "the expression builds more than {most} bytes"
    )))
}

/// About how long the value is as JSON; it stops counting beyond `most`.
pub(crate) fn text_bytes(value: &JValue, most: usize) -> usize {
    match value {
        JValue::String(text) => text.len(),
        JValue::Array(items) => {
            let mut bytes = 2;
            for item in &**items {
                if bytes > most {
                    break;
                }
                bytes += 1 + text_bytes(item, most - bytes);
            }
            bytes
        }
        JValue::Object(fields) => {
            let mut bytes = 2;
            for (name, value) in fields.iter() {
                if bytes > most {
                    break;
                }
                bytes += 4 + name.len() + text_bytes(value, most.saturating_sub(bytes));
            }
            bytes
        }
        _ => 4,
    }
}
