//! Which question a log group answered, where better ones were refused: what was refused once is not asked again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::rung::Rung;
use crate::flow::LogFormat;
use crate::incident::fingerprint;

/// The first question to ask, by log groups and format. Clones are the same memory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Rung>", into = "BTreeMap<String, Rung>")]
pub struct RungMemory {
    rungs: Arc<Mutex<BTreeMap<String, Rung>>>,
}

impl RungMemory {
    /// The question that was answered last.
    #[must_use]
    pub fn answered(&self, log_groups: &[String], format: &LogFormat) -> Option<Rung> {
        self.rungs().get(&key(log_groups, format)).copied()
    }

    /// Remembers that the better questions were refused and this one was answered.
    pub fn remember(&self, log_groups: &[String], format: &LogFormat, rung: Rung) {
        self.rungs().insert(key(log_groups, format), rung);
    }

    /// Adds what another process remembers. What this one knows is newer, and stays.
    pub fn add_older(&self, older: &Self) {
        let older = BTreeMap::from(older.clone());
        let mut rungs = self.rungs();
        for (key, rung) in older {
            rungs.entry(key).or_insert(rung);
        }
    }

    /// The memory as it is now, which later answers do not change.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self::from(BTreeMap::from(self.clone()))
    }

    fn rungs(&self) -> MutexGuard<'_, BTreeMap<String, Rung>> {
        self.rungs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<BTreeMap<String, Rung>> for RungMemory {
    fn from(rungs: BTreeMap<String, Rung>) -> Self {
        Self { rungs: Arc::new(Mutex::new(rungs)) }
    }
}

impl From<RungMemory> for BTreeMap<String, Rung> {
    fn from(memory: RungMemory) -> Self {
        memory.rungs().clone()
    }
}

impl PartialEq for RungMemory {
    fn eq(&self, other: &Self) -> bool {
        BTreeMap::from(self.clone()) == BTreeMap::from(other.clone())
    }
}

fn key(log_groups: &[String], format: &LogFormat) -> String {
    fingerprint(&format!("{} {format}", log_groups.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_group_or_format_is_another_matter() {
        let (memory, groups) = (RungMemory::default(), ["/vpc/flow-logs".to_owned()]);
        let (plain, other) = (LogFormat::version_2(), "srcaddr dstaddr srcport dstport protocol start end");
        memory.remember(&groups, &plain, Rung::WorstMinute);
        assert_eq!(memory.answered(&groups, &plain), Some(Rung::WorstMinute));
        assert_eq!(memory.answered(&groups, &other.parse().expect("valid")), None);
        assert_eq!(memory.answered(&[], &plain), None);
    }

    #[test]
    fn what_another_process_remembers_is_older_than_our_own() {
        let (ours, older, format) = (RungMemory::default(), RungMemory::default(), LogFormat::version_2());
        let (both, theirs) = (["/both".to_owned()], ["/theirs".to_owned()]);
        ours.remember(&both, &format, Rung::DistinctPorts);
        older.remember(&both, &format, Rung::Records);
        older.remember(&theirs, &format, Rung::WorstMinute);
        ours.add_older(&older);
        assert_eq!(ours.answered(&both, &format), Some(Rung::DistinctPorts));
        assert_eq!(ours.answered(&theirs, &format), Some(Rung::WorstMinute));
    }

    #[test]
    fn a_snapshot_stays_as_it_was() {
        let memory = RungMemory::default();
        let before = memory.snapshot();
        memory.remember(&[], &LogFormat::version_2(), Rung::Records);
        assert_eq!(before, RungMemory::default());
        assert_ne!(memory, before);
    }
}
