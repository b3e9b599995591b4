//! What a state fails with, and which retrier or catcher an error meets.

use std::time::Duration;

use crate::{Catcher, JitterStrategy, Retrier};

/// The error names Step Functions defines.
pub mod name {
    pub const ALL: &str = "States.ALL";
    pub const BRANCH_FAILED: &str = "States.BranchFailed";
    pub const DATA_LIMIT_EXCEEDED: &str = "States.DataLimitExceeded";
    pub const EXCEED_TOLERATED_FAILURE_THRESHOLD: &str = "States.ExceedToleratedFailureThreshold";
    pub const HEARTBEAT_TIMEOUT: &str = "States.HeartbeatTimeout";
    pub const HTTP_SOCKET: &str = "States.Http.Socket";
    pub const INTRINSIC_FAILURE: &str = "States.IntrinsicFailure";
    pub const ITEM_READER_FAILED: &str = "States.ItemReaderFailed";
    pub const NO_CHOICE_MATCHED: &str = "States.NoChoiceMatched";
    pub const PARAMETER_PATH_FAILURE: &str = "States.ParameterPathFailure";
    pub const PERMISSIONS: &str = "States.Permissions";
    pub const QUERY_EVALUATION_ERROR: &str = "States.QueryEvaluationError";
    pub const RESULT_PATH_MATCH_FAILURE: &str = "States.ResultPathMatchFailure";
    pub const RESULT_WRITER_FAILED: &str = "States.ResultWriterFailed";
    pub const RUNTIME: &str = "States.Runtime";
    pub const TASK_FAILED: &str = "States.TaskFailed";
    pub const TIMEOUT: &str = "States.Timeout";

    /// All of them; `States.Http.StatusCode.NNN` exists beside these.
    pub const PREDEFINED: [&str; 17] = [
        ALL,
        BRANCH_FAILED,
        DATA_LIMIT_EXCEEDED,
        EXCEED_TOLERATED_FAILURE_THRESHOLD,
        HEARTBEAT_TIMEOUT,
        HTTP_SOCKET,
        INTRINSIC_FAILURE,
        ITEM_READER_FAILED,
        NO_CHOICE_MATCHED,
        PARAMETER_PATH_FAILURE,
        PERMISSIONS,
        QUERY_EVALUATION_ERROR,
        RESULT_PATH_MATCH_FAILURE,
        RESULT_WRITER_FAILED,
        RUNTIME,
        TASK_FAILED,
        TIMEOUT,
    ];
}

/// AWS: without `MaxDelaySeconds` a delay stops growing at a year, here 366 days.
pub const MAX_DELAY_SECONDS: u32 = 31_622_400;

/// What a state fails with: an error name that retriers and catchers match, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}: {cause}")]
pub struct StateError {
    pub error: String,
    pub cause: String,
    /// The field that is to blame, such as `Output/order`, where one is.
    pub field: Option<String>,
}

impl StateError {
    pub fn new(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            cause: cause.into(),
            field: None,
        }
    }

    /// With the field that is to blame.
    #[must_use]
    pub fn in_field(self, field: &str) -> Self {
        Self {
            field: Some(field.to_owned()),
            ..self
        }
    }

    /// With the cause led by which state it was, as AWS does.
    pub fn at(visit: StateVisit<'_>, error: &str, what: &str) -> Self {
        let StateVisit {
            name,
            entered_event_id,
        } = visit;
        Self::new(
            error,
            format!(
                "An error occurred while executing the state '{name}' (entered at the event id #{entered_event_id}). {what}"
            ),
        )
    }
}

/// Which state is running, for the words of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateVisit<'a> {
    pub name: &'a str,
    /// The history event that entered it.
    pub entered_event_id: u64,
}

/// Whether an `ErrorEquals` entry matches an error name.
///
/// `States.Runtime` ends the execution: nothing matches it. `States.ALL` and `States.TaskFailed` are
/// wildcards that leave out `States.DataLimitExceeded`, which only its own name matches;
/// `States.TaskFailed` leaves out `States.Timeout` too. A missed heartbeat is a timeout as well.
pub fn matches(error_equals: &str, error: &str) -> bool {
    if error == name::RUNTIME {
        return false;
    }
    match error_equals {
        name::ALL => error != name::DATA_LIMIT_EXCEEDED,
        name::TASK_FAILED => error != name::DATA_LIMIT_EXCEEDED && error != name::TIMEOUT,
        name::TIMEOUT => error == name::TIMEOUT || error == name::HEARTBEAT_TIMEOUT,
        _ => error_equals == error,
    }
}

/// The first retrier that matches, and its index: each retrier counts its own attempts.
pub fn find_retrier<'a>(retry: &'a [Retrier], error: &str) -> Option<(usize, &'a Retrier)> {
    retry
        .iter()
        .enumerate()
        .find(|(_, retrier)| any_matches(&retrier.error_equals, error))
}

/// The first catcher that matches, and its index.
pub fn find_catcher<'a>(catch: &'a [Catcher], error: &str) -> Option<(usize, &'a Catcher)> {
    catch
        .iter()
        .enumerate()
        .find(|(_, catcher)| any_matches(&catcher.error_equals, error))
}

impl Retrier {
    /// How long to wait before retry number `retry`, the first being 1; `None` when there are no more.
    /// `random`, from 0 up to but not 1, decides full jitter.
    pub fn delay(&self, retry: u32, random: f64) -> Option<Duration> {
        if retry == 0 || retry > self.max_attempts {
            return None;
        }
        let growth = self.backoff_rate.powf(f64::from(retry - 1));
        let ceiling = f64::from(self.max_delay_seconds.unwrap_or(MAX_DELAY_SECONDS));
        let seconds = (f64::from(self.interval_seconds) * growth).min(ceiling);
        Some(Duration::from_secs_f64(match self.jitter_strategy {
            JitterStrategy::None => seconds,
            JitterStrategy::Full => seconds * random.clamp(0.0, 1.0),
        }))
    }
}

fn any_matches(error_equals: &[String], error: &str) -> bool {
    error_equals.iter().any(|entry| matches(entry, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_equals_matches_as_documented() {
        for (error_equals, error, expected) in [
            ("States.ALL", "OutOfStock", true),
            ("States.ALL", "Lambda.TooManyRequestsException", true),
            ("States.ALL", "States.Timeout", true),
            ("States.ALL", "States.QueryEvaluationError", true),
            ("States.ALL", "States.DataLimitExceeded", false),
            ("States.ALL", "States.Runtime", false),
            ("States.TaskFailed", "OutOfStock", true),
            ("States.TaskFailed", "States.Permissions", true),
            ("States.TaskFailed", "States.HeartbeatTimeout", true),
            ("States.TaskFailed", "States.Timeout", false),
            ("States.TaskFailed", "States.DataLimitExceeded", false),
            ("States.TaskFailed", "States.Runtime", false),
            ("States.Timeout", "States.Timeout", true),
            ("States.Timeout", "States.HeartbeatTimeout", true),
            ("States.HeartbeatTimeout", "States.Timeout", false),
            ("States.DataLimitExceeded", "States.DataLimitExceeded", true),
            ("States.Runtime", "States.Runtime", false),
            ("OutOfStock", "OutOfStock", true),
            ("OutOfStock", "outofstock", false),
        ] {
            assert_eq!(
                matches(error_equals, error),
                expected,
                "{error_equals} against {error}"
            );
        }
    }

    fn retrier(error_equals: &[&str]) -> Retrier {
        Retrier {
            comment: None,
            error_equals: error_equals
                .iter()
                .map(|entry| (*entry).to_owned())
                .collect(),
            interval_seconds: 1,
            max_attempts: 3,
            backoff_rate: 2.0,
            max_delay_seconds: None,
            jitter_strategy: JitterStrategy::None,
        }
    }

    #[test]
    fn the_first_matching_retrier_wins() {
        let retry = [retrier(&["Busy", "Slow"]), retrier(&["States.ALL"])];
        let index = |error| find_retrier(&retry, error).map(|(index, _)| index);
        assert_eq!(index("Slow"), Some(0));
        assert_eq!(index("Other"), Some(1));
        assert_eq!(index("States.Runtime"), None);
    }

    #[test]
    fn delays_grow_to_their_ceiling_and_end() {
        let plain = retrier(&["States.ALL"]);
        let seconds = |retrier: &Retrier, random| -> Vec<Option<f64>> {
            (0..=4)
                .map(|retry| {
                    retrier
                        .delay(retry, random)
                        .map(|delay| delay.as_secs_f64())
                })
                .collect()
        };
        assert_eq!(
            seconds(&plain, 0.5),
            [None, Some(1.0), Some(2.0), Some(4.0), None]
        );
        let capped = Retrier {
            interval_seconds: 3,
            backoff_rate: 1.5,
            max_delay_seconds: Some(5),
            ..plain.clone()
        };
        assert_eq!(
            seconds(&capped, 0.5),
            [None, Some(3.0), Some(4.5), Some(5.0), None]
        );
        let jittered = Retrier {
            jitter_strategy: JitterStrategy::Full,
            ..plain.clone()
        };
        assert_eq!(
            seconds(&jittered, 0.25),
            [None, Some(0.25), Some(0.5), Some(1.0), None]
        );
        let never = Retrier {
            max_attempts: 0,
            ..plain.clone()
        };
        assert_eq!(never.delay(1, 0.0), None);
        let endless = Retrier {
            max_attempts: 99_999_999,
            ..plain
        };
        assert_eq!(
            endless.delay(99_999_999, 0.0),
            Some(Duration::from_secs(u64::from(MAX_DELAY_SECONDS)))
        );
    }
}
