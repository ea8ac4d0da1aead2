//! The constructs of the query language that our queries use, each with what speaks for a live account
//! taking it. A test holds every query against this table, and the evaluator of the tests refuses the rest.

/// What speaks for a construct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// AWS documents it.
    Documented,
    /// AWS documents it, and somebody showed it at work on a live account, in public.
    SeenLive,
}

/// A construct of the query language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Construct {
    /// The command, function or operator as it is spelled; or what is done with it.
    pub name: &'static str,
    /// What speaks for it.
    pub backing: Backing,
    /// Where that stands: a page of the Amazon CloudWatch Logs user guide, then public reports.
    pub source: &'static str,
}

const fn documented(name: &'static str, source: &'static str) -> Construct {
    Construct { name, backing: Backing::Documented, source }
}

const fn seen(name: &'static str, source: &'static str) -> Construct {
    Construct { name, backing: Backing::SeenLive, source }
}

/// Every construct in use. No live account of ours was asked: this is what others document and report.
pub const CONSTRUCTS: &[Construct] = &[
    seen("fields", "CWL_QuerySyntax-Display; common"),
    seen("filter", "CWL_QuerySyntax-Filter; common"),
    seen("parse by a regular expression", "CWL_QuerySyntax-Parse; common"),
    seen("parse by a glob", "CWL_QuerySyntax-Parse; common"),
    seen("stats", "CWL_QuerySyntax-Stats; common"),
    seen(
        "stats after stats",
        "CWL_QuerySyntax-Stats: ten on Standard, two on Infrequent Access; two were seen live, three were not",
    ),
    seen("by", "CWL_QuerySyntax-Stats; five fields were seen live"),
    seen("as", "CWL_QuerySyntax-Alias; common"),
    seen("sort", "CWL_QuerySyntax-Sort; common"),
    seen("limit", "CWL_QuerySyntax-Limit; common"),
    documented("estimate", "CWL_QuerySyntax-Estimate"),
    seen("count(*)", "CWL_QuerySyntax-Stats; common"),
    seen("countDistinct", "CWL_QuerySyntax-Stats; common as count_distinct, its older spelling"),
    seen("sum", "CWL_QuerySyntax-Stats; common"),
    seen("min", "CWL_QuerySyntax-Stats; common"),
    seen("max", "CWL_QuerySyntax-Stats; common"),
    seen(
        "if",
        "CWL_QuerySyntax-operations-functions; since 2026-06-17, commercial Regions; trade-tariff/trade-tariff-backend dashboards",
    ),
    documented("floor", "CWL_QuerySyntax-operations-functions"),
    documented("greatest", "CWL_QuerySyntax-operations-functions"),
    documented("least", "CWL_QuerySyntax-operations-functions"),
    seen("ispresent", "CWL_QuerySyntax-operations-functions; common"),
    seen("isIpv4InSubnet", "CWL_QuerySyntax-operations-functions; common in filter, in if not seen"),
    documented("isIpv6InSubnet", "CWL_QuerySyntax-operations-functions"),
    documented("isValidIpV6", "CWL_QuerySyntax-operations-functions"),
    seen("and", "CWL_QuerySyntax-operations-functions; common"),
    seen("or", "CWL_QuerySyntax-operations-functions; common"),
    seen("not", "CWL_QuerySyntax-operations-functions; common"),
    seen("in", "CWL_QuerySyntax-Filter; common"),
    documented("not in", "CWL_QuerySyntax-Filter"),
    seen("like a text", "CWL_QuerySyntax-Filter; common"),
    seen("=", "CWL_QuerySyntax-operations-functions; common"),
    seen("!=", "CWL_QuerySyntax-operations-functions; common"),
    seen("<", "CWL_QuerySyntax-operations-functions; common"),
    seen(">", "CWL_QuerySyntax-operations-functions; common"),
    seen(">=", "CWL_QuerySyntax-operations-functions; common"),
    seen("+", "CWL_QuerySyntax-operations-functions; common"),
    seen("-", "CWL_QuerySyntax-operations-functions; common"),
    seen("*", "CWL_QuerySyntax-operations-functions; of parsed values too"),
    seen("/", "CWL_QuerySyntax-operations-functions; common"),
    documented("%", "CWL_QuerySyntax-operations-functions"),
];
