//! What a message says of itself beside its body, so that a subscription's filter can choose.

use super::trouble::{Kind, Trouble};
use crate::contract::{Diagnosis, Verdict};
use crate::doctor::Tonight;
use crate::recovery::Relief;
use crate::watch::{Turn, Warning};

/// How soon somebody has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    /// A destination is full, or nobody knows because nat-triage failed.
    Critical,
    /// What happened is open.
    Warning,
    /// Nothing has to be done.
    Info,
}

impl Severity {
    fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Confirmed | Verdict::Likely => Self::Critical,
            Verdict::CannotTell => Self::Warning,
            Verdict::NotSupported => Self::Info,
        }
    }

    fn of_trouble(trouble: &Trouble<'_>) -> Self {
        match trouble.kind() {
            Kind::Failure => Self::Critical,
            Kind::UnreadableEvent | Kind::WatchStopped => Self::Warning,
            Kind::Recovery => match relief(trouble) {
                Some(Relief::Freed) => Self::Info,
                Some(Relief::CannotTell | Relief::StillFull) | None => Self::Warning,
            },
        }
    }

    /// A check-up comes in the morning: nothing has happened yet.
    fn of_checkup(tonight: Tonight) -> Self {
        match tonight {
            Tonight::Full => Self::Info,
            Tonight::Partial | Tonight::None => Self::Warning,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// A name and a value of the SNS data type `String`. No value is empty, which SNS would refuse.
pub type Attribute = (&'static str, String);

/// `kind`, `severity`, `stage` and `verdict`; `gateway` where one is known; and of one more alarm of an incident that was
/// reported a short while ago, in `again` how many there were.
pub(super) fn of_diagnosis(diagnosis: &Diagnosis) -> Vec<Attribute> {
    // A test that finds the path broken is worth a look in the morning.
    let severity = match (diagnosis.drill, diagnosis.was_answered()) {
        _ if diagnosis.replay => Severity::Info,
        (true, true) => Severity::Info,
        (true, false) => Severity::Warning,
        (false, _) => Severity::of_verdict(diagnosis.verdict),
    };
    let kind = match (diagnosis.replay, diagnosis.drill) {
        (true, _) => "replay",
        (false, true) => "test",
        (false, false) => "diagnosis",
    };
    let gateway = diagnosis.nat_gateways.iter().find_map(|gateway| gateway.id.clone());
    [
        ("kind", Some(kind.to_owned())),
        ("severity", Some(severity.name().to_owned())),
        ("stage", Some(diagnosis.stage.name().to_owned())),
        ("verdict", Some(diagnosis.verdict.name().to_owned())),
        ("gateway", gateway.filter(|id| !id.is_empty())),
        ("again", diagnosis.again.as_ref().map(|again| again.times.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// `kind` and `severity`.
pub(super) fn of_checkup(tonight: Tonight) -> Vec<Attribute> {
    vec![("kind", "check-up".to_owned()), ("severity", Severity::of_checkup(tonight).name().to_owned())]
}

/// `kind`, `severity` and `gateway`; of a destination that has room again `relief` too.
pub(super) fn of_warning(warning: &Warning) -> Vec<Attribute> {
    let (kind, severity, relief) = match warning.turn {
        Turn::Filling { .. } => ("warning", Severity::Warning, None),
        Turn::RoomAgain { .. } | Turn::Gone { .. } => ("warning-over", Severity::Info, Some(Relief::Freed)),
    };
    let mut attributes = vec![
        ("kind", kind.to_owned()),
        ("severity", severity.name().to_owned()),
        ("gateway", warning.watched.gateway.clone()),
    ];
    attributes.extend(relief.map(|relief| ("relief", relief.name().to_owned())));
    attributes
}

/// `kind` and `severity`.
pub(super) fn of_fleet() -> Vec<Attribute> {
    vec![("kind", "fleet".to_owned()), ("severity", Severity::Info.name().to_owned())]
}

/// Of several gateways the worst.
fn relief(trouble: &Trouble<'_>) -> Option<Relief> {
    trouble.recovery().iter().map(|one| one.relief).max()
}

/// `kind` and `severity`; of an alarm that is over `relief` too, where its gateways were looked at.
pub(super) fn of_trouble(trouble: &Trouble<'_>) -> Vec<Attribute> {
    let mut attributes = vec![
        ("kind", trouble.kind().name().to_owned()),
        ("severity", Severity::of_trouble(trouble).name().to_owned()),
    ];
    attributes.extend(relief(trouble).map(|relief| ("relief", relief.name().to_owned())));
    attributes
}
