//! What every backend of the store must do, run against the embedded storage and against
//! AWS's own DynamoDB Local with an S3 server.

#![allow(clippy::unwrap_used, reason = "a case that fails panics")]

mod api_key_cases;
mod artifact_cases;
mod backend;
mod content_cases;
mod payload_cases;
mod run_cases;
mod spans;
mod structure_cases;
mod upkeep_cases;
mod version_cases;

use std::panic::AssertUnwindSafe;

use backend::{AwsProcesses, Backend};
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;

type Case = (&'static str, fn(Backend) -> LocalBoxFuture<'static, ()>);

macro_rules! contract {
    ($($module:ident::$case:ident),* $(,)?) => {
        const CASES: &[Case] = &[
            $((stringify!($case), |backend| $module::$case(backend).boxed_local())),*
        ];

        mod embedded {
            use super::*;

            $(
                #[tokio::test]
                async fn $case() {
                    $module::$case(Backend::embedded()).await;
                }
            )*
        }
    };
}

contract! {
    structure_cases::the_table_is_as_described,
    structure_cases::spans_come_back_as_they_were,
    structure_cases::the_stored_format_is_plain_otlp,
    structure_cases::a_write_tells_what_it_wrote_and_a_repeated_one_nothing,
    structure_cases::hard_case_14_the_same_batch_twice_is_one_chunk,
    structure_cases::hard_case_14_a_revised_span_is_one_span,
    structure_cases::hard_case_18_an_abandoned_span_keeps_what_it_had,
    structure_cases::hard_case_14_racing_batches_lose_nothing,
    structure_cases::hard_case_13_orphans_and_late_children_are_kept,
    structure_cases::pages_and_streams_give_the_same_order,
    structure_cases::a_wide_trace_spreads_over_its_partitions,
    structure_cases::another_tenant_sees_nothing,
    structure_cases::a_span_of_another_trace_is_refused,
    structure_cases::a_chunk_reads_alike_from_its_key_and_its_image,
    structure_cases::hard_case_22_what_has_expired_is_invisible,
    structure_cases::hard_case_22_every_item_carries_what_the_time_to_live_names,
    content_cases::bodies_lie_where_their_size_says,
    content_cases::hard_case_17_values_around_400_kb_stay_whole,
    content_cases::hard_case_17_attributes_around_400_kb_stay_whole,
    content_cases::hard_case_17_a_body_of_20_mb_stays_whole,
    content_cases::hard_case_17_many_small_bodies_of_one_span_stay_whole,
    content_cases::equal_bodies_of_a_trace_are_stored_once,
    content_cases::an_altered_body_is_refused,
    content_cases::a_span_without_its_texts_is_refused,
    run_cases::a_run_opens_and_closes,
    run_cases::events_out_of_order_and_twice_change_nothing,
    run_cases::a_redriven_run_ends_with_its_last_status,
    run_cases::a_redriven_run_goes_on_and_ends_again,
    run_cases::a_name_used_again_is_another_run,
    run_cases::an_older_summary_never_overwrites_a_newer,
    run_cases::a_summary_may_come_before_its_run,
    run_cases::one_of_those_who_look_has_the_run_recorded_on,
    run_cases::hard_case_22_an_expired_run_is_invisible_and_makes_room,
    run_cases::a_trace_without_an_execution_is_what_its_spans_say,
    run_cases::an_execution_takes_its_trace_over,
    run_cases::spans_of_an_expired_trace_open_it_anew,
    run_cases::lists_are_newest_first_and_filtered,
    run_cases::pages_of_a_list_are_complete,
    run_cases::hard_case_5_a_list_and_its_cursor_belong_to_one_tenant,
    api_key_cases::an_api_key_comes_back_as_it_was,
    api_key_cases::a_revoked_api_key_says_so_until_it_expires,
    artifact_cases::an_artifact_comes_back_as_it_was,
    artifact_cases::the_same_attempt_makes_the_same_artifact,
    artifact_cases::hard_case_20_an_artifact_s_bytes_come_before_its_item,
    artifact_cases::hard_case_5_artifacts_belong_to_one_tenant,
    artifact_cases::hard_case_22_an_expired_artifact_is_invisible,
    artifact_cases::artifacts_of_an_earlier_run_of_the_name_are_not_shown,
    artifact_cases::altered_bytes_of_an_artifact_are_refused,
    artifact_cases::hard_case_8_a_link_lives_five_minutes_and_forces_a_download,
    artifact_cases::an_artifact_of_a_newer_format_is_refused_in_words,
    payload_cases::a_payload_comes_back_as_it_was,
    payload_cases::hard_case_5_a_forged_reference_opens_nothing,
    payload_cases::an_altered_payload_is_refused,
    payload_cases::hard_case_22_an_expired_payload_is_gone,
    upkeep_cases::tenants_are_known_from_their_first_run_on,
    upkeep_cases::notes_are_kept_until_somebody_else_writes_them,
    upkeep_cases::hard_case_20_only_what_nothing_points_to_is_swept,
    upkeep_cases::hard_case_20_what_is_written_again_meanwhile_stays,
    upkeep_cases::objects_are_listed_page_by_page,
    upkeep_cases::an_announced_trace_comes_in_the_stream_again,
    version_cases::a_newer_format_is_refused_in_words,
    version_cases::golden_items_stay_readable,
}

/// One process of each server for all cases, each in a table and a bucket of its own.
#[tokio::test]
async fn dynamodb_local_and_versitygw() {
    let processes = AwsProcesses::start().await;
    let mut failed = Vec::new();
    for (name, case) in CASES {
        let outcome = AssertUnwindSafe(case(processes.backend())).catch_unwind();
        if outcome.await.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}
