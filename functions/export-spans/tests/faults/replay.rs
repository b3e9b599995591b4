//! Beyond the stream's memory: the table itself goes out again.

use std::num::NonZeroU32;
use std::time::Duration;

use export_spans::{ExportError, Exported, Exporter, Replay};
use lambda_process::ExportContent;
use trace_model::{Revision, TenantId};

use crate::collector::{Answer, Collector};
use crate::{Cloud, FIELD, attribute, cloud, ok, trace_id};

const FAST: NonZeroU32 = NonZeroU32::MAX;

async fn replay(
    cloud: &Cloud,
    exporter: &Exporter,
    rate: NonZeroU32,
) -> Result<Exported, ExportError> {
    let tenant = TenantId::parse("acme").unwrap();
    let mut replay = Replay::new(cloud.store.clone(), exporter.clone(), rate);
    replay.trace(&tenant, trace_id()).await
}

#[tokio::test]
async fn each_span_goes_out_once_as_the_stream_sent_it() {
    let cloud = cloud().await;
    let by_stream = Collector::start(ok()).await;
    let exporter = cloud.exporter_with(&by_stream, &[], ExportContent::All);
    // In three chunks; one span opened, given up and ended after all, one open still.
    let mut opened = cloud.span(1);
    (opened.revision, opened.end) = (Revision::OPENED, None);
    let mut abandoned = cloud.span(1);
    abandoned.revision = Revision::ABANDONED;
    let mut open = cloud.span(4);
    (open.revision, open.end) = (Revision::OPENED, None);
    cloud.write([opened, cloud.span(2)]).await;
    cloud.write([abandoned, open]).await;
    cloud.write([cloud.span(1), cloud.span(3)]).await;
    cloud.export(&exporter).await;

    let again = Collector::start(ok()).await;
    let exporter = cloud.exporter_with(&again, &[], ExportContent::All);
    let outcome = replay(&cloud, &exporter, FAST).await.unwrap();
    assert_eq!((outcome.spans, outcome.dropped), (3, 0));
    let (sent, replayed) = (by_stream.spans(), again.spans());
    assert_eq!(replayed.len(), 3);
    for span in &replayed {
        let last = sent.iter().rfind(|it| it.span_id == span.span_id);
        assert_eq!(Some(span), last);
        assert!(attribute(span, FIELD).is_some());
    }
}

#[tokio::test]
async fn a_trace_that_is_not_there_sends_nothing() {
    let cloud = cloud().await;
    let collector = Collector::start(ok()).await;
    let exporter = cloud.exporter(&collector, &[]);
    let outcome = replay(&cloud, &exporter, FAST).await.unwrap();
    assert_eq!(outcome, Exported::default());
    assert_eq!(collector.received().len(), 0);
}

#[tokio::test]
async fn it_waits_for_a_collector_that_fails() {
    let cloud = cloud().await;
    let collector = Collector::start(Answer::HangUp).await;
    let exporter = cloud.exporter(&collector, &[]);
    cloud.write([cloud.span(1)]).await;
    let mend = async {
        while collector.received().is_empty() {
            tokio::task::yield_now().await;
        }
        collector.answer_with(ok());
        cloud.clock.advance(Duration::from_secs(30));
    };
    let (outcome, ()) = tokio::join!(replay(&cloud, &exporter, FAST), mend);
    assert_eq!(outcome.unwrap().spans, 1);
}

#[tokio::test]
async fn it_ends_with_a_collector_that_fails_for_long() {
    let cloud = cloud().await;
    let collector = Collector::start(Answer::HangUp).await;
    let exporter = cloud.exporter(&collector, &[]);
    cloud.write([cloud.span(1)]).await;
    let time_passes = async {
        loop {
            cloud.clock.advance(Duration::from_secs(30));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let outcome = tokio::select! {
        outcome = replay(&cloud, &exporter, FAST) => outcome,
        () = time_passes => unreachable!("it has no end"),
    };
    assert!(outcome.unwrap_err().passes());
}
