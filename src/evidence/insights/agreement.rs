//! Whether the questions agree about one minute that is past: with each other, and with a plain count of the records.
//!
//! A text that Logs Insights takes may still be answered in another way than we read it. What two questions and
//! `count(*)` say of the same minute shows that, before a night on which somebody relies on the answer.

use futures_util::future::join3;
use jiff::SignedDuration;

use super::super::fullest_step;
use super::choose::Chosen;
use super::ladder::Ladder;
use super::query::{Purpose, Query, Scope, Statuses, Unaskable};
use super::text::Text;
use super::{Answer, LogsQueries, Rung, Unanswered};
use crate::evidence::{Destination, Evidence, Held, Source, Viewpoint};
use crate::flow::{Field, LogFormat};
use crate::incident::{Incident, TimeWindow};
use crate::network::{FlowLog, NatGateway};

/// The questions that are compared: the one that tells most, and the one that is asked beside it.
pub const COMPARED: [Rung; 2] = [Rung::EveryMinute, Rung::DistinctPorts];

/// The part of the counted records for which the rows of the best question have to stand: records that come in between
/// two questions are no fault.
const MIN_ACCOUNTED: f64 = 0.99;

/// How far distinct ports may be below held ones, as a part of them: `countDistinct` is approximate, by how much AWS
/// does not say.
const MAX_BELOW: f64 = 0.1;

/// Ports by which the two may differ in any case.
const MAX_BELOW_PORTS: u32 = 5;

/// What was said of one minute.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// The minute.
    pub minute: TimeWindow,
    /// Accepted records that bear on it, by `count(*)`.
    pub counted: u64,
    /// Records for which the rows of the best question stand; `None` where its answer was cut.
    pub accounted: Option<u64>,
    /// The destination of which it saw most ports, with what it and the simpler question say of it.
    pub fullest: Option<Fullest>,
}

/// One destination, as two questions see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fullest {
    /// It.
    pub destination: Destination,
    /// Ports held, by the question that tells most.
    pub held: Held,
    /// Distinct ports within the minute, by the simpler one: never fewer, but for approximation.
    pub distinct: u32,
}

impl Agreement {
    /// Whether the rows of the best question leave records out.
    #[must_use]
    pub fn leaves_out(&self) -> bool {
        self.accounted.is_some_and(|accounted| (accounted as f64) < self.counted as f64 * MIN_ACCOUNTED)
    }

    /// Whether the two questions contradict each other.
    #[must_use]
    pub fn contradicts(&self) -> bool {
        self.fullest.as_ref().is_some_and(|fullest| {
            let least = f64::from(fullest.held.hold) * (1.0 - MAX_BELOW);
            f64::from(fullest.distinct + MAX_BELOW_PORTS) < least
        })
    }
}

/// Asks about one minute what the best question says, what the simpler one says, and how many records there are.
/// `None` where there are no records.
///
/// # Errors
/// When one of them is not answered.
pub async fn compare(
    queries: &impl LogsQueries,
    gateway: &NatGateway,
    (log, format): (&FlowLog, &LogFormat),
    log_groups: &[String],
    minute: TimeWindow,
) -> Result<Option<Agreement>, Unanswered> {
    let chosen = Chosen { log_groups: log_groups.to_vec(), ..Chosen::only(log, format, None) };
    let viewpoint = Viewpoint::of(gateway);
    let incident = Incident { window: Some(minute), ..Incident::default() };
    let ladder = Ladder::new(&chosen, &viewpoint, &incident, minute, Some(minute.start()));
    let none = Evidence::none(minute, Source::LogsInsights);
    let count = async {
        let query = counting(&ladder)?;
        queries.run(&query).await
    };
    let [best, simpler] = COMPARED.map(|rung| ladder.ask_only(rung, queries, &none));
    let (count, best, simpler) = join3(count, best, simpler).await;
    let (counted, best, simpler) = (number(&count?), best?, simpler?);
    if counted == 0 && best.evidence.destinations.is_empty() {
        return Ok(None);
    }
    let held = |evidence: &Evidence, destination: &Destination| {
        let tally = evidence.destinations.get(destination)?;
        Some(fullest_step(tally.all_held())?.1)
    };
    let fullest = best.evidence.destinations.keys().filter_map(|destination| {
        let held = held(&best.evidence, destination)?;
        (held.hold > 0).then_some((held.hold, destination, held))
    });
    let fullest = fullest.max_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(a.1)));
    let fullest = fullest.map(|(_, destination, held_ports)| Fullest {
        destination: *destination,
        held: held_ports,
        distinct: held(&simpler.evidence, destination).map_or(0, |held| held.most),
    });
    Ok(Some(Agreement { minute, counted, accounted: best.accounted, fullest }))
}

/// The minute of a window in which most ports were held, by the rows of an answer about all of it; its last one where
/// the answer does not tell.
#[must_use]
pub fn busiest_minute(
    gateway: &NatGateway,
    (log, format): (&FlowLog, &LogFormat),
    (rung, answer): (Rung, &Answer),
    window: TimeWindow,
) -> TimeWindow {
    let (chosen, viewpoint) = (Chosen::only(log, format, None), Viewpoint::of(gateway));
    let incident = Incident { window: Some(window), ..Incident::default() };
    let ladder = Ladder::new(&chosen, &viewpoint, &incident, window, None);
    let none = Evidence::none(window, Source::LogsInsights);
    let evidence = ladder.read_only(rung, answer, &none).evidence;
    let mut held = vec![Held::default(); evidence.steps.count()];
    for tally in evidence.destinations.values() {
        held.iter_mut().zip(tally.all_held()).for_each(|(sum, held)| *sum = sum.plus(held));
    }
    let fullest = fullest_step(held.into_iter()).filter(|(_, held)| held.hold > 0);
    let minute = fullest.filter(|_| rung.asks_every_minute()).and_then(|(step, _)| {
        let start = evidence.steps.instant(step);
        TimeWindow::new(start, start.checked_add(SignedDuration::from_mins(1)).ok()?).ok()
    });
    minute.unwrap_or_else(|| ladder.worst())
}

/// The accepted records, counted as they are: in the gateway's own log streams without taking them apart.
fn counting(ladder: &Ladder<'_>) -> Result<Query, Unaskable> {
    let mut query = ladder.query(Rung::EveryMinute)?;
    let (scope, question) = (ladder.scope(), ladder.question_about(Rung::EveryMinute));
    let mut text = Text::default();
    match &scope {
        Scope::Streams(..) => {
            question.select_streams(&scope, &mut text);
            if question.format.has(Field::Action) {
                text.command("filter @message like \"ACCEPT\"");
            } else if question.format.has(Field::LogStatus) {
                text.command("filter @message like \"OK\"");
            }
        }
        _ => question.select(&scope, &question.legs(&scope), Statuses::Accepted, &mut text)?,
    }
    let records = text.name("records");
    text.command(format_args!("stats count(*) as {records}"));
    text.command("limit 1");
    (query.purpose, query.text, query.max_rows) = (Purpose::Count, text.finish(), 1);
    Ok(query)
}

/// The only number of an answer; 0 where it has no row, as there is nothing to count.
fn number(answer: &Answer) -> u64 {
    let row = answer.rows.first();
    row.and_then(|row| row.values().find_map(|value| value.parse::<f64>().ok())).map_or(0, |n| n as u64)
}
