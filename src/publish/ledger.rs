//! What is known to have gone out, so that an alarm that is delivered twice, or retried, is not reported
//! twice.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::Episode;
use crate::contract::{Diagnosis, Stage};
use crate::diagnosis::Answer;

/// A report that went out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Whether another was to follow if it says more.
    pub stage: Stage,
    /// What it said; `None` of a message that was no diagnosis, or in which nothing had been read yet: whatever
    /// is found later says more.
    pub answer: Option<Answer>,
}

impl Sent {
    /// This diagnosis went out.
    #[must_use]
    pub fn of(diagnosis: &Diagnosis) -> Self {
        Self { stage: diagnosis.stage, answer: Some(Answer::of(diagnosis)) }
    }

    /// One went out before anything had been read.
    #[must_use]
    pub fn unread(diagnosis: &Diagnosis) -> Self {
        Self { stage: diagnosis.stage, answer: None }
    }
}

/// Remembers what went out, by the incident's mark. Nothing is recorded before it went out: a report that
/// comes twice does less harm than one that never comes.
#[expect(async_fn_in_trait, reason = "used with generics inside this crate; no caller needs Send bounds")]
pub trait Ledger {
    /// The last that is known to have gone out about this incident. Where that can't be found out,
    /// nothing is known.
    async fn sent(&self, mark: &str) -> Option<Sent>;

    /// Records that this went out. Where that fails, a second copy may follow some day.
    async fn record(&self, mark: &str, sent: &Sent);

    /// The latest episode of a gateway, by [`Episode::key`]; `None` where that can't be found out.
    async fn episode(&self, key: &str) -> Option<Episode> {
        let _ = key;
        None
    }

    /// Records the latest episode of a gateway. Where that fails, the next alarm is told as a first one.
    async fn record_episode(&self, key: &str, episode: &Episode) {
        let _ = (key, episode);
    }
}

/// Incidents that a process remembers: alarms are delivered again within hours, and one gateway has few.
const REMEMBERED: usize = 256;

/// The memory of one process, for as long as it is kept warm.
#[derive(Debug, Default)]
pub struct Memory {
    sent: Mutex<VecDeque<(String, Sent)>>,
    episodes: Mutex<VecDeque<(String, Episode)>>,
}

impl Ledger for Memory {
    async fn sent(&self, id: &str) -> Option<Sent> {
        last_of(&self.sent, id)
    }

    async fn record(&self, id: &str, sent: &Sent) {
        remember(&self.sent, id, sent);
    }

    async fn episode(&self, key: &str) -> Option<Episode> {
        last_of(&self.episodes, key)
    }

    async fn record_episode(&self, key: &str, episode: &Episode) {
        remember(&self.episodes, key, episode);
    }
}

fn last_of<T: Clone>(entries: &Mutex<VecDeque<(String, T)>>, key: &str) -> Option<T> {
    let entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
    entries.iter().rev().find(|(of, _)| of == key).map(|(_, entry)| entry.clone())
}

/// Keeps it in the place of what there was; the oldest goes where there are too many.
fn remember<T: Clone>(entries: &Mutex<VecDeque<(String, T)>>, key: &str, entry: &T) {
    let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
    entries.retain(|(of, _)| of != key);
    if entries.len() == REMEMBERED {
        entries.pop_front();
    }
    entries.push_back((key.to_owned(), entry.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(stage: Stage) -> Sent {
        Sent { stage, answer: None }
    }

    #[tokio::test]
    async fn an_incidents_last_report_counts_and_the_oldest_goes() {
        let memory = Memory::default();
        memory.record("nt-1", &sent(Stage::Provisional)).await;
        memory.record("nt-1", &sent(Stage::Final)).await;
        assert_eq!(memory.sent("nt-1").await, Some(sent(Stage::Final)));
        assert_eq!(memory.sent("nt-2").await, None);
        for other in 0..REMEMBERED {
            memory.record(&format!("other-{other}"), &sent(Stage::Final)).await;
        }
        assert_eq!(memory.sent("nt-1").await, None);
    }
}
