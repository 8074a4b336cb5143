//! What every store promises, asked of both; and what only replicas that share a Redis can show.
//!
//! Each test that needs a Redis starts one of its own. A machine without `redis-server` fails them.

#![allow(clippy::unwrap_used, reason = "in a test an error is a failure, and its text says which")]

mod memory;
mod outages;
mod redis_server;
mod replicas;
mod suite;
mod support;
mod tails;
mod uses;

use shadowcat_session::{MemoryStore, RedisStore, StoreOptions};

use self::redis_server::RedisServer;

/// Sessions a principal may hold in the suite.
const MAX_PER_PRINCIPAL: u32 = 3;

/// How both stores of the suite are made.
fn options() -> StoreOptions {
    StoreOptions { max_per_principal: MAX_PER_PRINCIPAL, ..StoreOptions::new("node-a") }
}

/// Asks both stores.
macro_rules! every_store {
    ($($area:ident: $($test:ident),+;)+) => {
        mod in_memory {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    crate::suite::$area::$test(&super::MemoryStore::new(super::options())).await;
                }
            )+)+
        }

        mod in_redis {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let redis = super::RedisServer::start().await;
                    let store = super::RedisStore::connect(&redis.url(), super::options()).await.unwrap();
                    crate::suite::$area::$test(&store).await;
                }
            )+)+
        }
    };
}

every_store! {
    sessions:
        a_session_is_found_as_it_was_made,
        an_unknown_session_is_not_found,
        a_deleted_session_is_refused_at_once,
        an_update_replaces_what_may_change,
        an_update_of_an_old_revision_is_a_conflict,
        of_concurrent_updates_one_succeeds,
        batches_keep_the_order_asked,
        an_unused_session_ends,
        a_session_in_use_does_not_end,
        an_owner_is_alive_while_its_node_is;
    caps:
        a_route_holds_no_more_than_its_cap,
        a_principal_holds_no_more_than_its_cap,
        concurrent_creates_respect_the_cap,
        an_ended_session_makes_room,
        counts_tell_routes_and_principals_apart,
        pages_hold_every_session_once,
        a_page_is_never_longer_than_asked;
    streams:
        events_read_back_as_they_were_written,
        a_log_is_read_in_pieces,
        a_log_keeps_its_newest_events,
        a_log_keeps_its_newest_bytes,
        an_append_that_is_not_the_next_is_a_conflict,
        only_an_open_stream_is_written,
        a_stream_without_events_leaves_nothing_behind,
        a_paused_stream_is_taken_over,
        streams_that_ended_first_are_forgotten_first,
        a_session_takes_its_streams_with_it,
        a_stream_is_forgotten_alone,
        a_session_whose_stream_is_written_does_not_end,
        a_reader_that_is_behind_does_not_wait,
        a_waiting_reader_wakes_on_an_append,
        a_waiting_reader_wakes_on_the_end,
        a_waiting_reader_gives_up_after_a_second;
}
