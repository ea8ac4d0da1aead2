//! What a person can do about something that could not be seen: a type until the edge, in JSON one string, and what
//! to fill in of it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command_line::{Blank, CommandLine};

/// The command that asks once more, where nobody knows about which gateway and which minutes.
pub const ASK_AGAIN: &str = "nat-triage triage --event EVENT.json";

/// When a fix shows what could not be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shows {
    /// As soon as a person does it.
    #[default]
    Now,
    /// With the next incident only: it creates something that records what is to come.
    NextIncident,
    /// Never: nothing brings it back.
    Never,
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Command {
    /// Ask nat-triage once more. Whoever finds the gap may not know which incident it is about; the diagnosis
    /// does ([`Fix::ask_by`]).
    AskAgain,
    /// This command line. In a box: gaps are errors of many functions, and these should be small.
    Run(Box<CommandLine>),
}

/// What a person can do about a gap: words, a command, or words that say what the command is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written", into = "Written")]
pub struct Fix {
    /// A clause without its full stop; empty where the command says it all.
    words: String,
    command: Option<Command>,
    shows: Shows,
}

impl Fix {
    /// A command that needs no word beside it.
    #[must_use]
    pub fn run(command: impl Into<CommandLine>) -> Self {
        Self::run_to("", command)
    }

    /// A command, and what it is for: `look at each zone's errors`.
    #[must_use]
    pub fn run_to(words: impl Into<String>, command: impl Into<CommandLine>) -> Self {
        let command = Some(Command::Run(Box::new(command.into())));
        Self { words: words.into(), command, shows: Shows::Now }
    }

    /// Asking nat-triage once more, and when or why: `run again in 15 minutes`.
    #[must_use]
    pub fn ask_again(words: impl Into<String>) -> Self {
        Self { words: words.into(), command: Some(Command::AskAgain), shows: Shows::Now }
    }

    /// Nothing: `nothing brings them back`, and what follows from that.
    #[must_use]
    pub fn never(words: impl Into<String>) -> Self {
        Self { words: words.into(), command: None, shows: Shows::Never }
    }

    /// The same, as one that shows the next incident only.
    #[must_use]
    pub fn for_next_incident(self) -> Self {
        Self { shows: Shows::NextIncident, ..self }
    }

    /// Adds another way, or a condition, to its words.
    pub fn add_words(&mut self, more: &str) {
        self.words.push_str(more);
    }

    /// Puts the command that names the gateway and the minutes in the place of asking once more.
    pub fn ask_by(&mut self, command: &str) {
        if self.command == Some(Command::AskAgain) {
            self.command = Some(Command::Run(Box::new(command.into())));
        }
    }

    /// What to do, or what the command is for; empty where the command says it all.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }

    /// The command, where there is one.
    #[must_use]
    pub fn command(&self) -> Option<&str> {
        match self.command.as_ref()? {
            Command::AskAgain => Some(ASK_AGAIN),
            Command::Run(command) => Some(command),
        }
    }

    /// What has to be filled in of the command first.
    #[must_use]
    pub fn fill_in(&self) -> &[Blank] {
        match &self.command {
            Some(Command::Run(command)) => command.fill_in(),
            Some(Command::AskAgain) | None => &[],
        }
    }

    /// When it shows what could not be seen.
    #[must_use]
    pub fn shows(&self) -> Shows {
        self.shows
    }

    /// Reads what [`fmt::Display`] wrote: a bundle and a diagnosis hold a fix as one string, and its blanks. Nothing
    /// else reads fixes from text.
    fn from_json(text: &str, fill_in: Vec<Blank>) -> Self {
        /// What the commands that stand in fixes begin with.
        const BEGINNINGS: [&str; 3] = ["aws ", "nat-triage ", "AWS_REGION="];

        let is_command = |text: &str| BEGINNINGS.iter().any(|beginning| text.starts_with(beginning));
        let (words, command) = match text.split_once(": ") {
            _ if is_command(text) => ("", Some(text)),
            Some((words, command)) if is_command(command) => (words, Some(command)),
            _ => (text, None),
        };
        let shows = match command {
            Some(command) if command.contains(" create-") => Shows::NextIncident,
            None if words.starts_with("nothing brings ") => Shows::Never,
            _ => Shows::Now,
        };
        let command = command.map(|command| match command {
            ASK_AGAIN => Command::AskAgain,
            other => Command::Run(Box::new(CommandLine::written(other.to_owned(), fill_in))),
        });
        Self { words: words.to_owned(), command, shows }
    }
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command() {
            Some(command) if self.words.is_empty() => f.write_str(command),
            Some(command) => write!(f, "{}: {command}", self.words),
            None => f.write_str(&self.words),
        }
    }
}

/// Words without a command.
impl From<&str> for Fix {
    fn from(words: &str) -> Self {
        Self::from(words.to_owned())
    }
}

/// Words without a command.
impl From<String> for Fix {
    fn from(words: String) -> Self {
        Self { words, ..Self::default() }
    }
}

/// A fix in JSON.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Written {
    /// The one command or step that would show it. A command stands alone, or last and after a colon.
    fix: String,
    /// Words of the command that have to be filled in first.
    #[serde(default)]
    fill_in: Vec<Blank>,
}

impl From<Written> for Fix {
    fn from(Written { fix, fill_in }: Written) -> Self {
        Self::from_json(&fix, fill_in)
    }
}

impl From<Fix> for Written {
    fn from(fix: Fix) -> Self {
        Self { fix: fix.to_string(), fill_in: fix.fill_in().to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_gives_back_every_fix_that_it_was_given() {
        for fix in [
            Fix::run("aws ec2 describe-vpcs"),
            Fix::run_to("look at each zone's errors", "AWS_REGION=eu-west-1 nat-triage triage --window a:b"),
            Fix::ask_again("run again in 15 minutes"),
            Fix::ask_again(""),
            Fix::never("nothing brings them back: take the counts as lower bounds"),
            Fix::run("aws ec2 create-flow-logs --resource-ids eni-1").for_next_incident(),
            Fix::run(CommandLine::with("aws x --role ROLE_ARN", &[Blank::ROLE_ARN])),
            "name them: aws-like names".into(),
            "ask a newer nat-triage: it may know".into(),
        ] {
            let json = serde_json::to_string(&fix).expect("JSON");
            assert_eq!(serde_json::from_str::<Fix>(&json).expect("a fix"), fix, "{json}");
        }
    }

    #[test]
    fn asking_again_gets_its_gateway_and_no_other_command_does() {
        let mut again = Fix::ask_again("run again");
        again.ask_by("nat-triage triage --nat-id nat-1");
        assert_eq!(again.to_string(), "run again: nat-triage triage --nat-id nat-1");
        let mut other = Fix::run_to("run", "aws x");
        other.ask_by("nat-triage triage --nat-id nat-1");
        assert_eq!(other.to_string(), "run: aws x");
    }

    #[test]
    fn another_way_stands_before_the_command() {
        let mut fix = Fix::run_to("log in again", "aws sso login");
        fix.add_words("; or name its addresses in NAT_TRIAGE_NAT_IPS");
        assert_eq!(fix.words(), "log in again; or name its addresses in NAT_TRIAGE_NAT_IPS");
        assert_eq!(fix.command(), Some("aws sso login"));
    }
}
