//! The rows as a person reads them.

use std::fmt::Write as _;

use super::{Checkup, Tonight};
use crate::words::{self, one_line};

/// Most characters of what a row says or advises: a command with a flow log's whole format fits.
const MAX_CHARACTERS: usize = 1_500;

/// A table, one paragraph for each gateway: what was looked at, what a diagnosis tonight would be as far as
/// that tells, and beneath what is wrong the step that mends it, which is never broken into lines.
#[must_use]
pub fn table(checkup: &Checkup) -> String {
    let Checkup { at, region, tonight, rows, .. } = checkup;
    let sum = match tonight {
        Tonight::Full => "an alarm tonight gets its full diagnosis",
        Tonight::Partial => "an alarm tonight gets a diagnosis that says less than it could",
        Tonight::None => "tonight a diagnosis would not be made, or would reach nobody",
    };
    let region = region.as_ref().map_or(String::new(), |region| format!(" in {}", one_line(region, 40)));
    let mut text = format!("At {}{region}: {sum}.\n", words::instant(*at));
    let mut about = "";
    for row in rows {
        if row.about != about {
            about = &row.about;
            writeln!(text, "\n{}", one_line(about, 80)).expect("a string takes all");
        }
        let says = one_line(&row.says, MAX_CHARACTERS);
        writeln!(text, "  {:<9} {:<8} {says}", row.check.name(), row.tonight.name())
            .expect("a string takes all");
        if let Some(fix) = &row.fix {
            writeln!(text, "  {:<9} {:<8} {}", "", "mend:", one_line(fix, MAX_CHARACTERS))
                .expect("a string takes all");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Check, Row, SCHEMA};
    use super::*;

    #[test]
    fn a_row_that_is_wrong_has_its_command_on_one_line_beneath() {
        let row = |about: &str, check, tonight, says: &str, fix: Option<&str>| Row {
            about: about.into(),
            check,
            tonight,
            says: says.into(),
            fix: fix.map(str::to_owned),
        };
        let id = "nat-0123456789abcdef0";
        let checkup = Checkup {
            schema: SCHEMA,
            at: "2026-11-18T02:00:00Z".parse().expect("valid"),
            region: Some("eu-west-1".into()),
            tonight: Tonight::None,
            rows: vec![
                row(
                    id,
                    Check::Alarm,
                    Tonight::None,
                    "alarm a\nb\u{1b}[31m: switched off",
                    Some("aws cloudwatch x"),
                ),
                row(id, Check::FlowLog, Tonight::Full, "fl-1 of vpc-1", None),
                row("reports", Check::Topic, Tonight::Full, "1 confirmed subscription", None),
            ],
        };
        insta::assert_snapshot!(table(&checkup), @"
        At 2026-11-18 02:00:00 UTC in eu-west-1: tonight a diagnosis would not be made, or would reach nobody.

        nat-0123456789abcdef0
          alarm     none     alarm a b [31m: switched off
                    mend:    aws cloudwatch x
          flow log  full     fl-1 of vpc-1

        reports
          topic     full     1 confirmed subscription
        ");
    }
}
