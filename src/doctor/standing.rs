//! What a check-up is compared with: the one whose readers were told last.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Checkup, Tonight};

/// Which rows of a check-up want something, without their words: figures in these change every week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What each is about, what was looked at, and what a diagnosis would be.
    wanting: Vec<[String; 3]>,
}

impl Standing {
    /// Of a check-up.
    #[must_use]
    pub fn of(checkup: &Checkup) -> Self {
        let wanting = checkup.rows.iter().filter(|row| row.tonight != Tonight::Full);
        let mut wanting: Vec<[String; 3]> = wanting
            .map(|row| [row.about.clone(), row.check.name().to_owned(), row.tonight.name().to_owned()])
            .collect();
        wanting.sort_unstable();
        Self { wanting }
    }
}

/// Who is told of a check-up beside whoever asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// Nobody.
    Nobody,
    /// The readers of the reports, where something has changed.
    Changes,
    /// The readers of the reports.
    Always,
}

impl Tell {
    /// What an event asks for: `{"doctor": true}`, with `"tell": "changes"` or any other `tell`; or a schedule's own
    /// event, which tells of changes. `None` of an event that asks for no check-up.
    ///
    /// The stack's schedule sends `{"doctor": true, "tell": "changes"}`. An event of EventBridge's own has the shape of
    /// `example-eventbridge-schedule.json` among the fixtures of `aws_lambda_events`. No page of AWS shows the one of
    /// EventBridge Scheduler, `aws.scheduler`: it is taken to have the rule's shape.
    #[must_use]
    pub fn of_event(event: &Value) -> Option<Self> {
        let is_of_schedule = event["detail-type"] == "Scheduled Event"
            && ["aws.events", "aws.scheduler"].iter().any(|source| event["source"] == *source);
        if is_of_schedule {
            return Some(Self::Changes);
        }
        (event["doctor"] == true).then(|| match &event["tell"] {
            Value::Null | Value::Bool(false) => Self::Nobody,
            tell if tell == "changes" => Self::Changes,
            _ => Self::Always,
        })
    }

    /// Whether the readers are told of what is, where `told` was told last.
    #[must_use]
    pub fn is_due(self, told: Option<&Standing>, now: &Standing) -> bool {
        match self {
            Self::Nobody => false,
            Self::Changes => told != Some(now),
            Self::Always => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Check, Row, SCHEMA};
    use super::*;

    fn checkup(rows: Vec<Row>) -> Checkup {
        let at = "2026-11-23T07:00:00Z".parse().expect("valid");
        Checkup { schema: SCHEMA, at, region: None, tonight: Tonight::Partial, rows }
    }

    fn row(tonight: Tonight, says: &str) -> Row {
        Row { about: "nat-1".into(), check: Check::Records, tonight, says: says.into(), fix: None }
    }

    #[test]
    fn readers_are_told_the_first_time_and_of_changes() {
        let good = Standing::of(&checkup(vec![row(Tonight::Full, "7 records")]));
        let other_figures = Standing::of(&checkup(vec![row(Tonight::Full, "9 records")]));
        let bad = Standing::of(&checkup(vec![row(Tonight::None, "no records")]));
        let told = |last: Option<&Standing>, now| Tell::Changes.is_due(last, now);
        assert!(told(None, &good), "the first time");
        assert!(!told(Some(&good), &other_figures), "nothing that matters changed");
        assert!(told(Some(&good), &bad) && told(Some(&bad), &good));
    }

    #[test]
    fn who_asks_for_a_check_up_alone_tells_nobody() {
        for (event, tell) in [
            (json!({ "doctor": true }), Some(Tell::Nobody)),
            (json!({ "doctor": true, "tell": "changes" }), Some(Tell::Changes)),
            (json!({ "doctor": true, "tell": "always" }), Some(Tell::Always)),
            (json!({ "doctor": false, "tell": "always" }), None),
            (json!({ "source": "aws.events", "detail-type": "Scheduled Event" }), Some(Tell::Changes)),
            (json!({ "source": "aws.cloudwatch" }), None),
        ] {
            assert_eq!(Tell::of_event(&event), tell, "{event}");
        }
    }
}
