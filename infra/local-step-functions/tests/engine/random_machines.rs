//! Machines grown at random, run to their ends with a stop in the middle: the
//! history stays whole, and the end is the one the machine has undisturbed.

use aws_sdk_sfn::types::ExecutionStatus::{self, Failed, Succeeded};
use local_step_functions::{FunctionError, FunctionInvoker, InvocationRequest};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value, json};

use crate::support::{Cloud, Ended, client, crashed, start_engine};

/// Machines in an ordinary test run; `STEPSCOPE_SOAK` is another number of them.
const CASES: u64 = 40;

const CHILD: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:child";

#[test]
fn a_stop_in_the_middle_changes_no_end_and_leaves_no_gap() {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long to test is asked of whoever starts the tests"
    )]
    let cases = std::env::var("STEPSCOPE_SOAK").ok();
    let cases = cases.map_or(CASES, |cases| cases.parse().unwrap());
    let mut ends = Map::new();
    for seed in 0..cases {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let status = runtime.block_on(case(seed));
        let count = ends.entry(status.to_string()).or_insert(json!(0));
        *count = json!(count.as_u64().unwrap() + 1);
    }
    // A grammar that only ever succeeds, or only ever fails, would test half of it.
    assert!(
        ends.contains_key("SUCCEEDED") && ends.contains_key("FAILED"),
        "{ends:?}"
    );
}

async fn case(seed: u64) -> ExecutionStatus {
    let mut grower = Grower {
        random: StdRng::seed_from_u64(seed),
        names: 0,
    };
    let mut definition = grower.flow(3, Place::Machine);
    definition["QueryLanguage"] = json!("JSONata");
    let told = format!("seed {seed}: {definition}");
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::open_with(folder, functions()).await;
    let nap = json!({"StartAt": "Nap", "States": {
        "Nap": {"Type": "Wait", "Seconds": 2, "Output": "{% $states.input.n %}", "End": true},
    }, "QueryLanguage": "JSONata"});
    cloud.create("child", &nap).await;
    let machine = cloud.create("m", &definition).await;
    let undisturbed = cloud.begin(&machine, &json!({"n": 1})).await;
    let undisturbed = cloud.ended(&undisturbed).await;
    check(&undisturbed, &told);

    let stop_at = grower.random.random_range(1..=undisturbed.events.len());
    let arn = cloud.begin(&machine, &json!({"n": 1})).await;
    let mut growth = cloud.engine.subscribe();
    while cloud.events(&arn).await.len() < stop_at {
        growth.recv().await.unwrap();
    }
    let again = if grower.random.random() {
        crashed(&cloud, functions()).await
    } else {
        cloud.engine.shutdown().await;
        let engine = start_engine(cloud.folder.path(), functions()).await;
        let client = client(&engine);
        Cloud {
            engine,
            client,
            folder: cloud.folder,
        }
    };
    let ended = again.ended(&arn).await;
    check(&ended, &told);
    assert_eq!(
        (&ended.status, &ended.output, &ended.error),
        (&undisturbed.status, &undisturbed.output, &undisturbed.error),
        "{told}"
    );
    if ended.status == Failed {
        let redrive = again.client.redrive_execution().execution_arn(&arn);
        redrive.send().await.unwrap();
        let redriven = again.ended(&arn).await;
        // What always fails does so again.
        assert_eq!(redriven.error, undisturbed.error, "{told}");
        assert!(redriven.events.len() > ended.events.len(), "{told}");
    }
    again.engine.shutdown().await;
    undisturbed.status
}

/// Each state that was entered is left, stopped or failed once.
fn check(ended: &Ended, told: &str) {
    assert!([Succeeded, Failed].contains(&ended.status), "{told}");
    let types = ended.types();
    let count = |name: &str| types.iter().filter(|it| **it == name).count();
    let mut open = 0;
    for kind in ["Task", "Pass", "Choice", "Wait", "Parallel", "Map"] {
        let entered = count(&format!("{kind}StateEntered"));
        let left = count(&format!("{kind}StateExited")) + count(&format!("{kind}StateAborted"));
        assert!(left <= entered, "{kind}: {left} of {entered} left, {told}");
        open += entered - left;
    }
    // What else is open has failed: a fan-out says so itself, of the machine's own states the
    // last event does.
    let links = ended.links();
    let mut failed = 0;
    for (index, (name, _)) in links.iter().enumerate() {
        let id = i64::try_from(index).unwrap() + 1;
        if ["ParallelStateFailed", "MapStateFailed"].contains(name) {
            let is_exit =
                |(name, previous): &(&str, i64)| *previous == id && name.ends_with("StateExited");
            failed += usize::from(!links.iter().any(is_exit));
        }
    }
    if let Some(("ExecutionFailed", previous)) = links.last() {
        let cause = links[usize::try_from(previous - 1).unwrap()].0;
        failed += usize::from(cause == "TaskFailed");
    }
    assert_eq!(open, failed, "{told}\n{types:?}");
    assert_eq!(
        count("MapIterationStarted"),
        count("MapIterationSucceeded") + count("MapIterationFailed") + count("MapIterationAborted"),
        "{told}\n{types:?}"
    );
    let ends = types
        .iter()
        .filter(|name| name.starts_with("Execution") && **name != "ExecutionStarted");
    assert_eq!(ends.count(), 1, "{told}");
}

/// `perhaps` fails so often as its payload says, by the attempt that the payload names.
fn functions() -> FunctionInvoker {
    FunctionInvoker::new().with_function("perhaps", |request: InvocationRequest| async move {
        let number = |field: &str| request.payload[field].as_u64().unwrap();
        if number("seconds") > 0 {
            tokio::time::sleep(std::time::Duration::from_secs(number("seconds"))).await;
        }
        if number("attempt") < number("failures") {
            return Err(FunctionError {
                error_type: "Broken".to_owned(),
                error_message: "it broke".to_owned(),
                stack_trace: Vec::new(),
            });
        }
        Ok(json!({"n": number("n") + 1}))
    })
}

struct Grower {
    random: StdRng,
    names: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Machine,
    Nested,
}

impl Grower {
    fn flow(&mut self, depth: u32, place: Place) -> Value {
        let count = self.random.random_range(1..=4);
        let mut names: Vec<String> = (0..count).map(|_| self.name()).collect();
        // Where a rule or a catcher may lead, always.
        names.push(self.name());
        let mut states = Map::new();
        if place == Place::Machine {
            let begin = json!({"Type": "Pass", "Assign": {"total": 10}, "Next": names[0]});
            states.insert("Begin".to_owned(), begin);
        }
        for index in 0..count {
            let (next, last) = (&names[index + 1], &names[count]);
            states.insert(names[index].clone(), self.state(depth, next, last));
        }
        let end = json!({"Type": "Pass", "Output": {"n": "{% $states.input.n ? $states.input.n + $total : 0 %}", "all": "{% $states.input %}"}, "End": true});
        states.insert(names[count].clone(), end);
        let start_at = states.keys().next().unwrap().clone();
        json!({"StartAt": start_at, "States": states})
    }

    fn state(&mut self, depth: u32, next: &str, last: &str) -> Value {
        let kinds = if depth == 0 { 5 } else { 8 };
        let mut state = match self.random.random_range(0..kinds) {
            0 => json!({"Type": "Pass", "Output": {"n": "{% $total %}"}, "Next": next}),
            1 => {
                let rule = json!({"Condition": "{% $states.input.n % 2 = 0 %}", "Next": last});
                json!({"Type": "Choice", "Choices": [rule], "Default": next})
            }
            2 => {
                let seconds = self.random.random_range(0..20);
                json!({"Type": "Wait", "Seconds": seconds, "Next": next})
            }
            3 => nested_execution(next),
            4 => self.task(next),
            5 | 6 => {
                let count = self.random.random_range(1..=3);
                let branches: Vec<Value> = (0..count)
                    .map(|_| self.flow(depth - 1, Place::Nested))
                    .collect();
                json!({
                    "Type": "Parallel", "Branches": branches,
                    "Output": {"n": "{% $sum($states.result.n) %}"}, "Next": next,
                })
            }
            _ => json!({
                "Type": "Map",
                "Items": [{"n": 1}, {"n": 2}, {"n": 3}],
                "MaxConcurrency": self.random.random_range(0..3),
                "ItemProcessor": self.flow(depth - 1, Place::Nested),
                "Output": {"n": "{% $sum($states.result.n) %}"}, "Next": next,
            }),
        };
        let can_fail = ["Task", "Parallel", "Map"]
            .iter()
            .any(|kind| state["Type"] == **kind);
        if can_fail && self.random.random_ratio(1, 2) {
            state["Catch"] = json!([{
                "ErrorEquals": ["States.ALL"],
                "Output": {"n": 7, "caught": "{% $states.errorOutput.Error %}"},
                "Next": last,
            }]);
        }
        if state["Type"] != "Task" && can_fail && self.random.random_ratio(1, 3) {
            state["Retry"] =
                json!([{"ErrorEquals": ["Broken"], "MaxAttempts": 1, "IntervalSeconds": 2}]);
        }
        state
    }

    /// It always answers within its retries, or never.
    fn task(&mut self, next: &str) -> Value {
        let failures = [0, 0, 0, 1, 2, 99][self.random.random_range(0..6)];
        let seconds = [0, 0, 3][self.random.random_range(0..3)];
        json!({
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": "perhaps", "Payload": {
                "n": "{% $number($states.input.n) ? $states.input.n : 0 %}",
                "failures": failures,
                "seconds": seconds,
                "attempt": "{% $states.context.State.RetryCount %}",
            }},
            "Output": "{% $states.result.Payload %}",
            // A call that a stop interrupts is made again.
            "Retry": [
                {"ErrorEquals": ["Lambda.Unknown"], "IntervalSeconds": 1, "MaxAttempts": 3},
                {"ErrorEquals": ["Broken"], "IntervalSeconds": 1, "MaxAttempts": 2},
            ],
            "Next": next,
        })
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("S{}", self.names)
    }
}

fn nested_execution(next: &str) -> Value {
    json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Arguments": {"StateMachineArn": CHILD, "Input": {"n": 3}},
        "Output": {"n": "{% $states.result.Output %}"},
        "Next": next,
    })
}
