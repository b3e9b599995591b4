//! The specification as a table: each case of `*.json` here is one test of
//! the real engine, through the real AWS SDK. `README.md` tells the form.

#![expect(
    clippy::unwrap_used,
    reason = "a test says by panicking what went wrong"
)]

mod case;
mod compare;
mod run;
#[path = "../engine/support.rs"]
#[expect(dead_code, reason = "the engine's own tests use the rest of it")]
mod support;
mod table_tests;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use crate::case::Chapter;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specification");
    let chapters = match case::read_chapters(&folder) {
        Ok(chapters) => chapters,
        Err(problems) => {
            tell(&problems);
            return ExitCode::FAILURE;
        }
    };
    let mut trials = table_tests::trials();
    trials.extend(chapters.into_iter().flat_map(trials_of));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials_of(chapter: Chapter) -> impl Iterator<Item = Trial> {
    let Chapter {
        name: chapter,
        source,
        cases,
    } = chapter;
    cases.into_iter().map(move |case| {
        let name = format!("{chapter}::{}", case.name);
        let source = source.clone();
        Trial::test(name, move || Ok(run::run(&case, &source)?))
    })
}

#[expect(clippy::print_stderr, reason = "there is no test yet to fail with it")]
fn tell(problems: &[String]) {
    for problem in problems {
        eprintln!("{problem}");
    }
}
