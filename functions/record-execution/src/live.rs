use std::collections::BTreeMap;

use aws_sdk_sfn::types::HistoryEvent;
use redaction::{Policy, RawSpan, RedactedSpan};
use trace_model::{ExecutionArn, Run, RunStatus, Span, SpanId, Timestamp};
use trace_store::{TraceStore, WriteReceipt};

use crate::{HistoryRecorder, RecordError, RecorderOptions};

/// One execution on its way into the store, as its history grows.
///
/// What could not be written is kept and written with the next call. After a restart a new one
/// is fed the whole history again: what the store has already, it knows.
#[derive(Debug)]
pub struct LiveRecording {
    recorder: HistoryRecorder,
    store: TraceStore,
    policy: Policy,
    /// Spans that wait for being written: the latest telling of each, masked.
    waiting: BTreeMap<SpanId, RedactedSpan>,
    telling: Telling,
    written: WriteReceipt,
    /// Of the events up to this one the store has everything.
    written_up_to: i64,
    /// What the store was told last of how the run stands.
    stored: Option<Standing>,
}

/// A run that is redriven and fails again ends twice with one status: times and counts tell the
/// two ends apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    status: RunStatus,
    finished_at: Option<Timestamp>,
    redrives: u32,
}

/// Which revisions of a span are worth writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Someone may be watching: open spans too.
    AsItRuns,
    /// The execution is over: what is open will be finished by a later page of its history.
    Finished,
}

/// Where a recording has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is written yet, because the history does not say yet whose run it is.
    TenantUnknown,
    Recorded(RunStatus),
}

impl LiveRecording {
    pub fn new(
        store: TraceStore,
        policy: Policy,
        arn: ExecutionArn,
        options: RecorderOptions,
    ) -> Self {
        Self {
            recorder: HistoryRecorder::new(arn, options),
            store,
            policy,
            waiting: BTreeMap::new(),
            telling: Telling::AsItRuns,
            written: WriteReceipt::default(),
            written_up_to: 0,
            stored: None,
        }
    }

    /// For a recording that was put aside after [`Progress::Recorded`]: the history is read
    /// again from its start, and only what came after that event is written.
    #[must_use]
    pub fn after(mut self, last_event_id: i64) -> Self {
        self.written_up_to = last_event_id;
        self
    }

    /// Without the open spans, for an execution that is known to be over.
    #[must_use]
    pub fn telling(mut self, telling: Telling) -> Self {
        self.telling = telling;
        self
    }

    /// The highest event id seen; the history is to be read on from there. 0 at first.
    pub const fn last_event_id(&self) -> i64 {
        self.recorder.last_event_id()
    }

    /// All that was written so far.
    pub const fn written(&self) -> &WriteReceipt {
        &self.written
    }

    pub const fn recorder(&self) -> &HistoryRecorder {
        &self.recorder
    }

    /// Takes the next events and writes what they changed: the run, then its spans in one
    /// chunk, then the run's end. After an error the same events need not come again.
    pub async fn advance(&mut self, events: &[HistoryEvent]) -> Result<Progress, RecordError> {
        if self.last_event_id() < self.written_up_to {
            self.recorder.pass_over(events, self.written_up_to);
        }
        for span in self.recorder.feed(events) {
            if self.telling == Telling::AsItRuns || span.end.is_some() {
                let redacted = self.policy.redact(RawSpan::from(span));
                self.waiting.insert(redacted.span().span_id, redacted);
            }
        }
        let Some(run) = self.run() else {
            return Ok(Progress::TenantUnknown);
        };
        self.write(&run)
            .await
            .map_err(|source| RecordError::Store {
                arn: self.recorder.execution_arn().clone(),
                source,
            })?;
        Ok(Progress::Recorded(run.status))
    }

    /// Writes what waits for a tenant to the default one, for when no more events are to come.
    pub async fn finish(&mut self) -> Result<Progress, RecordError> {
        self.recorder.decide_tenant();
        self.advance(&[]).await
    }

    async fn write(&mut self, run: &Run) -> Result<(), trace_store::StoreError> {
        if self.stored.is_none() {
            let mut opened = run.clone();
            opened.status = RunStatus::Running;
            opened.finished_at = None;
            opened.redrives = 0;
            opened.error = None;
            self.store.open_run(&opened).await?;
            self.stored = Some(Standing::of(&opened));
        }
        let standing = Standing::of(run);
        if !run.status.is_over() && self.stored != Some(standing) {
            self.store.reopen_run(run).await?;
            self.stored = Some(standing);
        }
        if !self.waiting.is_empty() {
            let mut spans: Vec<RedactedSpan> = self.waiting.values().cloned().collect();
            spans.sort_by_key(|span| order(span.span()));
            let write = self.store.write_spans(&run.tenant, run.trace_id, spans);
            self.written.add(write.await?);
            self.waiting.clear();
        }
        if run.status.is_over() && self.stored != Some(standing) {
            self.store.close_run(run).await?;
            self.stored = Some(standing);
        }
        Ok(())
    }

    fn run(&self) -> Option<Run> {
        let outline = self.recorder.outline()?;
        let arn = self.recorder.execution_arn();
        let masked = |text: &str| self.policy.redact_text(text).into_string();
        Some(Run {
            tenant: self.recorder.tenant()?.clone(),
            execution_id: arn.execution_id(),
            execution_arn: Some(arn.clone()),
            trace_id: self.recorder.trace_id(),
            root_span_id: SpanId::of_execution(arn),
            workflow: arn.workflow().to_owned(),
            status: outline.status,
            started_at: outline.started_at,
            finished_at: outline.finished_at,
            redrives: outline.redrives,
            error: outline.error.as_deref().map(masked),
            totals: None,
            redactions: BTreeMap::new(),
            notices: self
                .recorder
                .notices()
                .iter()
                .map(|text| masked(text))
                .collect(),
            revision: 0,
            expires_at: None,
        })
    }
}

impl Standing {
    const fn of(run: &Run) -> Self {
        Self {
            status: run.status,
            finished_at: run.finished_at,
            redrives: run.redrives,
        }
    }
}

const fn order(span: &Span) -> (Timestamp, SpanId) {
    (span.start, span.span_id)
}
