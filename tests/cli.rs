//! The command line's manners: the result alone on standard output, an exit status that tells, and
//! bad input that is named and never fatal while something is left.

use serde_json::Value;

use crate::support::cli::{Cli, Ran};
use crate::support::contract::assert_kept;

/// Two connections through a gateway, all four legs, in the default format.
const LINES: &str = "\
2 123456789012 eni-0123456789abcdef0 10.0.1.17 10.0.0.220 40001 443 6 10 1000 1795000000 1795000030 ACCEPT OK
2 123456789012 eni-0123456789abcdef0 10.0.0.220 203.0.113.10 1024 443 6 10 1000 1795000000 1795000030 ACCEPT OK
2 123456789012 eni-0123456789abcdef0 203.0.113.10 10.0.0.220 443 1024 6 10 1000 1795000000 1795000030 ACCEPT OK
2 123456789012 eni-0123456789abcdef0 10.0.0.220 10.0.1.17 443 40001 6 10 1000 1795000000 1795000030 ACCEPT OK
2 123456789012 eni-0123456789abcdef0 10.0.1.18 10.0.0.220 40002 443 6 10 1000 1795000010 1795000050 ACCEPT OK
2 123456789012 eni-0123456789abcdef0 10.0.0.220 203.0.113.10 1025 443 6 10 1000 1795000010 1795000050 ACCEPT OK
2 123456789012 eni-0123456789abcdef0 203.0.113.10 10.0.0.220 443 1025 6 10 1000 1795000010 1795000050 ACCEPT OK
2 123456789012 eni-0123456789abcdef0 10.0.0.220 10.0.1.18 443 40002 6 10 1000 1795000010 1795000050 ACCEPT OK
";

/// A quarter of an hour of a gateway with little to do, and two destinations: one connection a minute to each.
fn calm() -> String {
    let leg = |from: &str, to: &str, ports: &str, start: u32| {
        format!(
            "2 123456789012 eni-0123456789abcdef0 {from} {to} {ports} 6 10 1000 {start} {} ACCEPT OK\n",
            start + 30
        )
    };
    let mut lines = String::new();
    for minute in 0..15_u32 {
        let start = 1_795_000_000 + 60 * minute;
        for (server, port) in [("203.0.113.10", 1024 + minute), ("203.0.113.11", 2024 + minute)] {
            let own = port + 39_000;
            lines += &leg("10.0.1.17", "10.0.0.220", &format!("{own} 443"), start);
            lines += &leg("10.0.0.220", server, &format!("{port} 443"), start);
            lines += &leg(server, "10.0.0.220", &format!("443 {port}"), start);
            lines += &leg("10.0.0.220", "10.0.1.17", &format!("443 {own}"), start);
        }
    }
    lines
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", ran.stdout, ran.stderr))
}

fn gaps(diagnosis: &Value) -> String {
    diagnosis["gaps"].to_string()
}

#[test]
fn a_file_named_bundle_json_among_logs_replaces_nothing() {
    let bundle = r#"{"schema": "nat-triage.bundle.v1", "event": null, "incident": {}, "answers": []}"#;
    let cli = Cli::new(["analyze", "--flow-logs", ".", "--format", "json"]);
    let diagnosis = json(&cli.file("a.log", calm()).file("bundle.json", bundle).run());
    assert_eq!(diagnosis["coverage"]["records_read"], 120);
    assert_eq!(diagnosis["verdict"], "not-supported", "{}", gaps(&diagnosis));
}

#[test]
fn what_a_terminal_acts_on_reaches_neither_stream() {
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}]52;c;cm0=\u{7}\u{9b}2J\u{202e}";
    let context = serde_json::json!({ hostile: 1 }).to_string();
    let raw = format!("{{\"{hostile}\": 1}}");
    for (name, args) in [
        ("context.json", ["--flow-logs", "a.log", "--context", "context.json"]),
        ("event.json", ["--flow-logs", "a.log", "--event", "event.json"]),
        ("bundle.json", ["--bundle", "bundle.json", "--format", "json"]),
        ("b.log", ["--flow-logs", "b.log", "--format", "json"]),
        ("b.log", ["--flow-logs", "a.log", "b.log", "--output=-"]),
    ] {
        for text in [&context, &raw] {
            let cli =
                Cli::of(["analyze"].into_iter().chain(args)).file("a.log", calm()).file(name, text.clone());
            let ran = cli.run();
            for shown in [&ran.stdout, &ran.stderr] {
                let acts = |c: char| c != '\n' && nat_triage::words::is_unprintable(c);
                assert!(!shown.contains(acts), "{name}: {shown:?}");
            }
        }
    }
}

#[test]
fn the_gateway_is_told_from_the_records_where_nobody_names_it() {
    let ran = Cli::new(["analyze", "--flow-logs", "a.log", "--format", "json"]).file("a.log", calm()).run();
    let diagnosis = json(&ran);
    assert_eq!(diagnosis["nat_gateways"][0]["addresses"][0], "10.0.0.220");
    assert_eq!(diagnosis["nat_gateways"][0]["provenance"], "inferred");
    assert_eq!(diagnosis["destinations"][0]["address"], "203.0.113.10");
    assert_eq!(diagnosis["destinations"][0]["held"]["estimate"], 3);
}

#[test]
fn without_a_window_it_begins_when_records_tell_what_was_held() {
    let ran = Cli::new(["analyze", "--flow-logs", "a.log", "--format", "json"]).file("a.log", calm()).run();
    let diagnosis = json(&ran);
    assert_eq!(
        (ran.status, &diagnosis["verdict"]),
        (0, &Value::from("not-supported")),
        "{}",
        gaps(&diagnosis)
    );
    assert_eq!(diagnosis["coverage"]["complete"], true);
    // The first record is of 11:06:40, and an idle connection holds its port for 350 s.
    assert_eq!(diagnosis["window"]["start"], "2026-11-18T11:12:30Z");
    assert!(
        gaps(&diagnosis).contains("what was held from 2026-11-18 11:06:40 to 11:12:30 UTC on"),
        "{}",
        gaps(&diagnosis)
    );
}

#[test]
fn a_minute_of_records_is_no_all_clear() {
    let ran = Cli::new(["analyze", "--flow-logs", "a.log", "--format", "json"]).file("a.log", LINES).run();
    let diagnosis = json(&ran);
    assert_eq!((ran.status, &diagnosis["verdict"]), (2, &Value::from("cannot-tell")));
    let held = &diagnosis["destinations"][0]["held"];
    assert_eq!((&held["at_least"], &held["at_most"]), (&Value::from(2), &Value::from(55_000)));
    assert_eq!(diagnosis["destinations"][0]["timeline"][0]["held_at_most"], 55_000);
    assert!(
        gaps(&diagnosis).contains("ports that were last used before the records begin"),
        "{}",
        gaps(&diagnosis)
    );
}

#[test]
fn a_minute_of_the_sample_says_nothing_of_what_was_before() {
    let sample = std::fs::read(crate::support::checkout().join("samples/leak.log.zst")).expect("there");
    let text = String::from_utf8(zstd::decode_all(&sample[..]).expect("zstd")).expect("text");
    // 02:10:40 to 02:11:41 of 18 November 2026.
    let minute = 1_794_967_840..1_794_967_901;
    let starts = |line: &&str| {
        line.split(' ').any(|word| word.parse().is_ok_and(|second: i64| minute.contains(&second)))
    };
    let header = text.lines().next().expect("a header");
    let lines: Vec<&str> = [header].into_iter().chain(text.lines().skip(1).filter(starts)).collect();
    assert!(lines.len() > 10_000, "{}", lines.len());
    let ran = Cli::new(["analyze", "--flow-logs", "-", "--format", "json"]).input(lines.join("\n")).run();
    let diagnosis = json(&ran);
    assert_eq!(
        (ran.status, &diagnosis["verdict"]),
        (2, &Value::from("cannot-tell")),
        "{}",
        diagnosis["headline"]
    );
    assert_eq!(diagnosis["destinations"][0]["held"]["at_most"], 55_000);
}

#[test]
fn standard_output_carries_only_the_result() {
    let ran = Cli::new(["analyze", "--flow-logs", "-", "--format", "sms"]).input(LINES).run();
    assert_eq!(ran.stderr, "");
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
    assert!(ran.stdout.len() <= 141, "{}", ran.stdout);
}

#[cfg(unix)]
#[test]
fn a_terminal_gets_colours_only_where_they_are_wanted() {
    let cli = Cli::on_sample([]);
    let coloured = cli.on_terminal(&[]);
    assert!(coloured.starts_with("\u{1b}[1m\u{1b}[31m203.0.113.10:443 is full"), "{coloured}");
    assert!(coloured.contains("02:08    25,036 ██████████████████"), "{coloured}");
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let plain = cli.on_terminal(&[variable]);
        assert!(plain.starts_with("203.0.113.10:443 is full") && !plain.contains('\u{1b}'), "{plain}");
    }
    let piped = cli.run().stdout;
    assert!(!piped.contains(['\u{1b}', '█']) && piped.contains("02:08 ######### 25,036"), "{piped}");
}

#[test]
fn every_format_is_printed_and_written_to_a_file_alike() {
    for (format, begins) in [
        ("text", "No destination was near its limit"),
        ("json", "{"),
        ("html", "<!doctype html>"),
        ("markdown", "# No destination was near its limit"),
        ("sms", "NAT gateway: no destination near its limit"),
        ("chat", "{\"content\":"),
    ] {
        let args = ["analyze", "--flow-logs", "a.log", "--format", format];
        let printed = Cli::new(args).file("a.log", calm()).run();
        assert_eq!((printed.status, printed.stderr.as_str()), (0, ""), "{format}");
        assert!(printed.stdout.starts_with(begins), "{format}: {}", printed.stdout);
        assert!(printed.stdout.ends_with('\n') && !printed.stdout.ends_with("\n\n"), "{format}");
        let cli = Cli::new(["analyze", "--flow-logs", "a.log", "--format", format, "--output", "report"])
            .file("a.log", calm());
        assert_eq!(cli.run().stdout, "", "{format}");
        let written = std::fs::read_to_string(cli.folder().join("report")).expect("written");
        assert!(written == printed.stdout, "{format}");
    }
}

#[test]
fn the_result_goes_to_a_file_when_asked() {
    let cli = Cli::new(["analyze", "--flow-logs", "a.log", "--output", "report.txt"]).file("a.log", LINES);
    let ran = cli.run();
    assert_eq!(ran.stdout, "");
    let report = std::fs::read_to_string(cli.folder().join("report.txt")).expect("written");
    assert!(report.contains("203.0.113.10:443/tcp"), "{report}");
}

#[test]
fn an_unusable_file_is_a_failure_that_says_what_to_do() {
    let empty = Cli::new(["analyze", "--flow-logs", "a.log"]).file("a.log", "").run();
    let missing = Cli::new(["analyze", "--flow-logs", "nowhere.log"]).run();
    let foreign =
        Cli::new(["analyze", "--flow-logs", "a.log"]).file("a.log", "GET / HTTP/1.1\n".repeat(50)).run();
    for (ran, word) in [(&empty, "empty"), (&missing, "nowhere.log"), (&foreign, "--log-format")] {
        assert_eq!(ran.status, 1, "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
}

#[test]
fn lines_of_the_wrong_length_are_counted_named_and_passed_over() {
    let ran = Cli::new(["analyze", "--flow-logs", "a.log", "--format", "json"])
        .file("a.log", format!("{LINES}2 123456789012 eni-0123456789abcdef0 10.0.1.18\n"))
        .run();
    let diagnosis = json(&ran);
    assert_eq!(ran.status, 2);
    assert_eq!(diagnosis["coverage"]["records_rejected"], 1);
    assert!(gaps(&diagnosis).contains("a.log"), "{}", gaps(&diagnosis));
    assert_eq!(diagnosis["destinations"][0]["held"]["estimate"], 2);
}

#[test]
fn a_lost_file_among_good_ones_is_a_gap() {
    let ran = Cli::new(["analyze", "--flow-logs", "a.log", "b.log", "--format", "json"])
        .file("a.log", LINES)
        .file("b.log", [0x1F, 0x8B, 8, 0, 0, 0])
        .run();
    let diagnosis = json(&ran);
    assert_eq!((ran.status, &diagnosis["coverage"]["files_failed"]), (2, &Value::from(1)), "{}", ran.stderr);
    assert!(gaps(&diagnosis).contains("the file b.log"), "{}", gaps(&diagnosis));
}

#[test]
fn records_without_traffic_do_not_disturb() {
    let nothing = "2 123456789012 eni-0123456789abcdef0 - - - - - - - 1795000000 1795000050 - NODATA\n";
    let skipped = nothing.replace("NODATA", "SKIPDATA");
    let ran = Cli::new(["analyze", "--flow-logs", "a.log", "--format", "json"])
        .file("a.log", format!("{LINES}{nothing}{skipped}"))
        .run();
    let diagnosis = json(&ran);
    assert_eq!(diagnosis["coverage"]["skipdata"], 1);
    assert_eq!(diagnosis["verdict"], "cannot-tell");
    assert!(gaps(&diagnosis).contains("SKIPDATA"), "{}", gaps(&diagnosis));
}

#[test]
fn a_gateway_that_no_record_shows_leaves_the_question_open() {
    let ran = Cli::new(["analyze", "--flow-logs", "a.log", "--nat-ip", "10.9.9.9", "--format", "json"])
        .file("a.log", LINES)
        .run();
    let diagnosis = json(&ran);
    assert_eq!((ran.status, &diagnosis["verdict"]), (2, &Value::from("cannot-tell")));
    assert!(gaps(&diagnosis).contains("--nat-ip"), "{}", gaps(&diagnosis));
}

#[test]
fn a_client_is_called_what_its_own_interface_says() {
    let format = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status instance-id instance-tag";
    let gateways = LINES.lines().map(|line| format!("{line} - -"));
    let clients = [
        "2 123456789012 eni-0aaaaaaaaaaaaaaaa 10.0.1.17 203.0.113.10 40001 443 6 10 1000 1795000010 1795000050 ACCEPT OK i-0abc check%2Dout",
        "2 123456789012 eni-0aaaaaaaaaaaaaaaa 203.0.113.10 10.0.1.17 443 40001 6 10 1000 1795000010 1795000050 ACCEPT OK i-0abc check%2Dout",
    ];
    let lines: Vec<String> = gateways.chain(clients.map(str::to_owned)).collect();
    let ran = Cli::new(["analyze", "--flow-logs", "a.log", "--nat-ip", "10.0.0.220", "--log-format", format])
        .file("a.log", lines.join("\n"))
        .run();
    assert!(ran.stdout.contains("Then: i-0abc, tagged check-out"), "{}", ran.stdout);
}

#[test]
fn a_custom_format_without_a_header_needs_its_fields_named() {
    let line = |port| format!("10.0.1.17 10.0.0.220 {port} 443 6 1795000000 1795000030\n");
    let line = [40_001, 40_002, 40_003].map(line).concat();
    let lost = Cli::new(["analyze", "--flow-logs", "a.log"]).file("a.log", &line).run();
    assert_eq!(lost.status, 1);
    assert!(lost.stderr.contains("--log-format"), "{}", lost.stderr);
    let named = Cli::new([
        "analyze",
        "--flow-logs",
        "a.log",
        "--log-format",
        "${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${start} ${end}",
        "--nat-ip",
        "10.0.0.220",
        "--format",
        "json",
    ])
    .file("a.log", &line)
    .run();
    assert_eq!(json(&named)["coverage"]["records_read"], 3, "{}", named.stderr);
}

#[test]
fn an_alarm_that_ended_is_ignored_with_a_reason() {
    let event = std::fs::read(crate::support::checkout().join("events/alarm-ok.json")).expect("there");
    let ran = Cli::new(["analyze", "--flow-logs", "a.log", "--event", "ok.json"])
        .file("a.log", LINES)
        .file("ok.json", event)
        .run();
    assert_eq!(ran.status, 0);
    assert!(ran.stdout.starts_with("Ignored: "), "{}", ran.stdout);
}

#[test]
fn an_event_that_is_no_alarm_says_what_was_expected() {
    let ran = Cli::new(["analyze", "--flow-logs", "a.log", "--event", "e.json"])
        .file("a.log", LINES)
        .file("e.json", "{}")
        .run();
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("expected"), "{}", ran.stderr);
}

#[test]
fn a_misspelt_option_fails_and_help_does_not() {
    assert_eq!(Cli::new(["analyze", "--flowlogs", "x"]).run().status, 1);
    assert_eq!(Cli::new(["analyze", "--nat-id", "nat-x; reboot", "--flow-logs", "x"]).run().status, 1);
    assert_eq!(Cli::new(["--help"]).run().status, 0);
}

#[test]
fn the_sql_for_athena_is_printed_where_a_table_is_named() {
    let asked = |table: &'static str| {
        let window = "2026-11-18T02:00:00Z/2026-11-18T02:14:00Z";
        Cli::new(["queries", "--nat-ip", "10.0.0.220", "--window", window, "--athena-table", table]).run()
    };
    let ran = asked("logs.vpc_flow_logs");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let (_, sql) = ran.stdout.split_once("-- The partitions").expect("the SQL");
    let statements: String =
        sql.lines().skip(1).filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    let statements: Vec<&str> = statements.split_terminator(';').map(str::trim).collect();
    assert_eq!(statements.len(), 4, "{sql}");
    for statement in statements {
        assert!(statement.starts_with("WITH q0 AS ("), "{statement}");
        assert!(statement.contains(r#"FROM "logs"."vpc_flow_logs""#), "{statement}");
        assert!(statement.contains("ntSrcaddr in ('10.0.0.220')"), "{statement}");
    }
    assert_eq!(asked("logs.vpc;drop").status, 1);
}

#[test]
fn the_queries_that_would_be_run_can_be_read_and_run() {
    let ran = Cli::new([
        "queries",
        "--nat-ip",
        "10.0.0.220",
        "--eni",
        "eni-0123456789abcdef0",
        "--window",
        "2026-11-18T02:00:00Z/2026-11-18T02:14:00Z",
    ])
    .run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let questions: Vec<&str> = ran.stdout.split("# Question ").skip(1).collect();
    assert_eq!(questions.len(), nat_triage::evidence::insights::Rung::ALL.len());
    for question in questions {
        insights_server::Query::parse(&format!("# {question}")).expect("a query, with comments above it");
    }
}

#[test]
fn the_samples_full_destination_is_found_beside_a_busier_one() {
    let ran = Cli::on_sample(["--format", "json"]).run();
    let diagnosis = json(&ran);
    let destinations = diagnosis["destinations"].as_array().expect("a list");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(diagnosis["verdict"], "confirmed");
    assert_eq!(diagnosis["pattern"], "leak");
    assert_eq!(destinations[0]["address"], "203.0.113.10");
    let busier = destinations[1..].iter().any(|d| d["bytes"].as_u64() > destinations[0]["bytes"].as_u64());
    assert!(busier, "no innocent destination is heavier");
    let remedies: Vec<&str> =
        diagnosis["remedies"].as_array().expect("a list").iter().filter_map(|r| r["id"].as_str()).collect();
    assert_eq!(remedies, ["limit-connections-per-client", "add-nat-addresses", "close-idle-connections"]);
}

#[test]
fn a_client_that_is_named_as_the_gateway_is_not_taken_for_one() {
    let ran = Cli::on_sample(["--nat-ip", "10.0.1.47", "--format", "json"]).run();
    let diagnosis = json(&ran);
    assert_eq!(
        (ran.status, &diagnosis["verdict"]),
        (2, &Value::from("cannot-tell")),
        "{}",
        diagnosis["headline"]
    );
    assert!(gaps(&diagnosis).contains("10.0.0.220"), "{}", gaps(&diagnosis));
}

#[test]
fn files_of_other_minutes_say_which_they_hold_and_whose() {
    let ran = Cli::new([
        "analyze",
        "--flow-logs",
        "a.log",
        "--window",
        "2020-01-01T00:00:00Z/2020-01-01T00:10:00Z",
    ])
    .file("a.log", LINES)
    .run();
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    let text = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("records of 2026-11-18 11:06:40 to 11:07:30 UTC"), "{text}");
    assert!(text.contains("a NAT gateway (eni-0123456789abcdef0, 10.0.0.220)"), "{text}");
}

#[test]
fn a_file_that_is_cut_short_is_no_all_clear() {
    let sample = std::fs::read(crate::support::checkout().join("samples/leak.log.zst")).expect("there");
    let ran = Cli::new(["analyze", "--flow-logs", "cut.log.zst", "--format", "json"])
        .file("cut.log.zst", &sample[..sample.len() / 5])
        .run();
    let diagnosis = json(&ran);
    assert_eq!(diagnosis["coverage"]["complete"], false);
    assert_eq!(diagnosis["verdict"], "cannot-tell", "{}", diagnosis["headline"]);
    assert!(gaps(&diagnosis).contains("cut short"), "{}", gaps(&diagnosis));
}

#[test]
fn records_without_a_time_make_no_window() {
    let nothing = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n2 123456789012 eni-0123456789abcdef0 - - - - - - - - - - NODATA\n";
    let ran = Cli::new(["analyze", "--flow-logs", "a.log"]).file("a.log", nothing).run();
    assert!(ran.stdout.contains("Window: at a time that no record tells"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn an_alarm_and_a_gateway_that_disagree_are_an_error() {
    let ran = Cli::on_sample(["--nat-id", "nat-0deadbeefdeadbeef"]).run();
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr.contains("nat-0deadbeefdeadbeef") && ran.stderr.contains("nat-0a1b2c3d4e5f60718"),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_unknown_field_of_a_context_is_an_error_that_names_it() {
    let run = |context: &str| {
        Cli::new(["analyze", "--flow-logs", "a.log", "--context", "c.json"])
            .file("a.log", calm())
            .file("c.json", context)
            .run()
    };
    let misspelt = run(r#"{"route_table": []}"#);
    assert_eq!(misspelt.status, 1);
    assert!(misspelt.stderr.contains("route_table"), "{}", misspelt.stderr);
    assert!(run("").stderr.contains("empty"));
    let active = r#"{"metrics": [{"name": "ActiveConnectionCount", "statistic": "Maximum", "value": 2}]}"#;
    assert_eq!(run(active).status, 0, "{}", run(active).stderr);
}

/// What `nat-triage triage` with these options says in a house without a metadata service, whose AWS
/// configuration file is `settings`: its exit status and standard error.
#[cfg(feature = "aws")]
fn triaged_with(settings: &str, options: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let home = tempfile::tempdir().expect("made");
    std::fs::write(home.path().join("config"), settings).expect("written");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_nat-triage"))
        .args(["triage", "--event"])
        .arg(crate::support::checkout().join("events/alarm.json"))
        .args(options)
        .env_clear()
        .envs([
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ])
        .env("HOME", home.path())
        .env("AWS_CONFIG_FILE", home.path().join("config"))
        .envs(variables.iter().copied())
        .output()
        .expect("nat-triage starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[cfg(feature = "aws")]
#[test]
fn triage_without_credentials_says_so_in_one_line() {
    let (status, told) = triaged_with("", &[], &[]);
    assert_eq!(status, Some(1), "{told}");
    assert!(
        told.contains("there are no AWS credentials") && told.contains("aws sts get-caller-identity"),
        "{told}"
    );
    assert_eq!(told.lines().filter(|line| line.contains("credentials")).count(), 1, "{told}");
}

#[cfg(feature = "aws")]
#[test]
fn a_profile_that_is_not_there_is_not_replaced_by_other_keys() {
    let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    let (status, told) = triaged_with("", &["--profile", "elsewhere"], &keys);
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("there are no AWS credentials") && told.contains("elsewhere"), "{told}");
}

/// Profiles as people have them.
#[cfg(feature = "login")]
const PROFILES: &str = "[profile night]
sso_session = house
sso_account_id = 123456789012
sso_role_name = ReadOnly
[sso-session house]
sso_region = eu-west-1
sso_start_url = https://house.example/start
sso_registration_scopes = sso:account:access
[profile from-program]
credential_process = /bin/echo '{\"Version\": 1, \"AccessKeyId\": \"test\", \"SecretAccessKey\": \"test\"}'
";

#[cfg(feature = "login")]
#[test]
fn a_login_that_ended_names_the_command_that_renews_it() {
    for (options, variables) in [(&["--profile", "night"][..], &[][..]), (&[], &[("AWS_PROFILE", "night")])] {
        let (status, told) = triaged_with(PROFILES, options, variables);
        assert_eq!(status, Some(1), "{told}");
        assert!(told.contains("log in again: aws sso login --profile night"), "{told}");
    }
}

#[cfg(feature = "login")]
#[test]
fn the_credentials_of_a_profile_may_come_from_a_program() {
    let (_, told) = triaged_with(PROFILES, &["--profile", "from-program"], &[]);
    assert!(!told.contains("credentials"), "{told}");
}

#[test]
fn an_event_can_come_on_standard_input() {
    let event = std::fs::read(crate::support::checkout().join("events/alarm-ok.json")).expect("there");
    let cli = Cli::new(["analyze", "--flow-logs", "a.log", "--event", "-"]).file("a.log", LINES).input(event);
    assert!(cli.run().stdout.starts_with("Ignored: "));
    let twice = Cli::new(["analyze", "--flow-logs", "-", "--event", "-"]).run();
    assert!(twice.stderr.contains("read once"), "{}", twice.stderr);
}

#[test]
fn where_nothing_was_wrong_nothing_has_to_be_done_first() {
    let ran = Cli::new(["analyze", "--flow-logs", "a.log"]).file("a.log", calm()).run();
    assert!(ran.stdout.contains("Not supported") && !ran.stdout.contains("Do first"), "{}", ran.stdout);
}

/// What the repository holds of a schema is what the program makes; with `UPDATE_SCHEMA` set, it is
/// written.
fn assert_written(name: &str, schema: &str) {
    let path = crate::support::checkout().join("docs").join(name);
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, schema).expect("written");
    } else {
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(written, schema, "docs/{name} is old: run UPDATE_SCHEMA=1 cargo test schema");
    }
}

#[test]
fn the_schema_of_a_context_is_that_of_what_is_read() {
    assert_written("context.schema.json", &nat_triage::report::schema::context());
}

#[test]
fn the_json_is_what_its_schema_says() {
    assert_written("diagnosis.v1.schema.json", &nat_triage::report::schema::schema());
    assert_written("trouble.v1.schema.json", &nat_triage::report::schema::trouble());
    assert_written("warning.v1.schema.json", &nat_triage::report::schema::warning());
    let ran = Cli::new(["analyze", "--flow-logs", "a.log", "--format", "json"]).file("a.log", LINES).run();
    assert_kept(&json(&ran), "by the command line");
}

#[test]
fn a_drill_that_is_read_from_a_file_is_answered_as_one() {
    let context = r#"{"metrics": [{"name": "ErrorPortAllocation", "statistic": "Sum", "value": 0.0}]}"#;
    let event =
        std::fs::read(crate::support::checkout().join("events/alarm-no-reason-data.json")).expect("there");
    let ran = Cli::new(["analyze", "--flow-logs", "a.log", "--event", "e.json", "--context", "c.json"])
        .file("a.log", LINES)
        .file("e.json", event)
        .file("c.json", context)
        .run();
    assert!(ran.stdout.starts_with("TEST: "), "{}{}", ran.stdout, ran.stderr);
}
