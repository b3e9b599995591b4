//! ministack, empty, with its state in a folder of its own.

use std::path::Path;
use std::process::Command;

use crate::processes::{Server, free_port};

const MINISTACK: &str = "ministack-1.5.33";

/// Whether requests need credentials, and their policies count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Iam {
    Open,
    Enforced,
}

pub(crate) struct Emulator {
    pub(crate) url: String,
    server: Server,
}

impl Emulator {
    pub(crate) fn start(folder: &Path, iam: Iam) -> Self {
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(tool(MINISTACK, "bin/ministack", "install-ministack"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", folder)
            .env("TMPDIR", folder)
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "localhost")
            .env("IOT_MTLS_ENABLED", "0")
            .env("LAMBDA_EXECUTOR", "local")
            // As Cognito does: a trigger that fails ends the sign-in.
            .env("MINISTACK_COGNITO_PRETOKEN_STRICT", "true")
            .env("AUTH", (iam == Iam::Enforced).to_string())
            .env("AWS_ENDPOINT_URL", &url);
        let server = Server::start("ministack", folder, port, command);
        Self { url, server }
    }

    pub(crate) fn log_tail(&self) -> String {
        self.server.log_tail()
    }
}

/// A program of `.tools/`, or how to get it.
pub(crate) fn tool(folder: &str, program: &str, installer: &str) -> std::path::PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools");
    let path = tools.join(folder).join(program);
    assert!(
        path.exists(),
        "there is no {}: run tests/bin/{installer}, or make tools",
        path.display()
    );
    path
}
