//! The life of a started query: Scheduled, then Running, then one of the ends. It moves on with the
//! polls rather than with the clock, so that a test sees the same statuses every time.

use std::sync::Arc;

use tokio::sync::watch;

use crate::faults::QueryEnd;
use crate::query::Output;

/// How many polls a query answers with each status before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// Polls answered `Scheduled`.
    pub scheduled_polls: u32,
    /// Polls answered `Running`, with the first half of the rows.
    pub running_polls: u32,
}

impl Default for Pacing {
    fn default() -> Self {
        Pacing { scheduled_polls: 1, running_polls: 1 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Scheduled,
    Running,
    Complete,
    Ended(QueryEnd),
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Scheduled => "Scheduled",
            Status::Running => "Running",
            Status::Complete => "Complete",
            Status::Ended(QueryEnd::Failed) => "Failed",
            Status::Ended(QueryEnd::Cancelled) => "Cancelled",
            Status::Ended(QueryEnd::Timeout) => "Timeout",
            Status::Ended(QueryEnd::Unknown) => "Unknown",
        }
    }
}

/// What will become of a query.
pub(crate) enum Fate {
    /// It ends with its output, once that is there.
    Evaluated(Evaluation),
    EndsAs(QueryEnd),
    NeverStarts,
}

/// `None` until the evaluation is done.
pub(crate) type Evaluation = watch::Receiver<Option<Arc<Output>>>;

pub(crate) struct Life {
    pacing: Pacing,
    polls: u32,
    fate: Fate,
    end: Option<Status>,
}

impl Life {
    pub(crate) fn new(pacing: Pacing, fate: Fate) -> Life {
        Life { pacing, polls: 0, fate, end: None }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// The status this poll is answered with, and where the rows come from if it has any.
    pub(crate) fn poll(&mut self) -> (Status, Option<Evaluation>) {
        self.polls = self.polls.saturating_add(1);
        let status = match (self.end, &self.fate) {
            (Some(end), _) => end,
            (None, Fate::NeverStarts) => Status::Scheduled,
            _ if self.polls <= self.pacing.scheduled_polls => Status::Scheduled,
            _ if self.polls - self.pacing.scheduled_polls <= self.pacing.running_polls => Status::Running,
            (None, Fate::Evaluated(_)) => Status::Complete,
            (None, Fate::EndsAs(end)) => Status::Ended(*end),
        };
        if !matches!(status, Status::Scheduled | Status::Running) {
            self.end = Some(status);
        }
        let evaluation = match (&self.fate, status) {
            (Fate::Evaluated(evaluation), Status::Running | Status::Complete) => Some(evaluation.clone()),
            _ => None,
        };
        (status, evaluation)
    }

    /// False when there is nothing left to stop.
    pub(crate) fn stop(&mut self) -> bool {
        if self.has_ended() {
            return false;
        }
        self.end = Some(Status::Ended(QueryEnd::Cancelled));
        true
    }
}
