//! The local cloud beside ministack, an emulator of AWS in Python: the same machine
//! definitions through the same client, each on a server of its own. The figures of one run
//! are to be compared with each other.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints its figures, and a failed step ends it"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use lambda_process::LocalService;
use serde_json::{Value, json};
use support::{Folder, eventually};
use tokio::runtime::Runtime;

const MINISTACK: &str = "ministack-1.5.33";
const IN_A_ROW: usize = 100;
const ITERATIONS: usize = 1_000;
const SAMPLES: usize = 15;
/// ministack has a thread for each; ten times as many exhaust it.
const PARKED: usize = 1_000;

fn main() {
    let folder = Folder::new();
    let dev = folder.dev(&[]);
    let mut ours = Cloud::at(&dev.aws_endpoint_url).parked_runs(dev.process());
    drop(dev);
    let fresh = Folder::new();
    let dev = fresh.dev(&[]);
    ours.extend(Cloud::at(&dev.aws_endpoint_url).times());
    drop(dev);

    let Some(ministack) = Ministack::start(folder.path()) else {
        println!("ministack is not installed: run tests/bin/install-ministack");
        return;
    };
    let mut theirs = Cloud::at(&ministack.url).parked_runs(ministack.process.id());
    drop(ministack);
    let ministack = Ministack::start(folder.path()).unwrap();
    theirs.extend(Cloud::at(&ministack.url).times());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let Figure { what, unit, value } = ours;
        let ratio = theirs.value / value;
        println!(
            "{what:<32} {value:>8.1} {unit}   ministack {:>8.1} {unit}   {ratio:.1} times",
            theirs.value
        );
    }
}

/// Smaller is better in all of them.
struct Figure {
    what: &'static str,
    unit: &'static str,
    value: f64,
}

fn median(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[SAMPLES / 2]
}

fn row() -> Value {
    let states = (0..IN_A_ROW).map(|index| {
        let mut state = json!({"Type": "Pass", "Output": {"n": "{% $states.input.n + 1 %}"}});
        if index + 1 < IN_A_ROW {
            state["Next"] = json!(format!("S{}", index + 1));
        } else {
            state["End"] = json!(true);
        }
        (format!("S{index}"), state)
    });
    let states: Value = states.collect();
    json!({"QueryLanguage": "JSONata", "StartAt": "S0", "States": states})
}

fn map() -> Value {
    let add = json!({"Type": "Pass", "Output": {"n": "{% $states.input + 1 %}"}, "End": true});
    json!({"QueryLanguage": "JSONata", "StartAt": "Each", "States": {"Each": {
        "Type": "Map",
        "Items": "{% $states.input.items %}",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            "StartAt": "Add",
            "States": {"Add": add},
        },
        "End": true,
    }}})
}

fn wait() -> Value {
    json!({"QueryLanguage": "JSONata", "StartAt": "Wait", "States": {
        "Wait": {"Type": "Wait", "Seconds": 86_400, "End": true},
    }})
}

struct Cloud {
    client: Client,
    runtime: Runtime,
}

impl Cloud {
    fn at(url: &str) -> Self {
        Self {
            client: LocalService::at(url).sfn("us-east-1"),
            runtime: Runtime::new().unwrap(),
        }
    }

    /// On a server that has done nothing else, so that its memory is theirs.
    fn parked_runs(&self, process: u32) -> Vec<Figure> {
        let wait = self.create("wait", &wait());
        self.start(&wait, &json!({}), 1);
        let before = resident_kilobytes(process);
        let begun = Instant::now();
        self.start(&wait, &json!({}), PARKED);
        let started = begun.elapsed();
        // What is traced of them is written by and by.
        std::thread::sleep(Duration::from_secs(5));
        let grown = resident_kilobytes(process) - before;
        vec![
            Figure {
                what: "a run started that waits",
                unit: "ms",
                value: started.as_secs_f64() * 1e3 / PARKED as f64,
            },
            Figure {
                what: "memory of a run that waits",
                unit: "kB",
                value: grown / PARKED as f64,
            },
        ]
    }

    fn times(&self) -> Vec<Figure> {
        let row = self.create("row", &row());
        let map = self.create("map", &map());
        let items: Vec<usize> = (0..ITERATIONS).collect();
        let milliseconds = |what, value| Figure {
            what,
            unit: "ms",
            value,
        };
        vec![
            milliseconds(
                "a row of 100 Pass states",
                median(|| self.run(&row, &json!({"n": 0}), 1)),
            ),
            milliseconds(
                "20 such rows side by side",
                median(|| self.run(&row, &json!({"n": 0}), 20)),
            ),
            milliseconds(
                "a Map of 1,000 items",
                median(|| self.run(&map, &json!({"items": items}), 1)),
            ),
        ]
    }

    fn create(&self, name: &str, definition: &Value) -> String {
        let create = self
            .client
            .create_state_machine()
            .name(name)
            .role_arn("arn:aws:iam::000000000000:role/bench")
            .definition(definition.to_string());
        self.runtime
            .block_on(create.send())
            .unwrap()
            .state_machine_arn
    }

    fn start(&self, machine: &str, input: &Value, count: usize) -> Vec<String> {
        let start = self.client.start_execution().state_machine_arn(machine);
        let start = start.input(input.to_string());
        self.runtime.block_on(async {
            let mut started = Vec::with_capacity(count);
            for _ in 0..count {
                started.push(start.clone().send().await.unwrap().execution_arn);
            }
            started
        })
    }

    fn run(&self, machine: &str, input: &Value, count: usize) {
        let started = self.start(machine, input, count);
        self.runtime.block_on(async {
            for arn in started {
                loop {
                    let described = self.client.describe_execution().execution_arn(&arn);
                    match described.send().await.unwrap().status {
                        ExecutionStatus::Running => {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                        ExecutionStatus::Succeeded => break,
                        other => panic!("{arn} ended as {other}"),
                    }
                }
            }
        });
    }
}

struct Ministack {
    url: String,
    process: Child,
}

impl Ministack {
    fn start(folder: &Path) -> Option<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../.tools")
            .join(MINISTACK)
            .join("bin/ministack");
        if !program.exists() {
            return None;
        }
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let url = format!("http://127.0.0.1:{port}");
        let log: PathBuf = folder.join("ministack.log");
        let log = std::fs::File::create(log).unwrap();
        let process = Command::new(program)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", folder)
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "localhost")
            .env("IOT_MTLS_ENABLED", "0")
            .env("LAMBDA_EXECUTOR", "local")
            .env("AWS_ENDPOINT_URL", &url)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        eventually("ministack serves", || {
            std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        });
        Some(Self { url, process })
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn resident_kilobytes(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes
        .and_then(|text| text.parse().ok())
        .expect("a size")
}
