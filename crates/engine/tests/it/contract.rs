//! The engine contract, the same that the scripted engine keeps, on a real
//! browser and the simulator's page.

use crate::harness::{PHONE, options};
use std::sync::Arc;
use std::time::Duration;
use steadfast_engine::{BrowserConnector, EngineOptions};
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
    let media_dir = dir.path().to_owned();
    let options = EngineOptions {
        media_dir: Some(media_dir.clone()),
        ..options(&sim, &dir)
    };
    let rig = Rig {
        media_dir,
        connector: Arc::new(BrowserConnector::new(options).unwrap()),
        phone: Arc::new(WorldPhone::new(sim.control().clone(), PHONE).unwrap()),
        // Others use the machine too.
        patience: Duration::from_mins(1),
    };
    if let Err(broken) = (clause.run)(rig).await {
        panic!("{name}: {broken}");
    }
    sim.shutdown().await;
}

macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                keeps(stringify!($name)).await;
            }
        )+
    };
}

steadfast_sim::engine_clauses!(tests);
