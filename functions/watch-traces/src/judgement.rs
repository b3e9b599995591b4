//! An execution beside its run: is the trace there, and whole?

use std::time::Duration;

use trace_model::{Run, Timestamp};

use crate::execution::Execution;

/// How long after an execution began or ended its trace may be on its way: the event, the queue
/// and the recorder take seconds. Only then it counts as missing.
pub const GRACE: Duration = Duration::from_mins(2);

/// A name may be used again after 90 days; one start is told with less than this between.
const ANOTHER_RUN: Duration = Duration::from_hours(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It began or ended just now.
    TooEarly,
    /// It goes on, and has a run.
    GoesOn,
    /// It is over, and its run says how.
    Recorded,
    /// It has no run, or the run does not know how far the execution has come.
    Missing,
}

/// Not what spans that came by OTLP make of a run whose execution is not recorded.
pub(crate) const fn is_recorded(run: &Run) -> bool {
    run.execution_arn.is_some()
}

pub(crate) fn judge(execution: &Execution, run: Option<&Run>, now: Timestamp) -> Judgement {
    let is_its_own =
        |run: &&Run| is_recorded(run) && run.started_at.plus(ANOTHER_RUN) >= execution.started_at;
    let run = run.filter(is_its_own);
    let knows_redrives = run.is_some_and(|run| run.redrives >= execution.redrives);
    let is_over = execution.status.is_over();
    match run {
        Some(run) if is_over && run.status.is_over() && knows_redrives => Judgement::Recorded,
        _ if now.since(execution.changed_at()) < GRACE => Judgement::TooEarly,
        Some(_) if !is_over && knows_redrives => Judgement::GoesOn,
        _ => Judgement::Missing,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use trace_model::{ExecutionArn, RunStatus, SpanId, TenantId, TraceId};

    use super::*;

    const START: u64 = 1_700_000_000_000;
    const DAY: u64 = 86_400_000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_millis(START + millis)
    }

    fn execution(status: RunStatus, stopped: Option<u64>, redriven: Option<u64>) -> Execution {
        let arn = "arn:aws:states:us-east-1:123456789012:execution:triage:run-1";
        Execution {
            arn: ExecutionArn::parse(arn).unwrap(),
            status,
            started_at: at(0),
            stopped_at: stopped.map(at),
            redrives: u32::from(redriven.is_some()),
            redriven_at: redriven.map(at),
        }
    }

    fn run(status: RunStatus, started: u64, redrives: u32) -> Run {
        let arn = execution(status, None, None).arn;
        Run {
            tenant: TenantId::default(),
            execution_id: arn.execution_id(),
            trace_id: TraceId::of_execution(&arn),
            root_span_id: SpanId::of_execution(&arn),
            workflow: "triage".to_owned(),
            status,
            started_at: Timestamp::from_unix_millis(started),
            finished_at: None,
            redrives,
            error: None,
            totals: None,
            redactions: BTreeMap::new(),
            notices: Vec::new(),
            revision: 1,
            expires_at: None,
            execution_arn: Some(arn),
        }
    }

    fn check(execution: &Execution, run: Option<&Run>, now: u64, expected: Judgement) {
        assert_eq!(judge(execution, run, at(now)), expected, "{execution:?}");
    }

    #[test]
    fn hard_case_23_an_execution_without_a_run_is_missing_after_the_grace() {
        use Judgement::{GoesOn, Missing, Recorded, TooEarly};
        use RunStatus::{Failed, Running, Succeeded};
        let grace = u64::try_from(GRACE.as_millis()).unwrap();
        let going = execution(Running, None, None);
        check(&going, None, grace - 1, TooEarly);
        check(&going, None, grace, Missing);
        check(&going, Some(&run(Running, START, 0)), grace, GoesOn);

        let over = execution(Failed, Some(50), None);
        check(&over, None, grace + 49, TooEarly);
        check(&over, None, grace + 50, Missing);
        check(&over, Some(&run(Running, START, 0)), grace + 49, TooEarly);
        check(&over, Some(&run(Running, START, 0)), grace + 50, Missing);
        check(&over, Some(&run(Succeeded, START, 0)), 51, Recorded);

        let redriven = execution(Running, None, Some(DAY));
        check(&redriven, Some(&run(Failed, START, 0)), DAY + 1, TooEarly);
        check(
            &redriven,
            Some(&run(Failed, START, 0)),
            DAY + grace,
            Missing,
        );
        check(
            &redriven,
            Some(&run(Running, START, 1)),
            DAY + grace,
            GoesOn,
        );
        let again = execution(Failed, Some(DAY + 50), Some(DAY));
        check(&again, Some(&run(Failed, START, 0)), 2 * DAY, Missing);
        check(&again, Some(&run(Failed, START, 1)), 2 * DAY, Recorded);

        // The run of an execution that had the name before.
        let earlier = run(Succeeded, START - 91 * DAY, 0);
        check(&over, Some(&earlier), DAY, Missing);

        // What its spans alone say.
        let mut of_spans = run(Succeeded, START, 0);
        of_spans.execution_arn = None;
        check(&over, Some(&of_spans), DAY, Missing);
    }
}
