//! The deployed shape: the application as `sam deploy` makes it, with its real bootstraps, on an
//! emulator of AWS (`tests/bin/install-ministack`), from an empty account to traces read over HTTP.
//! It stands with the command's own tests because `stepscope dev` is the issuer, the demo service
//! and what the deployed traces are compared with.
//!
//! What the emulator cannot show (expiry, throttling, canary deployments) is asserted on the
//! template's text, by the `template` tests.
//!
//! `STEPSCOPE_BOOTSTRAPS` names a folder with `FUNCTION/bootstrap`, as `make bootstraps` fills it;
//! without it the executables beside this test are packed.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed step is a failed test, and says what it did until then"
)]

mod account;
mod alarms;
mod application;
mod bootstraps;
mod callers;
mod collector;
mod emulator;
mod enforced_account;
mod examples;
mod faults;
mod open_account;
mod processes;
mod structure;
#[path = "../support/mod.rs"]
mod support;
mod traces;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Trial};

use application::Application;

/// A case, which finds the application as the case before left it.
type Case = fn(&mut Application);

/// One stack, made by its first case that runs and used by all after it.
struct Stack {
    name: &'static str,
    deploy: fn() -> Application,
    cases: &'static [(&'static str, Case)],
}

const STACKS: [Stack; 2] = [open_account::STACK, enforced_account::STACK];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // In their order, so that one stack runs at a time.
    arguments.test_threads = Some(1);
    let applications: Vec<_> = STACKS.iter().map(|_| Arc::default()).collect();
    let mut trials = Vec::new();
    for (stack, application) in STACKS.iter().zip(&applications) {
        trials.extend(trials_of(stack, application));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials_of(stack: &'static Stack, shared: &Arc<Mutex<Option<Application>>>) -> Vec<Trial> {
    let last = stack.cases.len() - 1;
    let cases = stack.cases.iter().enumerate();
    let trials = cases.map(|(index, (name, case))| {
        let shared = Arc::clone(shared);
        Trial::test(format!("{}::{name}", stack.name), move || {
            let mut place = shared
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let application = place.get_or_insert_with(stack.deploy);
            let outcome = catch_unwind(AssertUnwindSafe(|| case(application)));
            if outcome.is_err() {
                eprintln!("{}", application.logs());
            }
            if index == last {
                // What it started ends here.
                *place = None;
            }
            outcome.map_err(|panic| resume_unwind(panic))
        })
    });
    trials.collect()
}
