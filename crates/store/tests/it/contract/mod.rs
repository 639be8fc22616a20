//! What every store must do: the same scenarios, run on each.

mod accepting;
mod acks;
mod delivery;
mod events;
mod keeping;
mod lanes;
mod media;
mod people;
mod records;
mod webhooks;

macro_rules! contract {
    ($($topic:ident: $($scenario:ident),+;)+) => {
        mod memory {
            $($(
                #[tokio::test]
                async fn $scenario() {
                    super::$topic::$scenario(&steadfast_store::MemoryStore::new()).await;
                }
            )+)+
        }

        mod sqlite {
            use steadfast_core::port::Store as _;

            $($(
                #[tokio::test]
                async fn $scenario() {
                    let folder = crate::support::Folder::new();
                    let store = folder.open();
                    super::$topic::$scenario(&store).await;
                    store.close().await;
                }
            )+)+
        }
    };
}

contract! {
    accepting:
        what_is_accepted_reads_back,
        an_id_is_taken_once,
        many_are_taken_all_or_none,
        a_key_gives_its_first_answer_again,
        a_key_with_another_request_is_refused,
        a_key_ends,
        old_keys_do_not_pile_up_in_the_way,
        nothing_is_accepted_for_an_unknown_session,
        pages_follow_the_order_of_acceptance,
        depth_is_kept;
    keeping:
        only_what_is_over_and_old_is_forgotten,
        a_piece_says_where_to_go_on;
    delivery:
        a_claim_is_durable_and_shows_what_was_before,
        doubt_keeps_its_login_until_it_is_settled,
        a_chat_is_delivered_in_order,
        chats_do_not_wait_for_each_other,
        a_claim_is_bounded_and_takes_the_longest_due_first,
        a_head_that_is_due_later_holds_its_chat_only,
        next_due_is_that_of_the_next_free_head,
        what_we_put_off_ourselves_is_brought_forward,
        only_what_waits_expires,
        not_sent_waits_as_accepted,
        unknown_waits_as_sending,
        the_end_of_a_message_frees_its_chat,
        sent_without_a_server_is_unknown,
        the_same_outcome_twice_still_frees_the_chat,
        a_stale_fence_changes_nothing,
        a_new_owner_frees_the_claims_of_the_old,
        fences_only_grow,
        sessions_do_not_share_queues,
        outcomes_of_strangers_are_passed_over,
        an_outcome_without_an_attempt_is_passed_over,
        a_long_queue_is_found_to_its_end,
        attempts_tell_what_happened,
        attempts_are_bounded;
    lanes:
        a_lane_is_kept,
        higher_lanes_go_first_and_each_is_in_order,
        a_higher_message_waits_for_what_is_in_flight,
        a_code_overtakes_a_campaign,
        what_is_scheduled_holds_up_nobody,
        what_is_scheduled_can_be_taken_back_and_expires,
        a_quota_bounds_what_is_new_and_not_what_has_begun,
        pace_is_remembered,
        a_batch_and_its_answer_are_kept_together,
        nobody_is_ahead_of_what_is_not_owed;
    acks:
        acks_move_forward_and_keep_their_times,
        an_ack_beats_the_outcome_that_comes_after_it,
        an_ack_frees_the_chat_of_a_claimed_message,
        an_ack_settles_what_waits_for_a_look_up,
        an_ack_ends_every_doubt,
        an_ack_of_the_unknown_is_nothing,
        a_lower_outcome_does_not_take_an_ack_back;
    events:
        each_move_of_a_message_is_told_once,
        what_expires_is_told,
        many_at_once_are_told_each,
        what_is_refused_is_not_told,
        what_comes_in_is_told_once,
        a_happening_never_gets_a_second_id,
        states_and_incidents_are_told,
        events_go_with_their_session,
        old_events_go_and_that_is_told,
        news_wake_those_who_wait,
        a_look_at_the_log_is_bounded;
    media:
        a_message_needs_its_file,
        a_file_stays_while_a_message_needs_it,
        old_files_are_forgotten_first,
        files_are_forgotten_where_they_are_too_much,
        a_key_is_known_without_an_accept;
    people:
        only_what_waits_can_be_cancelled,
        a_cancelled_head_lets_the_next_one_up,
        a_released_message_takes_its_old_place,
        a_release_does_not_disturb_what_is_in_flight,
        a_release_goes_before_a_waiting_head,
        a_dropped_message_is_cancelled,
        only_the_parked_can_be_released,
        a_later_message_does_not_overtake_after_a_new_owner;
    records:
        inbound_is_kept_once,
        what_we_sent_is_not_inbound,
messages_are_known_by_their_whatsapp_ids, notes_stay_until_their_session_goes, what_a_message_carries_is_kept_with_it,
        inbound_comes_in_pages,
        sessions_are_kept,
        a_removed_session_leaves_nothing,
        a_removed_session_can_come_again,
        a_session_keeps_its_proxy,
        tokens_are_kept,
        a_rotated_token_has_two_secrets,
        the_use_of_a_token_only_moves_forward,
        acts_are_kept_newest_first_and_bounded,
        incidents_are_kept_newest_first,
        incidents_are_bounded,
        a_check_writes,
        after_closing_nothing_is_answered;
    webhooks:
        endpoints_are_kept_and_owed_what_comes,
        what_an_endpoint_did_not_take_waits_for_it,
        what_is_over_is_forgotten_in_time,
        what_is_kept_of_an_endpoint_is_bounded,
        what_is_owed_is_kept_and_a_gap_is_told;
}
