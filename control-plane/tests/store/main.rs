//! What every store promises, asked of both; and what only one of them can show.
//!
//! One Postgres is started for all tests that share one, and each test has a database of its own in it. A machine without
//! Postgres fails them.

#![allow(clippy::unwrap_used, reason = "in a test an error is a failure, and its text says which")]

mod outages;
mod postgres_server;
mod replicas;
mod replicas_forget;
mod sqlite_files;
mod subject;
mod suite;
mod support;

/// Asks both stores.
macro_rules! every_store {
    ($($area:ident: $($test:ident),+;)+) => {
        mod in_sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    crate::suite::$area::$test(crate::subject::Subject::in_sqlite().await).await;
                }
            )+)+
        }

        mod in_postgres {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    crate::suite::$area::$test(crate::subject::Subject::in_postgres().await).await;
                }
            )+)+
        }
    };
}

every_store! {
    versions:
        a_version_reads_back_as_it_was_committed,
        versions_are_numbered_without_gaps_by_eight_committers_at_once,
        a_commit_that_expects_another_version_is_a_conflict,
        of_commits_that_expect_the_same_version_one_succeeds,
        fleets_are_numbered_apart,
        history_comes_in_pages,
        a_version_is_neither_changed_nor_deleted,
        a_large_version_is_kept_whole;
    audit:
        every_change_leaves_a_record,
        what_did_not_happen_leaves_no_record,
        without_its_record_no_change_is_made,
        records_come_in_pages,
        a_record_is_neither_changed_nor_deleted;
    nodes:
        a_node_reads_back_as_it_was_noted,
        nodes_are_listed_by_name_without_those_removed,
        what_a_removed_node_says_is_not_noted,
        a_node_that_joins_again_starts_anew,
        a_node_is_of_the_stream_that_took_it_last,
        a_node_was_heard_of_when_it_spoke_and_not_when_that_was_noted,
        a_certificate_is_renewed_for_nodes_that_are_there,
        a_number_that_is_too_large_is_kept_as_the_largest;
    traffic:
        what_a_replica_tells_is_kept_until_it_tells_anew_or_is_gone;
    secrets:
        a_join_token_is_good_for_as_many_uses_as_it_says,
        of_two_uses_at_once_of_a_token_for_one_one_succeeds,
        a_join_token_that_has_expired_is_told_from_one_that_never_was,
        an_admin_token_is_found_by_its_hash_until_it_expires,
        of_two_authorities_offered_at_once_both_get_the_same;
    tapes:
        a_segment_is_stored_once_and_its_frames_are_found_once,
        a_search_goes_on_exactly_where_it_ended,
        what_a_filter_says_is_what_is_found,
        an_id_is_a_tape_or_a_frame_and_its_operation,
        a_request_without_an_answer_is_a_call_until_the_answer_comes,
        what_is_missing_is_proved_by_numbers,
        numbers_that_no_node_comes_to_leave_the_others_readable,
        two_nodes_with_one_instance_are_two_sources,
        other_bytes_under_the_number_of_a_segment_are_kept_and_told,
        tapes_are_listed_by_their_beginning_and_may_be_held,
        a_tape_that_is_recorded_between_two_pages_is_on_one_of_them,
        tapes_with_what_is_rare_are_those_that_have_it,
        two_replicas_that_commit_the_same_at_once_store_it_once;
    retention:
        what_is_older_than_its_recording_keeps_goes_with_its_object,
        beyond_the_size_of_a_recording_the_oldest_goes,
        what_is_on_hold_stays_until_it_is_released,
        of_several_recordings_in_a_segment_each_is_forgotten_in_its_time,
        a_message_goes_with_the_last_segment_that_refers_to_it,
        a_message_that_cannot_be_deleted_is_wanted_again,
        what_cannot_be_forgotten_holds_up_nothing_else,
        beyond_a_size_nothing_goes_in_the_place_of_what_cannot,
        what_was_deleted_is_neither_missed_nor_taken_again,
        what_is_kept_as_bytes_alone_is_forgotten_without_its_twin,
        what_is_removed_by_order_is_in_no_object_after_the_next_pass,
        what_the_index_has_never_heard_of_is_found_and_deleted_unless_its_node_comes_back,
        a_fleet_whose_configuration_is_not_known_loses_nothing,
        what_has_no_recording_any_more_is_kept_as_that_last_said,
        whenever_a_pass_ends_every_frame_that_is_found_is_read_and_no_object_stays_for_ever;
    messages:
        a_message_counts_once_however_many_segments_refer_to_it,
        what_a_node_was_told_is_here_is_not_deleted_whenever_it_asks,
        a_message_that_is_used_again_counts_again_when_it_is_offered,
        a_message_stays_and_counts_whenever_one_segment_goes_and_another_comes,
        a_message_that_is_discarded_is_sent_again_or_deleted_whenever_a_node_asks,
        a_segment_whose_message_is_discarded_meanwhile_is_stored,
        a_segment_whose_message_is_being_deleted_is_stored_after_that;
    words:
        names_are_forgotten_with_the_last_frame_that_has_them,
        a_name_that_comes_back_while_it_is_forgotten_is_found;
    life:
        a_database_that_is_opened_again_is_the_same,
        two_databases_have_two_epochs,
        a_newer_schema_is_refused,
        a_schema_that_somebody_changed_is_refused,
        changes_are_told_and_notes_are_not,
        a_store_that_was_closed_fails_at_once;
}
