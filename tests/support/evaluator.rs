//! Logs Insights without HTTP: the query evaluator, in the role that the SDK has in the function.

use insights_server::{Store, Window};
use nat_triage::evidence::insights::{Answer, LogsQueries, Query, Unanswered};

/// What a gigabyte scanned costs, in US dollars.
const PRICE_OF_A_GB: f64 = 0.005;

/// Runs queries on a store of log groups.
pub(crate) struct Evaluator {
    pub(crate) store: Store,
}

impl LogsQueries for Evaluator {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        let failed = |why: String| Unanswered { why, fix: "mend the query".into() };
        let parsed = insights_server::Query::parse(&query.text).map_err(|e| failed(e.to_string()))?;
        let groups: Vec<&str> = query.log_groups.iter().map(String::as_str).collect();
        let window = Window { start_seconds: query.from, end_seconds: query.to };
        let output = parsed.run(&self.store, &groups, window).map_err(|e| failed(e.to_string()))?;
        Ok(Answer {
            rows: output.rows.into_iter().map(|row| row.into_iter().collect()).collect(),
            bytes_scanned: Some(output.statistics.bytes_scanned),
            records_scanned: Some(output.statistics.records_scanned),
            cost_usd: Some(output.statistics.bytes_scanned as f64 / 1e9 * PRICE_OF_A_GB),
        })
    }
}
