//! Hard case 21: a collector that fails is not pressed, however often the stream comes again.

use std::time::Duration;

use export_spans::Exported;
use trace_model::Timestamp;

use crate::collector::{Answer, Collector};
use crate::{cloud, ok};

/// A 429 and how long the collector is left alone for it.
async fn check_retry_after(value: &str, seconds: u64) {
    let head = format!("HTTP/1.1 429 Too Many Requests\r\nretry-after: {value}");
    let cloud = cloud().await;
    let collector = Collector::start(Answer::Whole(head.leak(), Vec::new())).await;
    let exporter = cloud.exporter(&collector, &[]);
    cloud.write([cloud.span(1)]).await;
    assert_eq!(cloud.export(&exporter).await, (1, Exported::default()));
    let asked = cloud.clock.now().plus(Duration::from_secs(seconds));
    assert_eq!(exporter.not_before(), Some(asked), "{value}");

    collector.answer_with(ok());
    cloud.clock.advance(Duration::from_secs(seconds));
    let (failed, outcome) = cloud.export(&exporter).await;
    assert_eq!((failed, outcome.spans), (0, 1), "{value}");
    assert_eq!(exporter.not_before(), None, "{value}");
}

#[tokio::test]
async fn hard_case_21_429_with_retry_after_in_seconds() {
    check_retry_after("7", 7).await;
}

#[tokio::test]
async fn hard_case_21_429_with_retry_after_as_a_date() {
    check_retry_after("Wed, 01 Mar 2045 12:00:09 GMT", 9).await;
}

#[tokio::test]
async fn hard_case_21_a_retry_after_of_minutes_is_kept_whatever_the_stream_does() {
    let cloud = cloud().await;
    let head = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 600";
    let collector = Collector::start(Answer::Whole(head, Vec::new())).await;
    let exporter = cloud.exporter(&collector, &[]);
    cloud.write([cloud.span(1)]).await;
    cloud.export(&exporter).await;
    let event = cloud.changes().await;
    // Waits run out at once: nothing but time is waited for.
    tokio::time::pause();
    for _ in 0..50 {
        let begun = tokio::time::Instant::now();
        let handled = cloud.handle(&exporter, event.clone(), None).await;
        assert_eq!(handled, (1, Exported::default()));
        assert_eq!(begun.elapsed().as_secs(), 20, "it paces the stream");
        cloud.clock.advance(Duration::from_secs(10));
    }
    tokio::time::resume();
    assert_eq!(collector.received().len(), 1, "nobody called it meanwhile");
    collector.answer_with(ok());
    cloud.clock.advance(Duration::from_secs(100));
    assert_eq!(cloud.export(&exporter).await.1.spans, 1);
}

#[tokio::test]
async fn hard_case_21_ten_minutes_down() {
    let cloud = cloud().await;
    let collector = Collector::start(Answer::HangUp).await;
    let exporter = cloud.exporter(&collector, &[]);
    cloud.write([cloud.span(1), cloud.span(2)]).await;
    let begun = cloud.clock.now();
    let up_again = begun.plus(Duration::from_mins(10));
    while cloud.clock.now() < up_again {
        assert_eq!(cloud.export(&exporter).await, (1, Exported::default()));
        let pause = exporter.not_before().unwrap().since(cloud.clock.now());
        cloud.clock.advance(pause);
    }
    let calls = collector.received().len();
    assert!((30..50).contains(&calls), "{calls} calls in ten minutes");
    cloud.write([cloud.span(3)]).await;
    collector.answer_with(ok());
    let (failed, outcome) = cloud.export(&exporter).await;
    assert_eq!((failed, outcome.spans, outcome.dropped), (0, 3, 0));
}

/// What went out stays out: the batch goes on behind it.
#[tokio::test]
async fn a_batch_ends_before_the_function_is_cut_off() {
    let cloud = cloud().await;
    let collector = Collector::start(ok()).await;
    let exporter = cloud.exporter(&collector, &[]);
    cloud.write([cloud.span(1)]).await;
    let event = cloud.changes().await;
    let export = async |seconds_left: u64| {
        let until = cloud.clock.now().plus(Duration::from_secs(seconds_left));
        let handled = cloud.handle(&exporter, event.clone(), Some(until)).await;
        (handled.0, handled.1.spans)
    };
    assert_eq!(export(0).await, (1, 0));
    assert_eq!(collector.received().len(), 0);
    assert_eq!(export(30).await, (0, 1));
}

#[tokio::test]
async fn a_request_is_given_no_more_time_than_is_left() {
    let cloud = cloud().await;
    let collector = Collector::start(Answer::OneByteASecond).await;
    let exporter = cloud.exporter(&collector, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "600000")]);
    cloud.write([cloud.span(1)]).await;
    let event = cloud.changes().await;
    let until: Timestamp = cloud.clock.now().plus(Duration::from_millis(1_100));
    let handled = cloud.handle(&exporter, event, Some(until)).await;
    assert_eq!(handled, (1, Exported::default()));
}
