//! What many executions, long Maps and restarts cost: each figure beside its
//! bound, and the ratio of a large case to a small one of the same run where
//! the cost must be linear.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Cloud, task};

const PARKED: usize = 10_000;
/// Requests under way take memory too, which is not the executions'.
const AT_ONCE: usize = 500;

pub(super) fn report() {
    parked_in(
        "Wait",
        &json!({"Type": "Wait", "Seconds": 86_400, "End": true}),
    );
    parked_in("callback", &callback());
    maps();
}

/// Executions that have nothing to do: what each holds in memory, how fast they start, and how
/// long a restart takes with them.
fn parked_in(what: &str, state: &Value) {
    let cloud = Cloud::start();
    let states = json!({"Park": state});
    let definition = json!({"QueryLanguage": "JSONata", "StartAt": "Park", "States": states});
    let machine = cloud.create("parked", &definition);
    // What the first ones take besides themselves, such as threads and caches.
    cloud.begin(&machine, AT_ONCE);
    let before = resident_kilobytes();
    let begun = Instant::now();
    for _ in 0..PARKED / AT_ONCE {
        cloud.begin(&machine, AT_ONCE);
    }
    let started = begun.elapsed();
    let held = resident_kilobytes().saturating_sub(before);
    figure(
        &format!("{PARKED} executions started, then in a {what}: each"),
        micros_each(started, PARKED),
        2_000.0,
        "µs",
    );
    figure(
        &format!("memory of an execution in a {what}"),
        as_f64(held) / as_f64(PARKED),
        8.0,
        "KB",
    );
    let begun = Instant::now();
    let cloud = cloud.restarted();
    figure(
        &format!("restart with {PARKED} executions in a {what}"),
        begun.elapsed().as_secs_f64() * 1e3,
        5_000.0,
        "ms",
    );
    drop(cloud);
}

fn callback() -> Value {
    json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": {"FunctionName": "echo", "Payload": "{% $states.context.Task.Token %}"},
        "End": true,
    })
}

/// An item of a long Map costs what one of a short Map costs.
fn maps() {
    let each = |items: usize| {
        let cloud = Cloud::start();
        let mut ask = task();
        ask["End"] = json!(true);
        let map = json!({
            "Type": "Map",
            "Items": format!("{{% $range(1, {items}, 1) %}}"),
            "ItemProcessor": {"StartAt": "Ask", "States": {"Ask": ask}},
            "Output": "{% $count($states.result) %}",
            "End": true,
        });
        let states = json!({"Each": map});
        let definition = json!({"QueryLanguage": "JSONata", "StartAt": "Each", "States": states});
        let machine = cloud.create("map", &definition);
        cloud.run(&machine, 1);
        let runs = (0..3).map(|_| {
            let begun = Instant::now();
            cloud.run(&machine, 1);
            micros_each(begun.elapsed(), items)
        });
        runs.fold(f64::INFINITY, f64::min)
    };
    let (short, long) = (each(300), each(3_000));
    figure("an item of a Map of 300", short, 5_000.0, "µs");
    figure("an item of a Map of 3,000", long, 5_000.0, "µs");
    figure("the second to the first", long / short, 2.0, "times");
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn figure(what: &str, figure: f64, bound: f64, unit: &str) {
    println!("{what}: {figure:.1} {unit} (bound: {bound} {unit})");
    assert!(figure <= bound, "{what} is over its bound");
}

fn resident_kilobytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse().unwrap()
}

fn micros_each(duration: Duration, count: usize) -> f64 {
    duration.as_secs_f64() * 1e6 / as_f64(count)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}
