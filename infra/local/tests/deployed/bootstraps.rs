//! What `sam deploy` uploads: one folder with a `bootstrap` for each function.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::processes::run;

/// Fills `target/lambda` below the folder.
pub(crate) fn lay_out(application: &Path) {
    let lambda = application.join("target/lambda");
    let given = given().map(|given| repository().join(given));
    for function in functions() {
        let folder = lambda.join(&function);
        std::fs::create_dir_all(&folder).unwrap();
        let bootstrap = folder.join("bootstrap");
        match &given {
            Some(given) => {
                let from = given.join(&function).join("bootstrap");
                std::fs::copy(&from, &bootstrap).unwrap_or_else(|error| {
                    panic!("{}: {error}: run make bootstraps", from.display())
                });
            }
            None => pack(&function, &bootstrap),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "which programs to test is no setting of theirs"
)]
fn given() -> Option<OsString> {
    std::env::var_os("STEPSCOPE_BOOTSTRAPS")
}

/// Each folder below `functions/` is one, and its executable has its name.
fn functions() -> Vec<String> {
    let folder = repository().join("functions");
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// The debug symbols are ten times the program.
fn pack(function: &str, bootstrap: &Path) {
    let executables = Path::new(env!("CARGO_BIN_EXE_stepscope")).parent().unwrap();
    let executable = executables.join(function);
    assert!(
        executable.exists(),
        "there is no {}: run cargo build --workspace --bins, or make test-deployed",
        executable.display()
    );
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(bootstrap).arg(&executable);
    run(&format!("packing {function}"), strip);
}

pub(crate) fn repository() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}
