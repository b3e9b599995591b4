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

    let input = folder.write("input.json", &digest_input().to_string());
    let input = format!("@{}", input.display());
    let trace_of = |workflow: &str| {
        let arguments = [
            "run", workflow, "--json", "--url", &dev.url, "--input", &input,
        ];
        let run = folder.succeeds_with_json(&arguments);
        let execution = run["execution"].as_str().expect("an execution").to_owned();
        folder.succeeds_with_json(&["trace", &execution, "--json", "--url", &dev.url])
    };
    trace_of("document-digest");
    let run_ms = sum_ms(&trace_of("document-digest"), "run");
    report("document-digest over 20 documents", run_ms, 1_500.0, "ms");

    // One document after the other, so that nothing waits for a processor but the run itself:
    // what is not the model's answer is the engine, the node and the tracing.
    let definition = include_str!("../../workflows/document-digest.asl.json");
    let one_by_one = definition.replace("\"MaxConcurrency\": 10", "\"MaxConcurrency\": 1");
    assert_ne!(
        one_by_one, definition,
        "the example has another MaxConcurrency"
    );
    let file = folder.write("one-by-one.asl.json", &one_by_one);
    let file = file.to_str().expect("a path in UTF-8");
    trace_of(file);
    let trace = trace_of(file);
    let tasks = of_kind(&trace, "attempt").count() as f64;
    let overhead = (sum_ms(&trace, "run") - sum_ms(&trace, "model")) / tasks;
    report("engine, node and tracing, a state", overhead, 5.0, "ms");
}

fn sum_ms(trace: &Value, kind: &str) -> f64 {
    let micros = of_kind(trace, kind).map(|span| span["duration_us"].as_f64());
    micros
        .map(|micros| micros.expect("a finished span") / 1e3)
        .sum()
}

fn of_kind<'a>(trace: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let spans = trace["spans"].as_array().expect("spans");
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
