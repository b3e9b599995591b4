//! Processes that end with the test, and say what they logged.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::eventually;

/// Between the signal to end and the one that cannot be caught.
const GRACE: Duration = Duration::from_secs(10);

/// A server on a port of its own, ended when dropped.
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts it and waits until it listens.
    pub(crate) fn start(name: &'static str, folder: &Path, port: u16, command: Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        let child = spawn(command, &log);
        let mut server = Self { name, child, log };
        eventually(&format!("{name} listens"), || {
            if let Some(status) = server.child.try_wait().unwrap() {
                panic!("{name} ended with {status}\n{}", server.log_tail());
            }
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        });
        server
    }

    pub(crate) fn log_tail(&self) -> String {
        tail(self.name, &self.log)
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args([signal, &id]).status();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // With a chance to end what it started itself.
        self.signal("-TERM");
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs it to its end; standard output of a command that succeeds.
pub(crate) fn run(what: &str, mut command: Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{what}: {command:?} does not start: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{what} failed with {}:\n{stdout}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    free.local_addr().unwrap().port()
}

/// The last lines, under the log's name.
pub(crate) fn tail(name: &str, log: &Path) -> String {
    const LINES: usize = 60;
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    format!("---- the end of {name}'s log\n{}\n", last.join("\n"))
}

fn spawn(mut command: Command, log: &Path) -> Child {
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).open(log).unwrap();
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
}
