//! What an expression reads and calls, found once when it is parsed: so that
//! only that is converted for the evaluator, and mistakes are told before a run.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};

use crate::Rule;

/// How much of a value an expression reads.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Read {
    pub(crate) whole: bool,
    /// Fields that are read, when the value is an object; meaningless when `whole`.
    pub(crate) fields: IndexMap<String, Read>,
}

#[derive(Debug, Default)]
pub(crate) struct Inspection {
    /// By variable name without `$`; functions named like variables are here too.
    pub(crate) reads: IndexMap<String, Read>,
    /// Names called as `$name(…)`.
    pub(crate) calls: BTreeSet<String>,
    /// Each call, unless it leaves arguments open with `?`.
    pub(crate) complete_calls: Vec<Call>,
    /// What `$exists(…)` is asked about: a variable's name, then fields.
    probed: Vec<Vec<String>>,
    /// Names that the expression binds itself: by `:=`, `@`, `#` or as a parameter.
    pub(crate) bound: BTreeSet<String>,
    /// What Step Functions forbids.
    pub(crate) forbidden: Vec<Forbidden>,
}

/// `$name(…)` with this many arguments, one more when it stands behind `~>`.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: usize,
    /// A missing first argument may be the context value.
    pub(crate) has_context: bool,
}

/// What Step Functions forbids in an expression.
#[derive(Debug, PartialEq)]
pub(crate) struct Forbidden {
    pub(crate) rule: Rule,
    /// As it stands in the expression.
    pub(crate) token: String,
    pub(crate) message: String,
    pub(crate) advice: String,
}

/// Whether there is a context value: at the top level Step Functions gives none.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Top,
    Inside,
}

/// How many arguments a call has: those written, or the value before `~>` too.
#[derive(Clone, Copy, PartialEq)]
enum Given {
    AsWritten,
    OneMore,
}

impl Inspection {
    pub(crate) fn of(ast: &AstNode) -> Self {
        let mut inspection = Self::default();
        let mut reads_parent = false;
        inspection.node(ast, Level::Top, &mut reads_parent);
        if reads_parent {
            // `%` climbs out of what a path descended into.
            inspection
                .reads
                .values_mut()
                .for_each(|read| read.whole = true);
        }
        inspection
    }

    /// Whether the expression asks if there is such a thing, or something in it.
    pub(crate) fn is_probed(&self, path: &[&str]) -> bool {
        self.probed.iter().any(|probed| {
            probed.len() >= path.len() && probed.iter().zip(path).all(|(a, b)| a == b)
        })
    }

    fn node(&mut self, node: &AstNode, level: Level, parent: &mut bool) {
        match node {
            AstNode::String(_)
            | AstNode::Number(_)
            | AstNode::Boolean(_)
            | AstNode::Null
            | AstNode::Undefined
            | AstNode::Placeholder
            | AstNode::Regex { .. } => {}
            AstNode::Parent(_) => *parent = true,
            AstNode::Variable(name) if !name.is_empty() => self.read(name).whole = true,
            AstNode::ParentVariable(_) => self.no_context(
                "$$",
                "$$ stands for nothing here",
                "$states.input, or $states.context",
            ),
            AstNode::Name(_) | AstNode::Wildcard | AstNode::Descendant | AstNode::Variable(_) => {
                if level == Level::Top {
                    self.check_context(node);
                }
            }
            AstNode::Path { steps } => self.path(steps, level, parent),
            AstNode::Binary { op, lhs, rhs } => self.binary(*op, lhs, rhs, level, parent),
            AstNode::Unary { operand, .. } => self.node(operand, level, parent),
            AstNode::Function {
                name,
                args,
                is_builtin,
            } => {
                if *is_builtin {
                    self.call(name, args, Given::AsWritten, level);
                } else {
                    self.forbid(
                        Rule::UnknownFunction,
                        name,
                        format!("the function {name} is called without $"),
                        format!("write ${name}(…)"),
                    );
                }
                self.nodes(args, level, parent);
            }
            AstNode::Call { procedure, args } => {
                self.node(procedure, level, parent);
                self.nodes(args, level, parent);
            }
            AstNode::Lambda { params, body, .. } => {
                self.bound.extend(params.iter().cloned());
                self.node(body, level, parent);
            }
            AstNode::Array(items) | AstNode::ArrayGroup(items) | AstNode::Block(items) => {
                self.nodes(items, level, parent);
            }
            AstNode::Object(pairs) => self.pairs(pairs, level, parent),
            AstNode::ObjectTransform { input, pattern } => {
                self.node(input, level, parent);
                self.pairs(pattern, Level::Inside, parent);
            }
            AstNode::Conditional {
                condition,
                then_branch,
                else_branch,
            } => {
                self.node(condition, level, parent);
                self.node(then_branch, level, parent);
                if let Some(else_branch) = else_branch {
                    self.node(else_branch, level, parent);
                }
            }
            AstNode::FunctionApplication(inner) => self.node(inner, level, parent),
            AstNode::Sort { input, terms } => {
                self.node(input, level, parent);
                for (term, _) in terms {
                    self.node(term, Level::Inside, parent);
                }
            }
            AstNode::Transform {
                location,
                update,
                delete,
            } => {
                for part in [Some(location), Some(update), delete.as_ref()]
                    .into_iter()
                    .flatten()
                {
                    self.node(part, Level::Inside, parent);
                }
            }
        }
    }

    /// A node that reads the context value where there is none.
    fn check_context(&mut self, node: &AstNode) {
        match node {
            AstNode::Name(name) => {
                let message = format!("the field {name:?} is read from nothing");
                self.no_context(name, &message, &format!("$states.input.{name}"));
            }
            AstNode::Variable(_) => {
                self.no_context("$", "$ stands for nothing here", "$states.input");
            }
            _ => self.no_context("*", "a wildcard is read from nothing", "$states.input.*"),
        }
    }

    fn no_context(&mut self, token: &str, message: &str, instead: &str) {
        let advice = format!("write {instead}");
        self.forbid(Rule::NoContextValue, token, message.to_owned(), advice);
    }

    fn nodes(&mut self, nodes: &[AstNode], level: Level, parent: &mut bool) {
        for node in nodes {
            self.node(node, level, parent);
        }
    }

    fn pairs(&mut self, pairs: &[(AstNode, AstNode)], level: Level, parent: &mut bool) {
        for (key, value) in pairs {
            self.node(key, level, parent);
            self.node(value, level, parent);
        }
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        lhs: &AstNode,
        rhs: &AstNode,
        level: Level,
        parent: &mut bool,
    ) {
        match (op, lhs, rhs) {
            (BinaryOp::ColonEqual, AstNode::Variable(name), _) => {
                if name == "states" {
                    self.forbid(
                        Rule::ReservedVariable,
                        "$states",
                        "$states cannot be set".to_owned(),
                        "choose another name".to_owned(),
                    );
                }
                self.bound.insert(name.clone());
                self.node(rhs, level, parent);
            }
            (BinaryOp::FocusBind | BinaryOp::IndexBind, _, AstNode::Variable(name)) => {
                self.bound.insert(name.clone());
                self.node(lhs, level, parent);
            }
            (
                BinaryOp::ChainPipe,
                _,
                AstNode::Function {
                    name,
                    args,
                    is_builtin: true,
                },
            ) => {
                self.node(lhs, level, parent);
                self.call(name, args, Given::OneMore, level);
                self.nodes(args, level, parent);
            }
            _ => {
                self.node(lhs, level, parent);
                self.node(rhs, level, parent);
            }
        }
    }

    fn call(&mut self, name: &str, arguments: &[AstNode], given: Given, level: Level) {
        self.calls.insert(name.to_owned());
        if name == "exists"
            && let [argument] = arguments
        {
            self.probed.extend(path_of(argument));
        }
        if !arguments.contains(&AstNode::Placeholder) {
            self.complete_calls.push(Call {
                name: name.to_owned(),
                arguments: arguments.len() + usize::from(given == Given::OneMore),
                has_context: level == Level::Inside,
            });
        }
    }

    fn path(&mut self, steps: &[PathStep], level: Level, parent: &mut bool) {
        let descended = plain_variable(steps).map_or(0, |name| {
            let mut read = self.reads.entry(name.to_owned()).or_default();
            let mut descended = 1;
            for step in &steps[1..] {
                let AstNode::Name(field) = &step.node else {
                    break;
                };
                if binds(step) {
                    break;
                }
                read = read.fields.entry(field.clone()).or_default();
                descended += 1;
                if !step.stages.is_empty() {
                    break;
                }
            }
            read.whole = true;
            descended
        });
        for (index, step) in steps.iter().enumerate() {
            if index >= descended {
                self.node(
                    &step.node,
                    if index == 0 { level } else { Level::Inside },
                    parent,
                );
            }
            self.bound
                .extend(step.focus.iter().chain(&step.index_var).cloned());
            for stage in &step.stages {
                match stage {
                    Stage::Filter(predicate) => self.node(predicate, Level::Inside, parent),
                    Stage::Index(name) => {
                        self.bound.insert(name.clone());
                    }
                    Stage::KeepArray => {}
                }
            }
        }
    }

    fn read(&mut self, name: &str) -> &mut Read {
        self.reads.entry(name.to_owned()).or_default()
    }

    fn forbid(&mut self, rule: Rule, token: &str, message: String, advice: String) {
        let token = token.to_owned();
        let forbidden = Forbidden {
            rule,
            token,
            message,
            advice,
        };
        if !self.forbidden.contains(&forbidden) {
            self.forbidden.push(forbidden);
        }
    }
}

/// A variable's name and the fields below it, as far as they are written plainly.
fn path_of(node: &AstNode) -> Option<Vec<String>> {
    match node {
        AstNode::Variable(name) if !name.is_empty() => Some(vec![name.clone()]),
        AstNode::Path { steps } => {
            let mut path = vec![plain_variable(steps)?.to_owned()];
            let fields = steps[1..].iter().map_while(|step| match &step.node {
                AstNode::Name(field) => Some(field.clone()),
                _ => None,
            });
            path.extend(fields);
            Some(path)
        }
        _ => None,
    }
}

/// A variable and what is read from it field by field, when that is all the expression is.
#[derive(Debug)]
pub(crate) struct PlainPath {
    pub(crate) variable: String,
    pub(crate) steps: Vec<PlainStep>,
}

/// `.field` or `.field[index]`.
#[derive(Debug)]
pub(crate) struct PlainStep {
    pub(crate) field: String,
    pub(crate) index: Option<usize>,
}

pub(crate) fn plain_path(ast: &AstNode) -> Option<PlainPath> {
    match ast {
        AstNode::Variable(name) if !name.is_empty() => Some(PlainPath {
            variable: name.clone(),
            steps: Vec::new(),
        }),
        AstNode::Path { steps } => {
            let variable = plain_variable(steps)?.to_owned();
            let steps: Option<Vec<PlainStep>> = steps[1..].iter().map(plain_step).collect();
            Some(PlainPath {
                variable,
                steps: steps?,
            })
        }
        _ => None,
    }
}

fn plain_step(step: &PathStep) -> Option<PlainStep> {
    let AstNode::Name(field) = &step.node else {
        return None;
    };
    let index = match step.stages.as_slice() {
        _ if binds(step) => return None,
        [] => None,
        [Stage::Filter(predicate)] => Some(literal_index(predicate)?),
        _ => return None,
    };
    Some(PlainStep {
        field: field.clone(),
        index,
    })
}

fn literal_index(predicate: &AstNode) -> Option<usize> {
    match predicate {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small integer, checked"
        )]
        AstNode::Number(number) if number.fract() == 0.0 && (0.0..1e9).contains(number) => {
            Some(*number as usize)
        }
        _ => None,
    }
}

fn plain_variable(steps: &[PathStep]) -> Option<&str> {
    match steps.first() {
        Some(step) if step.stages.is_empty() && !binds(step) => match &step.node {
            AstNode::Variable(name) if !name.is_empty() => Some(name),
            _ => None,
        },
        _ => None,
    }
}

fn binds(step: &PathStep) -> bool {
    step.focus.is_some()
        || step.index_var.is_some()
        || step.ancestor_label.is_some()
        || step.is_tuple
}
