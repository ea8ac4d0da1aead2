//! Down the ladder: where a question is refused, fails, is cut or takes too long, a simpler one is asked.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use super::choose::Chosen;
use super::query::{MAX_ROWS, Purpose, Query, Question, Scope, Unaskable};
use super::rows::{self, Tallied};
use super::rung::Rung;
use super::text::{Text, list};
use super::{Answer, Cause, LogsQueries, MAX_ASKED_ABOUT, Unanswered, fullest_servers, raw_records};
use crate::evidence::files::{FlowLogFiles, lead_seconds};
use crate::evidence::{Evidence, EvidenceSource, QueryRun, Steps, Viewpoint};
use crate::flow::Field;
use crate::flow::reader::{Inputs, Options};
use crate::gap::{Fix, Gap};
use crate::incident::{Incident, TimeWindow};
use crate::network::{GatewayKind, MetricName, Network};
use crate::words;

/// The question that is asked beside one that takes long.
const BESIDE: Rung = Rung::DistinctPorts;

/// How long to wait for the question beside, once the better one is answered: its answer adds nothing, but what
/// is given up goes on scanning.
const MAX_WAIT_BESIDE: Duration = Duration::from_secs(20);

/// The part of the records that an answer has to account for. A live account is reported to have lost more than
/// half of the rows of a `parse` with a regular expression, without a word.
const ACCOUNTED: f64 = 0.99;

/// Most steps of a question, where it was refused with more of them: how many aggregate functions a `stats` may
/// have is not documented.
const FEWER_STEPS: [i64; 2] = [6, 3];

/// Most steps of a question, where its text would be too long with more of them.
const FITTING_STEPS: [i64; 4] = [20, 12, 6, 3];

/// The questions about one gateway and window.
pub(super) struct Ladder<'a> {
    chosen: &'a Chosen,
    viewpoint: &'a Viewpoint,
    incident: &'a Incident,
    window: TimeWindow,
    /// The minute in which most errors were counted; where that is not known, the last of the window, by which an
    /// alarm hangs.
    worst: TimeWindow,
    /// The log groups that are there.
    log_groups: RefCell<Vec<String>>,
    /// What was found missing on the way.
    gaps: RefCell<Vec<Gap>>,
    /// Whether the service refused a question.
    refused: Cell<bool>,
}

/// What the rows of an answer say.
pub(super) struct Accounted {
    pub(super) evidence: Evidence,
    /// Records for which the rows stand; `None` where they were cut.
    pub(super) accounted: Option<u64>,
}

/// What became of one rung.
struct Attempt {
    runs: Vec<QueryRun>,
    end: End,
}

/// How a rung ended.
enum End {
    /// With an answer; and whether its rows account for all records, which does not show where they were cut.
    Answered(Box<Evidence>, bool),
    /// With one that does not account for all records.
    Short(Box<Evidence>, Unanswered),
    /// Without any record, though there are some in the gateway's own log stream.
    Unmatched(Unanswered),
    /// Without an answer.
    Unanswered(Unanswered),
    /// It was not asked.
    Unasked(Unaskable),
}

impl<'a> Ladder<'a> {
    /// The ladder for an incident and the window that is looked at; the minute with the most errors begins at `worst`.
    pub(super) fn new(
        chosen: &'a Chosen,
        viewpoint: &'a Viewpoint,
        incident: &'a Incident,
        window: TimeWindow,
        worst: Option<Timestamp>,
    ) -> Self {
        Self {
            chosen,
            viewpoint,
            incident,
            window,
            worst: worst_minute(window, worst),
            log_groups: RefCell::new(chosen.log_groups.clone()),
            gaps: RefCell::default(),
            refused: Cell::new(false),
        }
    }

    /// Whether the service refused a question: it will do so again.
    pub(super) fn was_refused(&self) -> bool {
        self.refused.get()
    }

    /// The query of a rung, as it is asked first.
    pub(super) fn query(&self, rung: Rung) -> Result<Query, Unaskable> {
        let (scope, _) = self.scopes();
        let steps = self.steps(rung, &scope).remove(0);
        self.build(rung, Purpose::HeldPorts, &scope, steps)
    }

    /// The minute with the most errors, or the last one.
    pub(super) fn worst(&self) -> TimeWindow {
        self.worst
    }

    /// Where to look first.
    pub(super) fn scope(&self) -> Scope {
        self.scopes().0
    }

    /// What the text of a rung depends on, as it is asked first.
    pub(super) fn question_about(&self, rung: Rung) -> Question<'_> {
        self.question(rung, self.steps(rung, &self.scope()).remove(0), &self.chosen.log_groups)
    }

    /// Asks one question and no other, in the place where to look first.
    pub(super) async fn ask_only(
        &self,
        rung: Rung,
        queries: &impl LogsQueries,
        none: &Evidence,
    ) -> Result<Accounted, Unanswered> {
        let answer = queries.run(&self.query(rung)?).await?;
        Ok(self.read_only(rung, &answer, none))
    }

    /// Reads an answer to [`Ladder::query`], with what its rows do not tell as gaps.
    pub(super) fn read_only(&self, rung: Rung, answer: &Answer, none: &Evidence) -> Accounted {
        let question = self.question_about(rung);
        let mut evidence = self.base(rung, question.steps, none);
        let tallied = add(&mut evidence, answer, rung, &question, &self.scope());
        let accounted = (answer.rows.len() < MAX_ROWS).then_some(tallied.records);
        Accounted { evidence, accounted }
    }

    /// Reads an answer to [`Ladder::query`], where its rows stand for all records.
    ///
    /// # Errors
    /// When they leave some out.
    pub(super) fn read_whole(
        &self,
        rung: Rung,
        answer: &Answer,
        none: &Evidence,
    ) -> Result<Evidence, Unanswered> {
        let Accounted { evidence, accounted } = self.read_only(rung, answer, none);
        let short = accounted.and_then(|records| unaccounted(records, answer));
        short.map_or(Ok(evidence), Err)
    }

    /// The evidence that an answer to a question is added to.
    fn base(&self, rung: Rung, steps: Steps, none: &Evidence) -> Evidence {
        let (window, asked) =
            if rung.asks_every_minute() { (self.window, none.asked) } else { (self.worst, self.worst) };
        Evidence {
            unanswered: false,
            window,
            asked,
            steps,
            ends_visible: rung.shows_ends() && self.chosen.format.has(Field::TcpFlags),
            ..none.clone()
        }
    }

    /// Asks from the first question on until one is answered. `none` is the evidence without any answer; what a
    /// simpler question answers while a better one still runs goes to `so_far`.
    pub(super) async fn go_down(
        &self,
        queries: &impl LogsQueries,
        none: Evidence,
        network: &Network,
        so_far: &RefCell<Option<Evidence>>,
    ) -> Evidence {
        let mut runs = Vec::new();
        let mut failed: Vec<(Rung, Unanswered)> = Vec::new();
        let mut short: Option<(Rung, Box<Evidence>)> = None;
        let mut beside: Option<Attempt> = None;
        let mut next = Some(self.chosen.first);
        let mut found = None;
        while let Some(rung) = next {
            let ran_beside = beside.take_if(|_| rung == BESIDE);
            let attempt = match ran_beside {
                Some(attempt) => attempt,
                None if rung < BESIDE && beside.is_none() => {
                    let (attempt, simpler) = self.watch(rung, queries, &none, network, so_far).await;
                    beside = simpler;
                    attempt
                }
                None => self.attempt(rung, queries, &none, network).await,
            };
            runs.extend(attempt.runs);
            let (unanswered, below) = match attempt.end {
                // Where rows of a better answer were missing, only an answer that accounts for all is better.
                End::Answered(_, false) if short.is_some() => {
                    let fix = "ask about fewer minutes with --window".into();
                    let why = "its answer was cut, so that it does not show whether rows are missing".into();
                    (Unanswered { why, fix, cause: Cause::Ended }, rung.below())
                }
                End::Answered(evidence, _) => {
                    found = Some((rung, evidence));
                    break;
                }
                End::Short(evidence, why) => {
                    short.get_or_insert((rung, evidence));
                    (why, rung.below())
                }
                // The regular expression does not fit the lines: neither will it in the next question.
                End::Unmatched(why) => (why, rung.below().map(|below| below.max(Rung::PlainFields))),
                End::Unanswered(why) => {
                    let below = match why.cause {
                        Cause::Refused | Cause::Failed | Cause::Ended | Cause::TooLarge => rung.below(),
                        Cause::OutOfTime => beside.is_some().then_some(BESIDE),
                        Cause::OutsideRetention | Cause::NoLogGroup(_) | Cause::Other => None,
                    };
                    (why, below)
                }
                End::Unasked(unaskable) => {
                    let below = if matches!(unaskable, Unaskable::TooLong(_)) { rung.below() } else { None };
                    (unaskable.into(), below)
                }
            };
            self.refused.set(self.refused.get() || unanswered.cause == Cause::Refused);
            tracing::info!(question = ?rung, next = ?below, "not answered: {unanswered}");
            failed.push((rung, unanswered));
            next = below;
        }
        if let Some(attempt) = beside {
            runs.extend(attempt.runs);
        }
        let mut evidence = match found.or(short) {
            Some((rung, evidence)) => {
                let mut evidence = *evidence;
                evidence.coverage.question = Some(rung);
                evidence.gaps.extend(self.unasked(rung, &failed));
                evidence
            }
            None => {
                let mut evidence = none;
                evidence.gaps.extend(failed.first().map(|(_, Unanswered { why, fix, .. })| {
                    Gap::new(Purpose::HeldPorts.as_str(), why.clone(), fix.clone()).deciding()
                }));
                evidence
            }
        };
        evidence.gaps.extend(self.gaps.take());
        evidence.queries = runs;
        so_far.take();
        evidence
    }

    /// One rung; and where it takes long, a simpler one beside it, whose attempt is returned as well.
    async fn watch(
        &self,
        rung: Rung,
        queries: &impl LogsQueries,
        none: &Evidence,
        network: &Network,
        so_far: &RefCell<Option<Evidence>>,
    ) -> (Attempt, Option<Attempt>) {
        let Ok(simpler) = self.query(BESIDE) else {
            return (self.attempt(rung, queries, none, network).await, None);
        };
        let mut better = pin!(self.attempt(rung, queries, none, network));
        tokio::select! {
            biased;
            () = queries.wait_before(&simpler) => {}
            attempt = &mut better => return (attempt, None),
        }
        tracing::info!(question = ?rung, beside = ?BESIDE, "takes long: a simpler question is asked beside it");
        let mut beside = pin!(self.attempt(BESIDE, queries, none, network));
        let better_first = tokio::select! {
            attempt = &mut beside => Err(attempt),
            attempt = &mut better => Ok(attempt),
        };
        match better_first {
            Err(attempt) => {
                if let End::Answered(evidence, _) = &attempt.end {
                    let mut evidence = (**evidence).clone();
                    evidence.coverage.question = Some(BESIDE);
                    evidence.queries.clone_from(&attempt.runs);
                    so_far.replace(Some(evidence));
                }
                (better.await, Some(attempt))
            }
            // The answer beside is wanted after all.
            Ok(attempt) if !matches!(attempt.end, End::Answered(..)) => (attempt, Some(beside.await)),
            Ok(mut attempt) => match timeout(MAX_WAIT_BESIDE, beside).await {
                Ok(simpler) => (attempt, Some(simpler)),
                Err(_) => {
                    queries.stop_abandoned(&simpler).await;
                    // How much it had scanned by then is not told.
                    attempt.runs.push(QueryRun { rung: Some(BESIDE), ..QueryRun::of(&simpler, None) });
                    (attempt, None)
                }
            },
        }
    }

    /// Asks one question, with fewer steps where it is refused, and in every stream where the gateway's own has
    /// nothing.
    async fn attempt(
        &self,
        rung: Rung,
        queries: &impl LogsQueries,
        none: &Evidence,
        network: &Network,
    ) -> Attempt {
        let mut runs = Vec::new();
        let (narrow, wide) = self.scopes();
        let mut refused = None;
        for steps in self.steps(rung, &narrow) {
            let asking = Asking { ladder: self, rung, steps, queries };
            match asking.ask(Purpose::HeldPorts, &narrow, &mut runs).await {
                Err(End::Unanswered(unanswered)) if unanswered.cause == Cause::Refused => {
                    refused.get_or_insert(unanswered);
                }
                Err(end) => return Attempt { runs, end },
                Ok(answer) => {
                    let end = asking.conclude(answer, &narrow, wide.as_ref(), none, network, &mut runs).await;
                    return Attempt { runs, end };
                }
            }
        }
        let end = End::Unanswered(refused.unwrap_or_else(|| Unanswered {
            why: "the question has no steps".into(),
            fix: "name the minutes in question with --window".into(),
            cause: Cause::Other,
        }));
        Attempt { runs, end }
    }

    /// Where to look first, and where to look when that holds nothing.
    fn scopes(&self) -> (Scope, Option<Scope>) {
        if self.viewpoint.kind == GatewayKind::Regional {
            return (Scope::Gateway, None);
        }
        let interfaces = self.viewpoint.interfaces.clone();
        if interfaces.is_empty() {
            // Addresses only were named: every record that shows one of them is the gateway's.
            return (Scope::Interfaces(interfaces), None);
        }
        let wide = self.chosen.format.has(Field::InterfaceId).then(|| Scope::Interfaces(interfaces.clone()));
        (Scope::Streams(interfaces, self.chosen.traffic), wide)
    }

    /// The steps to ask with: as many as the text has room for, then fewer.
    fn steps(&self, rung: Rung, scope: &Scope) -> Vec<Steps> {
        if !rung.asks_every_minute() {
            return vec![Steps::over(self.worst)];
        }
        let all = Steps::over(self.window);
        let at_most = |most: i64| Steps::at_most(most, self.window);
        let too_long = |steps: &Steps| {
            matches!(self.build(rung, Purpose::HeldPorts, scope, *steps), Err(Unaskable::TooLong(_)))
        };
        let mut fitting =
            std::iter::once(all).chain(FITTING_STEPS.map(at_most)).skip_while(|steps| too_long(steps));
        let mut steps = vec![fitting.next().unwrap_or(all)];
        let most = steps[0].count();
        steps.extend(FEWER_STEPS.map(at_most).into_iter().filter(|fewer| fewer.count() < most));
        steps.dedup();
        steps
    }

    fn build(&self, rung: Rung, purpose: Purpose, scope: &Scope, steps: Steps) -> Result<Query, Unaskable> {
        self.question(rung, steps, &self.log_groups.borrow()).query(rung, purpose, scope)
    }

    fn question<'q>(&'q self, rung: Rung, steps: Steps, log_groups: &'q [String]) -> Question<'q> {
        let window = if rung.asks_every_minute() { self.window } else { self.worst };
        Question {
            viewpoint: self.viewpoint,
            format: &self.chosen.format,
            log_groups,
            fields_discovered: self.chosen.discovers_fields,
            stored_bytes: self.chosen.stored_bytes,
            window,
            lead: lead_seconds(self.chosen.aggregation_seconds),
            steps,
            worst: self.worst.start().as_second(),
            kept_from: self.chosen.kept_from,
            table: None,
        }
    }

    /// What is missing for want of the better questions, and why they were not answered.
    fn unasked(&self, answered: Rung, failed: &[(Rung, Unanswered)]) -> Option<Gap> {
        match failed.first() {
            Some(first) => simpler_asked(answered, first),
            None => Some(Gap::new(
                missing(answered)?,
                format!(
                    "{} is of a class or in a Region in which Logs Insights may not take the question that would show them",
                    words::list(&self.chosen.log_groups)
                ),
                "create a flow log of the gateway in a log group of the Standard class",
            )),
        }
    }
}

/// What an answer to this question lacks; `None` of the one that tells most.
fn missing(answered: Rung) -> Option<&'static str> {
    Some(match answered {
        Rung::EveryMinute => return None,
        Rung::FirstAndLast => "ends of connections",
        Rung::WorstMinute => "the other minutes, and attempts that got no answer",
        Rung::DistinctPorts | Rung::PlainFields => {
            "the other minutes, ends of connections and the exact number of ports"
        }
        Rung::Records => "the other minutes",
    })
}

/// What is missing as a better question was not answered, and why it was not.
pub(in crate::evidence) fn simpler_asked(
    answered: Rung,
    (better, Unanswered { why, fix, .. }): &(Rung, Unanswered),
) -> Option<Gap> {
    let why = format!(
        "the question about {} was not answered, so a simpler one was asked: {why}",
        better.subject()
    );
    Some(Gap::new(missing(answered)?, why, fix.clone()))
}

/// One question while it is asked.
struct Asking<'l, 'a, Queries> {
    ladder: &'l Ladder<'a>,
    rung: Rung,
    steps: Steps,
    queries: &'l Queries,
}

impl<Queries: LogsQueries> Asking<'_, '_, Queries> {
    /// Runs the query for one scope; again without a log group that does not exist.
    async fn ask(&self, purpose: Purpose, scope: &Scope, runs: &mut Vec<QueryRun>) -> Result<Answer, End> {
        loop {
            let query = self.ladder.build(self.rung, purpose, scope, self.steps).map_err(End::Unasked)?;
            let answer = self.run(&query, runs).await;
            match answer {
                Err(unanswered) if self.passes_over(&unanswered) => {}
                answer => return answer.map_err(End::Unanswered),
            }
        }
    }

    async fn run(&self, query: &Query, runs: &mut Vec<QueryRun>) -> Result<Answer, Unanswered> {
        let answer = self.queries.run(query).await;
        runs.push(QueryRun { rung: Some(self.rung), ..QueryRun::of(query, answer.as_ref().ok()) });
        answer
    }

    /// Drops the log group that is missing, where others are left.
    fn passes_over(&self, unanswered: &Unanswered) -> bool {
        let Cause::NoLogGroup(Some(missing)) = &unanswered.cause else { return false };
        let mut groups = self.ladder.log_groups.borrow_mut();
        let before = groups.len();
        if before < 2 {
            return false;
        }
        groups.retain(|group| group != missing);
        if groups.len() == before {
            return false;
        }
        self.ladder.gaps.borrow_mut().push(Gap::new(
            format!("records in the log group {missing}"),
            unanswered.why.clone(),
            "take it out of NAT_TRIAGE_LOG_GROUPS, or mend the flow log that delivers to it",
        ));
        true
    }

    /// Reads an answer; asks once more, of every stream, where there is nothing in it.
    async fn conclude(
        &self,
        answer: Answer,
        narrow: &Scope,
        wide: Option<&Scope>,
        none: &Evidence,
        network: &Network,
        runs: &mut Vec<QueryRun>,
    ) -> End {
        let (mut answer, mut scope) = (answer, narrow);
        // The name of a log stream is an observation, not a promise of AWS: without any row, look in
        // every stream before saying that there is nothing.
        if answer.rows.is_empty()
            && let Some(wide) = wide
        {
            match self.ask(Purpose::HeldPorts, wide, runs).await {
                Ok(wider) => (answer, scope) = (wider, wide),
                Err(end) => return end,
            }
        }
        if answer.rows.is_empty()
            && busy(network)
            && let Some(unmatched) = self.look_for_streams(runs).await
        {
            return End::Unmatched(unmatched);
        }
        let mut evidence = match self.rung {
            Rung::Records => self.read_records(&answer, none, network).await,
            _ => self.ladder.base(self.rung, self.steps, none),
        };
        let tallied = if self.rung == Rung::Records {
            Tallied { records: answer.rows.len() as u64, unusable: None }
        } else {
            self.add(&mut evidence, &answer, scope)
        };
        if let (Some((count, error)), true) = (&tallied.unusable, tallied.records == 0) {
            return End::Unanswered(Unanswered {
                why: format!("none of the {count} rows of the answer was usable: {error}"),
                fix: "run the query of this report in the console and compare".into(),
                cause: Cause::Ended,
            });
        }
        let unaccounted = unaccounted(tallied.records, &answer);
        self.ask_about_clients(&mut evidence, runs).await;
        match unaccounted {
            Some(why) => {
                evidence.gaps.push(Gap::new(
                    "records that the answer leaves out",
                    why.why.clone(),
                    why.fix.clone(),
                ));
                // What is missing may have been as much as there are ports.
                evidence.coverage.files_failed += 1;
                End::Short(Box::new(evidence), why)
            }
            None => End::Answered(Box::new(evidence), answer.rows.len() < MAX_ROWS),
        }
    }

    fn add(&self, evidence: &mut Evidence, answer: &Answer, scope: &Scope) -> Tallied {
        let groups = self.ladder.log_groups.borrow();
        let question = self.ladder.question(self.rung, self.steps, &groups);
        add(evidence, answer, self.rung, &question, scope)
    }

    /// The records themselves, counted as those of a file are: by the flow log's format, and where no line is of
    /// that, by what the lines look like.
    async fn read_records(&self, answer: &Answer, none: &Evidence, network: &Network) -> Evidence {
        let (ladder, chosen) = (self.ladder, self.ladder.chosen);
        let mut lines = String::new();
        for line in answer.rows.iter().filter_map(|row| row.get("@message")) {
            lines.push_str(line.trim_end());
            lines.push('\n');
        }
        let incident = Incident { window: Some(ladder.worst), ..ladder.incident.clone() };
        let mut evidence = ladder.base(self.rung, self.steps, none);
        for format in [Some(chosen.format.clone()), None] {
            let inputs =
                Inputs::from_memory([("the answer of Logs Insights".to_owned(), lines.clone().into_bytes())]);
            let options = Options { format, ..Options::default() };
            let files = FlowLogFiles::new(inputs, options, |_| {});
            match files.collect(&incident, &mut network.clone()).await {
                Ok(read) => evidence = read,
                Err(error) => evidence.gaps.push(Gap::new(
                    "the records of the worst minute",
                    error.to_string(),
                    "look at the answer to the query of this report in the console",
                )),
            }
            if evidence.coverage.records_read > 0 {
                break;
            }
        }
        let coverage = &mut evidence.coverage;
        coverage.source = none.coverage.source;
        coverage.flow_log.clone_from(&none.coverage.flow_log);
        coverage.kept_from = none.coverage.kept_from;
        if answer.rows.len() >= raw_records::MAX_RECORDS {
            // Without the rest there may have been as much as there are ports.
            coverage.files_failed += 1;
            evidence.gaps.push(Gap::new(
                "more records of the worst minute",
                format!("the answer was cut at {} records", words::count(raw_records::MAX_RECORDS as u64)),
                Fix::run_to("export these minutes of the log group", "nat-triage analyze --flow-logs FILES"),
            ));
        }
        evidence
    }

    /// Where the format does not join clients with destinations, their own interfaces do.
    async fn ask_about_clients(&self, evidence: &mut Evidence, runs: &mut Vec<QueryRun>) {
        let (chosen, viewpoint) = (self.ladder.chosen, self.ladder.viewpoint);
        let joined = chosen.format.has_packet_addresses() || viewpoint.kind == GatewayKind::Regional;
        if joined || !chosen.covers_clients || self.rung == Rung::Records {
            return;
        }
        let servers = fullest_servers(evidence, MAX_ASKED_ABOUT);
        if servers.is_empty() {
            return;
        }
        let scope = Scope::Clients(servers);
        match self.ask(Purpose::Clients, &scope, runs).await {
            Ok(answer) => {
                self.add(evidence, &answer, &scope);
            }
            Err(End::Unanswered(Unanswered { why, fix, .. })) => {
                evidence.gaps.push(Gap::new(Purpose::Clients.as_str(), why, fix))
            }
            Err(End::Unasked(unaskable)) => {
                evidence.gaps.push(Gap::new(
                    Purpose::Clients.as_str(),
                    unaskable.to_string(),
                    fix(&unaskable),
                ));
            }
            Err(End::Answered(..) | End::Short(..) | End::Unmatched(_)) => {}
        }
    }

    /// Without a single row, though the gateway was at work: says whether its log stream has records all the same,
    /// in which case our pattern does not fit them.
    async fn look_for_streams(&self, runs: &mut Vec<QueryRun>) -> Option<Unanswered> {
        let ladder = self.ladder;
        let (narrow, _) = ladder.scopes();
        let mut query = ladder.build(self.rung, Purpose::Streams, &narrow, self.steps).ok()?;
        let mut text = Text::default();
        let records = text.name("records");
        if let Scope::Streams(interfaces, _) = &narrow {
            let names: Vec<String> =
                interfaces.iter().flat_map(|id| ["all", "accept"].map(|of| format!("{id}-{of}"))).collect();
            text.command(format_args!("filter @logStream in {}", list(&names)));
        }
        text.command(format_args!("stats count(*) as {records} by @logStream"));
        text.command(format_args!("sort {records} desc"));
        text.command("limit 50");
        (query.text, query.max_rows) = (text.finish(), 50);
        let answer = self.run(&query, runs).await;
        let rows = match answer {
            Ok(answer) => answer.rows,
            Err(Unanswered { why, fix, .. }) => {
                ladder.gaps.borrow_mut().push(Gap::new(Purpose::Streams.as_str(), why, fix));
                return None;
            }
        };
        let streams: Vec<&str> =
            rows.iter().filter_map(|row| row.get("@logStream")).map(String::as_str).collect();
        let groups = words::list(&ladder.chosen.log_groups);
        if streams.is_empty() {
            ladder.gaps.borrow_mut().push(
                Gap::new(
                    "any traffic of the gateway",
                    format!(
                        "the gateway was at work, and its log stream in {groups} has no record of these minutes: they may arrive later, or the flow log may not deliver"
                    ),
                    Fix::ask_again("ask again in a few minutes"),
                )
                .deciding(),
            );
            return None;
        }
        Some(Unanswered {
            why: format!(
                "the log stream {} in {groups} has records of these minutes, and none is of the form that the flow log's format says",
                words::one_line(streams[0], 80)
            ),
            fix: "compare a line of that log stream with the flow log's format".into(),
            cause: Cause::Ended,
        })
    }
}

/// Adds an answer, whoever was asked, with what its rows do not tell.
pub(in crate::evidence) fn add(
    evidence: &mut Evidence,
    answer: &Answer,
    rung: Rung,
    question: &Question<'_>,
    scope: &Scope,
) -> Tallied {
    let tallied = rows::add(evidence, &answer.rows, rung, question, scope);
    if let Some((count, error)) = &tallied.unusable {
        evidence.coverage.records_rejected += count;
        evidence.gaps.push(Gap::new(
            "some rows of the answer",
            error.to_string(),
            "run the query of this report in the console and compare",
        ));
    }
    if answer.rows.len() >= MAX_ROWS {
        evidence.gaps.push(Gap::new(
            "clients and destinations with the fewest ports",
            format!("the answer was cut at {MAX_ROWS} rows, those with the most ports first"),
            "ask about fewer minutes with --window",
        ));
    }
    // Twenty records in ten seconds, as the files have it.
    let seconds = u64::try_from(question.window.seconds() + question.lead).unwrap_or(u64::MAX);
    evidence.coverage.busy = evidence.coverage.records_read >= seconds.saturating_mul(2);
    tallied
}

/// Why rows that stand for `accounted` records do not stand for all that the question matched, where they do not.
fn unaccounted(accounted: u64, answer: &Answer) -> Option<Unanswered> {
    let matched = answer.records_matched?;
    let cut = answer.rows.len() >= MAX_ROWS;
    if cut || accounted as f64 >= matched as f64 * ACCOUNTED {
        return None;
    }
    Some(Unanswered {
        why: format!(
            "Logs Insights says that {} records matched, and the rows of its answer stand for {} of them",
            words::count(matched),
            words::count(accounted)
        ),
        fix: Fix::ask_again("ask again"),
        cause: Cause::Ended,
    })
}

/// Whether the gateway's metrics say that it was at work.
fn busy(network: &Network) -> bool {
    [MetricName::ActiveConnectionCount, MetricName::ConnectionAttemptCount, MetricName::ErrorPortAllocation]
        .into_iter()
        .any(|name| network.metric(name).is_some_and(|metric| metric.value > 0.0))
}

/// The minute of the window that holds `worst`; its last one where that is not known or not within.
pub(in crate::evidence) fn worst_minute(window: TimeWindow, worst: Option<Timestamp>) -> TimeWindow {
    let minute = SignedDuration::from_mins(1);
    let known = worst
        .and_then(|at| TimeWindow::new(at, at.checked_add(minute).ok()?).ok())
        .filter(|found| found.start() >= window.start() && found.end() <= window.end());
    let last = || {
        let start = window.end().checked_sub(minute).ok().filter(|start| *start > window.start());
        TimeWindow::new(start?, window.end()).ok()
    };
    known.or_else(last).unwrap_or(window)
}

impl From<Unaskable> for Unanswered {
    fn from(unaskable: Unaskable) -> Self {
        Self { why: unaskable.to_string(), fix: fix(&unaskable), cause: Cause::Other }
    }
}

fn fix(unaskable: &Unaskable) -> Fix {
    match unaskable {
        Unaskable::NoAddresses => {
            "allow ec2:DescribeNatGateways, or name the addresses in NAT_TRIAGE_NAT_IPS"
        }
        Unaskable::NoResourceId => "create a second flow log for the gateway whose format has resource-id",
        Unaskable::TooLong(_) => "ask about fewer minutes with --window",
    }
    .into()
}
