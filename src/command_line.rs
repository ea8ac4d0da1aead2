//! A command that a person pastes, and what has to be filled in first.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words;

/// A word of a command that stands for what only its reader knows, or what an earlier command printed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Blank(Cow<'static, str>);

/// Declares blanks, each under the word that stands in the command.
macro_rules! blanks {
    ($($name:ident)*) => {
        impl Blank {
            $(
                #[doc = concat!("`", stringify!($name), "`.")]
                pub const $name: Self = Self(Cow::Borrowed(stringify!($name)));
            )*
        }
    };
}

blanks! {
    AVAILABILITY_ZONE
    AWS_REGION
    CAPACITY_BEFORE
    CLUSTER_NAME
    COUNT_BEFORE
    DEPLOYMENT_NAME
    FAILED_ADDRESSES
    FAILED_ASSOCIATION_IDS
    FUNCTION_NAME
    GATEWAY_SUBNET_ID
    LOG_GROUP
    LOWER_COUNT
    MAX_CONCURRENCY
    NAT_GATEWAY_ID
    NAT_GATEWAY_INTERFACE_ID
    NETWORK_ACL_ID
    NETWORK_INTERFACE_ID
    NEW_ADDRESSES
    NEW_ALLOCATION_ID
    NEW_ALLOCATION_IDS
    NEW_ASSOCIATION_IDS
    NEW_EGRESS_ONLY_GATEWAY_ID
    NEW_ENDPOINT_ID
    NEW_FLOW_LOG_ID
    NEW_SECURITY_GROUP_ID
    OTHER_NAT_GATEWAY_ID
    POD_NAMESPACE
    ROLE_ARN
    ROUTE_TABLE_ID
    ROUTE_TABLE_IDS
    SECURITY_GROUPS_BEFORE
    SECURITY_GROUP_ID
    SUBNET_ID
    SUBNET_IDS
    TASK_ARN
    TRANSIT_GATEWAY_ROUTE_TABLE_ID
    VPC_ID
}

impl Blank {
    /// Of a value from outside that no command may take.
    pub const NOT_USABLE: Self = Self(Cow::Borrowed(words::NOT_USABLE));

    /// One of several of a kind: `NEW_NAT_GATEWAY_IN_EU_WEST_1A`.
    #[must_use]
    pub fn of_zone(kind: &str, zone: &str) -> Self {
        let in_capitals = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        Self(Cow::Owned(format!("{kind}_IN_{}", zone.chars().map(in_capitals).collect::<String>())))
    }

    /// The word that stands in the command.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it stands first in a command as a word by itself.
    fn place_in(&self, command: &str) -> Option<usize> {
        let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let stands_alone = |place: &usize| {
            !command[..*place].ends_with(in_word) && !command[place + self.0.len()..].starts_with(in_word)
        };
        command.match_indices(self.as_str()).map(|(place, _)| place).find(stands_alone)
    }
}

impl fmt::Display for Blank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A command line that knows its blanks.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandLine {
    text: String,
    fill_in: Vec<Blank>,
}

impl CommandLine {
    /// A command with these blanks, or with those of them that stand in it, where what is known took the place of
    /// the others.
    #[must_use]
    pub fn with(text: impl Into<String>, blanks: &[Blank]) -> Self {
        let text = text.into();
        let all = blanks.iter().chain([&Blank::NOT_USABLE]);
        let mut placed: Vec<(usize, &Blank)> =
            all.filter_map(|blank| Some((blank.place_in(&text)?, blank))).collect();
        placed.sort_unstable();
        placed.dedup();
        let fill_in = placed.into_iter().map(|(_, blank)| blank.clone()).collect();
        Self { text, fill_in }
    }

    /// A command as it was written down, with the blanks that were written beside it. Somebody else may have written
    /// both: what is no word of the command goes into no sentence.
    #[must_use]
    pub fn written(text: String, mut fill_in: Vec<Blank>) -> Self {
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        fill_in.retain(|blank| {
            !blank.0.is_empty() && blank.0.chars().all(plain) && blank.place_in(&text).is_some()
        });
        Self { text, fill_in }
    }

    /// The command.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What has to be filled in, in the order in which it stands in the command.
    #[must_use]
    pub fn fill_in(&self) -> &[Blank] {
        &self.fill_in
    }

    /// Both, to be written down.
    #[must_use]
    pub fn into_parts(self) -> (String, Vec<Blank>) {
        (self.text, self.fill_in)
    }
}

/// It reads as its text.
impl Deref for CommandLine {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// A command without blanks.
impl From<String> for CommandLine {
    fn from(text: String) -> Self {
        Self::with(text, &[])
    }
}

/// A command without blanks.
impl From<&str> for CommandLine {
    fn from(text: &str) -> Self {
        Self::with(text, &[])
    }
}

impl PartialEq<str> for CommandLine {
    fn eq(&self, other: &str) -> bool {
        self.text == other
    }
}

impl PartialEq<&str> for CommandLine {
    fn eq(&self, other: &&str) -> bool {
        self.text == *other
    }
}

impl PartialEq<String> for CommandLine {
    fn eq(&self, other: &String) -> bool {
        self.text == *other
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_come_in_the_order_of_the_command() {
        let line = CommandLine::with(
            "aws x --role ROLE_ARN --id VPC_ID --subnets SUBNET_IDS --role ROLE_ARN",
            &[Blank::VPC_ID, Blank::ROLE_ARN, Blank::LOG_GROUP, Blank::SUBNET_ID, Blank::SUBNET_IDS],
        );
        assert_eq!(line.fill_in(), [Blank::ROLE_ARN, Blank::VPC_ID, Blank::SUBNET_IDS]);
    }

    #[test]
    fn a_name_that_looks_like_a_blank_is_none() {
        assert!(CommandLine::from("aws x --name ROLE_ARN".to_owned()).fill_in().is_empty());
        let foreign = vec![Blank(Cow::Borrowed("; reboot")), Blank::VPC_ID, Blank::ROLE_ARN];
        let written = CommandLine::written("aws x --id VPC_ID ; reboot".into(), foreign);
        assert_eq!(written.fill_in(), [Blank::VPC_ID]);
        let hostile = format!("aws x --name {}", words::argument("--x"));
        assert_eq!(CommandLine::from(hostile).fill_in(), [Blank::NOT_USABLE]);
    }
}
