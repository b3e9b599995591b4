//! The core alone, over a database of its own and a clock that is set.

use serde_json::json;
use state_language::StateMachine;
use tempfile::TempDir;

use super::*;
use crate::engine::Start;
use crate::interpreter::ROOT;
use crate::store;

struct Bench {
    core: Core,
    clock: Clock,
    _folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (writer, reader) = store::open(folder.path()).unwrap();
        let clock = Clock::manual(Timestamp::from_unix_millis(1_700_000_000_000));
        let place = Arc::new(Place::default());
        let core = Core::recover(writer, reader, place, clock.clone()).unwrap();
        Self {
            core,
            clock,
            _folder: folder,
        }
    }

    fn send(&mut self, requests: impl IntoIterator<Item = Request>) {
        let requests = requests.into_iter().map(|request| {
            let (reply, _) = oneshot::channel();
            Input::Request(Box::new(request), reply)
        });
        let effects = self.core.process(requests.collect()).unwrap();
        for (_, answer) in effects.replies {
            answer.unwrap();
        }
    }

    fn create(&mut self, definition: &Value) {
        let (definition, machine) = parsed(definition);
        self.send([Request::CreateStateMachine {
            name: "m".to_owned(),
            definition,
            machine,
            role_arn: "arn:aws:iam::1:role/r".to_owned(),
            tags: json!({}),
            settings: json!({}),
        }]);
    }

    fn start(&mut self, count: usize) {
        self.send((0..count).map(|_| {
            Request::StartExecution(Start {
                machine: "m".to_owned(),
                name: None,
                input_text: "[1,2,3]".to_owned(),
                input: json!([1, 2, 3]),
            })
        }));
    }

    fn seconds_to_next(&mut self) -> Option<u64> {
        let now = self.clock.now();
        self.core.next_due().map(|due| due.since(now).as_secs())
    }

    fn advance(&mut self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.core.process(Vec::new()).unwrap();
    }
}

fn parsed(definition: &Value) -> (String, Arc<StateMachine>) {
    let text = definition.to_string();
    let machine = state_language::parse(&text).unwrap();
    (text, Arc::new(machine))
}

fn wait(seconds: u64) -> Value {
    json!({"Type": "Wait", "Seconds": seconds, "End": true})
}

fn machine(timeout_seconds: u64, state: &Value) -> Value {
    json!({
        "QueryLanguage": "JSONata", "TimeoutSeconds": timeout_seconds,
        "StartAt": "Only", "States": {"Only": state},
    })
}

#[test]
fn what_is_over_wakes_nobody() {
    let mut bench = Bench::new();
    bench.create(&machine(3_600, &wait(10)));
    bench.start(1);
    assert_eq!(bench.seconds_to_next(), Some(10));
    bench.advance(4);
    bench.start(1);
    assert_eq!(bench.seconds_to_next(), Some(6));
    bench.advance(6);
    assert_eq!(bench.seconds_to_next(), Some(4));
    bench.advance(4);
    assert_eq!(bench.seconds_to_next(), None);
    assert!(bench.core.timers.is_empty());
}

#[test]
fn timers_of_runs_that_ended_do_not_pile_up() {
    let mut bench = Bench::new();
    bench.create(&machine(31_536_000, &json!({"Type": "Pass", "End": true})));
    for _ in 0..3 {
        bench.start(FEWEST_SWEPT);
        assert!(bench.core.timers.len() < FEWEST_SWEPT);
    }
    assert!(bench.core.runs.is_empty());
}

#[test]
fn a_definition_is_kept_while_it_is_the_machine_s() {
    let mut bench = Bench::new();
    bench.create(&machine(60, &wait(1)));
    bench.start(1);
    for seconds in 2..5 {
        bench.send([Request::UpdateStateMachine {
            name: "m".to_owned(),
            definition: Some(parsed(&machine(60, &wait(seconds)))),
            role_arn: None,
            settings: json!({}),
        }]);
        assert_eq!(bench.core.definitions.len(), 1);
    }
    bench.send([Request::DeleteStateMachine {
        name: "m".to_owned(),
    }]);
    assert_eq!(bench.core.definitions.len(), 0);
}

/// What one batch begins and ends starts nothing that nobody would stop.
#[test]
fn an_attempt_that_is_over_starts_nothing() {
    let mut bench = Bench::new();
    let arn = |name: &str| Place::default().execution_arn("m", name);
    let itself = json!({
        "Type": "Task", "End": true,
        "Resource": "arn:aws:states:::states:startExecution.sync",
        "Arguments": {"StateMachineArn": Place::default().state_machine_arn("m")},
    });
    bench.create(&machine(60, &itself));
    bench.send([
        Request::StartExecution(Start {
            machine: "m".to_owned(),
            name: Some("first".to_owned()),
            input_text: "1".to_owned(),
            input: json!(1),
        }),
        Request::StopExecution {
            arn: arn("first"),
            reason: crate::interpreter::ErrorAndCause::default(),
        },
    ]);
    assert!(bench.core.runs.is_empty());
    assert!(!bench.core.has_ready());
}

/// A Map's frame holds the whole input: writing it for each item costs items times input.
#[test]
fn an_iteration_that_ends_does_not_write_the_map_again() {
    let mut bench = Bench::new();
    let map = json!({
        "Type": "Map", "MaxConcurrency": 1, "End": true,
        "ItemProcessor": {"StartAt": "Nap", "States": {"Nap": wait(1)}},
    });
    bench.create(&machine(60, &map));
    bench.start(1);
    bench.clock.advance(Duration::from_secs(1));
    let mut batch = Batch {
        now: bench.clock.now(),
        ..Batch::default()
    };
    let Reverse((timer, run)) = bench.core.timers.pop().unwrap();
    bench.core.signal(run, Signal::Due(timer), &mut batch);
    let written: Vec<_> = batch
        .writes
        .iter()
        .filter_map(|write| match write {
            Write::Frame { id, .. } => Some(*id),
            _ => None,
        })
        .collect();
    assert_eq!(
        written,
        [ROOT + 1, ROOT + 2],
        "the first ended, the second began"
    );
}
