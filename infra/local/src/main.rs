//! The `stepscope` command.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    stepscope::main(stepscope::Arguments::parse())
}
