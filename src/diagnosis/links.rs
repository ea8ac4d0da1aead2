//! Where to look for oneself.

use super::findings::{Findings, UNKNOWN_ZONE};
use crate::console::Console;
use crate::contract::Link;
use crate::evidence::QueryRun;
use crate::incident::TimeWindow;

/// The alarm, the gateway and its errors, where the Region is known and has a public console.
pub(super) fn links(findings: &Findings<'_>) -> Vec<Link> {
    let Some(console) = console(findings) else { return Vec::new() };
    let alarm = findings.incident.alarm.as_ref();
    let link = |title: &str, url: String| Link { title: title.to_owned(), url };
    let mut links: Vec<Link> =
        alarm.map(|alarm| link("The alarm", console.alarm(&alarm.name))).into_iter().collect();
    if let Some(gateway) = findings.gateway_id() {
        links.push(link("The NAT gateway", console.nat_gateway(gateway)));
        let window = findings.evidence.window;
        let zone = findings.metric_zone();
        if window != TimeWindow::EPOCH && zone != Some(UNKNOWN_ZONE) {
            links.push(link(
                "Its port allocation errors",
                console.port_allocation_errors(gateway, zone, window),
            ));
        }
    }
    links
}

/// The queries that were run, each with where to open it.
pub(super) fn with_links(findings: &Findings<'_>) -> Vec<QueryRun> {
    let console = console(findings);
    let linked = |query: &QueryRun| {
        let window = TimeWindow::new(query.from, query.to).ok();
        // What was read elsewhere than in log groups does not open in Logs Insights.
        let url = console.as_ref().filter(|_| !query.log_groups.is_empty()).zip(window);
        QueryRun {
            console_url: url.map(|(c, window)| c.logs_insights(&query.text, &query.log_groups, window)),
            ..query.clone()
        }
    };
    findings.evidence.queries.iter().map(linked).collect()
}

fn console(findings: &Findings<'_>) -> Option<Console> {
    Console::of(findings.region()?)
}
