//! Which lane a message waits in.

use serde::{Deserialize, Serialize};

/// A chat has a lane for each priority, and a lane is FIFO. What waits in a
/// higher lane goes first: a one-time code overtakes a campaign.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Somebody waits for it now.
    High,
    /// What is not said to be anything else.
    #[default]
    Normal,
    /// Whenever nothing else is to be sent.
    Low,
}

impl Priority {
    /// Every lane, in the order in which they are served.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    /// Reads the name again.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == text)
    }

    /// Its place among the lanes: 0 is served first.
    pub fn lane(self) -> u8 {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }

    /// The lane at a place, as stored.
    pub fn of_lane(lane: u8) -> Option<Self> {
        Self::ALL.get(usize::from(lane)).copied()
    }
}
