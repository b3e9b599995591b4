//! A Lambda of one's own behind `cargo lambda watch`, as docs/how-to/trace-your-own-lambda.md
//! sets it up: its spans stand under the attempt that called it.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use support::{Dev, Folder, eventually, outline};

#[test]
fn a_lambda_of_one_s_own_shows_under_the_attempt_that_called_it() {
    let port = free_port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let folder = Folder::new();
    let dev = folder.dev(&["--lambda-endpoint", &endpoint]);
    let _watch = CargoLambda::watch(&folder, &dev, port);
    let workflow = root().join("shared/tracer/examples/own_lambda.asl.json");
    let run = |workflow: &Path, input: &str, status: i32| {
        let workflow = workflow.to_str().unwrap();
        let arguments = [
            "run", workflow, "--input", input, "--tenant", "acme", "--json",
        ];
        let output = folder.stepscope(&arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{stderr}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };

    let answered = run(
        &workflow,
        r#"{"question": "When do parcels leave today"}"#,
        0,
    );
    assert_eq!(answered["output"]["answer"], "Parcels leave daily at noon.");
    let trace = whole_trace(&folder, &answered);
    assert_eq!(
        outline(&trace),
        "run own_lambda\n\
         \x20 state Answer\n\
         \x20   attempt Answer attempt 1\n\
         \x20     node own_lambda\n\
         \x20       internal find_passages\n\
         \x20       internal answer\n\
         \x20         model chat extractive-1\n"
    );
    let usage = &trace["execution"]["totals"];
    assert_eq!(
        (&usage["input_tokens"], &usage["output_tokens"]),
        (&5.into(), &5.into())
    );

    // The name of its error is what a Catch matches.
    let caught = run(&workflow, r#"{"question": "xyzzy"}"#, 0);
    assert_eq!(caught["output"]["error"], "NoPassage");
    assert_eq!(
        outline(&whole_trace(&folder, &caught)),
        "run own_lambda\n\
         \x20 state Answer  ✗ NoPassage\n\
         \x20   attempt Answer attempt 1  ✗ NoPassage\n\
         \x20     node own_lambda  ✗ no passage answers that\n\
         \x20       internal find_passages\n\
         \x20       internal answer  ✗ no passage answers that\n\
         \x20         model chat extractive-1  ✗ nothing in the library is near the question\n\
         \x20 state Apologise\n"
    );

    let definition = std::fs::read_to_string(&workflow).unwrap();
    let misspelt = definition.replace(r#""own_lambda""#, r#""own_lamda""#);
    let misspelt = folder.write("misspelt.asl.json", &misspelt);
    let missing = run(&misspelt, r#"{"question": "anything"}"#, 1);
    assert_eq!(missing["error"], "Lambda.ResourceNotFoundException");
    let cause = missing["cause"].as_str().unwrap();
    assert!(cause.contains("for the function own_lamda"), "{cause}");
    assert!(
        cause.contains("Available functions") && cause.contains("own_lambda"),
        "{cause}"
    );
}

/// Once all of it is there: a Lambda writes its spans after it has answered.
fn whole_trace(folder: &Folder, run: &Value) -> Value {
    let execution = run["execution"].as_str().unwrap();
    eventually("the function's spans have ended", || {
        let arguments = ["trace", execution, "--tenant", "acme", "--json"];
        let trace = folder.succeeds_with_json(&arguments);
        let spans = trace["spans"].as_array().unwrap();
        let ended = spans.iter().all(|span| !span["duration_us"].is_null());
        let has_model_call = spans.iter().any(|span| span["kind"] == "model");
        let counted = trace["execution"]["totals"]["spans"] == spans.len();
        (ended && has_model_call && counted).then_some(trace)
    })
}

/// `cargo lambda watch` in a project of its own, serving the example.
struct CargoLambda {
    process: Child,
}

impl CargoLambda {
    fn watch(folder: &Folder, dev: &Dev, port: u16) -> Self {
        let program = root().join(".tools/cargo-lambda-1.9.2/bin/cargo-lambda");
        assert!(
            program.exists(),
            "there is no {}: run tests/bin/install-cargo-lambda, or make tools",
            program.display()
        );
        let project = project(folder);
        let log = std::fs::File::create(folder.path().join("lambda.log")).unwrap();
        let process = Command::new(program)
            .args(["lambda", "watch", "--ignore-changes"])
            .args([
                "--invoke-address",
                "127.0.0.1",
                "--invoke-port",
                &port.to_string(),
            ])
            .current_dir(project)
            .env("AWS_ENDPOINT_URL", &dev.aws_endpoint_url)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("STEPSCOPE_TABLE", "stepscope")
            .env("STEPSCOPE_BUCKET", "stepscope")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let watch = Self { process };
        eventually("cargo lambda watch listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        watch
    }
}

/// `SIGTERM`, so that it stops the function too.
impl Drop for CargoLambda {
    fn drop(&mut self) {
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let _ = self.process.wait();
    }
}

/// `cargo lambda watch` serves binaries and compiles them itself, and an example of this
/// workspace is none. So it gets a project whose binary becomes the example, which is built
/// here with what the tests have compiled already.
fn project(folder: &Folder) -> PathBuf {
    let project = folder.path().join("own_lambda");
    std::fs::create_dir_all(project.join("src")).unwrap();
    std::fs::write(
        project.join("Cargo.toml"),
        "[package]\nname = \"own_lambda\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n",
    )
    .unwrap();
    let main = format!(
        "use std::os::unix::process::CommandExt as _;\n\
         fn main() -> std::io::Result<()> {{\n    \
         Err(std::process::Command::new(r#\"{}\"#).exec())\n}}\n",
        example().display()
    );
    std::fs::write(project.join("src/main.rs"), main).unwrap();
    project
}

fn example() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_stepscope"));
    let target = target.parent().and_then(Path::parent).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    // What Cargo told this test of its own package: build scripts that look at it would run
    // again, and all that depends on them be compiled again.
    for (name, _) in std::env::vars() {
        let tells = [
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_MANIFEST_",
            "CARGO_PKG_",
        ];
        if tells.iter().any(|prefix| name.starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    let built = cargo
        .args(["build", "--quiet", "--workspace", "--example", "own_lambda"])
        .arg("--target-dir")
        .arg(target)
        .current_dir(root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    target.join("debug/examples/own_lambda")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}
