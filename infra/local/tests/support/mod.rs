//! Runs the real `stepscope` binary on a data folder of its own.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod collector;
pub(crate) mod stored;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Long enough for a busy machine; nothing waits that long when it works.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Folder {
    folder: TempDir,
}

/// A running `stepscope dev`, killed when dropped.
pub(crate) struct Dev {
    pub(crate) url: String,
    pub(crate) aws_endpoint_url: String,
    child: Child,
    log: PathBuf,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The command with nothing of the tests' own environment that could steer it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepscope"));
        for (name, _) in std::env::vars() {
            let steers = [
                "STEPSCOPE_",
                "OTEL_",
                "AWS_",
                "OPENAI_",
                "ANTHROPIC_",
                "GEMINI_",
            ];
            if steers.iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.path())
            .env("STEPSCOPE_DATA", self.data())
            .env("NO_COLOR", "1");
        command
    }

    pub(crate) fn stepscope(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a command that must succeed.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.stepscope(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{arguments:?} failed:\n{stdout}\n{stderr}"
        );
        stdout
    }

    pub(crate) fn succeeds_with_json(&self, arguments: &[&str]) -> Value {
        let stdout = self.succeeds(arguments);
        serde_json::from_str(&stdout)
            .unwrap_or_else(|error| panic!("{arguments:?} printed no JSON ({error}):\n{stdout}"))
    }

    /// Standard error of a command that must fail.
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.stepscope(arguments);
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success(),
            "{arguments:?} succeeded:\n{stdout}\n{stderr}"
        );
        stderr
    }

    pub(crate) fn dev(&self, arguments: &[&str]) -> Dev {
        self.dev_with(arguments, &[])
    }

    /// Starts `dev` on free ports and waits until it says where it serves.
    pub(crate) fn dev_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Dev {
        let log = self.path().join("dev.log");
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut child = self
            .command(&["dev", "--port", "0"])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let lock = self.data().join("lock");
        let endpoints = eventually("dev serves", || {
            if let Some(status) = child.try_wait().unwrap() {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                panic!("dev ended with {status}:\n{log}");
            }
            let text = std::fs::read_to_string(&lock).ok()?;
            let endpoints: Value = serde_json::from_str(&text).ok()?;
            (endpoints["process"] == child.id()).then_some(endpoints)
        });
        Dev {
            url: endpoints["url"].as_str().unwrap().to_owned(),
            aws_endpoint_url: endpoints["aws_endpoint_url"].as_str().unwrap().to_owned(),
            child,
            log,
        }
    }
}

impl Dev {
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `SIGKILL`: nothing of it runs any further.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ctrl-C, and the status it ends with.
    pub(crate) fn interrupt(mut self) -> std::process::ExitStatus {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
        eventually("dev ends", || self.child.try_wait().unwrap())
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls until there is an answer; panics with the name of what never came.
pub(crate) fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The trace as indented lines, `kind name`, children in order of start, iterations
/// in order of their index.
pub(crate) fn outline(trace: &Value) -> String {
    let spans = trace["spans"].as_array().unwrap();
    let root = spans.iter().find(|span| span["parent_span_id"].is_null());
    let mut text = String::new();
    let mut seen = 0;
    let mut pending = vec![(root.expect("a root span"), 0)];
    while let Some((span, depth)) = pending.pop() {
        seen += 1;
        let error = match span["status"]["code"].as_str() {
            Some("error") => {
                let message = span["status"]["message"].as_str().unwrap_or_default();
                format!("  ✗ {}", message.split(':').next().unwrap_or_default())
            }
            _ => String::new(),
        };
        let kind = span["kind"].as_str().unwrap();
        let name = span["name"].as_str().unwrap();
        let _ = writeln!(text, "{}{kind} {name}{error}", "  ".repeat(depth));
        let mut children: Vec<&Value> = spans
            .iter()
            .filter(|child| child["parent_span_id"] == span["span_id"])
            .collect();
        children.sort_by_key(|child| {
            let name = child["name"].as_str().unwrap().to_owned();
            let start = child["start_offset_us"].as_i64().unwrap();
            let together = child["kind"] == "iteration";
            let event = child["event_id"].as_i64();
            (
                if together { (0, None) } else { (start, event) },
                name.len(),
                name,
            )
        });
        pending.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
    }
    assert_eq!(seen, spans.len(), "every span hangs on the root:\n{text}");
    text
}
