//! Every rule, broken and kept; and the page that tells of them.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod cases;
mod examples;
mod others;
mod reference;

use state_language::{Problem, Substitutions, check};

/// A whole definition around states, which begin in its second line.
fn definition(states: &str) -> String {
    let start = states.split('"').nth(1).unwrap();
    format!(
        "{{\"QueryLanguage\": \"JSONata\", \"StartAt\": \"{start}\", \"States\": {{\n{states}\n}}}}"
    )
}

/// The case's text: whole where it begins with a brace, else states.
fn text(case: &str) -> String {
    if case.trim_start_matches('«').starts_with('{') || !case.contains("\"Type\"") {
        case.to_owned()
    } else {
        definition(case)
    }
}

fn problems(text: &str) -> Vec<Problem> {
    check(text, Substitutions::Done).problems
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
