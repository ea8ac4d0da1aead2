//! What each clause of the language promises, through `Query` alone.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use insights_server::{LogEvent, LogGroup, LogGroupClass, Output, Query, RunError, Store, Window};

const GROUP: &str = "flow";

fn store(messages: &[&str]) -> Store {
    let store = Store::new();
    let events = messages.iter().enumerate().map(|(at, message)| LogEvent::new(1000 * at as i64, *message));
    store.add_events(GROUP, "stream-a", events);
    store
}

fn run_on(store: &Store, query: &str) -> Output {
    Query::parse(query)
        .unwrap_or_else(|problem| panic!("{query}: {problem}"))
        .run(store, &[GROUP], Window::ALL)
        .unwrap()
}

/// Rows as `a=1 b=2`, without `@ptr`.
fn lines(output: &Output) -> Vec<String> {
    let line = |row: &Vec<(String, String)>| {
        let fields =
            row.iter().filter(|(name, _)| name != "@ptr").map(|(name, value)| format!("{name}={value}"));
        fields.collect::<Vec<_>>().join(" ")
    };
    output.rows.iter().map(line).collect()
}

fn rows(messages: &[&str], query: &str) -> Vec<String> {
    lines(&run_on(&store(messages), query))
}

/// The one value an expression has for a record whose fields a, b and c are the message's words.
fn value(message: &str, expression: &str) -> String {
    let query = format!("parse @message \"* * *\" as a, b, c | fields {expression} as x");
    rows(&[message], &query).remove(0).trim_start_matches("x=").to_owned()
}

fn holds(message: &str, condition: &str) -> bool {
    value(message, &format!("if({condition}, 'yes', 'no')")) == "yes"
}

#[test]
fn arithmetic_takes_text_that_looks_like_a_number() {
    assert_eq!(value("7 2 x", "a + b * 10 - 1"), "26");
    assert_eq!(value("7 2 x", "a / b"), "3.5");
    assert_eq!(value("7 2 x", "a % b"), "1");
    assert_eq!(value("7 2 x", "2 ^ 3 ^ b"), "512");
    assert_eq!(value("7 2 x", "-a"), "-7");
    for missing in ["a + c", "a / 0", "c ^ 0", "sqrt(-a)", "0 % 0", "-c"] {
        assert_eq!(value("7 2 x", missing), "", "{missing}");
    }
}

#[test]
fn comparisons_with_a_missing_or_non_numeric_side_do_not_hold() {
    for condition in ["a = 7", "a = '7'", "a < 10", "a >= b", "b != a", "c = 'x'", "c > 'a'", "c != 'y'"] {
        assert!(holds("7 2 x", condition), "{condition}");
    }
    // As text "10" would come before "9".
    assert!(holds("9 10 x", "a < b"));
    for condition in ["c = 7", "c != 7", "c < 7", "c >= 7", "c + 1 != 0", "a > c"] {
        assert!(!holds("7 2 x", condition), "{condition}");
    }
    // No third word: nothing is parsed.
    for condition in
        ["a = 7", "a != 7", "a in [7]", "a not in [8]", "a like '7'", "a not like '8'", "ispresent(a)"]
    {
        assert!(!holds("7 2", condition), "{condition}");
    }
    assert!(holds("7 2", "not a = 7"));
}

#[test]
fn in_looks_up_texts_and_numbers() {
    assert!(holds("7 2 x", "a in [1, 7]"));
    assert!(holds("7 2 x", "a in ['7', 'y']"));
    assert!(holds("7 2 x", "a + 0 in ['7']"));
    assert!(holds("7 2 x", "c not in ['y', 7]"));
    assert!(holds("-7 2 x", "a in [-7]"));
    assert!(!holds("7 2 x", "c in ['xx']"));
}

#[test]
fn like_is_a_case_sensitive_substring_or_a_regular_expression() {
    assert!(holds("eni-0abc 2 x", "a like 'i-0a'"));
    assert!(!holds("eni-0abc 2 x", "a like 'ENI'"));
    assert!(holds("eni-0abc 2 x", "a like /^eni-[0-9a-f]+$/"));
    assert!(holds("eni-0abc 2 x", "a =~ /(?i)ENI/"));
    assert!(holds("eni-0abc 2 x", "a not like /^eni-$/"));
}

#[test]
fn if_and_case_choose_a_value() {
    assert_eq!(value("7 2 x", "if(a > b, 'more', 'less')"), "more");
    assert_eq!(value("7 2 x", "case(a = 1, 'one', a = 7, c, 'none')"), "x");
    assert_eq!(value("7 2 x", "case(a = 1, 'one', 'none')"), "none");
}

#[test]
fn numeric_functions_compute() {
    assert_eq!(value("-7.5 2 x", "abs(a)"), "7.5");
    assert_eq!(value("-7.5 2 x", "ceil(a)"), "-7");
    assert_eq!(value("-7.5 2 x", "floor(a)"), "-8");
    assert_eq!(value("-7.5 2 x", "toInt(a)"), "-7");
    assert_eq!(value("-7.5 2 x", "toNumber(a) + 1"), "-6.5");
    assert_eq!(value("16 2 x", "sqrt(a)"), "4");
    assert_eq!(value("7 2 x", "greatest(a, b, 3)"), "7");
    assert_eq!(value("7 2 x", "least(a, b, 3)"), "2");
    assert_eq!(value("7 2 x", "least(a, c)"), "");
}

#[test]
fn text_functions_compute() {
    assert_eq!(value("é 2 x", "strlen(a)"), "1");
    assert_eq!(value("ab 2 x", "concat(a, '-', c)"), "ab-x");
    assert_eq!(value("ab 2 x", "strcontains(a, 'b')"), "1");
    assert_eq!(value("ab 2 x", "strcontains(a, c)"), "0");
}

#[test]
fn coalesce_takes_the_first_field_that_is_there() {
    let query =
        "parse @message \"a=*;\" as a | parse @message \"b=*;\" as b | fields coalesce(a, b) as x | sort x";
    assert_eq!(rows(&["a=1;b=2;", "b=3;", "c"], query), ["x=1", "x=3", ""]);
}

#[test]
fn address_functions_go_by_the_address_and_not_by_its_text() {
    for (address, condition, expected) in [
        ("10.0.0.22", "isIpv4InSubnet(a, '10.0.0.0/24')", true),
        ("10.0.0.220", "isIpInSubnet(a, '10.0.0.22/32')", false),
        ("2001:db8::1", "isIpv6InSubnet(a, '2001:db8::/32')", true),
        ("2001:db8::1", "isIpInSubnet(a, '10.0.0.0/8')", false),
        ("-", "isIpInSubnet(a, '0.0.0.0/0')", false),
        ("10.0.0.22", "isPrivateIP(a)", true),
        ("100.64.0.1", "isPrivateIP(a)", false),
        ("10.0.0.22", "isValidIpV4(a) and isValidIp(a) and not isValidIpV6(a)", true),
        ("10.0.0.256", "isValidIp(a)", false),
    ] {
        assert_eq!(holds(&format!("{address} 2 x"), condition), expected, "{address} {condition}");
    }
}

#[test]
fn time_functions_round_to_the_period_and_print_as_dates() {
    let messages = ["a"; 130];
    let query = "stats count(*) as n by bin(1m) as minute | sort minute";
    assert_eq!(
        rows(&messages, query),
        [
            "minute=1970-01-01 00:00:00.000 n=60",
            "minute=1970-01-01 00:01:00.000 n=60",
            "minute=1970-01-01 00:02:00.000 n=10"
        ]
    );
    let query =
        "stats max(@timestamp) as t | fields datefloor(t, 1h) as f, dateceil(t, 1h) as c | display t, f, c";
    assert_eq!(rows(&messages, query), ["t=129000 f=1970-01-01 00:00:00.000 c=1970-01-01 01:00:00.000"]);
    let query = Query::parse("fields queryStartTime() as s, queryEndTime() as e | limit 1").unwrap();
    let window = Window { start_seconds: 0, end_seconds: 60 };
    assert_eq!(lines(&query.run(&store(&["a"]), &[GROUP], window).unwrap()), ["s=0 e=60000"]);
}

#[test]
fn a_glob_without_a_match_keeps_the_event() {
    let query = "parse @message \"* *\" as a, b | display a, b, @message | sort @message";
    assert_eq!(
        rows(&["one", "one two three"], query),
        ["@message=one", "a=one b=two three @message=one two three"]
    );
}

#[test]
fn parse_reads_groups_fields_and_by_default_the_message() {
    let query =
        r"parse @message /port=(?<port>\d+)( proto=(?<proto>\w+))?/ | display port, proto | sort port";
    assert_eq!(rows(&["x port=80", "port=443 proto=tcp"], query), ["port=80", "port=443 proto=tcp"]);
    let query = "parse @logStream \"*-*\" as kind, rest | parse rest \"*\" as again | display kind, again";
    assert_eq!(rows(&["m"], query), ["kind=stream again=a"]);
    assert_eq!(rows(&["a:b"], "parse \"*:*\" as x, y | display y"), ["y=b"]);
}

#[test]
fn events_without_fields_show_time_and_message() {
    let output = run_on(&store(&["old", "new"]), "filter @message != 'x'");
    let expected = [
        "@timestamp=1970-01-01 00:00:01.000 @message=new",
        "@timestamp=1970-01-01 00:00:00.000 @message=old",
    ];
    assert_eq!(lines(&output), expected);
    assert!(output.rows.iter().all(|row| row.last().unwrap().0 == "@ptr"));
    assert!(run_on(&store(&["a"]), "stats count(*) as n").rows[0].iter().all(|(name, _)| name != "@ptr"));
}

#[test]
fn aggregates_pass_over_missing_and_non_numeric_values() {
    let messages = ["k 1", "k 10", "k -", "k", "j 5"];
    let query = "parse @message \"* *\" as k, v
        | stats count(*) as n, count(v) as there, countDistinct(v) as distinct, count_distinct(k) as ks,
                sum(v) as s, avg(v) as mean, min(v) as low, max(v) as high by k
        | sort n desc, k";
    assert_eq!(
        rows(&messages, query),
        [
            "k=k n=3 there=3 distinct=3 ks=1 s=11 mean=5.5 low=1 high=10",
            "k=j n=1 there=1 distinct=1 ks=1 s=5 mean=5 low=5 high=5",
            "n=1 there=0 distinct=0 ks=0"
        ]
    );
}

#[test]
fn earliest_and_latest_go_by_time() {
    let query = "parse @message \"* *\" as k, v
        | stats earliest(v) as e, latest(v) as l, sortsFirst(v) as first, sortsLast(v) as last";
    assert_eq!(rows(&["k b", "k a", "k c", "k b9", "k"], query), ["e=b l=b9 first=a last=c"]);
}

#[test]
fn a_result_can_combine_aggregates_and_constants() {
    let query = "parse @message \"*\" as v | stats sum(v) / count(*) + 1 as m, floor(max(v) / 2) as h";
    assert_eq!(rows(&["3", "5"], query), ["m=5 h=2"]);
}

#[test]
fn results_without_a_name_are_called_by_their_text() {
    assert_eq!(
        rows(&["a"], "stats count(*), max(strlen(@message)) by @logStream"),
        ["@logStream=stream-a count(*)=1 max(strlen(@message))=1"]
    );
    assert_eq!(
        rows(&["a"], "stats count(*) by @logStream | sort `count(*)` | display `count(*)`"),
        ["count(*)=1"]
    );
}

#[test]
fn ten_stats_in_a_row_each_see_what_the_last_emitted() {
    let stages: String = (1..10).map(|at| format!("| stats sum(n{}) as n{at} by k ", at - 1)).collect();
    let query = format!("parse @message \"* *\" as k, v | stats count(*) as n0 by k {stages}");
    assert_eq!(rows(&["a 1", "a 2", "b 1"], &query), ["k=a n9=2", "k=b n9=1"]);
}

#[test]
fn filters_and_fields_work_between_stats() {
    let query = "parse @message \"* *\" as k, v | stats sum(v) as s by k | filter s > 2
        | fields s * 10 as tenfold | stats count(*) as groups, max(tenfold) as t";
    assert_eq!(rows(&["a 1", "a 2", "b 1", "c 9"], query), ["groups=2 t=90"]);
}

#[test]
fn groups_come_in_the_order_they_were_first_seen() {
    assert_eq!(
        rows(&["z", "a", "z"], "stats count(*) as n by @message"),
        ["@message=z n=2", "@message=a n=1"]
    );
}

#[test]
fn a_number_and_the_text_that_prints_like_it_are_one_group() {
    let query = "parse @message \"* *\" as k, v | fields v * 1 as n | fields coalesce(n, k) as port | stats count(*) as m by port";
    assert_eq!(rows(&["443 x", "a 443"], query), ["port=443 m=2"]);
}

#[test]
fn sort_puts_rows_without_a_value_last() {
    let query = "parse @message \"* *\" as k, v | display k, v | sort k desc, v";
    assert_eq!(rows(&["a 10", "b 1", "a 9", "c"], query), ["k=b v=1", "k=a v=9", "k=a v=10", ""]);
}

#[test]
fn limit_cuts_rows_and_ten_thousand_come_without_it() {
    let messages = vec!["a"; 10_001];
    assert_eq!(rows(&messages, "fields @message").len(), 10_000);
    assert_eq!(rows(&messages, "fields @message | limit 10001").len(), 10_001);
    assert_eq!(rows(&messages, "fields @message | limit 3").len(), 3);
}

#[test]
fn estimate_answers_bytes_without_running() {
    let output = run_on(&store(&["abc", "de"]), "filter @message = 'x' | stats count(*) | estimate");
    assert_eq!(output.rows, [[("estimatedBytesScanned".to_owned(), "5".to_owned())]]);
    assert_eq!((output.statistics.bytes_scanned, output.statistics.records_scanned), (0, 0));
}

#[test]
fn the_window_includes_both_ends_to_the_second() {
    let store = Store::new();
    store.add_events(GROUP, "s", [999, 1000, 1999, 2000, 2001].map(|at| LogEvent::new(at, at.to_string())));
    let query = Query::parse("fields @message | sort @timestamp").unwrap();
    let window = Window { start_seconds: 1, end_seconds: 2 };
    let output = query.run(&store, &[GROUP], window).unwrap();
    assert_eq!(lines(&output), ["@message=1000", "@message=1999", "@message=2000"]);
}

#[test]
fn an_event_is_seen_once_it_has_arrived() {
    let store = Store::new();
    let event = |ingestion_ms| LogEvent { timestamp_ms: 0, ingestion_ms, message: "a".into() };
    store.add_events(GROUP, "s", [event(100), event(200)]);
    assert_eq!(run_on(&store, "fields @message").rows.len(), 2);
    store.set_clock(|| 199);
    assert_eq!(run_on(&store, "fields @message").rows.len(), 1);
}

#[test]
fn events_older_than_the_group_are_not_seen() {
    let store = Store::new();
    store.add_group(LogGroup { created_ms: 5_000, ..LogGroup::new(GROUP) });
    store.add_events(GROUP, "s", [LogEvent::new(4_999, "old"), LogEvent::new(5_000, "new")]);
    assert_eq!(lines(&run_on(&store, "fields @message")), ["@message=new"]);
    let query = Query::parse("fields @message").unwrap();
    let before = Window { start_seconds: 0, end_seconds: 4 };
    assert_eq!(query.run(&store, &[GROUP], before), Err(RunError::OutsideRetention { query_characters: 15 }));
    assert_eq!(query.run(&store, &["gone"], Window::ALL), Err(RunError::UnknownGroup("gone".into())));
}

const V2_LINE: &str =
    "2 123456789012 eni-0abc 10.0.1.5 203.0.113.5 40000 443 6 10 840 1700000000 1700000060 ACCEPT OK";

fn flow_store(class: LogGroupClass) -> Store {
    let store = Store::new();
    store.add_group(LogGroup { class, default_flow_logs: true, ..LogGroup::new(GROUP) });
    let lines =
        [V2_LINE.to_owned(), format!("{V2_LINE} extra"), V2_LINE.replace("2 1", "3 1"), "2 x".to_owned()];
    store.add_flow_log_lines(GROUP, "eni-0abc-all", lines.map(|line| (1_700_000_000, line)));
    store
}

#[test]
fn only_default_flow_logs_have_discovered_fields() {
    let query = "filter ispresent(srcAddr) | fields version, accountId, interfaceId, srcAddr, dstAddr, srcPort, \
                 dstPort, protocol, packets, bytes, startTime, endTime, action, logStatus";
    assert_eq!(
        lines(&run_on(&flow_store(LogGroupClass::Standard), query)),
        [
            "version=2 accountId=123456789012 interfaceId=eni-0abc srcAddr=10.0.1.5 dstAddr=203.0.113.5 srcPort=40000 \
         dstPort=443 protocol=6 packets=10 bytes=840 startTime=1700000000 endTime=1700000060 action=ACCEPT logStatus=OK"
        ]
    );
}

#[test]
fn discovered_fields_are_refused_where_nothing_is_discovered() {
    let query = Query::parse("stats sum(bytes) as b by srcAddr").unwrap();
    let refusal = |store: &Store| match query.run(store, &[GROUP], Window::ALL) {
        Err(RunError::Malformed(problem)) => problem,
        other => panic!("not refused: {other:?}"),
    };
    let infrequent = refusal(&flow_store(LogGroupClass::InfrequentAccess));
    // Keys are resolved before results.
    assert_eq!((infrequent.start, infrequent.end), (25, 32));
    assert!(infrequent.message.contains("Standard class only"));
    assert!(refusal(&store(&["a"])).message.contains("default format"));
}

#[test]
fn naming_streams_spares_the_others_in_the_standard_class_only() {
    let store = Store::new();
    for (group, class) in
        [("standard", LogGroupClass::Standard), ("infrequent", LogGroupClass::InfrequentAccess)]
    {
        store.add_group(LogGroup { class, ..LogGroup::new(group) });
        store.add_events(group, "a", [LogEvent::new(0, "12345")]);
        store.add_events(group, "b", [LogEvent::new(0, "123"), LogEvent::new(0, "123")]);
    }
    let costs = |query: &str, group: &str| {
        let output = Query::parse(query).unwrap().run(&store, &[group], Window::ALL).unwrap();
        let statistics = output.statistics;
        assert_eq!(output.rows.len() as u64, statistics.records_matched, "{query}");
        (statistics.bytes_scanned, statistics.estimated_bytes_skipped, statistics.records_matched)
    };
    for query in [
        "filter @logStream = 'a'",
        "filter @logStream in ['a'] and strlen(@message) > 1",
        "filter strlen(@message) > 1 | filter 'a' = @logStream",
        "filter @logStream in ['a', 'b'] and @logStream = 'a'",
    ] {
        assert_eq!(costs(query, "standard"), (5, 6, 1), "{query}");
        assert_eq!(costs(query, "infrequent"), (11, 0, 1), "{query}");
    }
    for query in [
        "filter @logStream like 'a'",
        "filter @logStream = 'a' or strlen(@message) > 9",
        "filter not @logStream = 'b'",
    ] {
        assert_eq!(costs(query, "standard"), (11, 0, 1), "{query}");
    }
    assert_eq!(costs("filter @logStream = 'c'", "standard"), (0, 11, 0));
}

#[test]
fn streams_named_after_a_stats_spare_nothing() {
    let store = store(&["a"]);
    let query = "stats count(*) as n by @logStream | filter @logStream = 'other'";
    assert_eq!(run_on(&store, query).statistics.records_scanned, 1);
}
