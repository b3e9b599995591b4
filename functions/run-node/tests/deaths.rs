//! How a function of one's own may die: it panics, hangs until Lambda kills it, or takes all
//! memory. This program is also that function, when it is started as one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "process/lambda.rs"]
#[expect(dead_code, reason = "the tests of run-node's process use all of it")]
mod lambda;

use std::time::Duration;

use lambda::{Cloud, Function, Store, Told};
use lambda_runtime::{Diagnostic, LambdaEvent};
use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use trace_model::{Revision, SpanKind, Status};

const AS_FUNCTION: &str = "--as-function";
const MEBIBYTE: usize = 1 << 20;

fn main() {
    if std::env::args().any(|argument| argument == AS_FUNCTION) {
        let ended = Runtime::new().unwrap().block_on(tracer::run(die));
        panic!("the Runtime API is away: {ended:?}");
    }
    let trials = vec![
        trial(
            "hard_case_18_a_panic_is_an_error_and_its_spans_are_kept",
            a_panic,
        ),
        trial(
            "hard_case_18_a_hanging_node_is_seen_after_its_deadline",
            a_hang,
        ),
        trial(
            "hard_case_18_out_of_memory_keeps_what_was_written",
            out_of_memory,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The function's handler.
async fn die(event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    match event.payload["node"].as_str() {
        Some("panic") => panic!("of dana@example.com"),
        Some("hang") => std::future::pending().await,
        Some("take-memory") => {
            // The second half of a second is the writer's.
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            let mut taken = Vec::new();
            loop {
                taken.push(vec![1_u8; MEBIBYTE]);
            }
        }
        _ => Ok(json!("alive")),
    }
}

fn trial<Test>(name: &str, test: fn() -> Test) -> Trial
where
    Test: Future<Output = ()> + 'static,
{
    Trial::test(name, move || {
        Runtime::new().unwrap().block_on(test());
        Ok(())
    })
}

async fn function(cloud: &Cloud) -> Function {
    let program = std::env::current_exe().unwrap();
    cloud
        .function(program.to_str().unwrap(), &[AS_FUNCTION])
        .await
}

async fn send(function: &Function, kind: &str, time: Duration) {
    function.send_within(kind, Value::Null, time).await;
}

async fn next_process_works(cloud: &Cloud) {
    let before = cloud.spans().await.len();
    let mut next = function(cloud).await;
    send(&next, "live", lambda::PATIENCE).await;
    assert!(matches!(next.told().await, Told::Response(_)));
    assert!(matches!(next.told().await, Told::WantsNext));
    assert_eq!(cloud.spans().await.len(), before + 1);
}

async fn a_panic() {
    let cloud = Cloud::start().await;
    cloud.set(Store::Takes);
    let mut function = function(&cloud).await;
    send(&function, "panic", lambda::PATIENCE).await;
    let Told::Error(_) = function.told().await else {
        panic!("Lambda is told of the panic");
    };
    assert!(matches!(function.told().await, Told::WantsNext));
    let [span] = &cloud.spans().await[..] else {
        panic!("one span")
    };
    assert_eq!(span.revision, Revision::FINISHED);
    assert_eq!(span.text("error.type"), Some("panic"));
    let Status::Error { message } = &span.status else {
        panic!("the span failed")
    };
    assert!(!message.contains("dana"), "{message}");
    assert!(!function.output().contains("dana"), "the log is masked too");
    // The process goes on, as Lambda expects of it.
    send(&function, "live", lambda::PATIENCE).await;
    assert!(matches!(function.told().await, Told::Response(_)));
    assert!(matches!(function.told().await, Told::WantsNext));
    assert_eq!(cloud.spans().await.len(), 2);
}

async fn a_hang() {
    let cloud = Cloud::start().await;
    let mut function = function(&cloud).await;
    let time = Duration::from_secs(3);
    let deadline = tokio::time::Instant::now() + time;
    send(&function, "hang", time).await;
    // Lambda kills at the deadline.
    tokio::time::sleep_until(deadline).await;
    function.kill();
    let [span] = &cloud.spans().await[..] else {
        panic!("one span")
    };
    assert_eq!(
        (span.kind, span.revision),
        (SpanKind::Node, Revision::OPENED)
    );
    next_process_works(&cloud).await;
}

async fn out_of_memory() {
    let cloud = Cloud::start().await;
    let mut function = function(&cloud).await;
    let limit = format!("--as={}", memory_of(&function) + 256 * MEBIBYTE);
    let id = function.process.id().to_string();
    let limited = std::process::Command::new("prlimit")
        .args(["--pid", &id, &limit])
        .status();
    assert!(limited.unwrap().success());
    send(&function, "take-memory", lambda::PATIENCE).await;
    assert!(!function.ends().await.success());
    let [span] = &cloud.spans().await[..] else {
        panic!("one span")
    };
    assert_eq!(span.revision, Revision::OPENED);
    next_process_works(&cloud).await;
}

/// Addresses it has taken, in bytes.
fn memory_of(function: &Function) -> usize {
    let status = format!("/proc/{}/status", function.process.id());
    let status = std::fs::read_to_string(status).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kibibytes = size.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<usize>().unwrap() * 1024
}
