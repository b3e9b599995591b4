//! The functions an expression may call, and with how many arguments.

use crate::step_functions;

/// A function of JSONata 2.0.6 or of Step Functions.
struct Function {
    name: &'static str,
    fewest: usize,
    most: usize,
    /// The first argument may be left to the context value, where there is one.
    first: First,
}

#[derive(PartialEq)]
enum First {
    Given,
    OrContext,
}

const UNLIMITED: usize = usize::MAX;

const fn given(name: &'static str, fewest: usize, most: usize) -> Function {
    Function {
        name,
        fewest,
        most,
        first: First::Given,
    }
}

const fn or_context(name: &'static str, fewest: usize, most: usize) -> Function {
    Function {
        name,
        fewest,
        most,
        first: First::OrContext,
    }
}

/// JSONata's own functions, `$eval` left out, and those of Step Functions.
const FUNCTIONS: &[Function] = &[
    or_context("abs", 1, 1),
    given("append", 2, 2),
    given("assert", 1, 2),
    given("average", 1, 1),
    or_context("base64decode", 1, 1),
    or_context("base64encode", 1, 1),
    or_context("boolean", 1, 1),
    or_context("ceil", 1, 1),
    or_context("contains", 2, 2),
    given("count", 1, 1),
    or_context("decodeUrl", 1, 1),
    or_context("decodeUrlComponent", 1, 1),
    given("distinct", 1, 1),
    or_context("each", 2, 2),
    or_context("encodeUrl", 1, 1),
    or_context("encodeUrlComponent", 1, 1),
    given("error", 0, 1),
    given("exists", 1, 1),
    given("filter", 2, 2),
    or_context("floor", 1, 1),
    or_context("formatBase", 1, 2),
    or_context("formatInteger", 2, 2),
    or_context("formatNumber", 2, 3),
    or_context("fromMillis", 1, 3),
    given("hash", 2, 2),
    given("join", 1, 2),
    or_context("keys", 1, 1),
    or_context("length", 1, 1),
    or_context("lookup", 2, 2),
    or_context("lowercase", 1, 1),
    given("map", 2, 2),
    or_context("match", 2, 3),
    given("max", 1, 1),
    given("merge", 1, 1),
    given("millis", 0, 0),
    given("min", 1, 1),
    or_context("not", 1, 1),
    given("now", 0, 2),
    or_context("number", 1, 1),
    or_context("pad", 2, 3),
    given("parse", 1, 1),
    or_context("parseInteger", 2, 2),
    given("partition", 2, 2),
    or_context("power", 2, 2),
    given("random", 0, 1),
    given("range", 3, 3),
    given("reduce", 2, 3),
    or_context("replace", 3, 4),
    given("reverse", 1, 1),
    or_context("round", 1, 2),
    given("shuffle", 1, 1),
    or_context("sift", 1, 2),
    given("single", 1, 2),
    given("sort", 1, 2),
    or_context("split", 2, 3),
    or_context("spread", 1, 1),
    or_context("sqrt", 1, 1),
    or_context("string", 1, 2),
    or_context("substring", 2, 3),
    or_context("substringAfter", 2, 2),
    or_context("substringBefore", 2, 2),
    given("sum", 1, 1),
    or_context("toMillis", 1, 2),
    or_context("trim", 1, 1),
    given("type", 1, 1),
    or_context("uppercase", 1, 1),
    given("uuid", 0, 0),
    given("zip", 1, UNLIMITED),
];

pub(crate) fn is_function(name: &str) -> bool {
    find(name).is_some() || step_functions::NAMES.contains(&name)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}

/// How many arguments the function takes, in words, when `count` of them cannot be right.
pub(crate) fn wrong_count(name: &str, count: usize, has_context: bool) -> Option<String> {
    let function = find(name)?;
    let may_leave_out = usize::from(has_context && function.first == First::OrContext);
    let fewest = function.fewest.saturating_sub(may_leave_out);
    if (fewest..=function.most).contains(&count) {
        return None;
    }
    Some(match (function.fewest, function.most) {
        (0, 0) => "no arguments".to_owned(),
        (1, 1) => "1 argument".to_owned(),
        (fewest, UNLIMITED) => format!("at least {fewest}"),
        (fewest, most) if fewest == most => format!("{most} arguments"),
        (fewest, most) => format!("{fewest} to {most} arguments"),
    })
}

fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_functions_own_are_among_them() {
        for name in step_functions::NAMES {
            assert!(find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn counts_are_judged() {
        for (name, count, has_context, expected) in [
            ("sum", 1, false, None),
            ("sum", 2, false, Some("1 argument")),
            ("uuid", 1, false, Some("no arguments")),
            ("length", 0, true, None),
            ("length", 0, false, Some("1 argument")),
            ("replace", 2, false, Some("3 to 4 arguments")),
            ("replace", 2, true, None),
            ("zip", 9, false, None),
            ("zip", 0, true, Some("at least 1")),
            ("unheardOf", 9, false, None),
        ] {
            assert_eq!(
                wrong_count(name, count, has_context).as_deref(),
                expected,
                "{name} {count}"
            );
        }
    }
}
