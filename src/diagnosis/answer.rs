//! What a reader is told in essence, by which a later report is known to say more.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::contract::{Diagnosis, News, Pattern, Verdict};
use crate::words;

/// The gist of a diagnosis: two reports with the same one tell the same story, in other figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    verdict: Verdict,
    pattern: Option<Pattern>,
    /// The fullest destination, and all others that are full, in order of their names: which of two that
    /// are full is fuller may change from look to look.
    destinations: Vec<String>,
    /// The greatest holder of the fullest one, where one stands out.
    holder: Option<IpAddr>,
    /// What is offered, by id.
    remedies: Vec<String>,
}

impl Answer {
    /// What this diagnosis comes to.
    #[must_use]
    pub fn of(diagnosis: &Diagnosis) -> Self {
        let all = diagnosis.destinations.iter().enumerate();
        let mut destinations: Vec<String> = all
            .filter(|(index, destination)| *index == 0 || destination.is_full())
            .map(|(_, d)| words::endpoint(d.address, d.port, &d.protocol))
            .collect();
        destinations.sort_unstable();
        Self {
            verdict: diagnosis.verdict,
            pattern: diagnosis.pattern,
            destinations,
            holder: diagnosis
                .destinations
                .first()
                .and_then(|d| d.clients.first())
                .filter(|client| client.stands_out())
                .map(|client| client.address),
            remedies: diagnosis.remedies.iter().map(|remedy| remedy.id.to_string()).collect(),
        }
    }

    /// What this says that the answer `before` did not.
    #[must_use]
    pub fn news_since(&self, before: &Self) -> Vec<News> {
        let mut news = Vec::new();
        if self.verdict != before.verdict {
            news.push(News::Verdict { before: before.verdict });
        }
        if self.pattern != before.pattern {
            news.push(News::Pattern { before: before.pattern });
        }
        let only_in = |one: &[String], other: &[String]| -> Vec<String> {
            one.iter().filter(|name| !other.contains(name)).cloned().collect()
        };
        let also_full = only_in(&self.destinations, &before.destinations);
        news.extend(also_full.into_iter().map(|destination| News::AlsoFull { destination }));
        let no_longer_full = only_in(&before.destinations, &self.destinations);
        news.extend(no_longer_full.into_iter().map(|destination| News::NoLongerFull { destination }));
        news.extend(only_in(&self.remedies, &before.remedies).into_iter().map(|id| News::Remedy { id }));
        news
    }
}
