//! Hard cases 13 to 15: each odd shape has one outcome, and nothing is dropped silently.

use prost::Message as _;
use trace_model::{RunStatus, Timestamp, Tree, conventions};

use crate::protocol::gzip;
use crate::support::{Cloud, request, span, trace_id};

#[tokio::test]
async fn hard_case_13_self_parents_circles_and_orphans_are_kept() {
    let cloud = Cloud::start().await;
    let spans = vec![
        span(1, 0),
        span(2, 2),
        span(3, 4),
        span(4, 3),
        span(5, 99),
        span(6, 1),
    ];
    cloud
        .post_protobuf(&request(spans))
        .await
        .assert_all_stored();
    let structure = cloud.structure("acme", trace_id()).await;
    let spans: Vec<_> = structure
        .spans
        .iter()
        .map(|one| one.span().clone())
        .collect();
    // All six, and the placeholder of the one that never came.
    assert_eq!(Tree::of(&spans).nodes.len(), 7);
    let run = cloud.summarised_run("acme", trace_id()).await.unwrap();
    assert_eq!(run.totals.unwrap().spans, 6);
    let orphans = "1 span has a parent that is not recorded";
    assert!(
        run.notices.contains(&orphans.to_owned()),
        "{:?}",
        run.notices
    );
}

#[tokio::test]
async fn hard_case_15_odd_times_stay_and_are_flagged() {
    let cloud = Cloud::start().await;
    let mut backwards = span(1, 0);
    backwards.end_time_unix_nano = backwards.start_time_unix_nano - 7;
    let mut without_start = span(2, 1);
    without_start.start_time_unix_nano = 0;
    let mut without_times = span(3, 1);
    without_times.start_time_unix_nano = 0;
    without_times.end_time_unix_nano = 0;
    let mut of_the_year_2554 = span(4, 1);
    of_the_year_2554.start_time_unix_nano = u64::MAX;
    of_the_year_2554.end_time_unix_nano = u64::MAX;
    let batch = request(vec![
        backwards.clone(),
        without_start,
        without_times,
        of_the_year_2554,
    ]);
    let answer = cloud.post_protobuf(&batch).await;
    let rejected = answer.response().partial_success.unwrap();
    assert_eq!(rejected.rejected_spans, 1);
    assert!(
        rejected
            .error_message
            .contains("neither a start nor an end")
    );
    let structure = cloud.structure("acme", trace_id()).await;
    let of = |id: u8| {
        let found = structure
            .spans
            .iter()
            .find(|one| one.span().span_id.as_bytes()[7] == id);
        found.unwrap().span()
    };
    assert_eq!(of(1).start.as_unix_nanos(), backwards.start_time_unix_nano);
    let end = Timestamp::from_unix_nanos(backwards.end_time_unix_nano);
    assert_eq!(of(1).end, Some(end));
    let flags: Vec<_> = of(1).flags().collect();
    assert_eq!(flags, [conventions::FLAG_END_BEFORE_START]);
    let flags: Vec<_> = of(2).flags().collect();
    assert_eq!(flags, [conventions::FLAG_NO_START]);
    assert_eq!(of(4).start.as_unix_nanos(), u64::MAX);
    assert!(cloud.summarised_run("acme", trace_id()).await.is_some());
}

#[tokio::test]
async fn hard_case_13_100_000_siblings_in_one_request_are_stored() {
    let cloud = Cloud::start().await;
    let mut siblings = request((2..=100_001).map(|id| span(id, 1)).collect());
    siblings.resource_spans[0].resource = None;
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "gzip"),
    ];
    let packed = gzip(&siblings.encode_to_vec());
    cloud.post(&headers, packed).await.assert_all_stored();
    cloud
        .post_protobuf(&request(vec![span(1, 0)]))
        .await
        .assert_all_stored();
    let run = cloud.summarised_run("acme", trace_id()).await.unwrap();
    assert_eq!(run.totals.unwrap().spans, 100_001);
    assert_eq!(run.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn hard_case_13_10_000_levels_are_stored() {
    let cloud = Cloud::start().await;
    let levels = request((1..=10_000).map(|id| span(id, id - 1)).collect());
    cloud.post_protobuf(&levels).await.assert_all_stored();
    let structure = cloud.structure("acme", trace_id()).await;
    let spans: Vec<_> = structure
        .spans
        .into_iter()
        .map(|one| one.span().clone())
        .collect();
    let tree = Tree::of(&spans);
    assert_eq!(tree.nodes.last().unwrap().depth, 9_999);
}
