//! A query from its text to its rows, without HTTP: what tests of agreement use, and what the
//! server answers from.

use crate::compile::compile;
use crate::constructs::Constructs;
use crate::dialect::{Dialect, MAX_STATS_INFREQUENT_ACCESS};
use crate::malformed::{MalformedQuery, Refusal, Span};
use crate::parser::parse;
use crate::plan::Plan;
use crate::run::run;
use crate::store::{LogGroupClass, Shelf, Store};

/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Limit.html>
const DEFAULT_LIMIT: usize = 10_000;

/// A query that has been read, resolved and type-checked.
#[derive(Debug)]
pub struct Query {
    text: String,
    plan: Plan,
    limit: usize,
    constructs: Constructs,
}

/// The time a query is asked about, in seconds since 1970, both ends included. The end is taken to
/// the millisecond: the last 999 ms of its second are not in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first second.
    pub start_seconds: i64,
    /// The last second, of which only the first millisecond counts.
    pub end_seconds: i64,
}

impl Window {
    /// A window that holds every event a test can have.
    pub const ALL: Window = Window { start_seconds: 0, end_seconds: 99_999_999_999 };

    pub(crate) fn start_ms(self) -> i64 {
        self.start_seconds.saturating_mul(1000)
    }

    pub(crate) fn end_ms(self) -> i64 {
        self.end_seconds.saturating_mul(1000)
    }
}

/// The rows of a query and what it cost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Output {
    /// Each row is its fields with their values; a field that is missing is left out.
    pub rows: Vec<Vec<(String, String)>>,
    /// What was read, and what the index saved.
    pub statistics: Statistics,
}

/// `QueryStatistics` of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Events that passed all filters before the first `stats`.
    pub records_matched: u64,
    /// Events in the window that were read.
    pub records_scanned: u64,
    /// Events that the index on `@logStream` made it unnecessary to read.
    pub estimated_records_skipped: u64,
    /// Bytes of the messages that were read.
    pub bytes_scanned: u64,
    /// Bytes of the messages that were skipped.
    pub estimated_bytes_skipped: u64,
    /// How many log groups were asked.
    pub log_groups_scanned: u64,
}

/// Why a query that reads well cannot be run on these log groups.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// A log group of this name does not exist.
    #[error("Log group '{0}' does not exist")]
    UnknownGroup(String),
    /// The query refers to a field that the log groups do not have.
    #[error(transparent)]
    Malformed(#[from] MalformedQuery),
    /// The query ran into its timeout.
    #[error("the query ran into its timeout")]
    TimedOut,
    /// The window ends before a log group was created. Insights reports it as a malformed query.
    #[error(
        "Query's end date and time is either before the log groups creation time or exceeds the log groups log \
         retention settings ([0,{}])",
        query_characters.saturating_sub(1)
    )]
    OutsideRetention {
        /// How long the query is: all of it gets the blame.
        query_characters: usize,
    },
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// Whatever is not in the subset of the language that this crate knows, with its position.
    pub fn parse(text: &str) -> Result<Query, MalformedQuery> {
        let commands = parse(text).map_err(|refusal| refusal.in_text(text))?;
        let plan = compile(text, &commands).map_err(|refusal| refusal.in_text(text))?;
        let limit = plan.limit.unwrap_or(DEFAULT_LIMIT);
        Ok(Query { text: text.to_owned(), plan, limit, constructs: Constructs::of(&commands) })
    }

    /// The constructs of the language that it uses: commands and functions as they are spelled, operators by
    /// their sign.
    pub fn constructs(&self) -> impl Iterator<Item = &str> {
        self.constructs.used.keys().map(String::as_str)
    }

    /// How many `stats` commands it has.
    #[must_use]
    pub fn stats(&self) -> usize {
        self.constructs.stats.len()
    }

    /// The most aggregate functions in one of its `stats` commands.
    #[must_use]
    pub fn aggregates(&self) -> usize {
        self.constructs.stats.iter().map(|(_, aggregates)| *aggregates).max().unwrap_or_default()
    }

    /// Whether a service takes the query for groups of this class.
    ///
    /// # Errors
    /// What it does not take, with its position.
    pub fn check_in(&self, dialect: &Dialect, class: LogGroupClass) -> Result<(), MalformedQuery> {
        let refused = |span: Span, message: String| Err(Refusal { span, message }.in_text(&self.text));
        if let Some((name, span)) = self.constructs.used.iter().find(|(name, _)| {
            dialect.constructs.as_ref().is_some_and(|taken| !taken.contains(name))
                || (!dialect.has_if && name.eq_ignore_ascii_case("if"))
        }) {
            return refused(*span, format!("`{name}` is not taken here"));
        }
        let max_stats = match class {
            LogGroupClass::Standard => dialect.max_stats,
            LogGroupClass::InfrequentAccess => dialect.max_stats.min(MAX_STATS_INFREQUENT_ACCESS),
        };
        if let Some((span, _)) = self.constructs.stats.get(max_stats) {
            return refused(*span, format!("a query can have at most {max_stats} stats commands"));
        }
        let most = dialect.max_aggregates.unwrap_or(usize::MAX);
        match self.constructs.stats.iter().find(|(_, aggregates)| *aggregates > most) {
            Some((span, _)) => refused(*span, format!("a stats can have at most {most} aggregate functions")),
            None => Ok(()),
        }
    }

    /// Whether the query says itself how many rows it wants.
    pub(crate) fn has_limit(&self) -> bool {
        self.plan.limit.is_some()
    }

    pub(crate) fn limited_to(mut self, limit: usize) -> Query {
        self.limit = limit;
        self
    }

    /// Runs the query over what is visible in the log groups now.
    ///
    /// # Errors
    /// When a group does not exist or was created after the window, or lacks a field that is asked for.
    pub fn run(&self, store: &Store, groups: &[&str], window: Window) -> Result<Output, RunError> {
        store.read(|shelf, now| self.run_on(shelf, now, groups, window))
    }

    pub(crate) fn check(&self, shelf: &Shelf, groups: &[&str], window: Window) -> Result<(), RunError> {
        if groups.is_empty() {
            self.check_in(&shelf.dialect, LogGroupClass::Standard)?;
        }
        for name in groups {
            let group = shelf.group(name).ok_or_else(|| RunError::UnknownGroup((*name).to_owned()))?;
            self.check_in(&shelf.dialect, group.settings.class)?;
            if window.end_ms() < group.settings.created_ms {
                return Err(RunError::OutsideRetention { query_characters: self.text.chars().count() });
            }
            if let Some((field, span)) = self.plan.flow_fields.first() {
                self.check_flow_field(&group.settings, field, *span)?;
            }
        }
        Ok(())
    }

    pub(crate) fn is_too_long_in(&self, dialect: &Dialect, window: Window) -> bool {
        let seconds = window.end_seconds.saturating_sub(window.start_seconds);
        !self.plan.estimate && dialect.max_seconds.is_some_and(|most| seconds > most)
    }

    /// Insights would find nothing under such a name and say so to nobody.
    fn check_flow_field(
        &self,
        group: &crate::LogGroup,
        field: &str,
        span: Span,
    ) -> Result<(), MalformedQuery> {
        let reason = if group.class != LogGroupClass::Standard {
            "fields are discovered in the Standard class only"
        } else if !group.default_flow_logs {
            "it does not hold flow logs of the default format"
        } else {
            return Ok(());
        };
        let message = format!(
            "the field `{field}` is not discovered in {}: {reason}; parse @message instead",
            group.name
        );
        Err(Refusal { span, message }.in_text(&self.text))
    }

    pub(crate) fn run_on(
        &self,
        shelf: &Shelf,
        now_ms: i64,
        groups: &[&str],
        window: Window,
    ) -> Result<Output, RunError> {
        self.check(shelf, groups, window)?;
        let (read, mut statistics) = shelf.select(groups, window, now_ms, self.plan.streams.as_deref());
        if self.plan.estimate {
            let estimated = statistics.bytes_scanned.to_string();
            let statistics =
                Statistics { log_groups_scanned: statistics.log_groups_scanned, ..Statistics::default() };
            return Ok(Output { rows: vec![vec![(ESTIMATE_FIELD.to_owned(), estimated)]], statistics });
        }
        if self.is_too_long_in(&shelf.dialect, window) {
            return Err(RunError::TimedOut);
        }
        let answer = run(&self.plan, &read, window, self.limit, &shelf.dialect);
        statistics.records_matched = answer.matched;
        Ok(Output { rows: answer.rows, statistics })
    }
}

/// The reference does not say what `estimate` calls its one column: a client must not go by the name.
const ESTIMATE_FIELD: &str = "estimatedBytesScanned";
