//! Evidence that no query gives again, kept whole: of files in S3, and of Athena.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::insights::Never;
use super::{Coverage, Evidence, EvidenceSource, Tally};
use crate::gap::Fix;
use crate::incident::Incident;
use crate::network::Network;
use crate::words::is_unprintable;

/// Most steps of all tallies together: each takes some 200 bytes of JSON.
const MAX_STEPS_KEPT: usize = 100_000;

/// What a source showed last, and what it told of the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Kept {
    evidence: Evidence,
    /// The same minutes an hour earlier, where they were asked about.
    earlier: Option<Evidence>,
    /// The network, with what the records told.
    network: Network,
}

/// The same before it is known to fit together: what comes from outside need not.
#[derive(Deserialize)]
struct Unchecked {
    evidence: Evidence,
    earlier: Option<Evidence>,
    network: Network,
}

impl TryFrom<Unchecked> for Kept {
    type Error = &'static str;

    fn try_from(Unchecked { evidence, earlier, network }: Unchecked) -> Result<Self, Self::Error> {
        if is_sound(&evidence) && earlier.as_ref().is_none_or(is_sound) {
            Ok(Self { evidence, earlier, network })
        } else {
            Err("its evidence does not fit together")
        }
    }
}

impl Kept {
    /// What a source showed; `None` where that is too much to keep.
    #[must_use]
    pub fn of(evidence: &Evidence, network: &Network) -> Option<Self> {
        let fits = steps_of(evidence) <= MAX_STEPS_KEPT;
        fits.then(|| Self { evidence: evidence.clone(), earlier: None, network: network.clone() })
    }

    /// The same with what the minutes an hour earlier showed; `None` where that is too much to keep.
    #[must_use]
    pub fn and_earlier(self, earlier: Option<&Evidence>) -> Option<Self> {
        let steps = steps_of(&self.evidence) + earlier.map_or(0, steps_of);
        (steps <= MAX_STEPS_KEPT).then(|| Self { earlier: earlier.cloned(), ..self })
    }

    /// The fixes of its gaps: whoever hands it on may have written them.
    pub fn fixes(&mut self) -> impl Iterator<Item = &mut Fix> {
        self.all().flat_map(|evidence| &mut evidence.gaps).map(|gap| &mut gap.fix)
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Evidence> {
        std::iter::once(&mut self.evidence).chain(&mut self.earlier)
    }

    /// Takes away what whoever hands it on may have written: links, and what no screen shows.
    pub fn distrust(&mut self) {
        for evidence in self.all() {
            for query in &mut evidence.queries {
                query.console_url = None;
                let texts = [&mut query.purpose, &mut query.text].into_iter().chain(&mut query.log_groups);
                texts.for_each(make_printable);
            }
            let Coverage { formats, flow_log, .. } = &mut evidence.coverage;
            formats.iter_mut().chain(flow_log).for_each(make_printable);
            evidence.services.values_mut().for_each(make_printable);
        }
    }
}

fn make_printable(text: &mut String) {
    text.retain(|c| c == '\n' || !is_unprintable(c));
}

fn tallies(evidence: &Evidence) -> impl Iterator<Item = &Tally> {
    let of_destinations = evidence.destinations.values().chain(evidence.elsewhere.values());
    of_destinations.chain(evidence.clients.values()).chain(evidence.at_clients.values())
}

fn steps_of(evidence: &Evidence) -> usize {
    let of_peaks = evidence.step_peaks.values().map(Vec::len);
    tallies(evidence).map(|tally| tally.held.len()).chain(of_peaks).sum()
}

/// Whether a source could have shown this.
fn is_sound(evidence: &Evidence) -> bool {
    let steps = evidence.steps.count();
    let fits = |tally: &Tally| [tally.held.len(), tally.silent.len(), tally.lost_at.len()] == [steps; 3];
    evidence.steps.are_over(evidence.window)
        && tallies(evidence).all(fits)
        && evidence.step_peaks.values().all(|peaks| peaks.len() == steps)
        && evidence.earlier.is_none()
}

/// It shows what it showed then.
impl EvidenceSource for Kept {
    type Error = Never;

    async fn collect(&self, _: &Incident, network: &mut Network) -> Result<Evidence, Never> {
        network.clone_from(&self.network);
        Ok(self.evidence.clone())
    }

    async fn collect_earlier(&self, _: &Incident, _: &Network) -> Option<Evidence> {
        self.earlier.clone()
    }
}

/// Maps whose keys are no text: JSON has them as lists of pairs.
pub(super) mod pairs {
    use super::BTreeMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::evidence) fn serialize<K, V, S>(map: &BTreeMap<K, V>, to: S) -> Result<S::Ok, S::Error>
    where
        K: Serialize,
        V: Serialize,
        S: Serializer,
    {
        to.collect_seq(map)
    }

    pub(in crate::evidence) fn deserialize<'de, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(from)?.into_iter().collect())
    }
}
