//! What is refused, at which characters and in which words. Each of these would silently mean
//! something else in Logs Insights, or is not in the language, or is not known here.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use insights_server::Query;

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
    assert_refused("fields 1 as x | fields 2 as «x»", "`x` is defined already");
    assert_refused("parse @message '* *' as a, «a»", "`a` is defined already");
    assert_refused("parse @message '*' as «srcAddr»", "Insights discovers in flow logs itself");
    assert_refused("stats count(*) as n, max(@timestamp) as «n»", "`n` is defined already");
    assert_refused("fields 1 as «@message»", "`@message` is defined already");
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
    let ten = format!("stats count(*) as n{}", " | stats sum(n) as n".repeat(9));
    assert!(Query::parse(&ten).is_ok());
    assert_refused(&format!("{ten} | «stats sum(n) as n»"), "at most 10 stats");
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
