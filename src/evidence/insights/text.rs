//! The text of a query while it is being written: commands, and the names that it hands out.
//!
//! Logs Insights takes a name once in the whole text, and never where it discovers a field of that name:
//! otherwise it answers `MalformedQueryException: Ephemeral field is already defined`, as about ten public
//! reports from live accounts say (pull requests 3461, 3465 and 3558 of trade-tariff/trade-tariff-backend
//! among them). So a name comes from [`Text::name`] alone, which hands out none twice.

use std::collections::BTreeSet;
use std::fmt;

use crate::flow::Field;

/// Fields of the JSON in Route 53 Resolver query logs, which Logs Insights discovers.
///
/// Source: "Values that appear in VPC Resolver query logs" in the Amazon Route 53 developer guide.
const RESOLVER_KEYS: [&str; 16] = [
    "version",
    "account_id",
    "region",
    "vpc_id",
    "query_timestamp",
    "query_name",
    "query_type",
    "query_class",
    "rcode",
    "answers",
    "srcaddr",
    "srcport",
    "transport",
    "srcids",
    "firewall_rule_action",
    "firewall_domain_list_id",
];

/// Fields that Logs Insights discovers in flow logs of the default format.
///
/// Source: "Supported logs and discovered fields" in the Amazon CloudWatch Logs user guide.
const FLOW_KEYS: [&str; 14] = [
    "version",
    "accountId",
    "interfaceId",
    "srcAddr",
    "dstAddr",
    "srcPort",
    "dstPort",
    "protocol",
    "packets",
    "bytes",
    "startTime",
    "endTime",
    "action",
    "logStatus",
];

/// Whether Logs Insights may discover a field of this name in a log that is asked. Whether it discovers the
/// fields of custom formats is not documented; where it does, their names are in camel case.
pub fn is_discovered(name: &str) -> bool {
    name.starts_with('@')
        || FLOW_KEYS.contains(&name)
        || RESOLVER_KEYS.contains(&name)
        || Field::ALL.iter().any(|field| field.name() == name || camel_case(field.name()) == name)
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('-');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

/// A name that a query defines, once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(String);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text of a query, as far as it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    text: String,
    names: BTreeSet<String>,
}

impl Text {
    /// Adds a command, on a line of its own.
    pub(super) fn command(&mut self, command: impl fmt::Display) {
        if !self.text.is_empty() {
            self.text.push_str("\n| ");
        }
        self.text.push_str(&command.to_string());
    }

    /// A name that nothing in the text has yet, and no discovered field: `stem` itself where that is free.
    /// Holds letters and digits only, as the names of groups in a regular expression may have nothing else.
    pub(super) fn name(&mut self, stem: &str) -> Name {
        let free = |names: &BTreeSet<String>, name: &str| !names.contains(name) && !is_discovered(name);
        let mut name = stem.to_owned();
        for number in 2.. {
            if free(&self.names, &name) {
                break;
            }
            name = format!("{stem}x{number}");
        }
        self.names.insert(name.clone());
        Name(name)
    }

    /// How long the text is, in characters: what the limit of `StartQuery` counts.
    pub(super) fn characters(&self) -> usize {
        self.text.chars().count()
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// `["a", "b"]`. The items are ids, addresses and stream names of our own making, which hold no
/// quotation mark.
pub(super) fn list<T: ToString>(items: &[T]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| format!("\"{}\"", item.to_string())).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_handed_out_once_and_never_a_discovered_one() {
        let mut text = Text::default();
        let names = ["ntPort", "ntPort", "ntPort", "bytes", "answers", "pktSrcaddr", "srcaddr"]
            .map(|stem| text.name(stem).to_string());
        let expected =
            ["ntPort", "ntPortx2", "ntPortx3", "bytesx2", "answersx2", "pktSrcaddrx2", "srcaddrx2"];
        assert_eq!(names, expected);
    }
}
