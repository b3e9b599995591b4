//! Which variables a state can read: what is assigned on the ways to it, and on
//! all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::Rule;
use crate::spelling::nearest;

use super::reader::{FlowRecord, Place, Reader, Reference, Sight, Target};

/// Names of states in a way that is told.
const MOST_TOLD: usize = 6;

/// A set of the machine's variables, by number.
#[derive(Clone, Default, PartialEq)]
struct Names(Vec<u64>);

impl Names {
    fn insert(&mut self, name: usize) {
        let word = name / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (name % 64);
    }

    fn contains(&self, name: usize) -> bool {
        let word = self.0.get(name / 64);
        word.is_some_and(|word| word & (1 << (name % 64)) != 0)
    }

    fn unite(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    fn intersect(&mut self, other: &Self) {
        self.0.truncate(other.0.len());
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word &= more;
        }
    }
}

/// What is assigned when a state is entered.
#[derive(Clone, Default, PartialEq)]
struct Entry {
    on_some_way: Names,
    on_every_way: Names,
}

/// The entries of a flow's states.
enum Entries<'r> {
    /// Of those that can be reached.
    Of(HashMap<&'r str, Entry>),
    /// Where the ways are not all known: nothing is held against any state.
    Unknown(Entry),
    /// The state around it is never reached: it is told, and what is in it is not judged.
    Unreached,
}

impl Entries<'_> {
    fn of(&self, state: &str) -> Option<&Entry> {
        match self {
            Self::Of(entries) => entries.get(state),
            Self::Unknown(entry) => Some(entry),
            Self::Unreached => None,
        }
    }
}

/// A problem found, before it is noted.
struct Finding {
    rule: Rule,
    path: String,
    place: Place,
    state: Option<String>,
    message: String,
    advice: String,
}

impl Reader {
    /// Notes variables that are read where none is assigned, and those that an inner scope would set over
    /// an outer one.
    pub(super) fn check_variables(&mut self) {
        let flows = std::mem::take(&mut self.flows);
        let mut findings = shadowed(&flows);
        let numbers = numbers(&flows);
        let entries = entries(&flows, &numbers);
        // One that is missing is missed wherever it is read: it is told at the first place.
        let mut told: BTreeMap<(Rule, &str), (usize, usize)> = BTreeMap::new();
        for (index, flow) in flows.iter().enumerate() {
            for reference in &flow.references {
                let Some(entry) = reference
                    .state
                    .as_deref()
                    .and_then(|state| entries[index].of(state))
                else {
                    continue;
                };
                let number = numbers.get(reference.name.as_str());
                let is_in = |names: &Names| number.is_some_and(|number| names.contains(*number));
                let is_assigned = || {
                    outwards(&flows, index)
                        .any(|index| flows[index].assigned.contains_key(&reference.name))
                };
                let finding = if is_in(&entry.on_every_way) || reference.is_probed && is_assigned()
                {
                    None
                } else if is_in(&entry.on_some_way) {
                    maybe_undefined(&flows, index, reference)
                } else {
                    Some(undefined(&flows, index, reference))
                };
                let Some(finding) = finding else { continue };
                let key = (finding.rule, reference.name.as_str());
                if let Some((_, more)) = told.get_mut(&key) {
                    *more += 1;
                } else {
                    told.insert(key, (findings.len(), 0));
                    findings.push(finding);
                }
            }
        }
        for (finding, more) in told.values().filter(|(_, more)| *more > 0) {
            let places = if *more == 1 { "place" } else { "places" };
            let message = &mut findings[*finding].message;
            *message = format!("{message}, here and in {more} more {places}");
        }
        for finding in findings {
            self.state = finding.state;
            let Finding {
                rule,
                path,
                place,
                message,
                advice,
                ..
            } = finding;
            self.problem_at(place, rule, &path, &message, &advice);
        }
    }
}

/// The flow itself, then those around it whose variables it sees.
fn outwards(flows: &[FlowRecord], flow: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(flow), |index| {
        let parent = flows[*index].parent.as_ref()?;
        (parent.sight == Sight::Outwards).then_some(parent.flow)
    })
}

fn shadowed(flows: &[FlowRecord]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, flow) in flows.iter().enumerate() {
        for (name, assigned) in &flow.assigned {
            let outer = outwards(flows, index)
                .skip(1)
                .find_map(|outer| flows[outer].assigned.get(name));
            if let Some(outer) = outer {
                findings.push(Finding {
                    rule: Rule::ShadowedVariable,
                    path: assigned.path.clone(),
                    place: Place::Path,
                    state: assigned.state.clone(),
                    message: format!(
                        "the variable ${name} is assigned outside as well, at {}",
                        outer.path
                    ),
                    advice: "give one of them another name".to_owned(),
                });
            }
        }
    }
    findings
}

fn numbers(flows: &[FlowRecord]) -> HashMap<&str, usize> {
    let names: BTreeSet<&str> = flows
        .iter()
        .flat_map(|flow| flow.assigned.keys())
        .map(String::as_str)
        .collect();
    names
        .into_iter()
        .enumerate()
        .map(|(number, name)| (name, number))
        .collect()
}

/// Outer flows come before inner ones, so that what a flow starts with is known.
fn entries<'r>(flows: &'r [FlowRecord], numbers: &HashMap<&str, usize>) -> Vec<Entries<'r>> {
    let mut all: Vec<Entries<'r>> = Vec::with_capacity(flows.len());
    for flow in flows {
        let start = match &flow.parent {
            None => Some(Entry::default()),
            Some(parent) => match (parent.sight, all[parent.flow].of(&parent.state)) {
                (_, None) => None,
                (Sight::Outwards, Some(entry)) => Some(entry.clone()),
                (Sight::OwnOnly, Some(_)) => Some(Entry::default()),
            },
        };
        all.push(match start {
            None => Entries::Unreached,
            Some(mut start) if flow.has_unknown_ways => {
                for name in flow.assigned.keys() {
                    start.on_some_way.insert(numbers[name.as_str()]);
                }
                start.on_every_way = start.on_some_way.clone();
                Entries::Unknown(start)
            }
            Some(start) => Entries::Of(entries_of(flow, start, numbers)),
        });
    }
    all
}

fn entries_of<'r>(
    flow: &'r FlowRecord,
    start: Entry,
    numbers: &HashMap<&str, usize>,
) -> HashMap<&'r str, Entry> {
    let ways = flow.ways();
    let mut entries = HashMap::from([(flow.start_at.as_str(), start)]);
    let mut waiting = VecDeque::from([flow.start_at.as_str()]);
    while let Some(state) = waiting.pop_front() {
        let entry = entries[state].clone();
        for target in ways.get(state).into_iter().flatten() {
            let mut reached = entry.clone();
            // A name that cannot be one has no number, and has been told.
            for number in target
                .assigns
                .iter()
                .filter_map(|name| numbers.get(name.as_str()))
            {
                reached.on_some_way.insert(*number);
                reached.on_every_way.insert(*number);
            }
            match entries.get_mut(target.to.as_str()) {
                None => {
                    entries.insert(&target.to, reached);
                    waiting.push_back(&target.to);
                }
                Some(known) => {
                    let before = known.clone();
                    known.on_some_way.unite(&reached.on_some_way);
                    known.on_every_way.intersect(&reached.on_every_way);
                    if *known != before {
                        waiting.push_back(&target.to);
                    }
                }
            }
        }
    }
    entries
}

fn undefined(flows: &[FlowRecord], flow: usize, reference: &Reference) -> Finding {
    let name = &reference.name;
    let seen = || outwards(flows, flow).flat_map(|index| &flows[index].assigned);
    let (rule, message, advice) =
        if let Some((_, assigned)) = seen().find(|(known, _)| *known == name) {
            let place = &assigned.path;
            if assigned.state == reference.state {
                (
                    Rule::UndefinedVariable,
                    format!("the state assigns ${name} itself, once its fields are evaluated"),
                    "write the expression here again, or read the variable in a later state"
                        .to_owned(),
                )
            } else {
                (
                    Rule::UndefinedVariable,
                    format!(
                        "no way to this state assigns ${name}: {place} comes after it, or beside it"
                    ),
                    "assign it in a state before".to_owned(),
                )
            }
        } else if around(flows, flow).any(|index| flows[index].assigned.contains_key(name)) {
            (
                Rule::DistributedVariable,
                format!(
                    "${name} is outside of the distributed Map, whose iterations do not see it"
                ),
                format!("hand it in with ItemSelector: {{\"{name}\": \"{{% ${name} %}}\"}}"),
            )
        } else if let Some(assigned) = flows.iter().find_map(|other| other.assigned.get(name)) {
            (
            Rule::UndefinedVariable,
            format!("${name} ends with the branch that assigns it, at {}", assigned.path),
            "give it on with Output there, and read it from the Parallel's or Map's $states.result"
                .to_owned(),
        )
        } else {
            let names = seen().map(|(known, _)| known.as_str()).chain(["states"]);
            let advice = match nearest(name, names) {
                Some(meant) => format!("did you mean ${meant}?"),
                None => format!("set it with Assign: {{\"{name}\": …}} in a state before"),
            };
            (
                Rule::UndefinedVariable,
                format!("no state here assigns ${name}"),
                advice,
            )
        };
    finding(rule, reference, message, advice)
}

/// `None` where it is a flow around that says nothing certain.
fn maybe_undefined(flows: &[FlowRecord], flow: usize, reference: &Reference) -> Option<Finding> {
    let name = &reference.name;
    let mut flow = flow;
    let mut state = reference.state.as_deref()?;
    // The way that lacks it is in the flow that assigns it.
    while !flows[flow].assigned.contains_key(name) {
        let parent = flows[flow].parent.as_ref()?;
        (flow, state) = (parent.flow, &parent.state);
    }
    let way = way_without(&flows[flow], name, state)?;
    let told = if way.len() > MOST_TOLD {
        let (first, last) = (&way[..MOST_TOLD - 2], way[way.len() - 1]);
        format!("{} → … → {last}", first.join(" → "))
    } else {
        way.join(" → ")
    };
    Some(finding(
        Rule::MaybeUndefinedVariable,
        reference,
        format!("the way {told} does not assign ${name}"),
        format!("assign it on that way too, or ask for it with $exists(${name})"),
    ))
}

/// The shortest way to a state on which nothing assigns the variable.
fn way_without<'r>(flow: &'r FlowRecord, name: &str, state: &str) -> Option<Vec<&'r str>> {
    let ways = flow.ways();
    let start = flow.start_at.as_str();
    let mut came_from: HashMap<&str, &str> = HashMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(at) = waiting.pop_front() {
        if at == state {
            let mut way: Vec<&str> =
                std::iter::successors(Some(at), |at| came_from.get(at).copied()).collect();
            way.reverse();
            return Some(way);
        }
        for target in ways.get(at).into_iter().flatten() {
            let to = target.to.as_str();
            let is_new = to != start && !came_from.contains_key(to);
            if is_new && !target.assigns.iter().any(|assigned| assigned == name) {
                came_from.insert(to, at);
                waiting.push_back(to);
            }
        }
    }
    None
}

/// All flows around, whether their variables are seen or not.
fn around(flows: &[FlowRecord], flow: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(flows[flow].parent.as_ref(), |parent| {
        flows[parent.flow].parent.as_ref()
    })
    .map(|parent| parent.flow)
}

fn finding(rule: Rule, reference: &Reference, message: String, advice: String) -> Finding {
    Finding {
        rule,
        path: reference.path.clone(),
        place: reference.place,
        state: reference.state.clone(),
        message,
        advice,
    }
}

impl FlowRecord {
    /// The targets by the state they lead from.
    pub(super) fn ways(&self) -> HashMap<&str, Vec<&Target>> {
        let mut ways: HashMap<&str, Vec<&Target>> = HashMap::new();
        for target in &self.targets {
            ways.entry(&target.from).or_default().push(target);
        }
        ways
    }
}
