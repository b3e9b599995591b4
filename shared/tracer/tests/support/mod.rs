#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use redaction::Policy;
use serde_json::{Value, json};
use tokio::time::Instant;
use trace_model::{Attributes, Clock, Revision, Span, SpanKind, TenantId, Timestamp};
use trace_store::{LargeTexts, QueueReceipt};
use tracer::{Invocation, NodeFailure, SpanFallback, SpanWrite, WorkflowTracer, WriteFailure};

pub(crate) const TRACEPARENT: &str = "00-49c36d07a1497446181f8426bc79eedd-b7ad6b7169203331-01";
pub(crate) const ATTEMPT: &str = "b7ad6b7169203331";

type Write = (Instant, TenantId, Vec<Span>);

/// What a store was given, and whether it takes it.
#[derive(Clone, Default)]
pub(crate) struct Written {
    writes: Arc<Mutex<Vec<Write>>>,
    mood: Arc<Mutex<Mood>>,
    refused: Arc<Mutex<u32>>,
}

#[derive(Clone, Copy, Default)]
pub(crate) enum Mood {
    #[default]
    Takes,
    RefusesForNow,
    RefusesForGood,
    NeverAnswers,
    /// As a queue does with texts that no message holds.
    TakesNoLargeTexts,
}

impl Written {
    pub(crate) fn tracer(&self) -> WorkflowTracer {
        let resource = Attributes::from_iter([("service.name".to_owned(), "test".into())]);
        WorkflowTracer::new(self.write(), Policy::standard(), Clock::system(), resource)
    }

    /// The same as a queue.
    pub(crate) fn fallback(&self) -> SpanFallback {
        let (written, write) = (self.clone(), self.write());
        SpanFallback::new(move |tenant, trace_id, spans, large_texts| {
            let (written, write) = (written.clone(), write.clone());
            async move {
                let mood = *written.mood.lock().unwrap();
                let takes_no_large = matches!(mood, Mood::TakesNoLargeTexts);
                if takes_no_large && large_texts == LargeTexts::Refused {
                    return Err(WriteFailure {
                        retryable: true,
                        source: "no message holds a text".into(),
                    });
                }
                let receipt = QueueReceipt {
                    spans: spans.len(),
                    messages: 1,
                    texts_lost: usize::from(takes_no_large),
                    spans_lost: 0,
                };
                write.write(tenant, trace_id, spans).await.map(|_| receipt)
            }
        })
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn write(&self) -> SpanWrite {
        let written = self.clone();
        SpanWrite::new(move |tenant, trace_id, spans| {
            let written = written.clone();
            async move {
                let mood = *written.mood.lock().unwrap();
                let refuse = |retryable| {
                    *written.refused.lock().unwrap() += 1;
                    Err(WriteFailure {
                        retryable,
                        source: "the store is away".into(),
                    })
                };
                match mood {
                    Mood::Takes | Mood::TakesNoLargeTexts => {}
                    Mood::RefusesForNow => return refuse(true),
                    Mood::RefusesForGood => return refuse(false),
                    Mood::NeverAnswers => std::future::pending().await,
                }
                let spans: Vec<Span> = spans.iter().map(|span| span.span().clone()).collect();
                assert!(spans.iter().all(|span| span.trace_id == trace_id));
                written
                    .writes
                    .lock()
                    .unwrap()
                    .push((Instant::now(), tenant, spans));
                Ok(())
            }
        })
    }

    pub(crate) fn times(&self) -> Vec<Instant> {
        let writes = self.writes.lock().unwrap();
        writes.iter().map(|(at, ..)| *at).collect()
    }

    pub(crate) fn refusals(&self) -> u32 {
        *self.refused.lock().unwrap()
    }

    pub(crate) fn tenants(&self) -> Vec<String> {
        let writes = self.writes.lock().unwrap();
        let tenants = writes.iter().map(|(_, tenant, _)| tenant.to_string());
        tenants.collect()
    }

    /// All tellings, in the order they were written.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let writes = self.writes.lock().unwrap();
        writes
            .iter()
            .flat_map(|(.., spans)| spans.clone())
            .collect()
    }

    pub(crate) fn finished(&self, name: &str) -> Span {
        self.find(name, Revision::FINISHED)
            .unwrap_or_else(|| panic!("no finished span {name:?} in {:#?}", self.names()))
    }

    pub(crate) fn find(&self, name: &str, revision: Revision) -> Option<Span> {
        let mut spans = self.spans().into_iter();
        spans.find(|span| span.name == name && span.revision == revision)
    }

    pub(crate) fn names(&self) -> Vec<(String, Revision)> {
        let spans = self.spans().into_iter();
        spans.map(|span| (span.name, span.revision)).collect()
    }

    /// The name of a finished span's parent.
    pub(crate) fn parent(&self, name: &str) -> String {
        let parent = self.finished(name).parent_span_id.expect("a parent");
        let mut spans = self.spans().into_iter();
        spans
            .find(|span| span.span_id == parent)
            .map_or_else(|| parent.to_string(), |span| span.name)
    }

    pub(crate) fn kind(&self, name: &str) -> SpanKind {
        self.finished(name).kind
    }
}

pub(crate) fn payload() -> Value {
    json!({
        "node": "llm", "input": {"ticket": 7},
        "headers": {"traceparent": TRACEPARENT},
        "stepscope": {
            "execution": "arn:aws:states:us-east-1:000000000000:execution:a:b",
            "tenant": "acme", "state": "Classify", "attempt": 0,
        },
    })
}

pub(crate) fn invocation(name: &str) -> Invocation {
    Invocation {
        name: name.to_owned(),
        ..Invocation::default()
    }
}

pub(crate) fn until(remaining: Duration) -> Timestamp {
    Clock::system().now().plus(remaining)
}

#[derive(Debug, PartialEq)]
pub(crate) struct Failure(pub(crate) &'static str);

impl NodeFailure for Failure {
    fn error_type(&self) -> String {
        "Test.Failed".to_owned()
    }

    fn message(&self) -> String {
        self.0.to_owned()
    }
}
