//! The engine contract, the same that the scripted engine keeps, on a real
//! browser and the simulator's page.

use crate::harness::{PHONE, options};
use std::sync::Arc;
use std::time::Duration;
use steadfast_engine::BrowserConnector;
use steadfast_sim::contract::{CLAUSES, Rig};
use steadfast_sim::phone::WorldPhone;
use steadfast_sim::world::NewAccount;
use steadfast_sim::{SimConfig, Simulator};

async fn keeps(name: &str) {
    let clause = CLAUSES.iter().find(|clause| clause.name == name).unwrap();
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let account = NewAccount {
        phone: PHONE.to_owned(),
        ..NewAccount::default()
    };
    sim.control().create_account(account).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig {
        connector: Arc::new(BrowserConnector::new(options(&sim, &dir)).unwrap()),
        phone: Arc::new(WorldPhone::new(sim.control().clone(), PHONE).unwrap()),
        // Others use the machine too.
        patience: Duration::from_mins(1),
    };
    if let Err(broken) = (clause.run)(rig).await {
        panic!("{name}: {broken}");
    }
    sim.shutdown().await;
}

macro_rules! clauses {
    ($($name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                keeps(stringify!($name)).await;
            }
        )+

        #[test]
        fn every_clause_is_tried() {
            let tried = [$(stringify!($name)),+];
            for clause in CLAUSES {
                assert!(tried.contains(&clause.name), "{} is not tried here", clause.name);
            }
        }
    };
}

clauses![
    an_empty_profile_shows_a_code_and_links,
    a_pairing_code_links,
    codes_are_renewed_until_one_is_scanned,
    a_login_survives_every_step_that_keeps_the_profile,
    a_fresh_profile_is_not_linked,
    a_text_reaches_the_recipient_once_and_is_acked,
    the_same_id_twice_is_one_message,
    an_id_that_was_never_sent_is_not_found,
    a_sent_id_is_found_after_a_restart,
    a_lost_ack_leaves_one_message_however_often_it_is_tried,
    a_text_handed_over_while_offline_arrives_when_the_network_is_back,
    texts_to_one_chat_keep_their_order,
    a_number_without_whatsapp_is_rejected,
    numbers_are_checked,
    what_others_write_is_told_once,
    what_could_not_be_stored_is_offered_again,
    what_arrives_while_closed_is_told_at_the_next_epoch,
    an_unlink_fails_the_epoch_and_asks_for_a_phone,
    a_relinked_account_sends_again,
    a_replaced_page_says_conflict,
    an_outage_is_offline_and_ends_by_itself,
    a_closed_engine_sends_nothing,
    closing_twice_is_closing_once,
    a_newer_epoch_silences_the_older_one,
    a_logout_unlinks,
    health_tells_the_phase_by_level,
    chats_are_listed,
];
