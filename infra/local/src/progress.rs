//! What a run does, line by line, while it does it.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sfn::types::HistoryEvent;

use crate::terminal::warn;
use crate::view::{duration, safe};

/// Prints to standard error, so that standard output holds the result alone.
pub(crate) struct Progress {
    visible: bool,
    last_event: i64,
    /// The first event's time, in nanoseconds since the epoch.
    begun: Option<i128>,
    /// Iterations and states that would drown the rest are counted, not shown.
    shown: HashMap<String, u32>,
    lines: u32,
}

/// A state inside a Map is shown this often.
const SHOWN_PER_STATE: u32 = 3;

impl Progress {
    pub(crate) fn new(visible: bool) -> Self {
        Self {
            visible,
            last_event: 0,
            begun: None,
            shown: HashMap::new(),
            lines: 0,
        }
    }

    pub(crate) const fn last_event(&self) -> i64 {
        self.last_event
    }

    /// Whether a task was handed over to somebody who answers it.
    pub(crate) fn show(&mut self, events: &[HistoryEvent]) -> bool {
        let mut waits = false;
        for event in events {
            self.last_event = self.last_event.max(event.id);
            waits |= event
                .task_submitted_event_details
                .as_ref()
                .is_some_and(|details| details.resource.ends_with(".waitForTaskToken"));
            let begun = *self.begun.get_or_insert(event.timestamp.as_nanos());
            if let Some(line) = self.line(event).filter(|_| self.visible) {
                self.lines += 1;
                let since = event.timestamp.as_nanos() - begun;
                let since = Duration::from_nanos(u64::try_from(since).unwrap_or(0));
                warn(&format!("{:>9}  {line}", duration(since)));
            }
        }
        waits
    }

    /// A blank line between what happened and what came of it.
    pub(crate) fn finish(&self) {
        if self.lines > 0 {
            warn("");
        }
    }

    fn line(&mut self, event: &HistoryEvent) -> Option<String> {
        if let Some(entered) = &event.state_entered_event_details {
            let shown = self.shown.entry(entered.name.clone()).or_default();
            *shown += 1;
            return match *shown {
                count if count <= SHOWN_PER_STATE => Some(format!("▸ {}", safe(&entered.name))),
                count if count == SHOWN_PER_STATE + 1 => {
                    Some(format!("▸ {} …", safe(&entered.name)))
                }
                _ => None,
            };
        }
        let failed = event
            .task_failed_event_details
            .as_ref()
            .map(|failed| failed.error())
            .or(event
                .task_timed_out_event_details
                .as_ref()
                .map(|failed| failed.error()))
            .or(event
                .lambda_function_failed_event_details
                .as_ref()
                .map(|failed| failed.error()));
        failed.map(|error| format!("  ✗ {}", safe(error.unwrap_or("failed"))))
    }
}
