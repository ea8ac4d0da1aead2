//! What a service takes of the language and of the work: accounts, partitions and log classes differ, and
//! not every limit is documented. A test sets what it wants to be refused, cut or slow.

/// The limits of one service. The default is a Standard log group in a commercial Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// The only constructs that are taken, as [`crate::Query::constructs`] names them; `None` takes all that
    /// this crate knows.
    pub constructs: Option<Vec<String>>,
    /// Most `stats` commands in one query. A group of the class Infrequent Access takes two at most,
    /// whatever this says.
    pub max_stats: usize,
    /// Whether there is the function `if`. It was announced for commercial Regions only.
    pub has_if: bool,
    /// Most aggregate functions in one `stats`; AWS documents no limit.
    pub max_aggregates: Option<usize>,
    /// Most groups that a `stats` keeps: the others are missing from the answer, silently. AWS documents no
    /// limit.
    pub max_groups: Option<usize>,
    /// Most seconds of records that a query can be about before it runs into its timeout.
    pub max_seconds: Option<i64>,
    /// Only one in so many of the records that match reaches the first `stats`; the statistics count them all.
    pub one_record_in: Option<u64>,
}

/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Stats.html>
const MAX_STATS: usize = 10;
/// The same page, of the class Infrequent Access.
pub(crate) const MAX_STATS_INFREQUENT_ACCESS: usize = 2;

impl Default for Dialect {
    fn default() -> Self {
        Dialect {
            constructs: None,
            max_stats: MAX_STATS,
            has_if: true,
            max_aggregates: None,
            max_groups: None,
            max_seconds: None,
            one_record_in: None,
        }
    }
}

impl Dialect {
    /// The language as it was before June 2026, which `GovCloud` and China may still have: two `stats` and no
    /// `if`.
    #[must_use]
    pub fn before_june_2026() -> Dialect {
        Dialect { max_stats: MAX_STATS_INFREQUENT_ACCESS, has_if: false, ..Dialect::default() }
    }
}
