//! Queries with their answers, kept as they pass.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};

use super::{Answer, Cause, LogsQueries, Query, Unanswered};
use crate::gap::Fix;

/// One query, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    text: String,
    log_groups: Vec<String>,
    from: i64,
    to: i64,
    /// What came of it.
    pub answer: Result<Answer, Unanswered>,
}

impl Asked {
    /// Whether this is the query that was asked.
    #[must_use]
    pub fn is(&self, query: &Query) -> bool {
        self.text == query.text
            && self.log_groups == query.log_groups
            && (self.from, self.to) == (query.from, query.to)
    }
}

/// Runs queries with `Queries`, and keeps each with its last answer, where that is wanted.
#[derive(Debug)]
pub struct Recording<Queries> {
    queries: Queries,
    asked: RefCell<Vec<Asked>>,
    keeps: bool,
}

impl<Queries> Recording<Queries> {
    /// Nothing asked yet.
    pub fn new(queries: Queries) -> Self {
        Self { queries, asked: RefCell::default(), keeps: true }
    }

    /// The same where nobody wants the answers afterwards: they are large.
    #[must_use]
    pub fn passing_on(self) -> Self {
        Self { keeps: false, ..self }
    }

    fn keep(&self, query: &Query, answer: &Result<Answer, Unanswered>) {
        if !self.keeps {
            return;
        }
        let mut asked = self.asked.borrow_mut();
        // A later look asks the same again.
        asked.retain(|earlier| !earlier.is(query));
        asked.push(Asked {
            text: query.text.clone(),
            log_groups: query.log_groups.clone(),
            from: query.from,
            to: query.to,
            answer: answer.clone(),
        });
    }

    /// What was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }
}

impl<Queries: LogsQueries> LogsQueries for &Recording<Queries> {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        let answer = self.queries.run(query).await;
        self.keep(query, &answer);
        answer
    }

    async fn run_spare(&self, query: &Query) -> Result<Answer, Unanswered> {
        let answer = self.queries.run_spare(query).await;
        self.keep(query, &answer);
        answer
    }

    async fn wait_before(&self, simpler: &Query) {
        self.queries.wait_before(simpler).await;
    }

    async fn stop_abandoned(&self, query: &Query) {
        self.queries.stop_abandoned(query).await;
        let unanswered = Unanswered {
            why: "it still ran when a better question was answered, and was stopped".into(),
            fix: Fix::default(),
            cause: Cause::OutOfTime,
        };
        self.keep(query, &Err(unanswered));
    }
}
