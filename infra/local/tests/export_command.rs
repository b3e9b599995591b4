//! `stepscope export`: what the table holds goes to a collector once more.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};
use support::Folder;
use support::collector::Collector;
use support::stored::{assert_all_the_same, run, stored_spans};

#[test]
fn runs_of_before_the_collector_arrive_whole() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let runs = [
        run(&folder, "support-triage", &[]),
        run(&folder, "flaky-enrichment", &[]),
    ];
    let stored = stored_spans(&dev, &folder, &runs);
    let collector = Collector::new(&folder).start();
    let url = collector.url();
    for _ in 0..2 {
        let done = folder.succeeds_with_json(&["export", "--since", "1h", "--to", &url, "--json"]);
        assert_eq!(done["runs"], 2);
        assert_eq!(done["spans"], stored.len());
        assert_eq!(done["dropped"], 0);
    }
    let exported = collector.eventually_has(&stored);
    assert_all_the_same(&exported, &stored);
    assert!(exported.values().all(|sendings| sendings.len() == 2));
    assert!(dev.interrupt().success());
}

/// Without `dev`, too: the command starts what it needs.
#[test]
fn one_run_is_named_by_its_id_its_arn_or_its_trace() {
    let folder = Folder::new();
    let id = run(&folder, "support-triage", &[]);
    run(&folder, "flaky-enrichment", &[]);
    let arn = format!("arn:aws:states:us-east-1:000000000000:execution:{id}");
    let collector = Collector::new(&folder).start();
    let url = collector.url();
    let export = |name: &str| {
        folder.succeeds_with_json(&["export", "--execution", name, "--to", &url, "--json"])
    };
    let by_id = export(&id);
    assert_eq!(by_id["runs"], 1);
    assert_eq!(export(&arn)["spans"], by_id["spans"]);
    let exported = collector.exported();
    let traces: Vec<_> = exported.keys().map(|(trace, _)| trace.clone()).collect();
    assert!(traces.iter().all(|trace| *trace == traces[0]));
    assert_eq!(export(&traces[0])["spans"], by_id["spans"]);

    let unknown = folder.fails(&["export", "--execution", "x:never-ran", "--to", &url]);
    assert!(unknown.contains("x:never-ran"), "{unknown}");
    let foreign = folder.fails(&[
        "export",
        "--execution",
        &id,
        "--to",
        &url,
        "--tenant",
        "globex",
    ]);
    assert!(foreign.contains("the tenant globex has no"), "{foreign}");
}

#[test]
fn only_runs_of_the_time_are_sent() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let first = run(&folder, "support-triage", &["--name", "first"]);
    run(&folder, "support-triage", &["--name", "second"]);
    let list = folder.succeeds_with_json(&["executions", "--json"]);
    let runs = list["executions"].as_array().unwrap();
    let second_start = runs[0]["started_at"].as_str().unwrap();
    assert_eq!(runs[1]["id"], *first);
    let collector = Collector::new(&folder).start();
    let url = collector.url();
    let runs = |arguments: &[&str]| {
        let arguments = [&["export", "--to", &url, "--json"], arguments].concat();
        folder.succeeds_with_json(&arguments)["runs"].clone()
    };
    assert_eq!(runs(&["--since", second_start]), 1);
    assert_eq!(runs(&["--since", "1h", "--until", second_start]), 1);
    assert_eq!(runs(&["--since", "1h", "--until", "1h"]), 0);
    assert!(dev.interrupt().success());
}

/// Answers each request with the next of these, and then with the last again.
fn answering(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (number, socket) in listener.incoming().enumerate() {
            let mut reader = BufReader::new(socket.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let line = line.trim().to_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(bytes) = line.strip_prefix("content-length: ") {
                    length = bytes.parse().unwrap();
                }
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            let status = answers[number.min(answers.len() - 1)];
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

#[test]
fn what_is_given_up_is_told_and_fails() {
    let folder = Folder::new();
    run(&folder, "support-triage", &[]);
    let url = answering(&["400 Bad Request"]);
    let output = folder.stepscope(&["export", "--since", "1h", "--to", &url, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(done["spans"], 0);
    assert!(done["dropped"].as_u64() > Some(5), "{done}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("spans were given up"), "{told}");
    assert!(told.contains("400"), "{told}");
}

#[test]
fn a_collector_that_stumbles_is_waited_for() {
    let folder = Folder::new();
    run(&folder, "support-triage", &[]);
    let url = answering(&["503 Service Unavailable", "429 Too Many Requests", "200 OK"]);
    let done = folder.succeeds_with_json(&["export", "--since", "1h", "--to", &url, "--json"]);
    assert_eq!(done["dropped"], 0);
    assert!(done["spans"].as_u64() > Some(5), "{done}");
}

/// The file is what an interrupted export leaves behind; with all exported it is gone.
#[test]
fn an_interrupted_export_goes_on_where_it_was() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    for name in ["one", "two", "three"] {
        run(&folder, "support-triage", &["--name", name]);
    }
    let list = folder.succeeds_with_json(&["executions", "--json"]);
    let nanoseconds = |text: &Value| {
        let time = trace_model::Timestamp::parse_rfc3339(text.as_str().unwrap());
        time.unwrap().as_unix_nanos()
    };
    let second_start = nanoseconds(&list["executions"][1]["started_at"]);
    let collector = Collector::new(&folder).start();
    let url = collector.url();
    let command = [
        "export", "--since", "1h", "--to", &url, "--resume", "position", "--json",
    ];
    let whole = folder.succeeds_with_json(&command);
    assert_eq!(whole["runs"], 3);
    assert!(!folder.path().join("position").exists());

    let position = json!({
        "order": {
            "tenant": "default",
            "table": "stepscope",
            "to": format!("{url}/v1/traces"),
            "since": "1h",
            "until": null,
        },
        "position": {
            "since": 0,
            "before": second_start,
            "runs": 2,
            "spans": 40,
            "dropped": 0,
        },
    });
    folder.write("position", &position.to_string());
    let other = [
        "export", "--since", "2h", "--to", &url, "--resume", "position",
    ];
    let refusal = folder.fails(&other);
    assert!(
        refusal.contains("the position of another export"),
        "{refusal}"
    );
    let rest = folder.succeeds_with_json(&command);
    assert_eq!(rest["runs"], 3, "two of before, and the oldest");
    assert!(rest["spans"].as_u64() < whole["spans"].as_u64().map(|spans| spans + 40));
    assert!(rest["spans"].as_u64() > Some(40));
    assert!(!folder.path().join("position").exists());
    assert!(dev.interrupt().success());
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let folder = Folder::new();
    let check = |arguments: &[&str], expected: &str| {
        let said = folder.fails(&[&["export"], arguments].concat());
        assert!(said.contains(expected), "{arguments:?}:\n{said}");
    };
    check(&["--since", "1h"], "OTEL_EXPORTER_OTLP_ENDPOINT");
    check(&["--to", "http://127.0.0.1:1"], "--since");
    check(&["--since", "soon"], "such as 90m, 24h or 7d");
    check(&["--since", "1h", "--to", "ftp://x"], "http");
    check(&["--since", "1h", "--header", "no"], "NAME=VALUE");
    check(&["--since", "1h", "--table", "only"], "--bucket");
}
