//! What a report rests on, a fact each, down to what the queries cost.

use super::changes::none_found;
use super::wording::{minutes, number, outside};
use crate::contract::{Diagnosis, MetricReport};
use crate::evidence::{QueryRun, Source};
use crate::network::MetricName;
use crate::words::{self, one_line};

/// What a metric came to, beside what is usual.
pub(super) fn metric(metric: &MetricReport) -> String {
    let before = metric.baseline.map_or(String::new(), |n| format!("; {} in the hours before", number(n)));
    let day = metric.day_before.map_or(String::new(), |n| format!("; {} the day before", number(n)));
    let [name, statistic] = [&metric.name, &metric.statistic].map(|text| outside(text));
    format!("{name} {}: {}{before}{day}", statistic.to_lowercase(), number(metric.value))
}

/// What was found refused, beside what CloudWatch counted; nothing where neither was.
fn refused_beside_counted(diagnosis: &Diagnosis) -> Option<String> {
    let refused = &diagnosis.refused_attempts;
    // An alarm has seen errors that a metric asked for may not hold.
    let by_alarm = |counted: f64| {
        let errors =
            diagnosis.metrics.iter().find(|metric| metric.name == MetricName::ErrorPortAllocation.as_str());
        errors.is_none_or(|errors| errors.value < counted) && diagnosis.alarm.is_some()
    };
    let found = words::count(refused.found);
    match (refused.counted.filter(|counted| *counted > 0.0), refused.accounted) {
        (Some(counted), Some(part)) => Some(format!(
            "Refused attempts found: {found}, {} of the {} that {} counted",
            words::percent(part),
            words::count(counted as u64),
            if by_alarm(counted) { "the alarm" } else { "CloudWatch" }
        )),
        _ if refused.found > 0 => {
            Some(format!("Refused attempts found: {found}; how many were counted is not known"))
        }
        _ => None,
    }
}

/// What a query scanned, and what that cost.
fn query(query: &QueryRun) -> String {
    let scanned =
        query.bytes_scanned.map_or(String::new(), |bytes| format!(", {} scanned", words::bytes(bytes)));
    let cost = query.cost_usd.map_or(String::new(), |cost| format!(", {}", words::dollars(cost)));
    let sort = if query.log_groups.is_empty() { "Read" } else { "Query" };
    format!("{sort}: {}{scanned}{cost}", query.purpose)
}

/// What all of it rests on, a fact each.
pub(super) fn basis(diagnosis: &Diagnosis) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(alarm) = &diagnosis.alarm {
        let account =
            alarm.account.as_deref().map_or(String::new(), |a| format!(", account {}", one_line(a, 20)));
        let region = alarm.region.as_deref().map_or(String::new(), |r| format!(", {}", one_line(r, 30)));
        let elsewhere = alarm.metric_account.as_deref();
        let elsewhere =
            elsewhere.map_or(String::new(), |a| format!(", on a metric of account {}", one_line(a, 20)));
        let muted = alarm.muted.as_deref();
        let muted = muted.map_or(String::new(), |by| format!("; its actions were {}", outside(by)));
        facts.push(format!(
            "Alarm: {} at {}{account}{region}{elsewhere}{muted}",
            outside(&alarm.name),
            words::instant(alarm.at)
        ));
    }
    let window = diagnosis.window;
    facts.push(format!("Window: {}", minutes(window)));
    if !diagnosis.pattern_evidence.is_empty() {
        facts.push(format!("Pattern: {}", diagnosis.pattern_evidence.join("; ")));
    }
    // Where no record was read, nothing was found and nothing looked for.
    if diagnosis.coverage.records_read > 0 {
        facts.extend(refused_beside_counted(diagnosis));
    }
    facts.extend(diagnosis.metrics.iter().map(metric));
    facts.extend(none_found(diagnosis));
    let coverage = &diagnosis.coverage;
    let source = match coverage.source {
        Source::Files => "flow-log files",
        Source::LogsInsights => "CloudWatch Logs Insights",
        Source::S3 => "flow-log files in S3",
        Source::Athena => "flow-log files in S3, by Athena",
    };
    let until =
        coverage.logs_until.map_or_else(String::new, |until| format!(", up to {}", words::instant(until)));
    facts.push(format!(
        "Records of the gateway: {} from {source}{until}; {}",
        words::count(coverage.records_read),
        if coverage.complete { "the whole window is covered" } else { "the window is not fully covered" }
    ));
    facts.extend(coverage.question.as_ref().and_then(|question| {
        let cannot_tell = question.cannot_tell.as_deref()?;
        let who = if coverage.source == Source::Athena { "Athena" } else { "Logs Insights" };
        Some(format!("Question: {who} answered one about {}. {cannot_tell}", question.name.subject()))
    }));
    facts.extend(coverage.flow_log.as_deref().map(|log| format!("Flow log: {}", one_line(log, 400))));
    if coverage.records_rejected > 0 {
        facts.push(format!("Lines passed over: {}", words::count(coverage.records_rejected)));
    }
    facts.extend(diagnosis.queries.iter().map(query));
    let costs: Vec<f64> = diagnosis.queries.iter().filter_map(|query| query.cost_usd).collect();
    if costs.len() > 1 {
        let sum = words::dollars(costs.iter().sum());
        // What a query had scanned when it was given up is not told.
        let at_least = if costs.len() < diagnosis.queries.len() { "at least " } else { "" };
        facts.push(format!("All queries together: {at_least}{sum} at list price"));
    }
    facts.push(format!("Report id: {}", diagnosis.id));
    facts
}
