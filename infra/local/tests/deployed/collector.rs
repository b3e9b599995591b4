//! The real collector, with the developers' configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bootstraps::repository;
use crate::emulator::tool;
use crate::processes::{Server, free_port};

const COLLECTOR: &str = "otelcol-v0.161.0";

pub(crate) struct Collector {
    port: u16,
    file: PathBuf,
    _server: Server,
}

impl Collector {
    pub(crate) fn start(folder: &Path) -> Self {
        let port = free_port();
        let file = folder.join("spans.jsonl");
        let mut command = Command::new(tool(COLLECTOR, "otelcol", "install-collector"));
        command
            .arg("--config")
            .arg(repository().join("infra/collector/config.yaml"))
            .env("COLLECTOR_ENDPOINT", format!("127.0.0.1:{port}"))
            .env("COLLECTOR_FILE", &file);
        let server = Server::start("collector", folder, port, command);
        Self {
            port,
            file,
            _server: server,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The names of the spans that it got, by trace and span. A line that is not whole yet is left
    /// for the next look.
    pub(crate) fn spans(&self) -> BTreeMap<(String, String), String> {
        let lines = std::fs::read_to_string(&self.file).unwrap_or_default();
        let requests = lines
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let mut spans = BTreeMap::new();
        for request in requests.collect::<Vec<Value>>() {
            for span in each(&request, &["resourceSpans", "scopeSpans", "spans"]) {
                let text = |field: &str| span[field].as_str().unwrap().to_owned();
                spans.insert((text("traceId"), text("spanId")), text("name"));
            }
        }
        spans
    }
}

/// What is at the end of nested lists.
fn each<'a>(value: &'a Value, fields: &[&str]) -> Vec<&'a Value> {
    let Some((field, rest)) = fields.split_first() else {
        return vec![value];
    };
    let items = value[field].as_array().into_iter().flatten();
    items.flat_map(|item| each(item, rest)).collect()
}
