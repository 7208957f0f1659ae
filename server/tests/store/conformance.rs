//! One suite for every store: what the traits promise, asked of a real back end.
//!
//! A case is a function over `Arc<dyn Store>`; a back end joins by adding a module like those below. After each case
//! the back end checks its own invariants.

mod accounts;
mod admin;
mod device_lists;
mod expiry;
mod nodes;
mod prekeys;
mod queue;
mod queue_places;
mod sessions;

/// Names every case once, and makes a test of each for the back end whose `run` is given.
macro_rules! cases {
    ($run:path => $($module:ident: $($name:ident)*;)*) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $run(crate::conformance::$module::$name).await;
        }
    )*)*};
}

macro_rules! conformance {
    ($run:path) => {
        cases! { $run =>
            accounts:
                a_created_account_is_found_by_name_and_by_id
                a_name_that_is_not_there_gives_another_account_and_says_so
                a_registration_can_be_seen_to_be_hopeless_before_it_is_tried
                one_of_500_concurrent_registrations_gets_the_name
                a_registration_repeated_after_a_lost_reply_finds_itself
                the_name_of_a_deleted_account_is_not_given_again
                an_account_id_or_session_id_in_use_is_refused
                an_invite_pays_for_one_account_until_it_expires
                a_password_change_ends_all_other_sessions_and_raises_the_kept_one
                a_password_change_from_another_hash_changes_nothing
                deleting_an_account_erases_what_is_its_and_keeps_what_it_sent
                the_record_of_what_was_erased_is_complete;
            admin:
                invites_are_listed_newest_first_until_used_revoked_or_expired
                accounts_are_listed_by_name_with_what_waits_for_them
                a_disabled_account_begins_no_session_and_still_gets_messages
                a_reset_password_ends_every_session_and_keeps_the_rest
                the_figures_and_the_largest_queues_count_what_is_there;
            device_lists:
                a_list_follows_only_the_current_one
                of_concurrent_successors_one_becomes_current
                a_removed_device_loses_session_prekeys_and_queue_and_senders_are_told
                threat_26_a_device_made_anew_starts_at_number_one_and_gets_nothing_of_its_predecessor
                a_registration_that_returns_goes_on_with_its_numbers
                a_new_identity_replaces_devices_and_sessions_at_once
                a_session_id_in_use_stops_a_new_identity
                lists_are_given_in_order_for_a_client_that_is_behind;
            sessions:
                a_start_repeated_at_the_first_token_gets_the_first_answer
                a_new_session_ends_the_devices_others
                a_session_needs_a_device_of_the_current_list
                a_password_that_was_changed_meanwhile_begins_no_session
                a_refresh_whose_reply_was_lost_gets_the_first_answer
                a_spent_refresh_token_ends_the_session
                sessions_are_ended_only_by_their_own_account
                after_a_restore_nothing_that_could_have_ended_is_left
                an_ended_session_opens_no_connection;
            nodes:
                of_many_sessions_those_that_ended_are_left_out
                the_session_of_a_removed_device_is_not_live
                a_glance_shows_the_newest_connection_and_whether_something_waits
                a_notice_is_something_that_waits
                nodes_agree_on_what_the_first_one_said;
            prekeys:
                threat_2_no_one_time_prekey_is_taken_twice_by_64_tasks
                one_time_prekeys_are_taken_oldest_first_until_none_is_left
                an_upload_repeated_after_takes_gives_no_key_twice
                an_id_with_another_key_is_a_conflict_and_changes_nothing
                an_upload_for_another_key_epoch_changes_nothing
                more_than_200_one_time_prekeys_are_not_stored
                a_signed_prekey_is_replaced_only_by_a_higher_id
                an_expired_signed_prekey_is_not_given_and_burns_no_one_time_prekey
                discarded_one_time_prekeys_are_gone_and_their_ids_stay_used
                threat_4_an_upload_repeated_after_a_lost_answer_gives_no_key_twice;
            queue:
                an_accepted_message_waits_until_it_is_acked
                a_number_again_is_answered_and_stores_nothing
                a_number_again_on_a_new_connection_is_answered_and_stores_nothing
                threat_16_when_answers_are_lost_each_message_is_queued_once
                a_number_with_other_bytes_is_a_conflict
                numbers_may_come_in_any_order_and_the_window_forgets_the_oldest
                only_the_newest_connection_may_send_and_ack
                an_ack_reaches_only_rows_of_its_own_device
                undelivered_rows_come_oldest_first_within_the_limits
                many_senders_at_once_lose_and_double_nothing
                the_rate_is_looked_at_after_the_window
                a_sender_outside_of_every_list_is_refused;
            queue_places:
                copies_that_do_not_match_the_list_store_nothing
                a_message_to_the_own_account_reaches_the_other_devices
                a_message_for_one_device_needs_exactly_its_copy
                a_full_device_is_skipped_named_and_told
                a_dormant_device_is_skipped_named_and_told_with_or_without_a_copy
                a_message_that_reaches_nobody_stores_nothing_and_uses_no_number
                a_sender_account_has_a_share_of_a_queue
                the_byte_quota_counts_what_waits
                the_last_quarter_of_a_queue_is_for_those_with_little_in_it
                a_notice_that_was_read_does_not_change_under_its_ack
                notices_come_within_the_limits_and_each_once;
            expiry:
                expired_messages_are_named_to_both_sides
                nothing_expires_early_and_no_more_than_asked
                threat_29_whatever_the_clock_says_messages_come_in_order
                a_clock_that_was_wrong_for_a_while_expires_nothing_early
                a_message_of_a_removed_device_is_still_shown_and_the_device_then_forgotten
                a_notice_that_nobody_fetches_is_forgotten;
        }
    };
}

mod embedded {
    use std::future::Future;
    use std::sync::Arc;

    use sealpost_server::store::Store;
    use sealpost_server::store::embedded::{EmbeddedOptions, EmbeddedStore};

    /// A store in a new folder for each case, checked and opened again at its end.
    async fn run<F: Future<Output = ()>>(case: impl FnOnce(Arc<dyn Store>) -> F) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let options = EmbeddedOptions { reserve_bytes: 0, ..EmbeddedOptions::default() };
        let store = Arc::new(EmbeddedStore::open(&path, &options, &[7; 32]).unwrap());
        case(Arc::clone(&store) as Arc<dyn Store>).await;
        assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
        store.close().await;
        let again = EmbeddedStore::open(&path, &options, &[8; 32]).unwrap();
        assert_eq!((again.server_id(), again.store_id()), (store.server_id(), store.store_id()));
        assert_eq!(again.verify().await.unwrap(), Vec::<String>::new());
    }

    conformance!(run);
}

mod mongodb {
    use std::future::Future;
    use std::sync::Arc;

    use sealpost_server::domain::clock::{Clock as _, SystemClock};
    use sealpost_server::store::Store;
    use sealpost_server::store::mongodb::MongoStore;

    use sealpost_harness::database::Engine;

    /// A database for each case, checked and opened again at its end.
    async fn run<F: Future<Output = ()>>(case: impl FnOnce(Arc<dyn Store>) -> F) {
        let engine = Engine::shared().unwrap();
        let address = engine.database();
        let store = Arc::new(MongoStore::open(&address, &[7; 48], SystemClock.now()).await.unwrap());
        case(Arc::clone(&store) as Arc<dyn Store>).await;
        assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
        store.close().await;
        let again = MongoStore::open(&address, &[8; 48], SystemClock.now()).await.unwrap();
        assert_eq!((again.server_id(), again.store_id()), (store.server_id(), store.store_id()));
        again.close().await;
    }

    conformance!(run);
}
