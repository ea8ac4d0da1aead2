//! Which host names clients asked the VPC's resolver for before they opened connections, out of Route 53
//! Resolver query logs. Pure: the text of the query, and what its rows mean.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::query::{Purpose, Query};
use super::rows::Row;
use super::text::Text;
use crate::incident::TimeWindow;
use crate::network::{HostName, NameSource};

/// How long before the window a question may have been asked that led to a connection within it, in
/// seconds: connections are kept for longer than names are, and few for longer than this.
const BEFORE: i64 = 3600;

/// Most rows that are asked for, those about the servers first.
const MAX_ROWS: usize = 2000;

/// Most names that are kept of one server, those that were asked for most first.
const MOST_NAMES: usize = 10;

/// The query for names that were answered with one of `servers`, and for the IPv6 addresses that the same
/// names may have been answered with. `None` where there is nothing to ask.
pub(super) fn query(servers: &[IpAddr], log_groups: &[String], window: TimeWindow) -> Option<Query> {
    if servers.is_empty() || log_groups.is_empty() {
        return None;
    }
    let mut text = Text::default();
    let [asked, kind, answers, known, times] =
        ["ntAsked", "ntKind", "ntAnswers", "ntKnown", "ntTimes"].map(|stem| text.name(stem));
    text.command(format_args!(r#"parse @message /"query_name":\s*"(?<{asked}>[^"\\]+)"/"#));
    text.command(format_args!(r#"parse @message /"query_type":\s*"(?<{kind}>[A-Z0-9]+)"/"#));
    text.command(format_args!(r#"parse @message /"answers":\s*(?<{answers}>\[[^\]]*\])/"#));
    let mut present = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        // An address between quotes is that address, and no other that begins or ends like it.
        let exact = server.to_string().replace('.', r"\.");
        let name = text.name(&format!("ntServer{index}"));
        text.command(format_args!(r#"parse @message /"Rdata":\s*"(?<{name}>{exact})"/"#));
        present.push(format!("ispresent({name})"));
    }
    text.command(format_args!("fields if({}, 1, 0) as {known}", present.join(" or ")));
    text.command(format_args!(r#"filter {kind} = "AAAA" or ({kind} = "A" and {known} = 1)"#));
    text.command(format_args!(r#"filter {answers} like "Rdata""#));
    text.command(format_args!("stats count(*) as {times} by {asked}, {answers}, {known}"));
    text.command(format_args!("sort {known} desc, {times} desc"));
    text.command(format_args!("limit {MAX_ROWS}"));
    Some(Query {
        purpose: Purpose::HostNames,
        text: text.finish(),
        log_groups: log_groups.to_vec(),
        from: window.start().as_second() - BEFORE,
        to: window.end().as_second() - 1,
        max_rows: MAX_ROWS,
        stored_bytes: None,
    })
}

/// One record of an answer, as the log has it.
///
/// Source: "Values that appear in VPC Resolver query logs" in the Amazon Route 53 developer guide.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    rdata: String,
    #[serde(rename = "Type")]
    kind: String,
}

/// The names that were answered with one of `servers`, each with everything that was answered for it,
/// those that were asked for most first. A row that can't be understood says nothing.
pub(super) fn read(rows: &[Row], servers: &[IpAddr]) -> Vec<HostName> {
    let mut names: BTreeMap<&str, (u64, Vec<IpAddr>)> = BTreeMap::new();
    for row in rows {
        let Some((name, times, addresses)) = answered(row) else { continue };
        let (asked, known) = names.entry(name).or_default();
        *asked += times;
        known.extend(addresses);
    }
    let mut names: Vec<(u64, HostName)> = names
        .into_iter()
        .filter(|(_, (_, addresses))| servers.iter().any(|server| addresses.contains(server)))
        .map(|(name, (times, mut addresses))| {
            addresses.sort_unstable();
            addresses.dedup();
            let name = name.trim_end_matches('.').to_owned();
            (times, HostName { name, addresses, source: NameSource::ResolverQueryLog })
        })
        .filter(|(_, name)| name.is_host())
        .collect();
    names.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)));
    let mut left: BTreeMap<IpAddr, usize> = servers.iter().map(|server| (*server, MOST_NAMES)).collect();
    let mut has_room = |name: &HostName| {
        let mut room = false;
        for address in &name.addresses {
            if let Some(left) = left.get_mut(address) {
                room |= *left > 0;
                *left = left.saturating_sub(1);
            }
        }
        room
    };
    names.into_iter().map(|(_, name)| name).filter(|name| has_room(name)).collect()
}

fn answered(row: &Row) -> Option<(&str, u64, Vec<IpAddr>)> {
    let records: Vec<Record> = serde_json::from_str(row.get("ntAnswers")?).ok()?;
    let addresses = records
        .iter()
        .filter(|record| matches!(record.kind.as_str(), "A" | "AAAA"))
        .filter_map(|record| record.rdata.parse().ok())
        .collect();
    // Counts may come with a decimal point.
    let times = row.get("ntTimes")?.parse::<f64>().ok().filter(|times| *times >= 0.0)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count, which is not negative"
    )]
    let times = times as u64;
    Some((row.get("ntAsked")?, times, addresses))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn row(asked: &str, answers: &str, times: &str) -> Row {
        [("ntAsked", asked), ("ntAnswers", answers), ("ntTimes", times)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn the_query_asks_for_exact_addresses() {
        let window = "2026-11-18T02:00:00Z/2026-11-18T02:05:00Z".parse().expect("a window");
        let servers = [address("203.0.113.10"), address("2001:db8::10")];
        let query = query(&servers, &["/dns".into()], window).expect("something to ask");
        assert_eq!(window.start().as_second() - query.from, 3600);
        insta::assert_snapshot!(query.text);
        assert!(super::query(&[], &["/dns".into()], window).is_none());
        assert!(super::query(&servers, &[], window).is_none());
    }

    #[test]
    fn a_name_has_all_addresses_that_were_answered_for_it() {
        let rows = [
            row(
                "api.example.com.",
                r#"[{"Rdata":"edge.example.net.","Type":"CNAME","Class":"IN"},{"Rdata":"203.0.113.10","Type":"A","Class":"IN"}]"#,
                "7",
            ),
            row(
                "api.example.com.",
                r#"[{"Rdata":"203.0.113.11","Type":"A","Class":"IN"},{"Rdata":"203.0.113.10","Type":"A","Class":"IN"}]"#,
                "5",
            ),
            row("api.example.com.", r#"[{"Rdata":"2001:db8::10","Type":"AAAA","Class":"IN"}]"#, "3.0"),
            row("www.example.com.", r#"[{"Rdata":"203.0.113.10","Type":"A","Class":"IN"}]"#, "40"),
            row("other.example.com.", r#"[{"Rdata":"2001:db8::99","Type":"AAAA","Class":"IN"}]"#, "90"),
        ];
        let names = read(&rows, &[address("203.0.113.10")]);
        let all: Vec<(&str, Vec<String>)> = names
            .iter()
            .map(|name| (name.name.as_str(), name.addresses.iter().map(ToString::to_string).collect()))
            .collect();
        assert_eq!(
            all,
            [
                ("www.example.com", vec!["203.0.113.10".to_owned()]),
                (
                    "api.example.com",
                    vec!["203.0.113.10".to_owned(), "203.0.113.11".to_owned(), "2001:db8::10".to_owned()]
                ),
            ]
        );
    }

    #[test]
    fn what_is_no_host_name_or_no_answer_says_nothing() {
        let answer = r#"[{"Rdata":"203.0.113.10","Type":"A","Class":"IN"}]"#;
        let pointer = r#"[{"Rdata":"203.0.113.10","Type":"PTR","Class":"IN"}]"#;
        let rows = [
            row("$(reboot).example.com.", answer, "1"),
            row("half.example.com.", r#"[{"Rdata":"#, "1"),
            row("10.113.0.203.in-addr.arpa.", pointer, "1"),
            row("unnumbered.example.com.", answer, "many"),
            Row::new(),
        ];
        assert_eq!(read(&rows, &[address("203.0.113.10")]), []);
    }

    #[test]
    fn a_server_keeps_the_names_that_were_asked_for_most() {
        let answer = r#"[{"Rdata":"203.0.113.10","Type":"A","Class":"IN"}]"#;
        let rows: Vec<Row> =
            (0..40).map(|n| row(&format!("n{n:02}.example.com."), answer, &n.to_string())).collect();
        let names = read(&rows, &[address("203.0.113.10")]);
        assert_eq!(names.len(), MOST_NAMES);
        assert_eq!(names[0].name, "n39.example.com");
    }
}
