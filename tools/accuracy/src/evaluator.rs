//! Logs Insights without HTTP: the query evaluator, in the role that the SDK has in the function.

use insights_server::{Dialect, RunError, Store, Window};
use nat_triage::evidence::insights::{Answer, CONSTRUCTS, Cause, LogsQueries, Query, Unanswered};

/// What a gigabyte scanned costs, in US dollars.
const PRICE_OF_A_GB: f64 = 0.005;

/// Runs queries on a store of log groups.
pub(crate) struct Evaluator {
    pub(crate) store: Store,
}

impl Evaluator {
    /// Queries on what `store` holds, of a service that takes what stands in the table of sources, or less.
    pub(crate) fn speaking(store: Store, dialect: Dialect) -> Self {
        let known = || CONSTRUCTS.iter().map(|construct| construct.name.to_owned()).collect();
        let constructs = dialect.constructs.clone().or_else(|| Some(known()));
        store.set_dialect(Dialect { constructs, ..dialect });
        Self { store }
    }
}

impl LogsQueries for Evaluator {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        let failed = |cause, why: String| Unanswered { why, fix: "mend the query".into(), cause };
        let parsed = insights_server::Query::parse(&query.text)
            .map_err(|e| failed(Cause::Refused, format!("Logs Insights does not take the query: {e}")))?;
        let groups: Vec<&str> = query.log_groups.iter().map(String::as_str).collect();
        let window = Window { start_seconds: query.from, end_seconds: query.to };
        let output = parsed.run(&self.store, &groups, window).map_err(|error| match error {
            RunError::Malformed(problem) => {
                failed(Cause::Refused, format!("Logs Insights does not take the query: {problem}"))
            }
            RunError::TimedOut => failed(Cause::Ended, "the query ran into its timeout".into()),
            RunError::UnknownGroup(ref group) => {
                failed(Cause::NoLogGroup(Some(group.clone())), error.to_string())
            }
            RunError::OutsideRetention { .. } => failed(Cause::OutsideRetention, error.to_string()),
        })?;
        Ok(Answer {
            rows: output.rows.into_iter().map(|row| row.into_iter().collect()).collect(),
            bytes_scanned: Some(output.statistics.bytes_scanned),
            records_scanned: Some(output.statistics.records_scanned),
            records_matched: Some(output.statistics.records_matched),
            cost_usd: Some(output.statistics.bytes_scanned as f64 / 1e9 * PRICE_OF_A_GB),
        })
    }
}
