//! What a user waits for, on the real binary: start, idle memory, the digest of twenty
//! documents, and what engine and tracing cost a state. Each figure stands beside its bound.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints its figures, and a failed step ends it"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::Folder;

fn main() {
    let folder = Folder::new();
    // The first start makes the files; a user's every later start is the one that counts.
    drop(folder.dev(&[]));
    let begun = Instant::now();
    let dev = folder.dev(&[]);
    let ready = begun.elapsed();
    report(
        "`stepscope dev` serves after",
        ready.as_secs_f64() * 1e3,
        1_000.0,
        "ms",
    );

    std::thread::sleep(Duration::from_secs(3));
    let before = processor_time(dev.process());
    std::thread::sleep(Duration::from_secs(5));
    let idle = processor_time(dev.process()) - before;
    report("idle memory", resident_megabytes(dev.process()), 80.0, "MB");
    report("processor time in 5 idle seconds", idle * 1e3, 50.0, "ms");

    let input = digest_input().to_string();
    let arguments = [
        "run",
        "document-digest",
        "--json",
        "--url",
        &dev.url,
        "--input",
        &input,
    ];
    folder.succeeds(&arguments);
    let trace = {
        let run = folder.succeeds_with_json(&arguments);
        let execution = run["execution"].as_str().expect("an execution");
        folder.succeeds_with_json(&["trace", execution, "--json", "--url", &dev.url])
    };
    let spans = trace["spans"].as_array().expect("spans");
    let run = of_kind(spans, "run").next().expect("a run");
    let run_ms = run["duration_us"].as_f64().expect("a finished run") / 1e3;
    report("document-digest over 20 documents", run_ms, 1_500.0, "ms");

    let states = of_kind(spans, "state").filter(|span| span["name"] == "Summarise");
    let overheads: Vec<f64> = states
        .map(|state| {
            let id = &state["span_id"];
            let attempt = of_kind(spans, "attempt").find(|span| span["parent_span_id"] == *id);
            let attempt_id = &attempt.expect("an attempt")["span_id"];
            let node = of_kind(spans, "node").find(|span| span["parent_span_id"] == *attempt_id);
            let node_id = &node.expect("a node")["span_id"];
            let call = of_kind(spans, "model").find(|span| span["parent_span_id"] == *node_id);
            let micros = |span: &Value| span["duration_us"].as_f64().expect("a finished span");
            (micros(state) - micros(call.expect("a model call"))) / 1e3
        })
        .collect();
    let mean = overheads.iter().sum::<f64>() / overheads.len() as f64;
    report("engine and tracing, a state", mean, 5.0, "ms");
}

fn of_kind<'a>(spans: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    spans.iter().filter(move |span| span["kind"] == kind)
}

fn digest_input() -> Value {
    let sentence = "A bridge that is not painted rusts within a decade, says the handbook. ";
    let documents: Vec<Value> = (0..20)
        .map(|index| json!({"name": format!("document-{index}"), "text": sentence.repeat(60)}))
        .collect();
    json!({"documents": documents})
}

fn report(what: &str, figure: f64, bound: f64, unit: &str) {
    println!("{what:<40} {figure:>9.1} {unit:<3} (bound {bound} {unit})");
    assert!(
        figure <= bound,
        "{what}: {figure:.1} {unit} is over {bound} {unit}"
    );
}

fn resident_megabytes(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes
        .and_then(|text| text.parse::<f64>().ok())
        .expect("a size")
        / 1e3
}

/// Seconds of processor time so far, user and system.
fn processor_time(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux");
    let after_name = stat.rsplit(')').next().expect("a name in parentheses");
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("ticks");
    // utime and stime are fields 14 and 15 of proc(5), in ticks of a hundredth of a second.
    (ticks(11) + ticks(12)) / 100.0
}
