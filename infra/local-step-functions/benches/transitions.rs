//! What the engine itself costs: states entered and left, committed to disk,
//! with functions that answer at once.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark says by panicking what went wrong"
)]

use aws_credential_types::Credentials;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::{BehaviorVersion, Region};
use divan::Bencher;
use divan::counter::ItemsCount;
use local_step_functions::{Config, FunctionInvoker, LocalStepFunctions, Place};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use trace_model::Clock;

#[path = "transitions/sizes.rs"]
mod sizes;

fn main() {
    divan::main();
    // `--list` and the like are divan's; figures come with a whole run only.
    if std::env::args().all(|argument| !argument.starts_with("--") || argument == "--bench") {
        sizes::report();
    }
}

/// States of the machines that pass or ask in a row.
const IN_A_ROW: usize = 100;
const ITERATIONS: usize = 1_000;
const SIDE_BY_SIDE: usize = 1_000;

#[divan::bench(sample_count = 20)]
fn pass_states_in_a_row(bencher: Bencher<'_, '_>) {
    let cloud = Cloud::start();
    let machine = cloud.create("row", &row(|_| json!({"Type": "Pass"})));
    bencher
        .counter(ItemsCount::new(IN_A_ROW))
        .bench(|| cloud.run(&machine, 1));
}

#[divan::bench(sample_count = 20)]
fn tasks_in_a_row(bencher: Bencher<'_, '_>) {
    let cloud = Cloud::start();
    let machine = cloud.create("row", &row(|_| task()));
    bencher
        .counter(ItemsCount::new(IN_A_ROW))
        .bench(|| cloud.run(&machine, 1));
}

#[divan::bench(sample_count = 10)]
fn map_of_a_thousand_tasks(bencher: Bencher<'_, '_>) {
    let cloud = Cloud::start();
    let mut ask = task();
    ask["End"] = json!(true);
    let machine = cloud.create(
        "map",
        &json!({"QueryLanguage": "JSONata", "StartAt": "Each", "States": {"Each": {
            "Type": "Map",
            "Items": format!("{{% $range(1, {ITERATIONS}, 1) %}}"),
            "ItemProcessor": {"StartAt": "Ask", "States": {"Ask": ask}},
            "End": true,
        }}}),
    );
    bencher
        .counter(ItemsCount::new(ITERATIONS))
        .bench(|| cloud.run(&machine, 1));
}

#[divan::bench(sample_count = 10)]
fn a_thousand_executions_side_by_side(bencher: Bencher<'_, '_>) {
    let cloud = Cloud::start();
    let machine = cloud.create(
        "row",
        &row(|index| {
            if index < 5 {
                task()
            } else {
                json!({"Type": "Pass"})
            }
        }),
    );
    bencher
        .counter(ItemsCount::new(IN_A_ROW * SIDE_BY_SIDE))
        .bench(|| cloud.run(&machine, SIDE_BY_SIDE));
}

fn task() -> Value {
    json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "echo", "Payload": {"n": "{% $states.input %}", "id": "{% $uuid() %}"}},
        "Output": "{% $states.result.Payload.n %}",
    })
}

fn row(state: impl Fn(usize) -> Value) -> Value {
    let states = (0..IN_A_ROW).map(|index| {
        let mut state = state(index);
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

struct Cloud {
    runtime: Runtime,
    engine: LocalStepFunctions,
    client: Client,
    folder: tempfile::TempDir,
}

impl Cloud {
    fn start() -> Self {
        Self::open(tempfile::tempdir().unwrap())
    }

    /// The next process on the same folder.
    fn restarted(self) -> Self {
        self.runtime.block_on(self.engine.shutdown());
        Self::open(self.folder)
    }

    fn open(folder: tempfile::TempDir) -> Self {
        let runtime = Runtime::new().unwrap();
        let config = Config {
            data: folder.path().to_owned(),
            place: Place::default(),
            clock: Clock::system(),
            functions: FunctionInvoker::new()
                .with_function("echo", |request| async move { Ok(request.payload) }),
        };
        let engine = runtime.block_on(LocalStepFunctions::start(config)).unwrap();
        let config = aws_sdk_sfn::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "bench"))
            .http_client(engine.http_client())
            .build();
        Self {
            runtime,
            engine,
            client: Client::from_conf(config),
            folder,
        }
    }

    fn create(&self, name: &str, definition: &Value) -> String {
        let create = self
            .client
            .create_state_machine()
            .name(name)
            .role_arn("arn:aws:iam::1:role/r");
        let create = create.definition(definition.to_string()).send();
        self.runtime.block_on(create).unwrap().state_machine_arn
    }

    /// Starts so many executions.
    fn begin(&self, machine: &str, count: usize) {
        let start = self
            .client
            .start_execution()
            .state_machine_arn(machine)
            .input("1");
        let started = (0..count).map(|_| start.clone().send());
        let started = self.runtime.block_on(futures::future::join_all(started));
        assert!(started.iter().all(Result::is_ok));
    }

    /// Runs so many executions side by side to their ends.
    fn run(&self, machine: &str, count: usize) {
        self.runtime.block_on(async {
            let mut growth = self.engine.subscribe();
            let start = self
                .client
                .start_execution()
                .state_machine_arn(machine)
                .input("1");
            let started = futures::future::join_all((0..count).map(|_| start.clone().send())).await;
            for started in started {
                let arn = started.unwrap().execution_arn;
                loop {
                    let described = self.client.describe_execution().execution_arn(&arn);
                    let described = described.send().await.unwrap();
                    match described.status().as_str() {
                        "RUNNING" => drop(growth.recv().await),
                        "SUCCEEDED" => break,
                        other => panic!("{other}: {:?}", described.cause()),
                    }
                }
            }
        });
    }
}
