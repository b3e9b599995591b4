//! States and the ways between them.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::Flow;
use crate::layout::member;
use crate::spelling::nearest;

use super::reader::{FlowRecord, Object, Reader, Target};

/// AWS: a state's name has at most 80 characters.
const MAX_NAME_CHARACTERS: usize = 80;

impl Reader {
    /// `StartAt` and `States` of a machine, a branch or an item processor.
    pub(super) fn flow(&mut self, object: &Object<'_>) -> Option<Flow> {
        let parent = self.flow;
        self.flow = Some(self.flows.len());
        self.flows.push(FlowRecord {
            parent,
            ..FlowRecord::default()
        });
        let flow = self.flow_inside(object);
        self.flow = parent;
        flow
    }

    pub(super) fn note_target(&mut self, to: &str, path: &str) {
        if let (Some(flow), Some(from)) = (self.flow, &self.state) {
            let target = Target {
                from: from.clone(),
                to: to.to_owned(),
                path: path.to_owned(),
            };
            self.flows[flow].targets.push(target);
        }
    }

    pub(super) fn note_end(&mut self) {
        if let (Some(flow), Some(from)) = (self.flow, &self.state) {
            self.flows[flow].ends.push(from.clone());
        }
    }

    fn flow_inside(&mut self, object: &Object<'_>) -> Option<Flow> {
        let comment = self.text(object, "Comment");
        let start_at = self.required_text(object, "StartAt", "the name of the first state");
        let path = object.member("States");
        let states = match self.required(object, "States", "an object of states by name")? {
            Value::Object(states) if !states.is_empty() => states,
            Value::Object(_) => {
                self.problem(
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
                other => self.wrong_type(&path, other, "an object"),
            }
        }
        self.state = outside;
        let start_at = start_at?;
        let targets = self.check_targets(object, &start_at, states);
        // While a state cannot be read, where it leads is not known.
        if let (Some(targets), true) = (targets, read.len() == states.len()) {
            self.check_reached(&path, &start_at, &targets, states);
        }
        Some(Flow {
            comment,
            start_at,
            states: read,
        })
    }

    fn check_name(&mut self, name: &str, path: &str) {
        let characters = name.chars().count();
        if characters == 0 {
            self.problem(path, "a state needs a name", "write one");
        } else if characters > MAX_NAME_CHARACTERS {
            let message = format!(
                "the name has {characters} characters, and at most {MAX_NAME_CHARACTERS} are allowed"
            );
            self.problem(path, &message, "shorten it");
        }
        if let Some(first) = self.names.insert(name.to_owned(), path.to_owned()) {
            let message = format!("another state has the name {name:?}: {first}");
            self.problem(
                path,
                &message,
                "rename one: names are unique over the whole machine, branches included",
            );
        }
    }

    /// Every target exists. Returns where each state leads, unless some lead nowhere.
    fn check_targets(
        &mut self,
        object: &Object<'_>,
        start_at: &str,
        states: &Map<String, Value>,
    ) -> Option<Vec<Target>> {
        let targets = std::mem::take(&mut self.flows[self.flow?].targets);
        for target in &targets {
            self.state = Some(target.from.clone());
            self.check_target(&target.to, &target.path, states);
        }
        self.state = None;
        self.check_target(start_at, &object.member("StartAt"), states);
        let all_exist = states.contains_key(start_at)
            && targets.iter().all(|target| states.contains_key(&target.to));
        all_exist.then_some(targets)
    }

    /// Every state can be reached, and the flow can end. All targets exist.
    fn check_reached(
        &mut self,
        path: &str,
        start_at: &str,
        targets: &[Target],
        states: &Map<String, Value>,
    ) {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![start_at];
        while let Some(name) = waiting.pop() {
            if reached.insert(name) {
                let leads = targets.iter().filter(|target| target.from == name);
                waiting.extend(leads.map(|target| target.to.as_str()));
            }
        }
        for name in states
            .keys()
            .filter(|name| !reached.contains(name.as_str()))
        {
            self.state = Some(name.clone());
            let advice = "name it in a Next, a Default or StartAt, or remove it";
            self.problem(&member(path, name), "nothing leads to this state", advice);
        }
        self.state = None;
        let Some(flow) = self.flow else { return };
        if !self.flows[flow]
            .ends
            .iter()
            .any(|name| reached.contains(name.as_str()))
        {
            let advice = "set \"End\": true on the last one, or add a Succeed state";
            self.problem(path, "no state ends it", advice);
        }
    }

    fn check_target(&mut self, target: &str, path: &str, states: &Map<String, Value>) {
        if states.contains_key(target) {
            return;
        }
        if let Some(elsewhere) = self.names.get(target).cloned() {
            let message = format!("the state {target:?} is in another scope: {elsewhere}");
            self.problem(
                path,
                &message,
                "a state leads to its neighbours only, never into or out of a branch",
            );
            return;
        }
        let advice = match nearest(target, states.keys().map(String::as_str)) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => "name a state beside it".to_owned(),
        };
        self.problem(path, &format!("there is no state {target:?}"), &advice);
    }
}
