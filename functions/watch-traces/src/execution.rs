use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::ExecutionListItem;
use trace_model::{ExecutionArn, Run, RunStatus, Timestamp, TraceId};

/// What Step Functions says of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Execution {
    pub arn: ExecutionArn,
    pub status: RunStatus,
    pub started_at: Timestamp,
    pub stopped_at: Option<Timestamp>,
    pub redrives: u32,
    pub redriven_at: Option<Timestamp>,
}

impl Execution {
    /// `None` for what is no execution, or has a status that came after this program.
    pub(crate) fn listed(item: &ExecutionListItem) -> Option<Self> {
        Some(Self {
            arn: ExecutionArn::parse(&item.execution_arn).ok()?,
            status: RunStatus::parse(item.status.as_str())?,
            started_at: timestamp(&item.start_date),
            stopped_at: item.stop_date.as_ref().map(timestamp),
            redrives: count(item.redrive_count),
            redriven_at: item.redrive_date.as_ref().map(timestamp),
        })
    }

    pub(crate) fn described(described: &DescribeExecutionOutput) -> Option<Self> {
        Some(Self {
            arn: ExecutionArn::parse(&described.execution_arn).ok()?,
            status: RunStatus::parse(described.status.as_str())?,
            started_at: timestamp(&described.start_date),
            stopped_at: described.stop_date.as_ref().map(timestamp),
            redrives: count(described.redrive_count),
            redriven_at: described.redrive_date.as_ref().map(timestamp),
        })
    }

    /// As the store knows it.
    pub(crate) fn recorded(arn: ExecutionArn, run: &Run) -> Self {
        Self {
            arn,
            status: run.status,
            started_at: run.started_at,
            stopped_at: run.finished_at,
            redrives: run.redrives,
            redriven_at: None,
        }
    }

    pub(crate) fn trace_id(&self) -> TraceId {
        TraceId::of_execution(&self.arn)
    }

    /// When it last began or ended: what is told of it in an event.
    pub(crate) fn changed_at(&self) -> Timestamp {
        let times = [Some(self.started_at), self.stopped_at, self.redriven_at];
        times.into_iter().flatten().max().unwrap_or_default()
    }
}

fn timestamp(time: &DateTime) -> Timestamp {
    Timestamp::from_unix_nanos(u64::try_from(time.as_nanos()).unwrap_or_default())
}

fn count(redrives: Option<i32>) -> u32 {
    u32::try_from(redrives.unwrap_or_default()).unwrap_or_default()
}
