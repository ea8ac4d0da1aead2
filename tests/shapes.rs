//! Every shape in which people hold flow logs is read to the record: by its file, by standard input, compressed,
//! and in a folder of other things.

use base64::Engine as _;
use nat_triage::flow::reader::{Inputs, Options, Sink};
use nat_triage::flow::{FlowRecord, LogFormat};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::cli::Cli;

/// Two connections through a gateway, all four legs, in the default format.
pub(crate) const LINES: [&str; 8] = [
    "2 123456789012 eni-0123456789abcdef0 10.0.1.17 10.0.0.220 40001 443 6 10 1000 1795000000 1795000030 ACCEPT OK",
    "2 123456789012 eni-0123456789abcdef0 10.0.0.220 203.0.113.10 1024 443 6 10 1000 1795000000 1795000030 ACCEPT OK",
    "2 123456789012 eni-0123456789abcdef0 203.0.113.10 10.0.0.220 443 1024 6 10 1000 1795000000 1795000030 ACCEPT OK",
    "2 123456789012 eni-0123456789abcdef0 10.0.0.220 10.0.1.17 443 40001 6 10 1000 1795000000 1795000030 ACCEPT OK",
    "2 123456789012 eni-0123456789abcdef0 10.0.1.18 10.0.0.220 40002 443 6 10 1000 1795000010 1795000050 ACCEPT OK",
    "2 123456789012 eni-0123456789abcdef0 10.0.0.220 203.0.113.10 1025 443 6 10 1000 1795000010 1795000050 ACCEPT OK",
    "2 123456789012 eni-0123456789abcdef0 203.0.113.10 10.0.0.220 443 1025 6 10 1000 1795000010 1795000050 ACCEPT OK",
    "2 123456789012 eni-0123456789abcdef0 10.0.0.220 10.0.1.18 443 40002 6 10 1000 1795000010 1795000050 ACCEPT OK",
];

const HYPHENS: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
const INSIGHTS: &str = "version accountId interfaceId srcAddr dstAddr srcPort dstPort protocol packets bytes startTime endTime action logStatus";
/// As the Athena user guide named them in its table for the default format.
const ATHENA: &str = "version account interfaceid sourceaddress destinationaddress sourceport destinationport protocol numpackets numbytes starttime endtime action logstatus";

fn each(shape: impl Fn(&str) -> String) -> String {
    LINES.iter().map(|line| shape(line)).collect()
}

/// A table of fields, whose header and rows are made so.
fn table(header: &str, between: &str, cell: impl Fn(&str) -> String) -> String {
    let row = |line: &str| line.split(' ').map(&cell).collect::<Vec<_>>().join(between) + "\n";
    let names = header.split(' ').map(&cell).collect::<Vec<_>>().join(between);
    format!("{names}\n{}", each(row))
}

fn plain(cell: &str) -> String {
    cell.to_owned()
}

fn quoted(cell: &str) -> String {
    format!("\"{cell}\"")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A YAML text, folded at 80 columns as the command line of AWS folds it.
fn folded(indent: &str, key: &str, line: &str) -> String {
    let (first, rest) = line.split_at(line[..70].rfind(' ').expect("words"));
    format!("{indent}{key}{first}\n{}  {}\n", " ".repeat(indent.len()), rest.trim())
}

/// A row of fields, as names and values.
fn fields(header: &str, line: &str) -> Value {
    header.split(' ').zip(line.split(' ')).map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

fn pairs(header: &str, line: &str) -> Value {
    let pair = |(name, value)| json!({ "field": name, "value": value });
    header.split(' ').zip(line.split(' ')).map(pair).collect()
}

fn envelope() -> Value {
    let events: Vec<Value> = LINES
        .iter()
        .map(|line| json!({ "id": "1", "timestamp": 1_795_000_000_000_u64, "message": line }))
        .collect();
    json!({ "messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/vpc", "logEvents": events })
}

fn of_text(name: &'static str, text: String) -> (&'static str, Vec<u8>) {
    (name, text.into_bytes())
}

/// The lines in every shape, named for where it comes from.
#[expect(clippy::too_many_lines, reason = "a table")]
fn shapes() -> Vec<(&'static str, Vec<u8>)> {
    let time = "2026-11-18 11:06:40.000";
    let message = |line: &&str| json!({ "message": line, "timestamp": 1_795_000_000_000_u64 });
    let events: Vec<Value> = LINES.iter().map(message).collect();
    let field =
        |line: &&str| json!([{ "field": "@message", "value": line }, { "field": "@ptr", "value": "Cp" }]);
    let results: Vec<Value> = LINES.iter().map(field).collect();
    let discovered: Vec<Value> = LINES.iter().map(|line| pairs(INSIGHTS, line)).collect();
    let lines_of = |of: &dyn Fn(&str) -> Value| each(|line| of(line).to_string() + "\n");
    let ptr = "RESULTS\t@ptr\tCpMBClYK\n";
    let status = "CWLI\tComplete\n";
    let statistics = "STATISTICS\t1234.0\t8.0\t8.0\n";
    let underscores = HYPHENS.replace('-', "_");
    let json_records = |header: &str| lines_of(&|line| fields(header, line));
    let firehose = |pack: &dyn Fn(&[u8]) -> Vec<u8>| {
        let record = |line: &&str| json!({ "recordId": "49", "data": base64(&pack(line.as_bytes())) });
        json!({ "invocationId": "1", "records": LINES.iter().map(record).collect::<Vec<_>>() }).to_string()
    };
    let packed = base64(&gzip(envelope().to_string().as_bytes()));
    vec![
        of_text("bare messages", each(|line| format!("{line}\n"))),
        of_text("a file in S3", table(HYPHENS, " ", plain)),
        of_text("a file in S3 with CRLF", table(HYPHENS, " ", plain).replace('\n', "\r\n")),
        of_text("several spaces", each(|line| line.replace(' ', "   ") + "\n")),
        of_text("tabs without a header", each(|line| line.replace(' ', "\t") + "\n")),
        of_text("TSV", table(HYPHENS, "\t", plain)),
        of_text("Athena CSV", table(&underscores, ",", quoted)),
        of_text("CSV in capitals", table(&underscores.to_uppercase(), ",", plain)),
        of_text("CSV of Athena's table", table(ATHENA, ",", quoted)),
        of_text("CSV with semicolons", table(HYPHENS, ";", plain)),
        of_text("CSV without a header", each(|line| line.replace(' ', ",") + "\n")),
        of_text(
            "CSV of a data frame",
            format!(
                ",{}\n{}",
                underscores.replace(' ', ","),
                each(|line| format!("0,{}\n", line.replace(' ', ",").replace(",443,", ",443.0,")))
            ),
        ),
        of_text(
            "a table of psql",
            format!(
                " {} \n-----+------\n{}(8 rows)",
                underscores.replace(' ', " | "),
                each(|line| format!(" {} \n", line.replace(' ', " | ")))
            )
            .replace("(8 rows)", ""),
        ),
        of_text(
            "a table of Markdown",
            format!(
                "| {} |\n|---|---|\n{}",
                underscores.replace(' ', " | "),
                each(|line| format!("| {} |\n", line.replace(' ', " | ")))
            ),
        ),
        of_text("Insights CSV", format!("@timestamp,@message\n{}", each(|line| format!("{time},{line}\n")))),
        of_text(
            "Insights CSV in quotes",
            format!("@timestamp,@message,@logStream\n{}", each(|line| format!("\"{time}\",\"{line}\",eni-x-all\n"))),
        ),
        of_text("Insights CSV of fields", table(INSIGHTS, ",", plain)),
        of_text(
            "Insights CSV of fields and times",
            format!(
                "@timestamp,{}\n{}",
                INSIGHTS.replace(' ', ","),
                each(|line| format!("{time},{}\n", line.replace(' ', ",")))
            ),
        ),
        of_text("log events CSV", format!("timestamp,message\n{}", each(|line| format!("1795000000000,{line}\n")))),
        of_text("log events CSV without a header", each(|line| format!("1795000000000,{line}\n"))),
        of_text(
            "log events CSV with line ends in cells",
            format!("timestamp,message\n{}", each(|line| format!("1795000000000,\"{line}\n\"\n"))),
        ),
        of_text("an export of a log group", each(|line| format!("2026-11-18T11:06:40.000Z {line}\n"))),
        of_text(
            "aws logs tail",
            each(|line| format!("2026-11-18T11:06:40.000000+00:00 eni-0123456789abcdef0-all {line}\n")),
        ),
        of_text("filter-log-events", json!({ "events": events, "searchedLogStreams": [] }).to_string()),
        of_text(
            "filter-log-events as text",
            format!(
                "{}SEARCHEDLOGSTREAMS\tTrue\teni-0123456789abcdef0-all\n",
                each(|line| format!("EVENTS\t3615\t1795000000000\teni-0123456789abcdef0-all\t{line}\t1795000000000\n"))
            ),
        ),
        of_text(
            "filter-log-events as YAML",
            format!(
                "events:\n{}searchedLogStreams: []\n",
                each(|line| format!(
                    "- eventId: '3615'\n  logStreamName: eni-x-all\n{}  timestamp: 1795000000000\n",
                    folded("  ", "message: ", line)
                ))
            ),
        ),
        of_text(
            "get-log-events as text",
            format!("b/36150\tf/36151\n{}", each(|line| format!("EVENTS\t1795000000000\t{line}\t1795000000000\n"))),
        ),
        of_text(
            "get-log-events as YAML in quotes",
            format!("events:\n{}nextBackwardToken: b/1\n", each(|line| format!("- ingestionTime: 1\n  message: '{line}'\n"))),
        ),
        of_text(
            "filter-log-events as a table",
            format!(
                "-----\n|  FilterLogEvents  |\n+-----+\n||  events  ||\n|+----+----+|\n||  message | timestamp ||\n|+---+---+|\n{}|+---+---+|\n",
                each(|line| format!("||  {line} | 1795000000000 ||\n"))
            ),
        ),
        of_text("messages as text", LINES.join("\t") + "\n"),
        of_text("messages and times as text", each(|line| format!("{line}\t1795000000000\n"))),
        of_text("messages as JSON", json!(LINES).to_string()),
        of_text("messages as YAML", each(|line| folded("", "- ", line))),
        of_text("get-query-results", json!({ "status": "Complete", "results": results }).to_string()),
        of_text("rows of get-query-results", json!(results).to_string()),
        of_text(
            "get-query-results as text",
            format!("{status}{}{statistics}", each(|line| format!("RESULTS\t@message\t{line}\n{ptr}"))),
        ),
        of_text(
            "get-query-results as YAML",
            format!(
                "results:\n{}status: Complete\n",
                each(|line| format!(
                    "- - field: '@message'\n{}  - field: '@ptr'\n    value: Cp\n",
                    folded("    ", "value: ", line)
                ))
            ),
        ),
        of_text("fields of get-query-results", json!({ "results": discovered, "status": "Complete" }).to_string()),
        of_text(
            "fields of get-query-results as text",
            format!(
                "{status}{}{statistics}",
                each(|line| INSIGHTS
                    .split(' ')
                    .zip(line.split(' '))
                    .map(|(name, value)| format!("RESULTS\t{name}\t{value}\n"))
                    .collect::<String>()
                    + ptr)
            ),
        ),
        of_text(
            "fields of get-query-results as YAML",
            format!(
                "results:\n{}",
                each(|line| {
                    let pair = |(name, value)| format!("  - field: {name}\n    value: '{value}'\n");
                    let row: String = INSIGHTS.split(' ').zip(line.split(' ')).map(pair).collect();
                    row.replacen("  - ", "- - ", 1)
                })
            ),
        ),
        of_text("grep with names", each(|line| format!("logs/a-1.log:{line}\n"))),
        of_text("grep with names and numbers", each(|line| format!("a.log:17:{line}\n"))),
        of_text("zgrep on headers too", table(HYPHENS, " ", plain).replace("\n", "\nx.log:").trim_end_matches("x.log:").to_owned()),
        of_text("syslog", each(|line| format!("Nov 18 11:06:40 host vpc[12]: {line}\n"))),
        of_text("syslog in brackets", each(|line| format!("[2026-11-18 11:06:40] <14> {line}\n"))),
        of_text("logfmt", each(|line| format!("level=info msg=\"{line}\" source=vpc\n"))),
        of_text("JSON of fields", json_records(&underscores)),
        of_text("JSON of Insights' fields", json_records(INSIGHTS)),
        of_text(
            "a JSON array of fields",
            json!(LINES.iter().map(|line| fields(HYPHENS, line)).collect::<Vec<_>>()).to_string(),
        ),
        of_text("Firehose to S3", lines_of(&|line| json!({ "message": line }))),
        of_text("Firehose to S3 without line ends", lines_of(&|line| json!({ "message": line })).replace('\n', "")),
        of_text("Firehose records", firehose(&|bytes| bytes.to_vec())),
        of_text("Firehose records in gzip", firehose(&gzip)),
        of_text(
            "a Kinesis event",
            json!({ "Records": [{ "kinesis": { "data": packed, "partitionKey": "1" }, "eventSource": "aws:kinesis" }] })
                .to_string(),
        ),
        of_text("Kinesis get-records", json!({ "Records": [{ "Data": packed, "PartitionKey": "1" }] }).to_string()),
        of_text("a subscription's event", json!({ "awslogs": { "data": packed } }).to_string()),
        of_text("envelopes without line ends", envelope().to_string()),
        of_text(
            "an SQS message",
            json!({ "Messages": [{ "MessageId": "1", "Body": envelope().to_string() }] }).to_string(),
        ),
        of_text("Splunk export", lines_of(&|line| json!({ "preview": false, "result": { "_raw": line, "_time": "x" } }))),
        of_text("Splunk CSV", format!("\"_raw\",\"_time\",host\n{}", each(|line| format!("\"{line}\",\"{time}\",x\n")))),
        of_text("Splunk collector", lines_of(&|line| json!({ "time": 1, "sourcetype": "aws", "event": line }))),
        of_text("Splunk collector with fields", lines_of(&|line| json!({ "event": fields(&underscores, line) }))),
        of_text(
            "OpenTelemetry",
            json!({ "resourceLogs": [{
                "resource": { "attributes": [{ "key": "name", "value": { "stringValue": "vpc" } }] },
                "scopeLogs": [{ "logRecords": LINES.iter().map(|line| json!({
                    "timeUnixNano": "1", "body": { "stringValue": line } })).collect::<Vec<_>>() }]
            }] })
            .to_string(),
        ),
        of_text("Elastic documents", lines_of(&|line| json!({ "@timestamp": "x", "event": { "original": line }, "message": line }))),
        of_text(
            "an Elastic search",
            json!({ "took": 3, "hits": { "total": { "value": 8 }, "hits": LINES.iter().map(|line| json!({
                "_index": "logs", "_source": { "message": line, "tags": ["vpc"] } })).collect::<Vec<_>>() } })
            .to_string(),
        ),
        of_text(
            "a Loki query",
            json!({ "data": { "result": [{ "stream": { "app": "vpc" }, "values":
                LINES.iter().map(|line| json!(["1795000000000000000", line])).collect::<Vec<_>>() }] } })
            .to_string(),
        ),
        of_text("a container's log", lines_of(&|line| json!({ "log": format!("{line}\n"), "stream": "stdout" }))),
        of_text(
            "two JSON shapes in one file",
            LINES
                .iter()
                .enumerate()
                .map(|(n, line)| if n % 2 == 0 { json!({ "message": line }) } else { json!({ "event": line }) })
                .map(|document| document.to_string() + "\n")
                .collect(),
        ),
        of_text(
            "JSON and text in one file",
            LINES
                .iter()
                .enumerate()
                .map(|(n, line)| if n % 2 == 0 { json!({ "message": line }).to_string() } else { (*line).to_owned() })
                .map(|line| line + "\n")
                .collect(),
        ),
        of_text(
            "text and JSON in one file",
            LINES
                .iter()
                .enumerate()
                .map(|(n, line)| if n % 2 == 1 { json!({ "message": line }).to_string() } else { (*line).to_owned() })
                .map(|line| line + "\n")
                .collect(),
        ),
        (
            "PowerShell's UTF-16",
            [0xFEFF].into_iter().chain(table(HYPHENS, " ", plain).encode_utf16()).flat_map(u16::to_le_bytes).collect(),
        ),
    ]
}

/// What the command line makes of a shape that lies at `path`, and what it should.
fn assert_read(name: &str, cli: &Cli) {
    let ran = cli.run();
    let diagnosis: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{name}: {e}: {}", ran.stderr));
    let coverage = &diagnosis["coverage"];
    let counts = ["records_read", "records_rejected", "files_failed"].map(|count| coverage[count].as_u64());
    assert_eq!(counts, [Some(8), Some(0), Some(0)], "{name}: {}", diagnosis["gaps"]);
    assert_eq!(diagnosis["nat_gateways"][0]["addresses"][0], "10.0.0.220", "{name}");
    assert_eq!(diagnosis["destinations"][0]["held"]["estimate"], 2, "{name}");
    assert_eq!(diagnosis["destinations"][0]["clients"][0]["bytes"], 2000, "{name}");
}

const ARGS: [&str; 5] = ["analyze", "--format", "json", "--flow-logs", "a"];

#[test]
fn every_shape_is_read_to_the_record_from_a_file() {
    for (name, bytes) in shapes() {
        assert_read(name, &Cli::new(ARGS).file("a", bytes));
    }
}

#[test]
fn every_shape_is_read_to_the_record_from_standard_input() {
    for (name, bytes) in shapes() {
        assert_read(name, &Cli::new(["analyze", "--format", "json", "--flow-logs", "-"]).input(bytes));
    }
}

#[test]
fn every_shape_is_read_to_the_record_compressed() {
    for (name, bytes) in shapes() {
        assert_read(name, &Cli::new(ARGS).file("a", gzip(&bytes)));
    }
}

#[test]
fn every_shape_is_read_to_the_record_among_other_files() {
    let alarm = std::fs::read(crate::support::checkout().join("events/alarm.json")).expect("there");
    for (name, bytes) in shapes() {
        let cli = Cli::new(["analyze", "--format", "json", "--flow-logs", "."])
            .file("m", bytes)
            .file("_SUCCESS", "")
            .file("aws-logs-write-test", "Permission Check Successful")
            .file("alarm.json", &alarm)
            .file("header.log", format!("{HYPHENS}\n"))
            .file(".DS_Store", "x")
            .file(
                "z-nodata.log",
                "2 123456789012 eni-0a0a0a0a0a0a0a0a0 - - - - - - - 1795000000 1795000050 - NODATA\n",
            );
        assert_read(name, &cli);
    }
}

#[test]
fn every_shape_given_twice_counts_once() {
    for (name, bytes) in shapes() {
        let cli = Cli::new(["analyze", "--format", "json", "--flow-logs", "a", "b.gz", "bare"])
            .file("a", &bytes)
            .file("b.gz", gzip(&bytes))
            .file("bare", LINES[2..].join("\n"));
        assert_read(name, &cli);
    }
}

#[test]
fn results_of_a_query_that_still_runs_are_a_part() {
    for status in ["Running", "Scheduled"] {
        let rows: Vec<Value> =
            LINES.iter().map(|line| json!([{ "field": "@message", "value": line }])).collect();
        let pairs = each(|line| format!("RESULTS\t@message\t{line}\n"));
        let yaml = each(|line| format!("- - field: '@message'\n    value: {line}\n"));
        for (shape, text) in [
            ("JSON", json!({ "queryLanguage": "CWLI", "results": rows, "status": status }).to_string()),
            ("text", format!("CWLI\t{status}\n{pairs}")),
            ("YAML", format!("queryLanguage: CWLI\nresults:\n{yaml}status: {status}\n")),
        ] {
            let ran = Cli::new(ARGS).file("a", text).run();
            let diagnosis: Value = serde_json::from_str(&ran.stdout).expect(shape);
            assert_eq!(diagnosis["coverage"]["records_read"], 8, "{shape}");
            assert_eq!(diagnosis["coverage"]["files_failed"], 1, "{shape}");
            let gaps = diagnosis["gaps"].to_string();
            assert!(gaps.contains(&format!("still {status}")), "{shape}: {gaps}");
            assert_eq!(ran.status, 2, "{shape}");
        }
    }
}

#[test]
fn the_seeds_of_the_fuzz_targets_are_the_shapes() {
    let folder = crate::support::checkout().join("fuzz/corpus/flow_logs");
    let update = std::env::var_os("UPDATE_SEEDS").is_some();
    for (name, bytes) in shapes() {
        let words: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let path = folder.join(words.to_lowercase());
        if update {
            std::fs::write(&path, &bytes).expect("written");
        }
        let seed = std::fs::read(&path).unwrap_or_default();
        assert!(seed == bytes, "{}: UPDATE_SEEDS=1 writes it anew", path.display());
    }
}

/// Counts what it gets.
#[derive(Default)]
struct Count(usize);

impl Sink for Count {
    fn record(&mut self, _: &FlowRecord<'_>) {
        self.0 += 1;
    }
}

fn read(bytes: Vec<u8>, format: Option<&str>) -> usize {
    let mut count = Count::default();
    let format = format.map(|text| text.parse::<LogFormat>().expect("a format"));
    let _ = Inputs::from_memory([("a".to_owned(), bytes)]).read(
        &Options { format, ..Options::default() },
        &|_| {},
        &mut count,
    );
    count.0
}

#[test]
fn no_byte_of_any_shape_makes_the_reader_panic_when_it_changes() {
    // Bytes that mean something to one of the readers, and some that mean nothing to any.
    const BYTES: &[u8] = b"\0\n\r\t ,;|\"'{}[]:-=\\2az\xFF\x1F\x28";
    let mut executions = 0;
    for (name, bytes) in shapes() {
        for place in 0..bytes.len().min(1500) {
            let mut changed = bytes.clone();
            changed[place] = BYTES[(place * 7 + executions) % BYTES.len()];
            assert!(read(changed, None) <= 2 * LINES.len(), "{name}, byte {place}");
            executions += 1;
        }
        for cut in (0..bytes.len()).step_by(7) {
            assert!(read(bytes[..cut].to_vec(), None) <= LINES.len(), "{name}, cut at {cut}");
            read(bytes[cut..].to_vec(), Some(INSIGHTS));
            executions += 2;
        }
    }
    assert!(executions > 50_000, "{executions} executions");
}

#[cfg(feature = "parquet")]
mod parquet {
    use super::*;

    /// Four legs of one connection and an interval without traffic, as AWS delivers them.
    fn file() -> Vec<u8> {
        std::fs::read(crate::support::checkout().join("tests/fixtures/flow-log.parquet")).expect("there")
    }

    #[test]
    fn parquet_is_read_from_a_file_standard_input_and_among_others() {
        for cli in [
            Cli::new(ARGS).file("a", file()),
            Cli::new(["analyze", "--format", "json", "--flow-logs", "-"]).input(file()),
            Cli::new(ARGS).file("a", gzip(&file())),
            Cli::new(["analyze", "--format", "json", "--flow-logs", "."])
                .file("m", file())
                .file("_SUCCESS", ""),
            Cli::new(["analyze", "--format", "json", "--flow-logs", "a", "b"])
                .file("a", file())
                .file("b", gzip(&file())),
        ] {
            let diagnosis: Value = serde_json::from_str(&cli.run().stdout).expect("a diagnosis");
            assert_eq!(diagnosis["coverage"]["records_read"], 4);
            assert_eq!(diagnosis["destinations"][0]["clients"][0]["address"], "10.0.1.47");
        }
    }

    #[test]
    fn no_byte_of_parquet_makes_the_reader_panic_when_it_changes() {
        let file = file();
        for place in (0..file.len()).step_by(3) {
            for byte in [0xFF, file[place] ^ 1] {
                let mut changed = file.clone();
                changed[place] = byte;
                read(changed, None);
            }
            read(file[..place].to_vec(), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_shapes_put_together_never_panic(
        pieces in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..400_usize), 1..12)
    ) {
        let shapes = shapes();
        let mut bytes = Vec::new();
        for (shape, place, length) in pieces {
            let (_, of) = shape.get(&shapes);
            let start = place.index(of.len());
            bytes.extend_from_slice(&of[start..(start + length).min(of.len())]);
        }
        read(bytes.clone(), None);
        read(bytes, Some(HYPHENS));
    }
}
