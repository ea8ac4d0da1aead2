//! What to do first, with its one command, and what is said of commands.

use super::wording::FIX;
use crate::command_line::{Blank, CommandLine};
use crate::contract::{Command, Condition, Diagnosis, Remedy, RemedyId, Verdict, When};
use crate::gap::{Fix, Gap, Shows};
use crate::words::{self, one_line};

/// What to do first.
pub(super) struct FirstStep {
    /// In words: a sentence that ends with a colon where its command follows at once.
    pub(super) what: String,
    /// What it may break, and what to look at before.
    pub(super) hazards: Vec<String>,
    /// What the command does, where that does not go without saying, with a colon.
    pub(super) lead_in: Option<String>,
    /// Its one command, where it has one.
    pub(super) command: Option<String>,
    /// How many more commands the first remedy has.
    pub(super) more: usize,
}

/// What to do first: the first remedy, or where we cannot tell, what would show it. Nothing where nothing was
/// wrong, or where nothing would help with this incident.
pub(super) fn first_step(diagnosis: &Diagnosis) -> Option<FirstStep> {
    let remedy = diagnosis.remedies.first();
    // Whatever is full or not: a client that may be compromised does not wait.
    let scan = diagnosis.remedies.iter().find(|remedy| remedy.id == RemedyId::IsolateClient);
    match diagnosis.verdict {
        Verdict::Confirmed | Verdict::Likely => {
            remedy.filter(|remedy| remedy.when != When::NextIncident).map(of_remedy)
        }
        Verdict::NotSupported | Verdict::CannotTell if let Some(scan) = scan => Some(of_remedy(scan)),
        // Nothing was wrong, and no gap is one that this hangs on.
        Verdict::NotSupported => None,
        // Without a flow log there is nothing to look at again.
        Verdict::CannotTell => match remedy.filter(|remedy| remedy.id == RemedyId::EnableFlowLogs) {
            Some(enable) => Some(of_remedy(enable)),
            None => diagnosis.deciding_gaps().find_map(of_gap),
        },
    }
}

fn of_remedy(remedy: &Remedy) -> FirstStep {
    let hazards = remedy.hazards.clone();
    // Remedies are ranked: where such a one is the first, none would help at once.
    let later = match remedy.when {
        When::Now | When::NextIncident => None,
        When::Later => Some("Nothing we know of frees ports at once."),
    };
    let said = |step: String| later.map_or(step.clone(), |later| format!("{later} {step}"));
    if let Some(Condition { unknown, command }) = &remedy.condition {
        return FirstStep {
            what: said(format!("Find out {unknown}. Then: {}.", remedy.title)),
            hazards,
            lead_in: Some(format!("This shows it{}:", filled_in(command))),
            command: Some(command.to_string()),
            more: remedy.commands.len(),
        };
    }
    let in_time = if later.is_some() { "What helps in time: " } else { "" };
    FirstStep {
        what: said(format!("{in_time}{}.", remedy.title)),
        hazards,
        lead_in: remedy.commands.first().map(lead_in),
        command: remedy.commands.first().map(|command| command.run.to_string()),
        more: remedy.commands.len().saturating_sub(1),
    }
}

/// What a remedy hangs on, where that is not known; its command follows.
pub(super) fn condition_lead_in(condition: &Condition) -> String {
    format!("Not known: {}. This shows it{}:", condition.unknown, filled_in(&condition.command))
}

/// `None` of a gap that nothing closes, or whose command would show the next incident alone: one that creates
/// something.
fn of_gap(gap: &Gap) -> Option<FirstStep> {
    if gap.fix.shows() != Shows::Now {
        return None;
    }
    let (words, command) = what_to_do(&gap.fix);
    let words = if words.is_empty() { RUN.into() } else { words };
    let end = if command.is_some() { ':' } else { '.' };
    let what = format!("To see {}, {words}{end}", one_line(&gap.what, FIX));
    Some(FirstStep { what, hazards: Vec::new(), lead_in: None, command, more: 0 })
}

/// What a command does, and which words in it have to be filled in first.
pub(super) fn lead_in(command: &Command) -> String {
    format!("This {}{}:", command.does, filled_in(&command.run))
}

/// `, once ROLE_ARN is filled in`; nothing of a command that is ready to run.
pub(super) fn filled_in(command: &CommandLine) -> String {
    once_filled_in(command.fill_in())
}

fn once_filled_in(blanks: &[Blank]) -> String {
    match blanks {
        [] => String::new(),
        [one] => format!(", once {one} is filled in"),
        several => format!(", once {} are filled in", words::list(several)),
    }
}

/// What is said of a command of which nothing else is.
const RUN: &str = "run this";

/// What a person can do about a gap: in words, which say what has to be filled in first, and with which command. On
/// one line, both.
pub(super) fn what_to_do(fix: &Fix) -> (String, Option<String>) {
    let (words, command) = (fix.words(), fix.command());
    let filled = once_filled_in(fix.fill_in());
    let words = if words.is_empty() && !filled.is_empty() { RUN } else { words };
    let mut words = one_line(words, FIX) + &filled;
    if fix.shows() == Shows::Never {
        // It stands by itself.
        words = words::capitalised(&words) + ".";
    }
    (words, command.map(|command| one_line(command, usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Confidence, Undo};

    fn remedy(when: When, condition: Option<Condition>) -> Remedy {
        Remedy {
            id: RemedyId::AddNatAddresses,
            title: "Add 2 addresses".into(),
            when,
            condition,
            why: String::new(),
            effect: String::new(),
            commands: Vec::new(),
            hazards: Vec::new(),
            monthly_cost_usd: None,
            confidence: Confidence::High,
        }
    }

    #[test]
    fn what_helps_later_is_not_passed_off_as_help_for_tonight() {
        assert_eq!(
            of_remedy(&remedy(When::Later, None)).what,
            "Nothing we know of frees ports at once. What helps in time: Add 2 addresses."
        );
        assert_eq!(of_remedy(&remedy(When::Now, None)).what, "Add 2 addresses.");
        let condition = Condition { unknown: "why".into(), command: "aws x".into() };
        assert_eq!(
            of_remedy(&remedy(When::Later, Some(condition))).what,
            "Nothing we know of frees ports at once. Find out why. Then: Add 2 addresses."
        );
    }

    #[test]
    fn what_decides_a_remedy_comes_before_it() {
        let condition = Condition {
            unknown: "who owns 10.0.1.9".into(),
            command: CommandLine::with("aws x --vpc VPC_ID", &[Blank::VPC_ID]),
        };
        let first = of_remedy(&remedy(When::Now, Some(condition)));
        assert_eq!(first.what, "Find out who owns 10.0.1.9. Then: Add 2 addresses.");
        assert_eq!(first.lead_in.as_deref(), Some("This shows it, once VPC_ID is filled in:"));
        assert_eq!(first.command.as_deref(), Some("aws x --vpc VPC_ID"));
    }

    #[test]
    fn what_has_to_be_filled_in_is_said_before_the_command() {
        let command = |run: CommandLine| Command {
            does: "creates it".into(),
            run,
            verify: "".into(),
            undo: Undo::nothing(""),
        };
        assert_eq!(lead_in(&command("aws x --name LOG_GROUP".into())), "This creates it:");
        let blanks = [Blank::ROLE_ARN, Blank::LOG_GROUP];
        let run = CommandLine::with("aws x --group LOG_GROUP --role ROLE_ARN --region eu-west-1", &blanks);
        assert_eq!(lead_in(&command(run)), "This creates it, once LOG_GROUP and ROLE_ARN are filled in:");
    }

    #[test]
    fn a_fix_has_its_words_and_its_command_on_a_line_each() {
        let said = |fix: Fix, words: &str, command: Option<&str>| {
            assert_eq!(what_to_do(&fix), (words.to_owned(), command.map(str::to_owned)));
        };
        said(Fix::run("aws ec2 describe-vpcs"), "", Some("aws ec2 describe-vpcs"));
        said(
            Fix::run(CommandLine::with("aws x --filters Name=vpc-id,Values=VPC_ID", &[Blank::VPC_ID])),
            "run this, once VPC_ID is filled in",
            Some("aws x --filters Name=vpc-id,Values=VPC_ID"),
        );
        said("see to it".into(), "see to it", None);
        said(Fix::run_to("a\nb", "aws x\ny"), "a b", Some("aws x y"));
        said(Fix::never("nothing brings them back"), "Nothing brings them back.", None);
    }

    #[test]
    fn what_nothing_shows_tonight_is_no_first_step() {
        let step = |fix| of_gap(&Gap::new("it", "why", fix)).map(|step| step.what);
        assert_eq!(step(Fix::run_to("look at it", "aws x")).as_deref(), Some("To see it, look at it:"));
        assert_eq!(step(Fix::run("aws ec2 create-flow-logs").for_next_incident()), None);
        assert_eq!(step(Fix::never("nothing brings them back")), None);
    }
}
