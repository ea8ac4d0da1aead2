//! The ladder: which questions there are, from the one that tells most to the one that needs least.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A question to Logs Insights about one gateway's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// Three `stats`: held ports of every minute, ends of connections, refused attempts, clients.
    EveryMinute,
    /// Two `stats`: the first and the last packet of each port.
    FirstAndLast,
    /// Two `stats` without `if`: the ports that may have been held in the worst minute.
    WorstMinute,
    /// One `stats`: the same, counted approximately.
    DistinctPorts,
    /// One `stats` on discovered fields, or on those of a glob: AWS's article, mended.
    PlainFields,
    /// No `stats`: the records of the worst minute as they are.
    Records,
}

impl Rung {
    /// Every rung, from the one that tells most to the one that needs least.
    pub const ALL: [Self; 6] = [
        Self::EveryMinute,
        Self::FirstAndLast,
        Self::WorstMinute,
        Self::DistinctPorts,
        Self::PlainFields,
        Self::Records,
    ];

    /// The next simpler question.
    #[must_use]
    pub fn below(self) -> Option<Self> {
        Self::ALL.into_iter().find(|rung| *rung > self)
    }

    /// Its place on the ladder, as the documents count: 0 tells most, 4 needs least.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::EveryMinute => 0,
            Self::FirstAndLast | Self::WorstMinute => 1,
            Self::DistinctPorts => 2,
            Self::PlainFields => 3,
            Self::Records => 4,
        }
    }

    /// What it asks about, in words.
    #[must_use]
    pub fn subject(self) -> &'static str {
        match self {
            Self::EveryMinute => "every minute with ends of connections",
            Self::FirstAndLast => "the first and last packet of each port",
            Self::WorstMinute => "the ports of the worst minute",
            Self::DistinctPorts => "the number of distinct ports in the worst minute",
            Self::PlainFields => "distinct ports by the discovered fields",
            Self::Records => "the records of the worst minute",
        }
    }

    /// Whether it asks about every minute of the window. The others ask about the worst one only.
    #[must_use]
    pub fn asks_every_minute(self) -> bool {
        matches!(self, Self::EveryMinute | Self::FirstAndLast)
    }

    /// Whether it shows ends of connections, where the format does.
    #[must_use]
    pub fn shows_ends(self) -> bool {
        matches!(self, Self::EveryMinute | Self::WorstMinute | Self::Records)
    }

    /// Whether its text needs the function `if`.
    #[must_use]
    pub fn needs_if(self) -> bool {
        self.asks_every_minute()
    }

    /// Whether each port is counted exactly once. A verdict from the others is *likely* at most.
    #[must_use]
    pub fn counts_exactly(self) -> bool {
        matches!(self, Self::EveryMinute | Self::FirstAndLast | Self::WorstMinute)
    }

    /// What its answer cannot tell, in a sentence or two; `None` for the first.
    #[must_use]
    pub fn cannot_tell(self) -> Option<&'static str> {
        Some(match self {
            Self::EveryMinute => return None,
            Self::FirstAndLast => {
                "It shows no ends of connections: a port that was used twice looks held in between, so the counts are upper bounds."
            }
            Self::WorstMinute => {
                "It is about the minute with the most errors only. It reads the packets towards destinations only, so that what never got an answer does not show."
            }
            Self::DistinctPorts => {
                "It is about the minute with the most errors only. It counts distinct ports approximately, and shows no ends of connections, so the counts are upper bounds."
            }
            Self::PlainFields => {
                "It is about the minute with the most errors and the minutes before it. It counts distinct ports approximately, whenever they were used in that time: a busy destination looks like a full one."
            }
            Self::Records => {
                "It is about the minute with the most errors only, and holds 100,000 records at most."
            }
        })
    }
}
