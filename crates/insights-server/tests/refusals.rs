//! What is refused, at which characters and in which words. Each of these would silently mean
//! something else in Logs Insights, or is not in the language, or is not known here.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use insights_server::{Dialect, LogGroupClass, Query, RunError, Store, Window};

/// The query, with the part that has to be blamed between « and ».
fn assert_refused(marked: &str, message: &str) {
    let start = marked.chars().position(|c| c == '«').unwrap();
    let end = marked.chars().position(|c| c == '»').unwrap() - 1;
    let query = marked.replace(['«', '»'], "");
    match Query::parse(&query) {
        Ok(_) => panic!("accepted: {query}"),
        Err(problem) => {
            assert!(problem.message.contains(message), "{query}\n  said: {}", problem.message);
            assert_eq!((problem.start, problem.end), (start, end), "{query}\n  said: {}", problem.message);
        }
    }
}

#[test]
fn unknown_commands_functions_and_fields() {
    assert_refused("fields @message | «dedup» @message", "`dedup` is not a command known here");
    assert_refused("«SOURCE» logGroups('a')", "is not a command known here");
    assert_refused("fields «jsonParse»(@message) as j", "the function `jsonParse` is not known here");
    assert_refused("filter «now»() > 5", "the function `now` is not known here");
    assert_refused("fields «srcaddr»", "the field `srcaddr` is not known");
    assert_refused("filter «pkt»-srcaddr = 'x'", "needs backticks");
    assert_refused("fields @message | sort «@mesage»", "not known");
    assert_refused("fields @message | display «x»", "not known");
    assert_refused("filter ispresent(«x»)", "not known");
}

#[test]
fn an_alias_in_the_command_that_defines_it() {
    assert_refused("fields 1 as one, «one» + 1 as two", "defined by this same command");
    assert_refused("stats sum(«n») as s, count(*) as n", "defined by this same command");
}

#[test]
fn an_alias_that_takes_a_name_twice() {
    assert_refused("fields 1 as x | fields 2 as «x»", "Ephemeral field is already defined: x");
    assert_refused("parse @message '* *' as a, «a»", "Ephemeral field is already defined: a");
    assert_refused("parse @message '*' as «srcAddr»", "Ephemeral field is already defined: srcAddr");
    assert_refused("stats count(*) as n, max(@timestamp) as «n»", "Ephemeral field is already defined: n");
    assert_refused("fields 1 as «@message»", "Ephemeral field is already defined: @message");
}

/// Each was answered so by a live account, in public.
#[test]
fn an_alias_that_an_earlier_command_has_defined() {
    let message = "Ephemeral field is already defined";
    assert_refused("stats count(*) as n by @logStream | stats sum(n) as «n»", message);
    assert_refused("fields 1 as x | stats count(*) as n | stats sum(n) as «x»", message);
    assert_refused("parse @message '*' as x | stats latest(x) as «x»", message);
    assert_refused("parse @message '* *' as x, y | fields «x», y", message);
    assert_refused("parse @message '*' as x | stats count(*) as n by x | stats max(n) as «bytes»", message);
}

#[test]
fn a_key_that_keeps_its_name_through_two_stats() {
    let text = "parse @message '*' as x | stats count(*) as n by x | stats max(n) as m by x | sort x";
    assert!(Query::parse(text).is_ok());
}

#[test]
fn what_a_live_account_answered_nothing_to() {
    assert_refused("parse @message '*' as x | fields x as y | stats max(«y») as m", "only renames a field");
    let mixed = "one branch is a number";
    assert_refused("parse @message '*' as x | stats sum(«if(x = 1, x, 0)») as s", mixed);
    assert!(Query::parse("parse @message '*' as x | stats sum(if(x = 1, x * 1, 0)) as s").is_ok());
}

#[test]
fn a_later_stats_that_refers_to_what_the_previous_did_not_emit() {
    assert_refused(
        "stats count(*) as n by @logStream | stats sum(n) as m by «@message»",
        "the previous stats does not emit `@message`; it emits @logStream, n",
    );
    assert_refused("stats count(*) as n | stats max(n) as m by «bin(5m)»", "carry max(@timestamp) along");
    assert_refused("stats count(*) as n | stats «latest(n)» as m", "go by @timestamp");
    assert_refused("stats count(*) as n | parse «@message» '*' as x", "does not emit");
}

#[test]
fn sort_and_limit_before_the_last_stats() {
    let message = "must come after the last stats";
    assert_refused("«sort @timestamp» | stats count(*) as n", message);
    assert_refused("stats count(*) as n by @message | «limit 5» | stats sum(n) as m", message);
    assert_refused("stats count(*) as n by @message | «sort n desc» | stats sum(n) as m", message);
}

#[test]
fn orders_of_commands_that_the_reference_leaves_open() {
    assert_refused("fields @message | limit 5 | «sort @message»", "before limit");
    assert_refused("sort @message | «sort @timestamp»", "one sort");
    assert_refused("limit 5 | «limit 6»", "one limit");
    assert_refused("limit 5 | «filter @message = 'a'»", "only limit, display and estimate");
    assert_refused("estimate | «limit 5»", "estimate must be the last command");
}

#[test]
fn an_eleventh_stats() {
    let of = |count: usize| {
        let later = (1..count).map(|at| format!(" | stats sum(n{}) as n{at}", at - 1));
        Query::parse(&format!("stats count(*) as n0{}", later.collect::<String>())).unwrap()
    };
    let taken = |query: &Query, class| query.check_in(&Dialect::default(), class);
    assert!(taken(&of(10), LogGroupClass::Standard).is_ok());
    let refused = taken(&of(11), LogGroupClass::Standard).unwrap_err();
    assert!(refused.message.contains("at most 10 stats"), "{refused}");
    assert!(taken(&of(2), LogGroupClass::InfrequentAccess).is_ok());
    let refused = taken(&of(3), LogGroupClass::InfrequentAccess).unwrap_err();
    assert!(refused.message.contains("at most 2 stats"), "{refused}");
}

#[test]
fn what_a_dialect_does_not_take() {
    let text = "parse @message '*' as x | stats sum(if(x = 1, 1, 0)) as s, max(x) as m by @logStream";
    let query = Query::parse(text).unwrap();
    let refusal = |dialect: Dialect| query.check_in(&dialect, LogGroupClass::Standard).map_err(|e| e.message);
    assert_eq!(refusal(Dialect::default()), Ok(()));
    assert_eq!(refusal(Dialect::before_june_2026()), Err("`if` is not taken here".to_owned()));
    let few = Dialect { max_aggregates: Some(1), ..Dialect::default() };
    assert_eq!(refusal(few), Err("a stats can have at most 1 aggregate functions".to_owned()));
    let used: Vec<String> = query.constructs().map(str::to_owned).collect();
    assert_eq!(used, ["=", "as", "by", "if", "max", "parse by a glob", "stats", "sum"]);
    let without_by = used.iter().filter(|name| *name != "by").cloned().collect();
    let dialect = Dialect { constructs: Some(without_by), ..Dialect::default() };
    assert_eq!(refusal(dialect), Err("`by` is not taken here".to_owned()));
    assert_eq!(refusal(Dialect { constructs: Some(used), ..Dialect::default() }), Ok(()));
}

#[test]
fn what_a_dialect_cuts_or_makes_late() {
    let store = Store::new();
    store.add_flow_log_lines("g", "s", (0..100).map(|second| (second, format!("k{second}"))));
    let query = Query::parse("parse @message '*' as x | stats count(*) as n by x").unwrap();
    let window = Window { start_seconds: 0, end_seconds: 100 };
    let run = |dialect: Dialect| {
        store.set_dialect(dialect);
        query.run(&store, &["g"], window).map(|output| (output.rows.len(), output.statistics.records_matched))
    };
    assert_eq!(run(Dialect::default()), Ok((100, 100)));
    assert_eq!(run(Dialect { max_groups: Some(7), ..Dialect::default() }), Ok((7, 100)));
    assert_eq!(run(Dialect { one_record_in: Some(4), ..Dialect::default() }), Ok((25, 100)));
    assert_eq!(run(Dialect { max_seconds: Some(60), ..Dialect::default() }), Err(RunError::TimedOut));
}

#[test]
fn wrong_argument_counts() {
    assert_refused("fields «if(1 = 1, 2)» as x", "`if` takes 3 arguments, not 2");
    assert_refused("fields «abs(1, 2)» as x", "`abs` takes 1 argument, not 2");
    assert_refused("fields «greatest()» as x", "`greatest` takes at least 1");
    assert_refused("fields «queryStartTime(1)» as x", "`queryStartTime` takes 0");
    assert_refused("fields «case(1 = 1, 2, 3 = 3, 4)» as x", "then a default value");
    assert_refused("stats «sum(1, 2)» as x", "`sum` takes one argument, not 2");
    assert_refused("stats «max()» as x", "`max` takes one argument, not 0");
    assert_refused("stats sum(«*») as x", "expected a field, a value or a function");
    let branches = "1 = 1, 2, ".repeat(11);
    assert_refused(&format!("fields «case({branches}3)» as x"), "`case` takes 3 to 21");
}

#[test]
fn wrong_types() {
    assert_refused("fields abs(«'x'») as x", "a number is needed here");
    assert_refused("fields «@logStream» + 1 as x", "a number is needed here");
    assert_refused("fields strlen(«5») as x", "text is needed here");
    assert_refused("fields concat('a', «1») as x", "text is needed here");
    assert_refused("stats sum(«@logStream») as x", "a number is needed here");
    assert_refused("stats max(«@logStream») as x", "use sortsFirst or sortsLast");
    assert_refused("filter @timestamp > «'yesterday'»", "is not a number");
    assert_refused("filter strlen(@message) in [1, «'x'»]", "this is text");
    assert_refused("filter «@timestamp» like 'x'", "text is needed here");
    assert_refused("fields coalesce(@message, «'none'») as x", "takes the names of fields");
    assert_refused("filter ispresent(«1»)", "takes the names of fields");
}

#[test]
fn conditions_for_values_and_values_for_conditions() {
    assert_refused("stats sum(«@message = 'x'») as n", "use if(condition, 1, 0)");
    assert_refused("fields «ispresent(@message)» as p", "use if(condition, 1, 0)");
    assert_refused("filter «(isValidIp(@message))» = 1", "use if(condition, 1, 0)");
    assert_refused("filter «@message»", "a value, not a condition");
    assert_refused("filter «strcontains(@message, 'x')»", "a value, not a condition");
    assert_refused("fields if(«1», 2, 3) as x", "a value, not a condition");
    assert_refused("filter 1 < 2 «<» 3", "cannot be chained");
}

#[test]
fn aggregates_out_of_place() {
    assert_refused("filter «count(*)» > 5", "belongs in stats");
    assert_refused("fields «sum(1)» as x", "belongs in stats");
    assert_refused("stats sum(«max(@timestamp)») as x", "not inside another");
    assert_refused("stats count(*) by «max(@timestamp)»", "belongs in stats");
    assert_refused("stats «1 + 1» as x", "needs an aggregate function");
    assert_refused("stats count(*) as n, «5» as x", "needs an aggregate function");
    assert_refused("stats sum(@timestamp) / «@ingestionTime» as x", "outside an aggregate function");
}

#[test]
fn periods_over_the_cap_and_periods_out_of_place() {
    assert_refused("stats count(*) by bin(«300s»)", "would silently become 60s");
    assert_refused("stats count(*) by bin(«90m»)", "capped at 60");
    assert_refused("stats count(*) by bin(«5x»)", "not a unit of time");
    assert_refused("stats count(*) by bin(«5»)", "a period is needed");
    assert_refused("fields «5m» as x", "only in bin, datefloor and dateceil");
}

#[test]
fn subnets_that_do_not_start_at_their_network_address() {
    assert_refused("filter isIpv4InSubnet(@message, «'10.0.0.1/8'»)", "write 10.0.0.0/8");
    assert_refused("filter isIpv6InSubnet(@message, «'10.0.0.0/8'»)", "other address family");
    assert_refused("filter isIpInSubnet(@message, «'10.0.0.0'»)", "not a subnet in CIDR notation");
    assert_refused("filter isIpInSubnet(@message, «@logStream»)", "has to be quoted text");
}

#[test]
fn globs_and_patterns_that_do_not_fit() {
    assert_refused("parse @message «'* *'» as a, b, c", "the glob has 2 * and 3 names");
    assert_refused("parse @message «'**'» as a, b", "two * in a row");
    assert_refused("parse @message '*'«»", "expected `as`");
    assert_refused("parse @message «/(\\d+)/»", "at least one named group");
    assert_refused("parse @message /(?<a>.)/ «as» b", "names its fields itself");
    assert_refused("parse @message «/(?<a>/»", "cannot be read");
    assert_refused("filter @message like «/(?!x)/»", "cannot be read");
    assert_refused("filter @message like «5»", "expected quoted text or a /regex/");
}

#[test]
fn limits_over_the_maximum() {
    assert_refused("fields @message | limit «100001»", "from 1 to 100000");
    assert_refused("fields @message | limit «any» 5", "expected a number of rows");
}

#[test]
fn unfinished_text() {
    assert_refused("filter @message = «'x»", "is not closed");
    assert_refused("filter @message in ['x'«»", "expected `]`");
    assert_refused("filter @message in [«]»", "expected quoted text or a number");
    assert_refused("filter (@message = 'x'«»", "expected `)`");
    assert_refused("fields «»", "expected a field");
    assert_refused("«»", "expected a command");
    assert_refused("«|» fields @message", "expected a command");
    assert_refused("fields @message «@logStream»", "expected `|` or the end");
}

#[test]
fn nothing_that_can_be_typed_makes_the_parser_panic() {
    let pieces = [
        "fields", "stats", "by", "as", "(", ")", "[", "]", "'", "\"", "/", "\\", "*", "5m", "é", "|", "#",
        "@", "`", "in", "not", "like", "\u{0}",
    ];
    let mut seed = 7_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
            text.push(' ');
        }
        let _ = Query::parse(&text);
    }
}
