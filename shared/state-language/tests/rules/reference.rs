//! `docs/reference/checks.md` is what the checks say.

use std::fs;
use std::path::Path;

use state_language::{Rule, Severity};

use super::cases::CASES;
use super::problems;

/// Set to write the page instead of comparing it.
const UPDATE: Option<&str> = option_env!("UPDATE_REFERENCE");

/// What is said of rules that have no case of their own here.
const ELSEWHERE: [(Rule, &str, &str); 2] = [
    (
        Rule::DefinitionTooLarge,
        "it has 1048577 bytes, and a definition has at most 1048576",
        "split it: a state machine may start another with states:startExecution.sync:2",
    ),
    (
        Rule::NotServedHere,
        "the resource arn:aws:states:::sqs:sendMessage cannot be served locally: the state runs on AWS, not here",
        "call a Lambda function (arn:aws:states:::lambda:invoke) instead",
    ),
];

#[test]
fn the_reference_page_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/checks.md");
    let expected = page();
    if UPDATE.is_some() {
        fs::write(&file, &expected).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == expected,
        "docs/reference/checks.md is out of date: run \
         `UPDATE_REFERENCE=1 cargo test --workspace --test rules`"
    );
}

fn page() -> String {
    let mut page = String::from(
        "# Checks before a run\n\n\
         `stepscope check FILE…` says everything that is wrong with a state machine definition, with its \
         place, the rule and what to do; `stepscope run FILE` says the same before it runs it. \
         An **error** is what Step Functions refuses, or what cannot work: nothing is run. \
         A **warning** is what runs and may go wrong.\n\n\
         ```\n\
         my-workflow.asl.json:12:20: error: States.Classify.Output: no state here assigns $custmer; did you mean $customer? [undefined-variable]\n\
         ```\n\n\
         A folder stands for its `*.asl.json` files and `-` for standard input; `--json` prints one JSON \
         object. The exit status is 1 when there are errors, and 0 with none or warnings only. \
         `${Name}` is left to the deployment that gives its value.\n\n\
         The names of the rules are stable. The page is generated from the rules and from what the \
         checks say of their test cases.\n",
    );
    let mut group = "";
    for rule in Rule::ALL {
        if rule.group() != group {
            group = rule.group();
            let head = "| rule | | an example of its message | what to do |\n|---|---|---|---|";
            page.extend(["\n## ", group, "\n\n", head, "\n"]);
        }
        let (message, advice) = example(*rule);
        let severity = match rule.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let row = [
            format!("**`{}`**<br>{}", rule.name(), rule.sentence()),
            severity.to_owned(),
            cell(&message),
            cell(&advice),
        ];
        page.extend(["| ", &row.join(" | "), " |\n"]);
    }
    page
}

fn example(rule: Rule) -> (String, String) {
    let told = ELSEWHERE.iter().find(|(known, ..)| *known == rule);
    if let Some((_, message, advice)) = told {
        return ((*message).to_owned(), (*advice).to_owned());
    }
    let case = CASES.iter().find(|case| case.rule == rule).unwrap();
    let problem = problems(&case.bad().0).remove(0);
    (problem.message, problem.advice)
}

/// As plain text in a table's cell.
fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for character in text.chars() {
        if "|\\*_`<>[]$".contains(character) {
            cell.push('\\');
        }
        cell.push(character);
    }
    cell
}
