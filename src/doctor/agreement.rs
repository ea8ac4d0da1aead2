//! Whether the answers of Logs Insights are what they are taken for.

use super::{Check, Row, Tonight};
use crate::evidence::Destination;
use crate::evidence::insights::{Agreement, Fullest, Unanswered};
use crate::words::{self, count, counted};

/// The row of what two questions and a plain count say of one past minute.
pub(super) fn row(about: &str, compared: &Result<Agreement, Unanswered>) -> Row {
    let agreement = match compared {
        Ok(agreement) => agreement,
        Err(unanswered) => {
            let says = format!("the answers about one past minute could not be compared: {}", unanswered.why);
            return Row::bad(about, Check::Agreement, Tonight::Partial, says, unanswered.fix.to_string());
        }
    };
    let minute = words::span(agreement.minute.start(), agreement.minute.end());
    let records = counted(agreement.counted, "accepted record");
    let bad = |says: String, fix: &str| Row::bad(about, Check::Agreement, Tonight::Partial, says, fix);
    if let Some(accounted) = agreement.accounted.filter(|_| agreement.leaves_out()) {
        return bad(
            format!(
                "{minute}: count(*) finds {records}, and the rows of question 0 stand for only {}",
                count(accounted)
            ),
            "compare the log stream's lines with the flow log's format, and its addresses with those of the gateway: nat-triage queries prints the question",
        );
    }
    let fullest = match &agreement.fullest {
        None => "nothing was held in it".to_owned(),
        Some(Fullest { destination, held, distinct }) => format!(
            "question 0 sees {} to {} held ports to {}, and question 2 sees {} distinct ones",
            count(u64::from(held.least)),
            count(u64::from(held.hold)),
            label(destination),
            count(u64::from(*distinct))
        ),
    };
    if agreement.contradicts() {
        return bad(
            format!("{minute}: the answers contradict each other: {fullest}"),
            "run both in the console, as nat-triage queries prints them, and report the difference as a bug of nat-triage",
        );
    }
    Row::good(about, Check::Agreement, format!("{minute}: count(*) finds {records}; {fullest}"))
}

fn label(destination: &Destination) -> String {
    let protocol = words::protocol(destination.protocol);
    match destination.address {
        Some(address) => words::endpoint(address, destination.port, &protocol),
        None => format!("port {}/{protocol} of an address that the records do not show", destination.port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Held;
    use crate::incident::TimeWindow;

    fn said(counted: u64, accounted: Option<u64>, hold: u32, distinct: u32) -> Row {
        let destination =
            Destination { address: Some("198.51.100.7".parse().expect("valid")), port: 443, protocol: 6 };
        let agreement = Agreement {
            minute: "2026-11-18T02:00:00Z/2026-11-18T02:01:00Z".parse::<TimeWindow>().expect("valid"),
            counted,
            accounted,
            fullest: Some(Fullest { destination, held: Held { least: 3, hold, most: hold }, distinct }),
        };
        row("nat-1", &Ok(agreement))
    }

    #[test]
    fn answers_that_agree_are_full() {
        let row = said(12_345, Some(12_400), 410, 430);
        assert_eq!((row.tonight, row.fix), (Tonight::Full, None));
        insta::assert_snapshot!(row.says, @"2026-11-18 02:00 to 02:01 UTC: count(*) finds 12,345 accepted records; question 0 sees 3 to 410 held ports to 198.51.100.7:443/tcp, and question 2 sees 430 distinct ones");
        // Records come in between two questions, and distinct ports are counted approximately.
        assert_eq!(said(1_000, Some(991), 410, 370).tonight, Tonight::Full);
        assert_eq!(said(1_000, None, 4, 0).tonight, Tonight::Full);
    }

    #[test]
    fn records_that_the_rows_leave_out_are_said() {
        let row = said(12_345, Some(6_000), 410, 430);
        assert_eq!(row.tonight, Tonight::Partial);
        insta::assert_snapshot!(row.says, @"2026-11-18 02:00 to 02:01 UTC: count(*) finds 12,345 accepted records, and the rows of question 0 stand for only 6,000");
    }

    #[test]
    fn fewer_distinct_ports_than_held_ones_contradict() {
        let row = said(12_345, Some(12_345), 4_100, 430);
        assert_eq!(row.tonight, Tonight::Partial);
        insta::assert_snapshot!(row.says, @"2026-11-18 02:00 to 02:01 UTC: the answers contradict each other: question 0 sees 3 to 4,100 held ports to 198.51.100.7:443/tcp, and question 2 sees 430 distinct ones");
    }
}
