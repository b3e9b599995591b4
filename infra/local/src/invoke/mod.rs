//! Our functions run on one event, by the handlers that their processes on Lambda have.

mod event;
mod functions;

use clap::ValueEnum;
use lambda_process::Variable;
use rand::distr::{Alphanumeric, SampleString as _};
use serde_json::Value;

pub(crate) use event::{SAMPLE_TOKEN, handed_on};
pub(crate) use functions::invoke;

/// By the names of their folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Function {
    ExportSpans,
    IngestSpans,
    RecordExecution,
    RestoreSpans,
    RunNode,
    SummariseRun,
    TraceApi,
    WatchTraces,
}

/// What the function answered, or its error as Lambda tells it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub value: Value,
}

impl Answer {
    /// An error; records of a batch that are to come again; a server's error.
    pub(crate) fn is_failure(&self) -> bool {
        let again = self.value["batchItemFailures"].as_array();
        self.value.get("errorType").is_some()
            || again.is_some_and(|records| !records.is_empty())
            || self.value["statusCode"].as_u64() >= Some(500)
    }
}

/// What a function's environment must have and an invocation alone has no use for.
pub(crate) fn settings() -> [(Variable, String); 1] {
    // Cursors of one answer are good for that answer's process.
    let key = Alphanumeric.sample_string(&mut rand::rng(), 32);
    [(Variable::CursorKey, key)]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use serde_json::json;

    use super::*;

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    fn folders(name: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(repository().join(name)).unwrap();
        let entries = entries.map(Result::unwrap);
        let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
        folders
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn every_function_can_be_invoked_and_has_sample_events() {
        let functions = folders("functions");
        let names = Function::value_variants().iter();
        let names = names.map(|function| function.to_possible_value().unwrap());
        let names: BTreeSet<String> = names.map(|name| name.get_name().to_owned()).collect();
        assert_eq!(names, functions, "variants of Function, and folders");
        assert_eq!(
            folders("events"),
            functions,
            "folders of events, and of functions"
        );
        for function in functions {
            let folder = repository().join("events").join(&function);
            let samples = fs::read_dir(&folder).unwrap().map(Result::unwrap);
            let samples = samples.filter(|file| file.path().extension().is_some());
            assert!(samples.count() > 0, "events/{function} has no sample");
        }
    }

    #[test]
    fn failures_are_told_apart() {
        let check = |value: Value, expected: bool| {
            let answer = Answer { value };
            assert_eq!(answer.is_failure(), expected, "{answer:?}");
        };
        check(json!({"batchItemFailures": []}), false);
        check(
            json!({"batchItemFailures": [{"itemIdentifier": "1"}]}),
            true,
        );
        check(
            json!({"errorType": "Node.UnknownKind", "errorMessage": ""}),
            true,
        );
        check(json!({"statusCode": 404}), false);
        check(json!({"statusCode": 503}), true);
        check(json!(null), false);
        check(json!("text"), false);
    }
}
