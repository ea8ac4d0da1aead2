//! Serves the sample's leak, as traffic of the last hours, for a program that is not a Rust test.
//!
//! On a line each, as JSON: prints the minutes and sums of the gateway's errors and the incident's end; reads
//! `gateway`, `interface` and `address`, as the emulators chose them; prints where it listens and what is
//! exhausted. A further line `never starts` holds every query up from then on, `answers` ends that. It stops with
//! its standard input.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use insights_server::{Fault, InsightsServer, LogGroup, Operation, Store, Times};
use nat_simulator::{LogFormat, Record, View};
use serde_json::{Value, json};

const FLOW_LOGS: &str = "/vpc/flow-logs";
const QUERY_LOGS: &str = "/dns/queries";
const ASKED: &str = "payments.example.com";

fn main() -> Result<(), Box<dyn Error>> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let mut incident = nat_simulator::sample::incident();
    // Over for two hours: the flow logs have arrived. The emulators forget metrics after two weeks.
    incident.start = (now - 3 * 3600) / 60 * 60;
    let facts = incident.simulate().facts();
    let format = LogFormat::v3_pkt();
    print(&json!({ "errors": facts.errors, "end": facts.end, "format": format.header() }))?;

    let mut lines = io::stdin().lock().lines();
    let chosen: Value = serde_json::from_str(&lines.next().ok_or("no line with the gateway")??)?;
    let text = |name: &str| chosen[name].as_str().ok_or_else(|| format!("no {name} in {chosen}"));
    let gateway = &mut incident.gateways[0];
    gateway.id = text("gateway")?.to_owned();
    gateway.interface_id = Some(text("interface")?.to_owned());
    gateway.addresses[0].private = Some(text("address")?.parse()?);
    let simulation = incident.simulate();
    let exhausted = simulation.truth().exhausted.ok_or("the leak exhausts nothing")?.address;

    let store = stored(&simulation.records(&View::of_vpc(format)));
    store.set_location("eu-west-1", "000000000000");
    let answer = json!({
        "query_name": format!("{ASKED}."),
        "query_type": "A",
        "query_class": "IN",
        "rcode": "NOERROR",
        "answers": [{ "Rdata": exhausted.to_string(), "Type": "A", "Class": "IN" }],
    });
    store.add_flow_log_lines(QUERY_LOGS, "resolver", [(facts.errors[0].0 - 600, answer.to_string())]);
    let server = InsightsServer::start(store.clone());
    print(&json!({ "url": server.endpoint(), "exhausted": exhausted.to_string(), "asked": ASKED }))?;
    for line in lines {
        store.faults().clear();
        if line? == "never starts" {
            store.faults().inject(Operation::StartQuery, Fault::NeverStarts, Times::Always);
        }
    }
    Ok(())
}

/// The records in the log streams that CloudWatch Logs would keep them in.
fn stored(records: &[Record]) -> Store {
    let store = Store::new();
    store.add_group(LogGroup::new(FLOW_LOGS));
    let mut records: Vec<&Record> = records.iter().collect();
    records.sort_by(|a, b| a.stream.cmp(&b.stream));
    for stream in records.chunk_by(|a, b| a.stream == b.stream) {
        let lines = stream.iter().map(|record| (record.timestamp, record.line.as_str()));
        store.add_flow_log_lines(FLOW_LOGS, &stream[0].stream, lines);
    }
    store
}

fn print(line: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
