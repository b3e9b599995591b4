//! What opening and closing one span costs the work, beside the bare OpenTelemetry SDK.
//! Masking, encoding and writing are the background's, in both, and not measured.

use std::future::ready;
use std::hint::black_box;
use std::sync::OnceLock;

use divan::Bencher;
use divan::counter::ItemsCount;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, InMemorySpanExporter, SdkTracerProvider,
};
use redaction::Policy;
use serde_json::json;
use tokio::runtime::Runtime;
use trace_model::{Attributes, Clock};
use tracer::{Invocation, NodeFailure, SpanWrite, WorkflowTracer, span};

/// Between two flushes, so that neither's queue is ever full.
const SPANS: u32 = 1_000;

fn main() {
    divan::main();
}

#[derive(Debug)]
struct Never;

impl NodeFailure for Never {
    fn error_type(&self) -> String {
        "never".to_owned()
    }

    fn message(&self) -> String {
        "never".to_owned()
    }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}

#[divan::bench]
fn stepscope(bencher: Bencher<'_, '_>) {
    let discard = SpanWrite::new(|_, _, spans| {
        black_box(spans);
        ready(Ok(()))
    });
    let tracer = WorkflowTracer::new(
        discard,
        Policy::standard(),
        Clock::system(),
        Attributes::new(),
    );
    let payload = json!({});
    let work = async {
        bencher
            .counter(ItemsCount::new(SPANS))
            .with_inputs(|| {
                let flush = || runtime().block_on(tracer.flush());
                std::thread::scope(|scope| scope.spawn(flush).join()).expect("a flush")
            })
            .bench_local_values(|_| {
                for number in 0..SPANS {
                    let span = span("work");
                    span.set("order.id", number);
                    span.set("order.kind", "express");
                    span.finish();
                }
            });
        Ok::<(), Never>(())
    };
    runtime()
        .block_on(tracer.trace_node(&payload, &Invocation::default(), work))
        .expect("no failure");
    assert_eq!(tracer.lost(), 0, "a full buffer would be measured");
}

#[divan::bench]
fn opentelemetry_sdk(bencher: Bencher<'_, '_>) {
    let exporter = InMemorySpanExporter::default();
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(2_000)
        .build();
    let processor = BatchSpanProcessor::builder(exporter.clone())
        .with_batch_config(config)
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .build();
    let tracer = provider.tracer("bench");
    bencher
        .counter(ItemsCount::new(SPANS))
        .with_inputs(|| {
            provider.force_flush().expect("a flush");
            exporter.reset();
        })
        .bench_local_values(|()| {
            for number in 0..SPANS {
                let mut span = tracer.start("work");
                span.set_attribute(KeyValue::new("order.id", i64::from(number)));
                span.set_attribute(KeyValue::new("order.kind", "express"));
                span.end();
            }
        });
}

/// What a handle costs outside of a node, where it records nothing.
#[divan::bench]
fn outside_of_a_node(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(SPANS)).bench_local(|| {
        for number in 0..SPANS {
            let span = span("work");
            span.set("order.id", number);
            span.finish();
        }
    });
}
