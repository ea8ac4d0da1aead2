//! Which flow log a diagnosis would read, and what Logs Insights makes of its questions.

use std::cell::RefCell;

use jiff::{SignedDuration, Timestamp};

use super::{Check, Examined, Row, Tonight, TooLarge, agreement, athena, name_of};
use crate::diagnosis::{better_flow_log, region_option};
use crate::evidence::insights::{
    Agreement, Answer, Cause, LogsInsights, LogsQueries, Query, Rung, Unanswered, planned,
};
use crate::evidence::{Evidence, EvidenceSource as _};
use crate::flow::{Field, LogFormat};
use crate::gap::{Fix, Gap};
use crate::incident::{Incident, TimeWindow};
use crate::network::{FlowLog, GatewayKind, LogClass, Network, TrafficType};
use crate::words::{self, counted};

/// The flow log that a diagnosis would read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// It, with its format; `None` where there is none that can be read.
    pub log: Option<(FlowLog, LogFormat)>,
    /// All log groups that would be asked.
    pub log_groups: Vec<String>,
    /// Which it is of several, and what speaks for it.
    pub why: String,
    /// What cannot be read, and why.
    pub gaps: Vec<Gap>,
    /// What was read of a flow log in S3, where none in CloudWatch Logs can be asked, or where it shows more.
    pub in_bucket: Option<InBucket>,
    /// How a flow log in S3 would be read that is too much to read in place; `None` where there is none, or where an
    /// hour of it is not too much.
    pub too_large: Option<TooLarge>,
}

/// A flow log in S3, and what its files showed of ten minutes that are past.
#[derive(Clone, Debug, PartialEq)]
pub struct InBucket {
    /// It.
    pub log: FlowLog,
    /// Its format.
    pub format: LogFormat,
    /// What was read.
    pub evidence: Evidence,
    /// Which minutes.
    pub window: TimeWindow,
}

/// What Logs Insights made of the questions about one gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Each question, from the one that tells most, and what kept it from being answered.
    pub questions: Vec<(Rung, Result<(), Unanswered>)>,
    /// The best question that was answered, about ten minutes that are past; `None` where none was.
    pub run: Option<Result<Run, Unanswered>>,
    /// What two questions and a plain count say of the busiest of these minutes; `None` where there is nothing to
    /// compare.
    pub agreement: Option<Result<Agreement, Unanswered>>,
}

/// One run of a question at its full length.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The question.
    pub rung: Rung,
    /// Which minutes it was about.
    pub window: TimeWindow,
    /// How long it took.
    pub took: SignedDuration,
    /// What it answered.
    pub answer: Answer,
}

/// How long before now the minutes begin that are read, and how many there are. Flow logs come 6 to 15 minutes
/// late.
const BEFORE: SignedDuration = SignedDuration::from_mins(30);
const MINUTES: SignedDuration = SignedDuration::from_mins(10);

/// Ten whole minutes of which the records must have arrived by now.
#[must_use]
pub fn recent(now: Timestamp) -> TimeWindow {
    let arrived = now.checked_sub(BEFORE - MINUTES).unwrap_or(now);
    latest(arrived)
}

/// The hour that these minutes end: what a long alarm asks about.
#[must_use]
pub fn hour_of(minutes: TimeWindow) -> TimeWindow {
    minutes.begun_earlier(SignedDuration::from_mins(50))
}

/// The ten whole minutes before now.
#[must_use]
pub fn latest(now: Timestamp) -> TimeWindow {
    TimeWindow::of_last(MINUTES, now).unwrap_or(TimeWindow::EPOCH)
}

/// A service that answers nothing, and remembers what it was asked first.
#[derive(Default)]
struct Unanswering(RefCell<Option<Query>>);

impl LogsQueries for &Unanswering {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        self.0.borrow_mut().get_or_insert_with(|| query.clone());
        Err(Unanswered { why: String::new(), fix: Fix::default(), cause: Cause::Other })
    }
}

/// Which flow log of the network a diagnosis of these minutes would read: found out by the code that chooses it
/// at night, with nobody who answers.
pub async fn reading(network: &Network, window: TimeWindow) -> Reading {
    let service = Unanswering::default();
    let incident = Incident::of_minutes(network.gateway.id.clone(), window);
    let mut seen = network.clone();
    let Ok(evidence) = LogsInsights::new(&service).collect(&incident, &mut seen).await;
    // The gap of the question itself has no reason: nobody was asked.
    let gaps = evidence.gaps.into_iter().filter(|gap| !gap.why.is_empty()).collect();
    let log_groups = service.0.take().map(|query| query.log_groups).unwrap_or_default();
    let chosen = evidence.coverage.formats.first();
    let log = network.flow_logs.iter().find_map(|log| {
        let format: LogFormat = log.format.parse().ok()?;
        let asked = log.log_group.as_ref().is_some_and(|group| log_groups.contains(group));
        (asked && chosen == Some(&format.to_string())).then(|| (log.clone(), format))
    });
    let why = evidence.coverage.flow_log.unwrap_or_default();
    Reading { log, log_groups, why, gaps, ..Reading::default() }
}

/// Every question that would be asked about these minutes, from the one that tells most; none where there is no
/// flow log that can be read, of which `reading` then says why.
pub fn plan(network: &Network, reading: &mut Reading, window: TimeWindow) -> Vec<(Rung, Query)> {
    let Some((log, format)) = &reading.log else { return Vec::new() };
    match planned(&network.gateway, log, format, window) {
        Ok(mut planned) => {
            for (_, query) in &mut planned {
                query.log_groups.clone_from(&reading.log_groups);
            }
            planned
        }
        Err(unaskable) => {
            let what = format!("flow log {}", log.id);
            reading.gaps.insert(
                0,
                Gap::new(
                    what,
                    unaskable.to_string(),
                    Fix::run(better_flow_log(
                        network,
                        network.gateway.id.as_ref(),
                        network.region.as_deref(),
                    ))
                    .for_next_incident(),
                )
                .deciding(),
            );
            reading.log = None;
            Vec::new()
        }
    }
}

/// The rows of one gateway's flow log and of what was asked about it.
pub(super) fn rows(examined: &Examined, region: Option<&str>) -> Vec<Row> {
    let about = name_of(examined);
    let mut rows = vec![flow_log(examined, region)];
    // Where Logs Insights is asked as well, a better flow log in S3 is what more there is.
    if let (Some(read), Some(_)) = (&examined.reading.in_bucket, &examined.reading.log) {
        let better =
            || better_flow_log(&examined.network, examined.network.gateway.id.as_ref(), region).to_string();
        let row = of_bucket(about, &examined.network, read, better);
        rows.push(Row { tonight: row.tonight.min(Tonight::Partial), ..row });
    }
    rows.extend(examined.reading.too_large.as_ref().map(|large| athena::row(about, large)));
    if let Some(probe) = &examined.probe {
        rows.push(questions(about, probe));
        rows.extend(probe.run.as_ref().map(|run| records(examined, run, region)));
        rows.extend(probe.agreement.as_ref().map(|compared| agreement::row(about, compared)));
    }
    rows
}

fn flow_log(examined: &Examined, region: Option<&str>) -> Row {
    let (about, Examined { network, reading, .. }) = (name_of(examined), examined);
    let better = || better_flow_log(network, network.gateway.id.as_ref(), region).to_string();
    if let (Some(read), None) = (&reading.in_bucket, &reading.log) {
        return of_bucket(about, network, read, better);
    }
    let Some((log, format)) = &reading.log else {
        let says = reading.gaps.iter().map(|gap| format!("{}: {}", gap.what, gap.why)).collect::<Vec<_>>();
        if network.flow_logs_unknown {
            let fix =
                examined.gaps.iter().find(|gap| gap.decides).map_or_else(better, |gap| gap.fix.to_string());
            return Row::bad(
                about,
                Check::FlowLog,
                Tonight::None,
                "which flow logs cover it is not known",
                fix,
            );
        }
        let says = if says.is_empty() { "none can be read".to_owned() } else { says.join("; ") };
        return Row::bad(about, Check::FlowLog, Tonight::None, says, better());
    };
    let cannot = cannot_tell(network, log, format);
    let kept = log.log_class.map_or("a class that could not be looked up", class);
    let since =
        log.kept_from.map_or_else(String::new, |from| format!(", back to {}", from.strftime("%Y-%m-%d")));
    let says = format!("{}; records in {} ({kept}{since})", reading.why, words::list(&reading.log_groups));
    let mut troubles: Vec<String> = cannot.iter().map(|&text| text.to_owned()).collect();
    troubles.extend(reading.gaps.iter().map(|gap| format!("{}: {}", gap.what, gap.why)));
    if troubles.is_empty() {
        return Row::good(about, Check::FlowLog, says);
    }
    let fix = match reading.gaps.first() {
        Some(gap) if cannot.is_empty() => gap.fix.to_string(),
        _ => better(),
    };
    Row::bad(about, Check::FlowLog, Tonight::Partial, format!("{says}; but {}", troubles.join("; ")), fix)
}

/// The row of a flow log that is read in S3.
fn of_bucket(about: &str, network: &Network, read: &InBucket, better: impl Fn() -> String) -> Row {
    let InBucket { log, format, evidence, window } = read;
    let row = |tonight, says: String, fix: String| Row::bad(about, Check::FlowLog, tonight, says, fix);
    let mut gaps = evidence.gaps.iter().filter(|gap| gap.decides || evidence.coverage.records_read == 0);
    let minutes = words::span(window.start(), window.end());
    let why = evidence.coverage.flow_log.as_deref().unwrap_or_default();
    if evidence.unanswered || evidence.coverage.records_read == 0 {
        let tonight = if evidence.unanswered { Tonight::None } else { Tonight::Partial };
        let said = gaps.next().map(|gap| (format!("{}: {}", gap.what, gap.why), gap.fix.to_string()));
        let (said, fix) = said.unwrap_or_else(|| ("nothing was read".to_owned(), better()));
        return row(tonight, format!("{why}; of {minutes} it showed nothing: {said}"), fix);
    }
    let records = counted(evidence.coverage.records_read, "record");
    let says = format!("{why}; {records} of the gateway from {minutes}");
    let cannot = cannot_tell(network, log, format);
    let mut troubles: Vec<String> = cannot.iter().map(|&text| text.to_owned()).collect();
    let mut fix = None;
    for gap in gaps {
        troubles.push(format!("{}: {}", gap.what, gap.why));
        fix = fix.or_else(|| Some(gap.fix.to_string()));
    }
    if troubles.is_empty() {
        return Row::good(about, Check::FlowLog, says);
    }
    let fix = fix.filter(|_| cannot.is_empty()).unwrap_or_else(better);
    row(Tonight::Partial, format!("{says}; but {}", troubles.join("; ")), fix)
}

fn class(class: LogClass) -> &'static str {
    match class {
        LogClass::Standard => "class Standard",
        LogClass::InfrequentAccess => "class Infrequent Access",
        LogClass::Delivery => "class Delivery",
        LogClass::Other => "a class that this version does not know",
    }
}

/// What records of this flow log cannot answer.
fn cannot_tell(network: &Network, log: &FlowLog, format: &LogFormat) -> Vec<&'static str> {
    let regional = network.gateway.kind == GatewayKind::Regional;
    [
        (
            regional && !format.has(Field::ResourceId),
            "without resource-id its records can't be told from others",
        ),
        (
            !regional && !format.has_packet_addresses(),
            "without pkt-srcaddr and pkt-dstaddr no record shows a client together with its destination",
        ),
        (!format.has(Field::TcpFlags), "without tcp-flags no end of a connection shows, so ranges are wide"),
        (log.aggregation_seconds > 60, "a record spans up to ten minutes, so it comes late and minutes blur"),
        (log.traffic != TrafficType::All, "it holds a part of the traffic only"),
    ]
    .into_iter()
    .filter_map(|(lacks, text)| lacks.then_some(text))
    .collect()
}

fn questions(about: &str, probe: &Probe) -> Row {
    let accepted = |(rung, answer): &(Rung, Result<(), Unanswered>)| answer.is_ok().then_some(*rung);
    let first = probe.questions.iter().find_map(accepted);
    let refused: Vec<String> = probe
        .questions
        .iter()
        .filter_map(|(rung, answer)| {
            let unanswered = answer.as_ref().err()?;
            Some(format!("question {} ({}): {}", rung.number(), rung.subject(), unanswered.why))
        })
        .collect();
    let all = counted(probe.questions.len() as u64, "question");
    let fix = || {
        let refused = probe.questions.iter().find_map(|(_, answer)| answer.as_ref().err());
        refused.map_or_else(String::new, |unanswered| unanswered.fix.to_string())
    };
    match (first, &refused[..]) {
        (Some(_), []) => Row::good(about, Check::Questions, format!("Logs Insights answers all {all}")),
        (Some(best), _) if probe.questions.first().is_some_and(|(rung, _)| *rung == best) => Row::good(
            about,
            Check::Questions,
            format!("Logs Insights answers the best one; beneath it not: {}", refused.join("; ")),
        ),
        (Some(best), _) => {
            let cannot = best.cannot_tell().unwrap_or_default();
            let says = format!(
                "the best one that is answered is question {} ({}). {cannot} Not answered: {}",
                best.number(),
                best.subject(),
                refused.join("; ")
            );
            Row::bad(about, Check::Questions, Tonight::Partial, says, fix())
        }
        (None, _) => {
            // They mostly fail alike.
            let says = format!("none of {all} is answered: {}", refused.first().map_or("", String::as_str));
            Row::bad(about, Check::Questions, Tonight::None, says, fix())
        }
    }
}

fn records(examined: &Examined, run: &Result<Run, Unanswered>, region: Option<&str>) -> Row {
    let about = name_of(examined);
    let run = match run {
        Ok(run) => run,
        Err(unanswered) => {
            let says = format!("ten past minutes could not be read: {}", unanswered.why);
            return Row::bad(about, Check::Records, Tonight::Partial, says, unanswered.fix.to_string());
        }
    };
    let Run { rung, window, took, answer } = run;
    let minutes = words::span(window.start(), window.end());
    let cost = match (answer.bytes_scanned, answer.cost_usd) {
        (Some(bytes), Some(cost)) => {
            format!(", scanned {} and cost {}", words::bytes(bytes), words::dollars(cost))
        }
        _ => String::new(),
    };
    let seconds = took.as_secs_f64();
    let asked = format!("question {} took {seconds:.1} s{cost}", rung.number());
    if answer.records_matched == Some(0) || answer.records_matched.is_none() && answer.rows.is_empty() {
        let described = examined.network.flow_logs.iter().filter(|log| !log.is_named());
        let ids: Vec<String> = described.map(|log| words::argument(&log.id)).collect();
        let shows = match &ids[..] {
            [] => String::new(),
            ids => format!(
                "; this shows whether delivery fails: aws ec2 describe-flow-logs --flow-log-ids {}{}",
                ids.join(" "),
                region_option(region)
            ),
        };
        return Row::bad(
            about,
            Check::Records,
            Tonight::Partial,
            format!("no record of it from {minutes}: it carried nothing, or they do not arrive; {asked}"),
            format!("send something through it and look again{shows}"),
        );
    }
    let records = answer.records_matched.map_or_else(|| "records".into(), |number| counted(number, "record"));
    Row::good(about, Check::Records, format!("{records} from {minutes}; {asked}"))
}
