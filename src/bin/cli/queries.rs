//! `nat-triage queries`: what would be asked, to read or to paste into the console.

use std::fmt::Write as _;

use anyhow::Context as _;

use nat_triage::evidence::athena;
use nat_triage::evidence::insights::planned;
use nat_triage::flow::LogFormat;
use nat_triage::network::{FlowLog, FlowLogDestination, LogClass, TrafficType};

use crate::analyze::named_gateway;
use crate::args::{Queries, Writing};
use crate::output::{self, Outcome};

pub(crate) fn run(args: &Queries) -> anyhow::Result<Outcome> {
    let gateway = named_gateway(Default::default(), &args.gateway);
    let format = args.log_format.clone().unwrap_or_else(LogFormat::version_2);
    let log = FlowLog {
        id: String::new(),
        resource_id: String::new(),
        log_group: None,
        destination: FlowLogDestination::CloudWatchLogs,
        traffic: TrafficType::All,
        format: format.to_string(),
        aggregation_seconds: args.aggregation,
        delivery_error: None,
        log_class: Some(LogClass::Standard),
        kept_from: None,
        stored_bytes: None,
        in_bucket: None,
    };
    let queries = planned(&gateway, &log, &format, args.window)
        .context("cannot ask Logs Insights; give the gateway's addresses with --nat-ip")?;
    let mut text = String::new();
    for (rung, query) in queries {
        writeln!(text, "# Question {}, about {}: {}", rung.number(), rung.subject(), query.purpose.as_str())?;
        writeln!(text, "# Records that began from {} to {}", query.from, query.to)?;
        if let Some(cannot_tell) = rung.cannot_tell() {
            writeln!(text, "# {cannot_tell}")?;
        }
        writeln!(text, "{}", query.text)?;
    }
    if let Some(table) = &args.athena_table {
        let statements = athena::planned(&gateway, (&log, &format), args.window, table)
            .context("cannot ask Athena; give the gateway's addresses with --nat-ip")?;
        writeln!(text, "-- The partitions are a day's; name those of your table, or it reads everything")?;
        for (rung, statement) in statements {
            writeln!(text, "-- SQL for Athena about {}: {}", rung.subject(), statement.purpose.as_str())?;
            writeln!(text, "-- Records that began from {} to {}", statement.from, statement.to)?;
            if let Some(cannot_tell) = rung.cannot_tell() {
                writeln!(text, "-- {cannot_tell}")?;
            }
            writeln!(text, "{};", statement.text)?;
        }
    }
    output::write(&text, &Writing::default())?;
    Ok(Outcome::Whole)
}
