//! Whether what is too much to read in place would be read by Athena.

use super::{Check, Row, Tonight};
use crate::evidence::athena::Checked;
use crate::evidence::insights::Unanswered;
use crate::words;

/// How flow logs in S3 would be read that are too much to read in place.
#[derive(Clone, Debug, PartialEq)]
pub enum TooLarge {
    /// By Athena: what was found of its table.
    ByAthena(Result<Checked, Unanswered>),
    /// Not at all, as no table is set.
    Unread {
        /// Why an hour of them is too much, in words.
        why: String,
        /// What makes a table, or names one.
        fix: String,
    },
}

/// The row of a gateway with a flow log in S3.
pub(super) fn row(about: &str, large: &TooLarge) -> Row {
    let partial = |says: String, fix: String| Row::bad(about, Check::Athena, Tonight::Partial, says, fix);
    let checked = match large {
        TooLarge::ByAthena(Ok(checked)) => checked,
        TooLarge::ByAthena(Err(unanswered)) => {
            let says = format!("what is too much to read in place is not read: {}", unanswered.why);
            return partial(says, unanswered.fix.to_string());
        }
        TooLarge::Unread { why, fix } => {
            return partial(
                format!(
                    "an hour is too much to read in place: {why}; no table is set by which Athena would read it"
                ),
                fix.clone(),
            );
        }
    };
    let table = &checked.table;
    let taken = checked.questions.iter().find(|(_, answer)| answer.is_ok());
    let refused = checked.questions.iter().find_map(|(_, answer)| answer.as_ref().err());
    let Some((rung, _)) = taken else {
        let (why, fix) = refused.map_or_else(Default::default, |of| (of.why.clone(), of.fix.to_string()));
        return partial(format!("Athena takes no statement about {table}: {why}"), fix);
    };
    let taken = format!("of {table}, Athena takes the statement about {}", rung.subject());
    if let Some(refused) = refused {
        let cannot = rung.cannot_tell().unwrap_or_default();
        let says = format!("{taken}, and no better one. {cannot} Not taken: {}", refused.why);
        return partial(says, refused.fix.to_string());
    }
    match &checked.reads {
        Err(unanswered) => partial(format!("{taken}, but {}", unanswered.why), unanswered.fix.to_string()),
        Ok(bytes) if *bytes > checked.left => partial(
            format!(
                "{taken}, but it would read a whole partition of {}, and NAT_TRIAGE_MAX_SCAN_GIB leaves {}",
                words::bytes(*bytes),
                words::bytes(checked.left)
            ),
            format!(
                "let a run scan more: sam deploy --parameter-overrides MaxScanGiB={}",
                bytes.div_ceil(1 << 30).saturating_mul(2)
            ),
        ),
        Ok(bytes) => Row::good(
            about,
            Check::Athena,
            format!(
                "{taken}, asked by EXPLAIN, which reads nothing; a partition has {}",
                words::bytes(*bytes)
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::insights::{Cause, Rung};

    const GIB: u64 = 1 << 30;

    fn refused(why: &str, fix: &str) -> Unanswered {
        Unanswered { why: why.into(), fix: fix.into(), cause: Cause::Refused }
    }

    fn checked() -> Checked {
        Checked {
            table: "logs.vpc_flow_logs".into(),
            questions: vec![(Rung::EveryMinute, Ok(()))],
            reads: Ok(3 * GIB),
            left: 10 * GIB,
        }
    }

    fn of(checked: Checked) -> Row {
        row("nat-1", &TooLarge::ByAthena(Ok(checked)))
    }

    #[test]
    fn a_table_that_would_be_asked_is_full() {
        let row = of(checked());
        assert_eq!((row.tonight, row.fix), (Tonight::Full, None));
        insta::assert_snapshot!(row.says, @"of logs.vpc_flow_logs, Athena takes the statement about every minute with ends of connections, asked by EXPLAIN, which reads nothing; a partition has 3.0 GiB");
    }

    #[test]
    fn a_statement_that_is_not_taken_says_what_answers_instead() {
        let mut simpler = checked();
        simpler
            .questions
            .insert(0, (Rung::EveryMinute, Err(refused("Function 'if' not registered", "report it"))));
        simpler.questions[1].0 = Rung::WorstMinute;
        let row = of(simpler);
        assert_eq!((row.tonight, row.fix.as_deref()), (Tonight::Partial, Some("report it")));
        insta::assert_snapshot!(row.says, @"of logs.vpc_flow_logs, Athena takes the statement about the ports of the worst minute, and no better one. It is about the minute with the most errors only. It reads the packets towards destinations only, so that what never got an answer does not show. Not taken: Function 'if' not registered");
        let none = Checked {
            questions: vec![(Rung::EveryMinute, Err(refused("No output location provided", "aws athena x")))],
            ..checked()
        };
        let row = of(none);
        assert_eq!((row.tonight, row.fix.as_deref()), (Tonight::Partial, Some("aws athena x")));
        insta::assert_snapshot!(row.says, @"Athena takes no statement about logs.vpc_flow_logs: No output location provided");
    }

    #[test]
    fn a_partition_beyond_the_scan_limit_says_what_to_allow() {
        let row = of(Checked { reads: Ok(30 * GIB), ..checked() });
        assert_eq!(row.tonight, Tonight::Partial);
        insta::assert_snapshot!(row.says, @"of logs.vpc_flow_logs, Athena takes the statement about every minute with ends of connections, but it would read a whole partition of 30.0 GiB, and NAT_TRIAGE_MAX_SCAN_GIB leaves 10.0 GiB");
        assert!(row.fix.expect("a command").ends_with("sam deploy --parameter-overrides MaxScanGiB=60"));
    }

    #[test]
    fn an_hour_that_nobody_would_read_is_said() {
        let why =
            "72 files have 310.0 MiB, and at most 2,000 files and 96.0 MiB are read in place".to_owned();
        let row = row("nat-1", &TooLarge::Unread { why, fix: "make a table".into() });
        assert_eq!((row.tonight, row.fix.as_deref()), (Tonight::Partial, Some("make a table")));
        insta::assert_snapshot!(row.says, @"an hour is too much to read in place: 72 files have 310.0 MiB, and at most 2,000 files and 96.0 MiB are read in place; no table is set by which Athena would read it");
    }
}
