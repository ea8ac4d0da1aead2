//! What flow-log files are of: which gateway, if any, which minutes, and what damage in them concerns.

use serde_json::Value;

use crate::support::cli::{Cli, Ran};

const V5: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status tcp-flags pkt-srcaddr pkt-dstaddr";

const GATEWAYS: &str = "eni-0a0a0a0a0a0a0a0a0";
const OTHERS: &str = "eni-0b0b0b0b0b0b0b0b0";

/// When the records of these tests begin: 2025-12-01 01:00:00 UTC.
const BEGIN: i64 = 1_764_550_800;

/// One record of a format: which interface, from and to whom, with which ports, when.
fn v2(interface: &str, from: &str, to: &str, ports: &str, start: i64) -> String {
    format!("2 123456789012 {interface} {from} {to} {ports} 6 10 1000 {start} {} ACCEPT OK\n", start + 20)
}

/// The same with the packet's own ends, and the flags of a connection that began and ended.
fn v5(interface: &str, ends: [&str; 4], ports: &str, start: i64) -> String {
    let [from, to, packet_from, packet_to] = ends;
    format!(
        "5 123456789012 {interface} {from} {to} {ports} 6 10 1000 {start} {} ACCEPT OK 3 {packet_from} {packet_to}\n",
        start + 20
    )
}

/// A connection through the gateway at 10.0.0.10, all four legs, by its number.
fn connection(client: &str, server: &str, number: i64, start: i64) -> String {
    let (own, port) = (30_000 + number, 2_000 + number);
    let (out, back) = (format!("{own} 443"), format!("443 {own}"));
    v5(GATEWAYS, [client, "10.0.0.10", client, server], &out, start)
        + &v5(GATEWAYS, ["10.0.0.10", server, "10.0.0.10", server], &format!("{port} 443"), start)
        + &v5(GATEWAYS, [server, "10.0.0.10", server, "10.0.0.10"], &format!("443 {port}"), start)
        + &v5(GATEWAYS, ["10.0.0.10", client, server, client], &back, start)
}

/// A quarter of an hour of a gateway with little to do.
fn calm(begin: i64) -> String {
    let minutes = (0..15).flat_map(|minute| {
        ["203.0.113.10", "203.0.113.11"].map(|server| {
            connection(
                "10.0.1.47",
                server,
                minute + i64::from(server.ends_with('1')) * 50,
                begin + 60 * minute,
            )
        })
    });
    format!("{V5}\n{}", minutes.collect::<String>())
}

fn analyze<const N: usize>(args: [&str; N]) -> Cli {
    let mut all = vec!["analyze", "--format", "json"];
    all.extend(args);
    Cli::of(all)
}

fn diagnosis(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", ran.stdout, ran.stderr))
}

/// The diagnosis of one file.
fn of(content: impl AsRef<[u8]>) -> Value {
    diagnosis(&analyze(["--flow-logs", "a.log"]).file("a.log", content).run())
}

fn text(value: &Value) -> String {
    value.to_string()
}

#[test]
fn a_calm_quarter_of_an_hour_is_an_all_clear() {
    let calm = of(calm(BEGIN));
    assert_eq!(calm["verdict"], "not-supported", "{}", calm["gaps"]);
    assert_eq!(calm["nat_gateways"][0]["addresses"], serde_json::json!(["10.0.0.10"]));
}

#[test]
fn a_format_of_another_interface_says_nothing_of_the_gateways() {
    let alone = of(calm(BEGIN));
    let nodata = format!("2 123456789012 {OTHERS} - - - - - - - {BEGIN} {} - NODATA\n", BEGIN + 60);
    let client = v2(OTHERS, "10.0.1.47", "203.0.113.10", "30000 443", BEGIN);
    for other in [nodata, client] {
        let beside =
            analyze(["--flow-logs", "a.log", "b.log"]).file("a.log", calm(BEGIN)).file("b.log", other);
        let beside = diagnosis(&beside.run());
        for part in ["verdict", "pattern", "destinations", "coverage", "clients"] {
            assert_eq!(beside[part], alone[part], "{part}");
        }
    }
}

/// No record of these is of a NAT gateway at work, whoever else they are of.
#[test]
fn what_does_not_translate_is_no_gateway() {
    let instance = "eni-0c000000000000047";
    let calls_an_endpoint = v2(instance, "10.0.1.47", "10.0.9.9", "40000 443", BEGIN)
        + &v2(instance, "10.0.1.47", "203.0.113.10", "40001 443", BEGIN + 30);
    // It serves those inside on 443, and calls the outside on 443: much, or little.
    let serves = |calls: i64, served: i64| -> String {
        let asked = (0..served).flat_map(|n| {
            let port = 40_000 + n;
            [
                v2(instance, "10.0.2.5", "10.0.1.47", &format!("{port} 443"), BEGIN + n),
                v2(instance, "10.0.1.47", "10.0.2.5", &format!("443 {port}"), BEGIN + n),
            ]
        });
        let asks = (0..calls).flat_map(|n| {
            let port = 50_000 + n;
            [
                v2(instance, "10.0.1.47", "203.0.113.10", &format!("{port} 443"), BEGIN + n),
                v2(instance, "203.0.113.10", "10.0.1.47", &format!("443 {port}"), BEGIN + n),
            ]
        });
        asked.chain(asks).collect()
    };
    let known_by_its_clients = serves(10, 10)
        + &(0..10)
            .map(|n| v2(OTHERS, "10.0.2.5", "10.0.1.47", &format!("{} 443", 40_000 + n), BEGIN + n))
            .collect::<String>();
    let rejected = (v2(GATEWAYS, "10.0.1.47", "10.0.0.10", "40000 443", BEGIN)
        + &v2(GATEWAYS, "10.0.0.10", "203.0.113.10", "2000 443", BEGIN)
        + &v2(GATEWAYS, "203.0.113.10", "10.0.0.10", "443 2000", BEGIN)
        + &v2(GATEWAYS, "10.0.0.10", "10.0.1.47", "443 40000", BEGIN))
        .replace("ACCEPT", "REJECT");
    let one_side = v2(GATEWAYS, "10.0.1.47", "10.0.0.10", "40000 443", BEGIN)
        + &v2(GATEWAYS, "10.0.0.10", "203.0.113.10", "2000 443", BEGIN);
    // With packet addresses: the same server, and an appliance that passes on what it does not translate.
    let plain = |from, to, ports| v5(instance, [from, to, from, to], ports, BEGIN);
    let serves_and_calls = plain("10.0.2.5", "10.0.1.47", "40000 443")
        + &plain("10.0.1.47", "10.0.2.5", "443 40000")
        + &plain("10.0.1.47", "203.0.113.10", "50000 443")
        + &plain("203.0.113.10", "10.0.1.47", "443 50000");
    let passes_on = v5(instance, ["10.0.2.5", "10.0.1.47", "10.0.2.5", "203.0.113.10"], "40000 443", BEGIN)
        + &v5(instance, ["10.0.1.47", "203.0.113.10", "10.0.2.5", "203.0.113.10"], "40000 443", BEGIN);
    let pods = v5(instance, ["10.0.2.5", "10.0.1.47", "10.0.2.5", "10.0.1.99"], "40000 8080", BEGIN)
        + &v5(instance, ["10.0.1.47", "10.0.2.5", "10.0.1.99", "10.0.2.5"], "8080 40000", BEGIN)
        + &v5(instance, ["10.0.1.47", "203.0.113.10", "10.0.1.99", "203.0.113.10"], "41000 443", BEGIN);
    for (name, content) in [
        ("an instance that calls an endpoint", calls_an_endpoint),
        ("a server that calls the outside much", serves(100, 5)),
        ("a server that calls the outside little", serves(5, 100)),
        ("a server that its clients know", known_by_its_clients),
        ("rejected records", rejected),
        ("one side", one_side),
        ("a server, by packets", format!("{V5}\n{serves_and_calls}")),
        ("an appliance", format!("{V5}\n{passes_on}")),
        ("pods of a node", format!("{V5}\n{pods}")),
    ] {
        let diagnosis = of(content);
        assert_eq!(diagnosis["verdict"], "cannot-tell", "{name}");
        assert_eq!(
            diagnosis["nat_gateways"][0]["provenance"], "unknown",
            "{name}: {}",
            diagnosis["nat_gateways"]
        );
        let why = match name {
            "rejected records" => "every record says REJECT",
            _ => "there is no NAT gateway",
        };
        assert!(text(&diagnosis["gaps"]).contains(why), "{name}: {}", diagnosis["gaps"]);
        assert_eq!(diagnosis["clients"], serde_json::json!([]), "{name}");
    }
}

#[test]
fn in_the_default_format_a_gateway_is_told_by_all_four_legs() {
    let legs = v2(GATEWAYS, "10.0.1.47", "10.0.0.10", "40000 443", BEGIN)
        + &v2(GATEWAYS, "10.0.0.10", "203.0.113.10", "2000 443", BEGIN)
        + &v2(GATEWAYS, "203.0.113.10", "10.0.0.10", "443 2000", BEGIN)
        + &v2(GATEWAYS, "10.0.0.10", "10.0.1.47", "443 40000", BEGIN);
    // At its own interface the client's traffic is with the server.
    let clients = v2(OTHERS, "10.0.1.47", "203.0.113.10", "40000 443", BEGIN)
        + &v2(OTHERS, "203.0.113.10", "10.0.1.47", "443 40000", BEGIN);
    for content in [legs.clone(), format!("{legs}{clients}")] {
        assert_eq!(of(content)["nat_gateways"][0]["addresses"], serde_json::json!(["10.0.0.10"]));
    }
}

#[test]
fn a_private_gateway_is_told_by_the_packets_that_it_translates() {
    let diagnosis = of(format!("{V5}\n{}", connection("10.0.1.47", "192.168.7.7", 1, BEGIN)));
    assert_eq!(diagnosis["nat_gateways"][0]["addresses"], serde_json::json!(["10.0.0.10"]));
}

#[test]
fn a_filtered_log_does_not_name_the_gateway_as_its_client() {
    let filtered: String = (0..2)
        .flat_map(|n| {
            [
                v2(GATEWAYS, "10.0.0.10", "203.0.113.10", &format!("{} 443", 2000 + n), BEGIN),
                v2(GATEWAYS, "203.0.113.10", "10.0.0.10", &format!("443 {}", 2000 + n), BEGIN),
            ]
        })
        .collect();
    let diagnosis = of(&filtered);
    assert_eq!(
        (&diagnosis["verdict"], &diagnosis["clients"]),
        (&"cannot-tell".into(), &serde_json::json!([]))
    );
    let gaps = text(&diagnosis["gaps"]);
    assert!(gaps.contains("filtered on a destination") && gaps.contains("--nat-ip 10.0.0.10"), "{gaps}");
    // And the command that the gap gives works.
    let ran = analyze(["--flow-logs", "a.log", "--nat-ip", "10.0.0.10"]).file("a.log", &filtered).run();
    let named = self::diagnosis(&ran);
    assert_eq!(named["destinations"][0]["address"], "203.0.113.10");
    assert_eq!(named["destinations"][0]["clients"], serde_json::json!([]));
}

#[test]
fn a_log_that_was_filtered_on_a_client_confirms_nothing() {
    let all = connection("10.0.1.47", "203.0.113.10", 1, BEGIN);
    let filtered: String =
        all.lines().filter(|line| line.contains("10.0.1.47")).map(|line| format!("{line}\n")).collect();
    let diagnosis = of(format!("{V5}\n{filtered}"));
    assert_eq!(diagnosis["verdict"], "cannot-tell");
    assert_eq!(diagnosis["nat_gateways"][0]["addresses"], serde_json::json!(["10.0.0.10"]));
    assert_eq!(diagnosis["coverage"]["records_read"], 2);
    assert_eq!(diagnosis["destinations"][0]["clients"][0]["address"], "10.0.1.47");
    assert!(text(&diagnosis["gaps"]).contains("filtered on a client"), "{}", diagnosis["gaps"]);

    let v2: String = [
        v2(GATEWAYS, "10.0.1.47", "10.0.0.10", "40000 443", BEGIN),
        v2(GATEWAYS, "10.0.0.10", "10.0.1.47", "443 40000", BEGIN),
    ]
    .concat();
    let diagnosis = of(v2);
    assert!(
        text(&diagnosis["gaps"]).contains("10.0.0.10 takes traffic from inside"),
        "{}",
        diagnosis["gaps"]
    );
}

#[test]
fn one_destination_alone_is_no_all_clear_for_others() {
    let one: String = calm(BEGIN)
        .lines()
        .filter(|line| !line.contains("203.0.113.11"))
        .map(|line| format!("{line}\n"))
        .collect();
    let diagnosis = of(one);
    assert_eq!(diagnosis["verdict"], "cannot-tell");
    assert!(
        text(&diagnosis["gaps"]).contains("destinations other than 203.0.113.10"),
        "{}",
        diagnosis["gaps"]
    );
}

#[test]
fn a_transit_gateways_log_is_refused_by_name() {
    let header = "version resource-type account-id tgw-id tgw-attachment-id srcaddr dstaddr srcport dstport protocol packets bytes start end log-status flow-direction";
    let line = "6 TransitGateway 123456789012 tgw-0123456789abcdef0 tgw-attach-0123456789abcdef0 10.1.0.5 203.0.113.10 30000 443 6 10 1000 1764550800 1764550820 OK ingress";
    for content in [format!("{header}\n{line}\n"), format!("{line}\n")] {
        let ran = analyze(["--flow-logs", "a.log"]).file("a.log", &content).run();
        assert_eq!(ran.status, 1);
        assert!(ran.stderr.contains("transit gateway"), "{}", ran.stderr);
        let beside = analyze(["--flow-logs", "a.log", "b.log"])
            .file("a.log", calm(BEGIN))
            .file("b.log", &content)
            .run();
        let beside = diagnosis(&beside);
        assert_eq!(
            (&beside["verdict"], &beside["coverage"]["records_rejected"]),
            (&"not-supported".into(), &0.into())
        );
        assert!(text(&beside["gaps"]).contains("transit gateway"), "{}", beside["gaps"]);
    }
}

#[test]
fn records_without_traffic_tell_of_their_own_minutes() {
    let nodata = format!("2 123456789012 {GATEWAYS} - - - - - - - {BEGIN} {} - NODATA\n", BEGIN + 60);
    let diagnosis = of(nodata);
    assert_eq!(diagnosis["verdict"], "cannot-tell");
    assert_eq!(diagnosis["window"]["start"], "2025-12-01T01:00:00Z");
    assert!(!diagnosis.to_string().contains("1970"), "{diagnosis}");
}

#[test]
fn damage_counts_where_it_is_and_nowhere_else() {
    let skipped = |interface: &str, start: i64| {
        format!("2 123456789012 {interface} - - - - - - - {start} {} - SKIPDATA\n", start + 59)
    };
    let cut = |interface: &str, start: i64| {
        format!("2 123456789012 {interface} 10.0.1.47 10.0.0.10 {start} {start}\n")
    };
    let broken = &[0x1F_u8, 0x8B, 8, 0, 0, 0][..];
    let (now, earlier) = (BEGIN + 600, BEGIN - 86_400);
    let v2_header = crate::shapes::LINES[0];
    let of_others = v2(OTHERS, "10.0.1.47", "10.0.9.9", "40000 443", BEGIN) + v2_header + "\n";
    for (name, content, concerns) in [
        ("b.log", skipped(GATEWAYS, now), true),
        ("b.log", skipped(OTHERS, now), false),
        ("b.log", skipped(GATEWAYS, earlier), false),
        ("b.log", cut(GATEWAYS, now) + &of_others, true),
        ("b.log", cut(OTHERS, now) + &of_others, false),
        ("b.log", cut(GATEWAYS, earlier) + &of_others, false),
    ] {
        let ran =
            analyze(["--flow-logs", "a.log", name]).file("a.log", calm(BEGIN)).file(name, &content).run();
        let diagnosis = diagnosis(&ran);
        assert_eq!(ran.status, if concerns { 2 } else { 0 }, "{content}: {}", diagnosis["gaps"]);
    }
    for (name, concerns) in [
        ("export-eni-0a0a0a0a0a0a0a0a0-all-000000.gz", true),
        ("export-eni-0b0b0b0b0b0b0b0b0-all-000000.gz", false),
        ("1_vpcflowlogs_eu-west-1_fl-1_20251201T0105Z_1a2b.log.gz", true),
        ("1_vpcflowlogs_eu-west-1_fl-1_20251130T0105Z_1a2b.log.gz", false),
        ("anything.gz", true),
    ] {
        let ran = analyze(["--flow-logs", "a.log", name]).file("a.log", calm(BEGIN)).file(name, broken).run();
        let diagnosis = diagnosis(&ran);
        assert_eq!(ran.status, if concerns { 2 } else { 0 }, "{name}: {}", diagnosis["gaps"]);
        assert_eq!(diagnosis["coverage"]["files_failed"], i32::from(concerns), "{name}");
        assert!(text(&diagnosis["gaps"]).contains(name), "{name}: {}", diagnosis["gaps"]);
    }
}

#[test]
fn of_two_incidents_far_apart_the_fuller_one_is_looked_at() {
    let busy: String =
        (0..40).map(|n| connection("10.0.1.48", "203.0.113.77", 200 + n, BEGIN + 7_200 + 400)).collect();
    for content in
        [calm(BEGIN) + &busy + &calm(BEGIN + 7_200), busy.clone() + &calm(BEGIN + 7_200) + &calm(BEGIN)]
    {
        let diagnosis = of(format!("{V5}\n{content}"));
        assert_eq!(diagnosis["destinations"][0]["address"], "203.0.113.77");
        assert_eq!(diagnosis["window"]["start"], "2025-12-01T03:05:50Z");
        let gaps = text(&diagnosis["gaps"]);
        assert!(gaps.contains("the records are of times far apart"), "{gaps}");
        assert!(gaps.contains("--window 2025-12-01T01:00:00Z/2025-12-01T01:14:"), "{gaps}");
    }
}

#[test]
fn records_that_overlap_count_once() {
    let all = calm(BEGIN);
    let lines: Vec<&str> = all.lines().collect();
    let slice = |range: std::ops::Range<usize>| format!("{V5}\n{}\n", lines[range].join("\n"));
    let alone = of(&all);
    let ran = analyze(["--flow-logs", "a.log", "b.log", "c.log"])
        .file("a.log", slice(1..80))
        .file("b.log", slice(40..lines.len()))
        .file("c.log", slice(1..lines.len()))
        .run();
    let sliced = diagnosis(&ran);
    for part in ["verdict", "pattern", "destinations", "coverage", "clients", "window"] {
        assert_eq!(sliced[part], alone[part], "{part}");
    }
    assert!(text(&sliced["gaps"]).contains("records that came more than once"), "{}", sliced["gaps"]);
}

#[test]
fn records_beyond_those_remembered_at_first_count_once_too() {
    let all: String =
        (0..20_000).map(|n| connection("10.0.1.47", "203.0.113.10", n, BEGIN + n / 20)).collect();
    let ran = analyze(["--flow-logs", "a.log", "b.log"])
        .file("a.log", format!("{V5}\n{all}"))
        .file("b.log", format!("{V5}\n{all}"))
        .run();
    let twice = diagnosis(&ran);
    assert_eq!(twice["coverage"]["records_read"], 80_000);
    let gap = text(&twice["gaps"]);
    assert!(gap.contains("80,000 records had come before"), "{gap}");
}

#[test]
fn links_hidden_files_and_archives_are_named() {
    let cli = analyze(["--flow-logs", "."])
        .file("a.log", calm(BEGIN))
        .file(".hidden.log", "x")
        .file("b.zip", b"PK\x03\x04rest");
    #[cfg(unix)]
    std::os::unix::fs::symlink("..", cli.folder().join("link")).expect("made");
    let diagnosis = diagnosis(&cli.run());
    let gaps = text(&diagnosis["gaps"]);
    for named in [
        "./.hidden.log (hidden)",
        "a zip archive",
        "unzip ./b.zip -d ./b.zip.d",
        "./link (a link to a folder)",
    ] {
        assert!(gaps.contains(named), "{named}: {gaps}");
    }
    assert_eq!(diagnosis["coverage"]["files_failed"], 1);
}
