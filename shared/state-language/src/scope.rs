//! Workflow variables: one scope for the machine, one for each branch of a
//! Parallel and each iteration of a Map. An inner scope reads the outer ones
//! and assigns only to itself.

use std::io;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use crate::error::{StateError, StateVisit, name};

/// AWS: a variable's name has at most 80 characters.
pub const MAX_VARIABLE_NAME_CHARACTERS: usize = 80;
/// AWS: a variable, and all that one `Assign` sets, is at most 256 KiB of JSON.
pub const MAX_VARIABLE_BYTES: usize = 256 * 1024;
/// AWS: all variables of an execution are at most 10 MiB of JSON.
pub const MAX_TOTAL_BYTES: usize = 10 * 1024 * 1024;

/// The variables a state sees. Cloning shares the values.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    variables: IndexMap<String, Variable>,
    outer: Option<Arc<Scope>>,
}

#[derive(Debug, Clone)]
struct Variable {
    value: Arc<Value>,
    bytes: usize,
}

impl Scope {
    /// The machine's own scope, empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// The scope of a branch or iteration, empty.
    pub fn nested(outer: Arc<Scope>) -> Self {
        Self {
            variables: IndexMap::new(),
            outer: Some(outer),
        }
    }

    /// The same variables inside another scope: what a stored scope becomes again.
    #[must_use]
    pub fn within(self, outer: Arc<Scope>) -> Self {
        Self {
            outer: Some(outer),
            ..self
        }
    }

    /// The value of a variable, by name without `$`, of this scope or of one outside it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self.variables.get(name) {
            Some(variable) => Some(&variable.value),
            None => self.outer.as_deref()?.get(name),
        }
    }

    /// The variables of this scope alone, in the order they were first assigned.
    pub fn own(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.variables
            .iter()
            .map(|(name, variable)| (name.as_str(), &*variable.value))
    }

    /// Every variable that can be seen, the inner one where two have a name.
    pub fn visible(&self) -> IndexMap<&str, &Value> {
        let mut visible = self.outer.as_deref().map(Self::visible).unwrap_or_default();
        visible.extend(self.own());
        visible
    }

    /// Sets variables of this scope, all or none. Values come from [`crate::Evaluation::assign`].
    pub fn assign(
        &mut self,
        visit: StateVisit<'_>,
        values: IndexMap<String, Value>,
    ) -> Result<(), StateError> {
        let too_large = |what: String| Err(StateError::at(visit, name::DATA_LIMIT_EXCEEDED, &what));
        let mut assigned = Vec::with_capacity(values.len());
        let mut assigned_bytes = 0;
        for (name, value) in values {
            let bytes = json_bytes(&value);
            if bytes > MAX_VARIABLE_BYTES {
                return too_large(format!(
                    "The variable '{name}' would hold {bytes} bytes of JSON; a variable holds at most {MAX_VARIABLE_BYTES}."
                ));
            }
            assigned_bytes += bytes;
            assigned.push((
                name,
                Variable {
                    value: Arc::new(value),
                    bytes,
                },
            ));
        }
        if assigned_bytes > MAX_VARIABLE_BYTES {
            return too_large(format!(
                "The variables of one Assign would hold {assigned_bytes} bytes of JSON; together they hold at most {MAX_VARIABLE_BYTES}."
            ));
        }
        let replaced: usize = assigned
            .iter()
            .filter_map(|(name, _)| self.variables.get(name))
            .map(|old| old.bytes)
            .sum();
        let total = self.bytes() - replaced + assigned_bytes;
        if total > MAX_TOTAL_BYTES {
            return too_large(format!(
                "The execution's variables would hold {total} bytes of JSON; together they hold at most {MAX_TOTAL_BYTES}."
            ));
        }
        self.variables.extend(assigned);
        Ok(())
    }

    /// Bytes of JSON of this scope and those outside it.
    fn bytes(&self) -> usize {
        let own: usize = self.variables.values().map(|variable| variable.bytes).sum();
        own + self.outer.as_deref().map_or(0, Self::bytes)
    }
}

/// A scope as it was stored: what [`Scope::own`] gave, however much several `Assign` made of it. It has
/// no outer scope until [`Scope::within`] gives it one.
impl FromIterator<(String, Value)> for Scope {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(values: I) -> Self {
        let variables = values.into_iter().map(|(name, value)| {
            let bytes = json_bytes(&value);
            (
                name,
                Variable {
                    value: Arc::new(value),
                    bytes,
                },
            )
        });
        Self {
            variables: variables.collect(),
            outer: None,
        }
    }
}

/// What is wrong with a variable's name, if anything, and what to do: it is a Unicode identifier (UAX
/// 31) of at most [`MAX_VARIABLE_NAME_CHARACTERS`], and `states` is taken.
pub fn variable_name_problem(name: &str) -> Option<(String, String)> {
    let found = |message: &str, advice: &str| Some((message.to_owned(), advice.to_owned()));
    let mut characters = name.chars();
    let first = match characters.next() {
        None => return found("a variable has no name", "write one"),
        Some('$') => {
            let advice = format!("write {:?}: $ is for reading it", &name[1..]);
            return found(&format!("{name:?} begins with $"), &advice);
        }
        Some(first) => first,
    };
    let bad = if unicode_ident::is_xid_start(first) {
        characters.find(|character| !unicode_ident::is_xid_continue(*character))
    } else {
        Some(first)
    };
    let length = name.chars().count();
    match bad {
        Some(bad) => found(
            &format!("{name:?} cannot be a variable: {bad:?} is not allowed there"),
            "begin with a letter and go on with letters, digits and _",
        ),
        None if length > MAX_VARIABLE_NAME_CHARACTERS => found(
            &format!("a variable's name has {length} characters"),
            &format!("shorten it to {MAX_VARIABLE_NAME_CHARACTERS}"),
        ),
        None if name == "states" => {
            found("$states belongs to Step Functions", "choose another name")
        }
        None => None,
    }
}

fn json_bytes(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value)
        .expect("a Value is always JSON, and counting cannot fail");
    count.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const VISIT: StateVisit<'static> = StateVisit {
        name: "Remember",
        entered_event_id: 7,
    };

    fn values(pairs: &[(&str, Value)]) -> IndexMap<String, Value> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }

    #[test]
    fn an_inner_scope_reads_the_outer_and_assigns_to_itself() {
        let mut machine = Scope::new();
        machine
            .assign(VISIT, values(&[("customer", json!("Ada"))]))
            .unwrap();
        let machine = Arc::new(machine);
        let mut branch = Scope::nested(Arc::clone(&machine));
        branch
            .assign(VISIT, values(&[("order", json!(7))]))
            .unwrap();
        assert_eq!(branch.get("customer"), Some(&json!("Ada")));
        assert_eq!(branch.get("order"), Some(&json!(7)));
        assert_eq!(machine.get("order"), None);
        assert_eq!(
            branch.visible().into_keys().collect::<Vec<_>>(),
            ["customer", "order"]
        );
    }

    #[test]
    fn limits_are_kept_and_nothing_is_half_assigned() {
        let mut scope = Scope::new();
        // Two bytes of each value are its quotes.
        let fitting = json!("x".repeat(MAX_VARIABLE_BYTES - 2));
        scope
            .assign(VISIT, values(&[("a", fitting.clone())]))
            .unwrap();
        for too_much in [
            values(&[
                ("small", json!(1)),
                ("large", json!("x".repeat(MAX_VARIABLE_BYTES - 1))),
            ]),
            values(&[("b", fitting.clone()), ("small", json!(1))]),
        ] {
            let error = scope.assign(VISIT, too_much).unwrap_err();
            assert_eq!(error.error, name::DATA_LIMIT_EXCEEDED);
            assert!(error.cause.contains("'Remember'"), "{}", error.cause);
            assert_eq!(scope.get("small"), None);
        }
        for index in 1..40 {
            scope
                .assign(
                    VISIT,
                    values(&[(format!("v{index}").as_str(), fitting.clone())]),
                )
                .unwrap();
        }
        assert!(
            scope
                .assign(VISIT, values(&[("onemore", json!(1))]))
                .is_err()
        );
        scope
            .assign(VISIT, values(&[("a", json!(1)), ("onemore", json!(1))]))
            .unwrap();
    }

    #[test]
    fn names_follow_the_rules() {
        for good in ["x", "customerName", "größe", "x_1", "नीति", &"a".repeat(80)] {
            assert_eq!(variable_name_problem(good), None, "{good}");
        }
        for bad in [
            "",
            "$x",
            "1x",
            "_x",
            "a-b",
            "a b",
            "a.b",
            "states",
            &"a".repeat(81),
        ] {
            assert!(variable_name_problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_stored_scope_comes_back() {
        let outer: Arc<Scope> = Arc::new([("o".to_owned(), json!(true))].into_iter().collect());
        let mut scope = Scope::nested(Arc::clone(&outer));
        // Together more than one Assign may set.
        for name in ["a", "b"] {
            scope
                .assign(
                    VISIT,
                    values(&[(name, json!("x".repeat(MAX_VARIABLE_BYTES - 2)))]),
                )
                .unwrap();
        }
        let stored = scope
            .own()
            .map(|(name, value)| (name.to_owned(), value.clone()));
        let restored = stored.collect::<Scope>().within(outer);
        assert_eq!(restored.visible(), scope.visible());
    }
}
