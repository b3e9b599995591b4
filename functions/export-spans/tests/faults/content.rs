//! Texts go out with their spans as far as the policy and the collector's size allow.

use lambda_process::ExportContent;
use trace_model::{Content, Span};

use crate::collector::{Answer, Collector};
use crate::{FIELD, attribute, cloud, ok};

/// Words that no detector knows and no compressor likes.
fn words(bytes: usize, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let letter = u8::try_from(state % 26).unwrap() + b'a';
        text.push(if text.len() % 7 == 6 {
            ' '
        } else {
            char::from(letter)
        });
    }
    text
}

fn with(mut span: Span, texts: &[(&str, &str)]) -> Span {
    span.content.clear();
    for (field, text) in texts {
        let content = Content::text("text/plain", *text);
        span.content.insert((*field).to_owned(), content);
    }
    span
}

#[tokio::test]
async fn each_policy_sends_what_it_says() {
    let cloud = cloud().await;
    let repeated = "the same words again and again ".repeat(1_000);
    let (in_the_bucket, too_large) = (words(200_000, 1), words(1_200_000, 2));
    let texts = [
        ("beside", "short"),
        ("in.an.item", repeated.as_str()),
        ("in.the.bucket", in_the_bucket.as_str()),
        ("too.large", too_large.as_str()),
    ];
    cloud.write([with(cloud.span(1), &texts)]).await;
    let check = async |policy: ExportContent, expected: &[&str]| {
        let collector = Collector::start(ok()).await;
        let exporter = cloud.exporter_with(&collector, &[], policy);
        let (failed, outcome) = cloud.export(&exporter).await;
        assert_eq!((failed, outcome.spans, outcome.dropped), (0, 1, 0));
        let span = &collector.spans()[0];
        for (field, text) in texts {
            let expected = expected.contains(&field).then_some(text);
            assert!(attribute(span, field) == expected, "{field} by {policy:?}");
        }
    };
    check(ExportContent::None, &[]).await;
    check(ExportContent::Inline, &["beside"]).await;
    let all = ["beside", "in.an.item", "in.the.bucket"];
    check(ExportContent::All, &all).await;
}

#[tokio::test]
async fn hard_case_25_what_is_rejoined_is_masked() {
    let cloud = cloud().await;
    let collector = Collector::start(ok()).await;
    let exporter = cloud.exporter_with(&collector, &[], ExportContent::All);
    let text = format!("{} write to dana@example.com now", words(60_000, 3));
    cloud.write([with(cloud.span(1), &[(FIELD, &text)])]).await;
    cloud.export(&exporter).await;
    let spans = collector.spans();
    let sent = attribute(&spans[0], FIELD).unwrap();
    assert!(sent.len() > 60_000);
    assert!(!sent.contains("dana@example.com"));
}

/// Its span goes without: what is gone now is gone next time.
#[tokio::test]
async fn a_text_that_is_gone_holds_up_no_span() {
    let cloud = cloud().await;
    let collector = Collector::start(ok()).await;
    let exporter = cloud.exporter_with(&collector, &[], ExportContent::All);
    let text = words(60_000, 4);
    cloud.write([with(cloud.span(1), &[(FIELD, &text)])]).await;
    let objects = cloud.s3.list_objects_v2().bucket("stepscope").send();
    for object in objects.await.unwrap().contents.unwrap() {
        let delete = cloud.s3.delete_object().bucket("stepscope");
        delete.key(object.key.unwrap()).send().await.unwrap();
    }
    let (failed, outcome) = cloud.export(&exporter).await;
    assert_eq!((failed, outcome.spans, outcome.dropped), (0, 1, 0));
    assert_eq!(attribute(&collector.spans()[0], FIELD), None);
}

#[tokio::test]
async fn requests_are_no_larger_than_collectors_take() {
    let cloud = cloud().await;
    let collector = Collector::start(ok()).await;
    let exporter = cloud.exporter_with(&collector, &[], ExportContent::All);
    let text = words(900_000, 5);
    let spans = (1..=12).map(|number| with(cloud.span(number), &[(FIELD, &text)]));
    cloud.write(spans).await;
    assert_eq!(cloud.export(&exporter).await.1.spans, 12);
    let sizes: Vec<_> = collector.received().iter().map(|it| it.bytes).collect();
    assert!(sizes.len() > 2, "{sizes:?}");
    assert!(sizes.iter().all(|bytes| *bytes <= 4 << 20), "{sizes:?}");
    let spans = collector.spans();
    let whole = spans.iter().filter(|span| attribute(span, FIELD).is_some());
    assert_eq!(whole.count(), 12);
}

/// A 413 is about the request, and tells nothing of the single span.
#[tokio::test]
async fn a_collector_that_takes_less_gets_smaller_requests() {
    let cloud = cloud().await;
    let collector = Collector::start(Answer::TakesUpTo(20_000)).await;
    let exporter = cloud.exporter_with(&collector, &[], ExportContent::All);
    let (small, large) = (words(3_000, 6), words(30_000, 7));
    let mut spans: Vec<_> = (1..=20)
        .map(|number| with(cloud.span(number), &[(FIELD, &small)]))
        .collect();
    spans.push(with(cloud.span(21), &[(FIELD, &large)]));
    cloud.write(spans).await;
    let (failed, outcome) = cloud.export(&exporter).await;
    assert_eq!((failed, outcome.spans, outcome.dropped), (0, 21, 0));
    let spans = collector.spans();
    assert_eq!(spans.len(), 21);
    let whole = spans.iter().filter(|span| attribute(span, FIELD).is_some());
    assert_eq!(whole.count(), 20, "all but the one that fits nowhere");
}

#[tokio::test]
async fn what_no_collector_takes_is_counted() {
    let cloud = cloud().await;
    let collector = Collector::start(Answer::TakesUpTo(10)).await;
    let exporter = cloud.exporter(&collector, &[]);
    cloud.write([cloud.span(1), cloud.span(2)]).await;
    let (failed, outcome) = cloud.export(&exporter).await;
    assert_eq!((failed, outcome.spans, outcome.dropped), (0, 0, 2));
}
