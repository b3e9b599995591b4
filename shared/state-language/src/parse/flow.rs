//! States and the ways between them.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::layout::member;
use crate::spelling::nearest;
use crate::{Flow, Rule};

use super::reader::{FlowRecord, Object, Parent, Reader, Sight, Target, Unresolved};

/// AWS: a state's name has at most 80 characters.
const MAX_NAME_CHARACTERS: usize = 80;

impl Reader {
    /// `StartAt` and `States` of the machine.
    pub(super) fn flow(&mut self, object: &Object<'_>) -> Option<Flow> {
        self.flow_within(object, None)
    }

    /// `StartAt` and `States` of a branch or an item processor of the state being read.
    pub(super) fn nested_flow(&mut self, object: &Object<'_>, sight: Sight) -> Option<Flow> {
        let state = self.state.clone();
        let parent =
            self.flow
                .zip(state.clone())
                .map(|(flow, state)| Parent { flow, state, sight });
        let flow = self.flow_within(object, parent);
        self.state = state;
        flow
    }

    /// A way out of the state being read, and the variables assigned on it.
    pub(super) fn note_target(&mut self, to: &str, path: &str, assigns: &[&Object<'_>]) {
        if self.is_open(&Value::from(to)) {
            self.note_unknown_way();
            return;
        }
        let variables = assigns
            .iter()
            .filter_map(|object| object.fields.get("Assign")?.as_object())
            .flat_map(Map::keys)
            .cloned()
            .collect();
        if let (Some(flow), Some(from)) = (self.flow, &self.state) {
            let target = Target {
                from: from.clone(),
                to: to.to_owned(),
                path: path.to_owned(),
                assigns: variables,
            };
            self.flows[flow].targets.push(target);
        }
    }

    pub(super) fn note_end(&mut self) {
        if let (Some(flow), Some(from)) = (self.flow, &self.state) {
            self.flows[flow].ends.insert(from.clone());
        }
    }

    /// The state being read does not say rightly where it leads, which has been told.
    pub(super) fn note_unknown_way(&mut self) {
        if let Some(flow) = self.flow {
            self.flows[flow].has_unknown_ways = true;
        }
    }

    fn flow_within(&mut self, object: &Object<'_>, parent: Option<Parent>) -> Option<Flow> {
        let outside = self.flow;
        self.flow = Some(self.flows.len());
        self.flows.push(FlowRecord {
            parent,
            ..FlowRecord::default()
        });
        let flow = self.flow_inside(object);
        self.flow = outside;
        flow
    }

    fn flow_inside(&mut self, object: &Object<'_>) -> Option<Flow> {
        let comment = self.text(object, "Comment");
        let start_at = self.required_text(object, "StartAt", "the name of the first state");
        let path = object.member("States");
        let states = match self.required(object, "States", "an object of states by name")? {
            Value::Object(states) if !states.is_empty() => states,
            Value::Object(_) => {
                self.problem(
                    Rule::EmptyList,
                    &path,
                    "there is no state",
                    "add one, such as \"Done\": {\"Type\": \"Succeed\"}",
                );
                return None;
            }
            other => {
                self.wrong_type(&path, other, "an object of states by name");
                return None;
            }
        };
        let mut read = IndexMap::with_capacity(states.len());
        let outside = self.state.take();
        for (name, value) in states {
            let path = member(&path, name);
            self.state = Some(name.clone());
            self.check_name(name, &path);
            match value {
                Value::Object(fields) => {
                    if let Some(state) = self.state(&Object { path, fields }) {
                        read.insert(name.clone(), state);
                    }
                }
                other => {
                    self.wrong_type(&path, other, "an object");
                    self.note_unknown_way();
                }
            }
        }
        self.state = outside;
        let start_at = start_at?;
        self.check_ways(object, &start_at, states);
        (read.len() == states.len()).then_some(Flow {
            comment,
            start_at,
            states: read,
        })
    }

    fn check_name(&mut self, name: &str, path: &str) {
        let characters = name.chars().count();
        if characters == 0 {
            self.problem(Rule::StateName, path, "a state has no name", "write one");
        } else if characters > MAX_NAME_CHARACTERS {
            let message = format!(
                "the name has {characters} characters, and at most {MAX_NAME_CHARACTERS} are allowed"
            );
            self.problem(Rule::StateName, path, &message, "shorten it");
        }
        if let Some(first) = self.names.insert(name.to_owned(), path.to_owned()) {
            let message = format!("another state has the name {name:?}: {first}");
            self.problem(
                Rule::DuplicateStateName,
                path,
                &message,
                "rename one: names are unique over the whole machine, branches included",
            );
        }
    }

    /// Every target exists, every state is reached, and the flow can end. One that names no state leaves
    /// open what it would reach.
    fn check_ways(&mut self, object: &Object<'_>, start_at: &str, states: &Map<String, Value>) {
        let Some(flow) = self.flow else { return };
        let mut record = std::mem::take(&mut self.flows[flow]);
        start_at.clone_into(&mut record.start_at);
        let outside = self.state.take();
        let start_path = object.member("StartAt");
        let starts = self.check_target(start_at, &start_path, states);
        let mut all_exist = starts;
        for target in &record.targets {
            self.state = Some(target.from.clone());
            all_exist &= self.check_target(&target.to, &target.path, states);
        }
        self.state = None;
        record.has_unknown_ways |= !all_exist;
        if !record.has_unknown_ways {
            self.check_reached(&object.member("States"), &record, states);
        }
        self.state = outside;
        self.flows[flow] = record;
    }

    /// All targets exist.
    fn check_reached(&mut self, path: &str, flow: &FlowRecord, states: &Map<String, Value>) {
        let ways = flow.ways();
        let leads = |name: &str| ways.get(name).into_iter().flatten();
        let mut reached = BTreeSet::new();
        let mut waiting = vec![flow.start_at.as_str()];
        while let Some(name) = waiting.pop() {
            if reached.insert(name) {
                waiting.extend(leads(name).map(|target| target.to.as_str()));
            }
        }
        let beginnings = beginnings(states, flow, &reached);
        for name in states
            .keys()
            .filter(|name| !reached.contains(name.as_str()))
        {
            if !beginnings.contains(name.as_str()) {
                continue;
            }
            self.state = Some(name.clone());
            let advice = "name it in a Next, a Default or StartAt, or remove it";
            self.problem(
                Rule::UnreachableState,
                &member(path, name),
                "nothing leads to this state",
                advice,
            );
        }
        self.state = None;
        let mut ending: BTreeSet<&str> = BTreeSet::new();
        let mut comes_from: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for target in &flow.targets {
            comes_from.entry(&target.to).or_default().push(&target.from);
        }
        let ends = flow.ends.iter().map(String::as_str);
        let mut waiting: Vec<&str> = ends.filter(|name| reached.contains(name)).collect();
        if waiting.is_empty() {
            self.problem(
                Rule::NoTerminalState,
                path,
                "no state ends it",
                "set \"End\": true on the last one, or add a Succeed state",
            );
            return;
        }
        while let Some(name) = waiting.pop() {
            if ending.insert(name) {
                waiting.extend(comes_from.get(name).into_iter().flatten());
            }
        }
        let endless: Vec<&str> = states
            .keys()
            .map(String::as_str)
            .filter(|name| reached.contains(name) && !ending.contains(name))
            .collect();
        if let Some(first) = endless.first() {
            self.state = Some((*first).to_owned());
            let others = match endless.len() {
                1 => String::new(),
                count => format!(" ({count} states: {})", told(&endless)),
            };
            self.problem(
                Rule::EndlessLoop,
                &member(path, first),
                &format!("from here no way leads to an end{others}"),
                "add a Choice that leaves the loop, or an end",
            );
        }
    }

    fn check_target(&mut self, target: &str, path: &str, states: &Map<String, Value>) -> bool {
        if states.contains_key(target) {
            return true;
        }
        if !self.is_open(&Value::from(target)) {
            let neighbours = states.keys().map(String::as_str);
            self.unresolved.push(Unresolved {
                to: target.to_owned(),
                path: path.to_owned(),
                state: self.state.clone(),
                nearest: nearest(target, neighbours).map(str::to_owned),
            });
        }
        false
    }

    /// Notes the targets that are no neighbours, now that all names are known.
    pub(super) fn check_unresolved(&mut self) {
        for unresolved in std::mem::take(&mut self.unresolved) {
            let Unresolved {
                to,
                path,
                state,
                nearest,
            } = unresolved;
            self.state = state;
            if let Some(elsewhere) = self.names.get(&to) {
                let message = format!("the state {to:?} is in another scope: {elsewhere}");
                self.problem(
                    Rule::TransitionOutOfScope,
                    &path,
                    &message,
                    "a state leads to its neighbours only, never into or out of a branch",
                );
                continue;
            }
            let advice = match nearest {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => "name a state beside it".to_owned(),
            };
            let message = format!("there is no state {to:?}");
            self.problem(Rule::UnknownState, &path, &message, &advice);
        }
    }
}

fn told(names: &[&str]) -> String {
    const MOST: usize = 5;
    let shown = names[..names.len().min(MOST)].join(", ");
    if names.len() > MOST {
        format!("{shown}, …")
    } else {
        shown
    }
}

/// Of the states that are not reached those that, once reached, reach the others: the first of each
/// chain or circle.
fn beginnings<'s>(
    states: &'s Map<String, Value>,
    flow: &'s FlowRecord,
    reached: &BTreeSet<&str>,
) -> BTreeSet<&'s str> {
    let ways = flow.ways();
    let unreached: Vec<&str> = states
        .keys()
        .map(String::as_str)
        .filter(|name| !reached.contains(name))
        .collect();
    let led_to: BTreeSet<&str> = flow
        .targets
        .iter()
        .filter(|target| target.from != target.to && !reached.contains(target.from.as_str()))
        .map(|target| target.to.as_str())
        .collect();
    // Those that nothing leads to, and then whatever is left: circles.
    let (led_to, free): (Vec<&str>, Vec<&str>) = unreached
        .into_iter()
        .partition(|name| led_to.contains(name));
    let mut beginnings = BTreeSet::new();
    let mut covered = BTreeSet::new();
    for name in free.into_iter().chain(led_to) {
        if covered.contains(name) {
            continue;
        }
        beginnings.insert(name);
        let mut waiting = vec![name];
        while let Some(name) = waiting.pop() {
            if covered.insert(name) {
                let targets = ways.get(name).into_iter().flatten();
                waiting.extend(targets.map(|target| target.to.as_str()));
            }
        }
    }
    beginnings
}
