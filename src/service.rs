//! One event in, one answer out: the story of [`crate::triage`] and [`crate::looks`] with the live edges,
//! for the function and for `nat-triage triage`.

mod after;
mod watching;

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::alarm::{
    AlarmError, Ended, Outcome, Request, asked_once, bound, drill_of_query, is_drill, outcomes_from_event,
    request,
};
use crate::aws::doctor::Questions;
use crate::aws::{
    self, AthenaQueries, BucketObjects, Budget, Clients, Discovery, InsightsQueries, Overrides, ReportBucket,
    SnsTopic, described_alarms,
};
use crate::bundle::Bundle;
use crate::config::{Config, NameServer};
use crate::continuation::{Continuation, Successor};
use crate::contract::{Diagnosis, Stage};
use crate::deadline::{Clock, Deadline};
use crate::diagnosis::Limits;
use crate::doctor::{self, Checkup, Examined, Facts, Standing, Tell};
use crate::evidence::athena::Athena;
use crate::evidence::bucket::{BucketFiles, Most, Turns};
use crate::evidence::files::FlowLogFiles;
use crate::evidence::insights::{LogsInsights, Recording, RungMemory};
use crate::evidence::live::{Live, shows_more_in_s3};
use crate::flow::reader::{Input, Inputs, Options, ReadError};
use crate::incident::{Alarm, Incident, NatGatewayId, TimeWindow, fingerprint};
use crate::looks::{self, Roles, Unheard, until_known};
use crate::network::{GatewayKind, Known, NatGateway, Network, NetworkSource as _};
use crate::publish::{
    Episode, Ledger, Memory, Nowhere, Outbox, PublishError, Publisher, Receipt, Sent, Turn, hold,
    wait_for_turn,
};
use crate::report::{Message, Trouble};
use crate::reverse_dns::ReverseDns;
use crate::telemetry::embedded_metrics;
use crate::triage::{Surveyed, Triaged};
use crate::watch;
use crate::words;

/// Why an event got no answer, or its answer did not go out.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The event is not one that asks for a diagnosis.
    #[error("failed to understand the event")]
    Event(#[from] AlarmError),
    /// The embedded source could not be read.
    #[error("failed to read the flow-log files that NAT_TRIAGE_FLOW_LOGS names")]
    Files(#[from] ReadError),
    /// The message did not go out.
    #[error("the diagnosis was made but did not go out")]
    Publish(#[from] PublishError),
    /// Another process had the alarm in hand until there was no time left.
    #[error(
        "another process is still working on the alarm of incident {0}; Lambda's next attempt reports it if that process did not"
    )]
    InHand(String),
    /// A mistake of ours.
    #[error("nat-triage broke off by a mistake of its own: {0}")]
    Bug(String),
}

impl Failure {
    /// A stable name, for `errorType`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Event(_) => "UnusableEvent",
            Self::Files(_) => "UnreadableFlowLogs",
            Self::Publish(_) => "NotPublished",
            Self::InHand(_) => "InHand",
            Self::Bug(_) => "Bug",
        }
    }

    /// The message and all its causes, on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}

impl From<Unheard<ReadError>> for Failure {
    fn from(unheard: Unheard<ReadError>) -> Self {
        match unheard {
            Unheard::NoEvidence(error) => Self::Files(error.0),
            Unheard::NotPublished(error) => Self::Publish(error),
        }
    }
}

impl From<Unheard<crate::evidence::insights::Never>> for Failure {
    fn from(unheard: Unheard<crate::evidence::insights::Never>) -> Self {
        match unheard {
            Unheard::NoEvidence(error) => match error.0 {},
            Unheard::NotPublished(error) => Self::Publish(error),
        }
    }
}

/// Composite alarms within one another that are followed.
const MAX_LEVELS: usize = 3;

/// Most gateways that a check-up looks at.
const MAX_GATEWAYS: usize = 100;

/// How long a check-up may ask Logs Insights about one gateway, at most: seven queries of seconds each.
const MAX_TIME_OF_GATEWAY: Duration = Duration::from_secs(120);

/// With less time than this a gateway is not begun with: the look-ups alone may take as long.
const MIN_TIME_OF_GATEWAY: Duration = Duration::from_secs(20);

/// What the texts of questions depend on beside the ids of the gateway: its kind, the log groups, and the format of
/// the records.
type Form = (GatewayKind, Vec<String>, String);

/// What one outcome of an event came to.
#[derive(Clone, Debug)]
struct Reply {
    /// As it is returned.
    value: Value,
    /// Whether it is that the gateway, one of several of an alarm, refused nothing in these minutes.
    is_blameless: bool,
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        Self { value, is_blameless: false }
    }
}

/// What time there is for one event.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// The time of day.
    pub clock: Clock,
    /// By when everything has to be done.
    pub deadline: Deadline,
}

/// Everything that outlives one event.
#[derive(Debug)]
pub struct Service {
    config: Config,
    clients: Clients,
    sent: Memory,
    answered: RungMemory,
    recalled: OnceCell<()>,
    /// Lines of metrics that nobody has taken yet.
    measured: RefCell<Vec<String>>,
    /// What the last look how full the gateways are leaves to the next, where no bucket keeps it.
    watched: RefCell<watch::Memory>,
    /// What all queries of the event in hand may scan together.
    budget: RefCell<Budget>,
    /// Where the event in hand is of several incidents, whose turn it is to hold files of S3.
    turns: RefCell<Option<Turns>>,
}

impl Service {
    /// A service that has sent nothing yet.
    #[must_use]
    pub fn new(config: Config, clients: Clients) -> Self {
        Self {
            budget: RefCell::new(Budget::of_event(config.max_scan_gib)),
            config,
            clients,
            sent: Memory::default(),
            answered: RungMemory::default(),
            recalled: OnceCell::new(),
            measured: RefCell::default(),
            watched: RefCell::default(),
            turns: RefCell::default(),
        }
    }

    /// How each diagnosis since the last call went: a line of metrics for the function's log.
    pub fn take_measurements(&self) -> Vec<String> {
        self.measured.take()
    }

    fn measure(&self, clock: Clock, diagnosis: &Diagnosis) {
        if let Some(function) = &self.config.function_name {
            self.measured.borrow_mut().push(embedded_metrics(diagnosis, function, clock.now()));
        }
    }

    /// Answers one event: the diagnosis in JSON, or why there is none. Of an event that holds several
    /// alarms, a list.
    ///
    /// # Errors
    /// When nobody was told what a retry could tell them, or nothing could be made of the event and there
    /// is nobody to tell.
    pub async fn on_event(&self, time: Time, event: &Value) -> Result<Value, Failure> {
        self.budget.replace(Budget::of_event(self.config.max_scan_gib));
        self.turns.replace(None);
        if let Some(left) = Continuation::of_event(event) {
            return self.go_on(time, left).await;
        }
        if let Some(original) = Continuation::original_of(event) {
            tracing::warn!("an earlier version left this incident, which this one begins anew");
            return Box::pin(self.on_event(time, original)).await;
        }
        if let Some(tell) = Tell::of_event(event) {
            return self.on_check_up(time, tell).await;
        }
        if watching::is_asked_for(event) {
            return self.on_watch(event, time).await;
        }
        if watching::is_weekly(event) {
            return self.on_week(time).await;
        }
        if let Some(request) = request(event) {
            return self.by_hand(time, event, request).await;
        }
        if let Some(alarm) = drill_of_query(event) {
            return self.drill(time, event, alarm).await;
        }
        let asked = self.outcomes(time.deadline.before_publishing(), event).await;
        let now = time.clock.now();
        let (unusable, mut outcomes): (Vec<Outcome>, Vec<Outcome>) = asked
            .into_iter()
            .map(|outcome| outcome.as_of(now))
            .partition(|outcome| matches!(outcome, Outcome::Unusable(_)));
        if let Some(beyond) = bound(&mut outcomes) {
            let id = fingerprint(&format!("beyond {event}"));
            let trouble = Trouble::beyond(&id, event, &beyond);
            if let Err(failure) = self.tell(time, &trouble).await {
                tracing::warn!(id, "not told of incidents beyond the most: {}", failure.chain());
            }
        }
        if outcomes.len() > 1 {
            self.turns.replace(Some(Turns::default()));
        }
        let of_good = async {
            let asked = outcomes.iter().map(|outcome| self.answer(time, event, outcome.clone()));
            let answers = join_all(asked).await.into_iter().collect::<Result<Vec<Reply>, Failure>>()?;
            let asked = outcomes.iter().zip(&answers);
            let again = asked.map(|(outcome, answer)| async {
                if is_blameless_with_all_others(outcome, answer, &outcomes, &answers) {
                    self.answer(time, event, outcome.clone().by_itself()).await
                } else {
                    Ok(answer.clone())
                }
            });
            let answers = join_all(again).await.into_iter().collect::<Result<Vec<Reply>, Failure>>()?;
            Ok::<Vec<Value>, Failure>(answers.into_iter().map(|answer| answer.value).collect())
        };
        let errors: Vec<AlarmError> = unusable.into_iter().filter_map(Outcome::into_error).collect();
        let of_bad = async {
            match errors.first() {
                None => Ok(None),
                Some(first) => self.unusable(time, event, first, errors.len()).await.map(Some),
            }
        };
        let (good, bad) = join(of_good, of_bad).await;
        let mut answers = good?;
        match bad {
            Ok(told) => answers.extend(told),
            // One record that cannot be read spares the good ones beside it.
            Err(failure @ Failure::Event(_)) if !answers.is_empty() => {
                tracing::warn!(reason = failure.chain(), "a part of the event cannot be read");
                answers.push(json!({ "unusable": true, "reason": failure.chain() }));
            }
            Err(failure) => return Err(failure),
        }
        Ok(if answers.len() == 1 { answers.remove(0) } else { Value::Array(answers) })
    }

    /// What an event asks for, with the alarms beneath composite ones looked up where that is allowed.
    pub async fn outcomes(&self, deadline: Deadline, event: &Value) -> Vec<Outcome> {
        let mut outcomes = outcomes_from_event(event);
        // There may be composite alarms beneath composite ones.
        for _ in 0..MAX_LEVELS {
            if !outcomes.iter().any(|outcome| matches!(outcome, Outcome::Composite(_))) {
                break;
            }
            let known =
                join_all(outcomes.into_iter().map(|outcome| self.with_children(deadline, outcome))).await;
            outcomes = known.into_iter().flatten().collect();
        }
        // The alarm beneath may have told of itself in the same batch.
        asked_once(outcomes.into_iter().map(Outcome::from_event_alone))
    }

    async fn with_children(&self, deadline: Deadline, outcome: Outcome) -> Vec<Outcome> {
        match outcome {
            Outcome::Composite(composite) => {
                let described = match &composite.children[..] {
                    [] => None,
                    names => described_alarms(&self.clients, names, deadline).await,
                };
                match described {
                    Some(described) => composite.with_children(&described),
                    None => vec![composite.from_event_alone()],
                }
            }
            other => vec![other],
        }
    }

    async fn answer(&self, time: Time, event: &Value, outcome: Outcome) -> Result<Reply, Failure> {
        let incident = match outcome {
            Outcome::Ignored(ignored) => {
                tracing::info!(reason = ignored.reason, "ignored");
                return Ok(json!({ "ignored": true, "reason": ignored.reason }).into());
            }
            Outcome::Ended(ended) if self.config.notify_ok => {
                return self.on_end(time, event, &ended).await.map(Reply::from);
            }
            Outcome::Ended(ended) => {
                tracing::info!(reason = ended.reason(), "ignored");
                return Ok(json!({ "ignored": true, "reason": ended.reason() }).into());
            }
            Outcome::Composite(composite) => {
                return Box::pin(self.answer(time, event, composite.from_event_alone())).await;
            }
            Outcome::Unusable(error) => return self.unusable(time, event, &error, 1).await.map(Reply::from),
            Outcome::Incident(incident) => incident,
        };
        self.on_incident(time, event, incident, 0).await
    }

    /// Tells that an alarm is over, and whether the ports of its gateways are free again.
    async fn on_end(&self, time: Time, event: &Value, ended: &Ended) -> Result<Value, Failure> {
        let id = ended.id();
        let ledger = self.ledger(time.deadline);
        let leases = &ledger.bucket;
        let lease = match wait_for_turn(leases, &ledger, &id, time.clock, time.deadline).await {
            Turn::Ours(lease) => lease,
            Turn::Reported => {
                tracing::info!(id, "the end of this alarm was told before");
                return Ok(json!({ "ignored": true, "reason": "its end was told before", "id": id }));
            }
            Turn::Late => return Err(Failure::InHand(id)),
        };
        let told = async {
            // A fault of ours must not keep the end from being told.
            let looked = or_bug(async { Ok(Box::pin(self.look_after(time, ended)).await) }).await;
            let recovery = looked.unwrap_or_else(|bug| {
                tracing::error!(id, "the gateways were not looked at after the alarm: {}", bug.chain());
                Vec::new()
            });
            let over = Trouble::over(ended, recovery, event, self.config.function_name.as_deref());
            self.tell(time, &over).await?;
            Ok(json!({ "ended": true, "reason": over.reason, "recovery": over.recovery(), "id": over.id }))
        };
        hold(leases, lease, time.clock, told).await
    }

    /// Goes on with an incident whose flow logs an earlier invocation could not wait for.
    async fn go_on(&self, time: Time, left: Continuation) -> Result<Value, Failure> {
        let Continuation { round, incident, event, told, scanned_bytes, .. } = left;
        self.budget.replace(Budget::of_event(self.config.max_scan_gib).having_spent(scanned_bytes));
        let ledger = self.ledger(time.deadline);
        if let (Some(told), Some(memory)) = (told, ledger.memory) {
            let mark = incident.mark();
            // What all processes know counts: another one may have told more.
            if ledger.sent(&mark).await.is_none() {
                memory.record(&mark, &told).await;
            }
        }
        // The invocation before this one looked a moment ago.
        sleep(looks::BETWEEN.min(time.deadline.remaining() / 3)).await;
        Ok(self.on_incident(time, &event, incident, round).await?.value)
    }

    /// Reports one incident, unless another process does. `round` invocations have looked at it before.
    async fn on_incident(
        &self,
        time: Time,
        event: &Value,
        incident: Incident,
        round: u32,
    ) -> Result<Reply, Failure> {
        let id = incident.id();
        let ledger = self.ledger(time.deadline);
        let (leases, mark) = (&ledger.bucket, incident.mark());
        let lease = match wait_for_turn(leases, &ledger, &mark, time.clock, time.deadline).await {
            Turn::Ours(lease) => lease,
            Turn::Reported => {
                tracing::info!(id, "this alarm's report has gone out before");
                return Ok(
                    json!({ "ignored": true, "reason": "its report has gone out before", "id": id }).into()
                );
            }
            Turn::Late => return Err(Failure::InHand(id)),
        };
        let told = async {
            match or_bug(Box::pin(self.report(time, event, incident, &ledger, Some(round)))).await {
                Err(bug @ Failure::Bug(_)) => {
                    let trouble = Trouble::broken(&id, event, &bug.chain());
                    self.told_of(time, "broken", &trouble, bug).await.map(Reply::from)
                }
                told => told,
            }
        };
        hold(leases, lease, time.clock, told).await
    }

    /// Answers what somebody asks without an alarm, as often as it is asked.
    async fn by_hand(
        &self,
        time: Time,
        event: &Value,
        request: Result<Request, AlarmError>,
    ) -> Result<Value, Failure> {
        let incident = async {
            let Request { gateway, window } = request?;
            let gateway = match gateway {
                Some(gateway) => gateway,
                None => self.only_gateway(time.deadline.of_look_ups()).await?,
            };
            let window = window.unwrap_or_else(|| doctor::latest(time.clock.now()));
            Ok::<_, AlarmError>(Incident::of_minutes(Some(gateway), window))
        };
        match incident.await {
            Ok(incident) => {
                let nothing_sent = Ledgers { memory: None, bucket: None };
                let reply = or_bug(Box::pin(self.report(time, event, incident, &nothing_sent, None))).await?;
                Ok(reply.value)
            }
            Err(error) => Err(Failure::Event(error)),
        }
    }

    /// Answers a drill of an alarm that watches every gateway: about the first of them.
    async fn drill(&self, time: Time, event: &Value, alarm: Alarm) -> Result<Value, Failure> {
        match aws::doctor::gateways(&self.clients, time.deadline.of_look_ups()).await {
            Ok(ids) if ids.is_empty() => {
                let reason = "somebody set the alarm by hand, and there is no NAT gateway in this Region";
                tracing::info!(reason, "ignored");
                Ok(json!({ "ignored": true, "reason": reason }))
            }
            Ok(mut ids) => {
                let incident = Incident {
                    gateway: Some(ids.remove(0)),
                    window: Some(doctor::latest(alarm.at)),
                    alarm: Some(alarm),
                    ..Incident::default()
                };
                Ok(self.answer(time, event, Outcome::Incident(incident)).await?.value)
            }
            Err(gap) => {
                let error = AlarmError::WhichGateway { found: format!("{}: {}", gap.what, gap.why) };
                self.unusable(time, event, &error, 1).await
            }
        }
    }

    /// The one gateway of the Region.
    async fn only_gateway(&self, deadline: Deadline) -> Result<NatGatewayId, AlarmError> {
        let found = match aws::doctor::gateways(&self.clients, deadline).await {
            Ok(mut ids) if ids.len() == 1 => return Ok(ids.remove(0)),
            Ok(ids) if ids.is_empty() => "there is no NAT gateway in this Region".to_owned(),
            Ok(ids) => format!("there are several NAT gateways: {}", words::list(&ids)),
            Err(gap) => format!("{}: {}", gap.what, gap.why),
        };
        Err(AlarmError::WhichGateway { found })
    }

    /// Diagnoses and publishes, with whichever source the configuration names. Of an alarm, `round` invocations have
    /// looked before; what somebody asks by hand is not left to another one.
    async fn report(
        &self,
        time: Time,
        event: &Value,
        incident: Incident,
        ledger: &Ledgers<'_>,
        round: Option<u32>,
    ) -> Result<Reply, Failure> {
        let Time { clock, deadline } = time;
        let outbox = self.outbox(deadline);
        let looking = deadline.before_publishing();
        let limits = Limits::default();
        let by_hand = is_drill(event, &incident);
        let repeat_within = self.config.repeat_within;
        if let Some(files) = self.files(deadline)? {
            let networks = Known(self.named());
            let mut surveyed = Surveyed::new(incident, &networks).await.set_by_hand(by_hand);
            let roles = Roles {
                networks: &networks,
                source: &files,
                outbox: &outbox,
                ledger,
                successor: &(),
                repeat_within,
            };
            let triaged = match until_known(&mut surveyed, &roles, limits, clock, looking).await {
                Err(Unheard::NoEvidence(error)) => {
                    return self.unread(time, event, &surveyed, error.0).await.map(Reply::from);
                }
                told => told?,
            };
            self.measure(clock, &triaged.diagnosis);
            return Ok(triaged.diagnosis.to_json().into());
        }
        let networks = self.discovery(clock, looking);
        let queries = self.queries(looking);
        // Only a bucket keeps what a report rests on.
        let queries = if self.config.report_bucket.is_some() { queries } else { queries.passing_on() };
        let bucket = self.bucket(deadline);
        let recalled = self.recall(bucket.as_ref(), clock);
        let (surveyed, ()) = join(Surveyed::new(incident.clone(), &networks), recalled).await;
        let unread = ledger.bucket.as_ref().and_then(ReportBucket::unread);
        let mut surveyed = surveyed.set_by_hand(by_hand).missing(unread);
        let memory = self.answered.snapshot();
        let insights = LogsInsights::new(&queries)
            .remembering(self.answered.clone())
            .comparing(self.config.compare_earlier);
        let source = Live::new(&insights, self.bucket_files(looking)).or_asking(self.athena(looking));
        if incident.one_of_several && surveyed.had_no_errors() {
            let reason = "the alarm is on several gateways, and this one refused nothing in these minutes";
            tracing::info!(id = surveyed.id(), reason, "ignored");
            let value = json!({ "ignored": true, "reason": reason, "nat_gateway": incident.gateway });
            return Ok(Reply { value, is_blameless: true });
        }
        let successor =
            NextInvocation { service: self, event, incident: &incident, round, deadline: looking };
        let roles = Roles {
            networks: &networks,
            source: &source,
            outbox: &outbox,
            ledger,
            successor: &successor,
            repeat_within,
        };
        let triaged = until_known(&mut surveyed, &roles, limits, clock, looking).await?;
        self.measure(clock, &triaged.diagnosis);
        if let Some(bucket) = bucket {
            if self.answered != memory {
                bucket.remember_rungs(&self.answered, clock.now()).await;
            }
            let of_queries = Bundle::of(Some(event), incident, &surveyed, &triaged, queries.asked(), memory);
            if let Some(bundle) = whole(of_queries, &source) {
                bucket.keep(&bundle).await;
            }
        }
        Ok(triaged.diagnosis.to_json().into())
    }

    /// Learns, once in a process, which questions earlier processes found answered.
    async fn recall(&self, bucket: Option<&ReportBucket<'_>>, clock: Clock) {
        let Some(bucket) = bucket else { return };
        let earlier = async { self.answered.add_older(&bucket.remembered_rungs(clock.now()).await) };
        self.recalled.get_or_init(|| earlier).await;
    }

    /// Answers who asks for a check-up, and tells the readers of the reports where they are to be told.
    async fn on_check_up(&self, time: Time, tell: Tell) -> Result<Value, Failure> {
        let found = Box::pin(self.check_up(time)).await;
        let standing = Standing::of(&found);
        let bucket = self.bucket(time.deadline);
        let told = match &bucket {
            Some(bucket) if tell == Tell::Changes => bucket.told_of_checkup().await,
            _ => None,
        };
        if tell.is_due(told.as_ref(), &standing) {
            self.outbox(time.deadline).tell_of_checkup(&found).await?;
        }
        if tell != Tell::Nobody
            && let Some(bucket) = &bucket
        {
            bucket.remember_checkup(&standing).await;
        }
        Ok(found.to_json())
    }

    /// Looks at everything that a diagnosis tonight would rest on, and publishes nothing.
    pub async fn check_up(&self, Time { clock, deadline }: Time) -> Checkup {
        let (now, soon) = (clock.now(), deadline.of_look_ups());
        let topic = async {
            match &self.config.topic_arn {
                Some(arn) => aws::doctor::topic(&self.clients, arn, soon).await,
                None => doctor::Topic::NotSet,
            }
        };
        let bucket = async {
            match (&self.config.report_bucket, self.bucket(soon)) {
                (Some(name), Some(bucket)) => match bucket.takes_objects(now).await {
                    Ok(()) => doctor::Bucket::Writable(name.clone()),
                    Err(gap) => doctor::Bucket::Refused(gap),
                },
                _ => doctor::Bucket::NotSet,
            }
        };
        let next_invocation = async {
            Some(aws::try_invoking(&self.clients, self.config.function_name.as_deref()?, soon).await)
        };
        let (ids, alarms, topic, bucket, next_invocation) = tokio::join!(
            aws::doctor::gateways(&self.clients, soon),
            aws::doctor::watchers(&self.clients, soon),
            topic,
            bucket,
            next_invocation
        );
        let mut passed_over = Vec::new();
        let gateways = match ids {
            Err(gap) => Err(gap),
            Ok(ids) => {
                let (mut examined, mut asked) = (Vec::<Examined>::new(), Vec::new());
                for id in ids {
                    if examined.len() >= MAX_GATEWAYS || deadline.remaining() < MIN_TIME_OF_GATEWAY {
                        passed_over.push(id.to_string());
                    } else {
                        examined.push(self.examined(clock, deadline, id, &mut asked).await);
                    }
                }
                Ok(examined)
            }
        };
        let invokers = match (&gateways, &alarms) {
            (Ok(examined), Ok(alarms)) => doctor::invokers(examined, alarms),
            _ => Vec::new(),
        };
        let invoked = aws::doctor::invoked(&self.clients, invokers, deadline.of_look_ups()).await;
        let region = self.clients.region().map(str::to_owned);
        doctor::check_up(&Facts {
            at: now,
            region,
            gateways,
            passed_over,
            alarms,
            invoked,
            topic,
            bucket,
            next_invocation,
            event_bus: self.config.event_bus.clone(),
        })
    }

    /// What a diagnosis of a gateway would rest on. Questions of the same form to the same log groups are asked
    /// once: they are in `asked`.
    async fn examined(
        &self,
        clock: Clock,
        deadline: Deadline,
        id: NatGatewayId,
        asked: &mut Vec<(Form, Questions)>,
    ) -> Examined {
        let window = doctor::recent(clock.now());
        let incident = Incident::of_minutes(Some(id), window);
        let (network, gaps) = self.discovery(clock, deadline).network(&incident).await;
        let mut reading = doctor::reading(&network, window).await;
        let plan = doctor::plan(&network, &mut reading, window);
        let soon = deadline.for_one_thing(MAX_TIME_OF_GATEWAY);
        if reading.log.is_none() || shows_more_in_s3(&network) {
            let tried = self.bucket_files(soon).try_out(&network, window).await;
            reading.in_bucket =
                tried.map(|(log, format, evidence)| doctor::InBucket { log, format, evidence, window });
        }
        reading.too_large = self.too_large(&network, &reading, window, soon).await;
        let queries = InsightsQueries::new(&self.clients, self.budget(), soon);
        let Some((log, _)) = reading.log.as_ref().filter(|_| !plan.is_empty()) else {
            return Examined { network, gaps, reading, probe: None };
        };
        let form = (network.gateway.kind, reading.log_groups.clone(), log.format.clone());
        let questions = match asked.iter().find(|(of, _)| *of == form) {
            Some((_, questions)) => questions.clone(),
            None => {
                let questions = aws::doctor::questions(&queries, &plan, window).await;
                asked.push((form, questions.clone()));
                questions
            }
        };
        let probe = aws::doctor::probe(&queries, &network.gateway, &reading, &plan, questions, window).await;
        Examined { network, gaps, reading, probe: Some(probe) }
    }

    /// How a flow log in S3 would be read that is too much to read in place.
    async fn too_large(
        &self,
        network: &Network,
        reading: &doctor::Reading,
        window: TimeWindow,
        soon: Deadline,
    ) -> Option<doctor::TooLarge> {
        if let Some(athena) = self.athena(soon) {
            let objects = BucketObjects::new(&self.clients, self.budget(), soon);
            return Some(doctor::TooLarge::ByAthena(athena.check(&objects, network, window).await?));
        }
        // Where Logs Insights can be asked, S3 is not all there is.
        reading.in_bucket.as_ref().filter(|_| reading.log.is_none())?;
        let hour = doctor::hour_of(window);
        let (why, fix) = self.bucket_files(soon).too_much_of(network, hour).await?;
        Some(doctor::TooLarge::Unread { why, fix })
    }

    /// Diagnoses with one look, and publishes nothing: the diagnosis, and all that it rests on where it
    /// came from AWS.
    ///
    /// # Errors
    /// When the embedded source is configured and none of its files could be read.
    pub async fn diagnose(
        &self,
        time: Time,
        event: Option<&Value>,
        incident: Incident,
    ) -> Result<(Triaged, Option<Bundle>), Failure> {
        let networks = self.discovery(time.clock, time.deadline.before_publishing());
        self.diagnose_with(networks, self.config.compare_earlier, time, event, incident).await
    }

    /// Looks at a gateway's minutes for a message that says nothing of what came before them: CloudTrail takes two
    /// requests a second of the whole account, and an alarm may need them.
    async fn look_at(&self, time: Time, incident: Incident) -> Result<Triaged, Failure> {
        let networks = self.discovery(time.clock, time.deadline.before_publishing()).without_changes();
        let (triaged, _) = Box::pin(self.diagnose_with(networks, false, time, None, incident)).await?;
        Ok(triaged)
    }

    async fn diagnose_with(
        &self,
        networks: Discovery<'_>,
        compares: bool,
        Time { deadline, .. }: Time,
        event: Option<&Value>,
        incident: Incident,
    ) -> Result<(Triaged, Option<Bundle>), Failure> {
        let limits = Limits::default();
        let by_hand = event.is_some_and(|event| is_drill(event, &incident));
        if let Some(files) = self.files(deadline)? {
            let networks = Known(self.named());
            let surveyed = Surveyed::new(incident, &networks).await.set_by_hand(by_hand);
            let looked = surveyed.look(&networks, &files, limits).await;
            return Ok((looked.map_err(|error| error.0)?, None));
        }
        let looking = deadline.before_publishing();
        let queries = self.queries(looking);
        let surveyed = Surveyed::new(incident.clone(), &networks).await.set_by_hand(by_hand);
        let memory = self.answered.snapshot();
        let insights = LogsInsights::new(&queries).remembering(self.answered.clone()).comparing(compares);
        let source = Live::new(&insights, self.bucket_files(looking)).or_asking(self.athena(looking));
        let looked = surveyed.look(&networks, &source, limits).await;
        let triaged = match looked {
            Ok(triaged) => triaged,
            Err(error) => match error.0 {},
        };
        let of_queries = Bundle::of(event, incident, &surveyed, &triaged, queries.asked(), memory);
        Ok((triaged, whole(of_queries, &source)))
    }

    /// Sends a diagnosis to the configured topic, and its page to the configured bucket; without a topic the
    /// answer is only returned.
    ///
    /// # Errors
    /// When the message did not go out. A retry of the whole is then worth its cost, as the id is the
    /// same on every delivery.
    pub async fn send(&self, deadline: Deadline, diagnosis: &Diagnosis) -> Result<(), PublishError> {
        self.outbox(deadline).send(diagnosis).await.map(drop)
    }

    /// Nothing can be made of an event, or of a part of it, and no retry would change that: whoever reads the
    /// reports is told, with the event, which would otherwise be lost.
    async fn unusable(
        &self,
        time: Time,
        event: &Value,
        error: &AlarmError,
        parts: usize,
    ) -> Result<Value, Failure> {
        let failure = Failure::Event(error.clone());
        let id = fingerprint(&event.to_string());
        let more = if parts > 1 { format!("; and {} more of its parts", parts - 1) } else { String::new() };
        let trouble = Trouble::unusable(&id, event, &(failure.chain() + &more), error.command());
        self.told_of(time, "unusable", &trouble, failure).await
    }

    /// Answers with what went wrong, once somebody was told of it: Lambda would only fail in the same way
    /// again. Where there is nobody to tell, the failure is the answer.
    async fn told_of(
        &self,
        time: Time,
        key: &str,
        trouble: &Trouble<'_>,
        failure: Failure,
    ) -> Result<Value, Failure> {
        if self.config.topic_arn.is_none() {
            return Err(failure);
        }
        self.tell(time, trouble).await?;
        Ok(json!({ key: true, "reason": trouble.reason, "id": trouble.id }))
    }

    /// The files of the embedded source could not be read: said to whoever reads the reports.
    async fn unread(
        &self,
        time: Time,
        event: &Value,
        surveyed: &Surveyed,
        error: ReadError,
    ) -> Result<Value, Failure> {
        let failure = Failure::Files(error);
        let trouble = Trouble::broken(&surveyed.id(), event, &failure.chain());
        self.told_of(time, "broken", &trouble, failure).await
    }

    /// Publishes what went wrong, once.
    async fn tell(&self, time: Time, trouble: &Trouble<'_>) -> Result<(), Failure> {
        let ledger = self.ledger(time.deadline);
        if ledger.sent(&trouble.id).await.is_some() {
            return Ok(());
        }
        tracing::warn!(id = trouble.id, reason = trouble.reason, "no diagnosis");
        self.outbox(time.deadline).tell(trouble).await?;
        ledger.record(&trouble.id, &Sent { stage: Stage::Final, answer: None }).await;
        Ok(())
    }

    fn discovery(&self, clock: Clock, deadline: Deadline) -> Discovery<'_> {
        let overrides = Overrides {
            nat_ips: self.config.nat_ips.clone(),
            log_groups: self.config.log_groups.clone(),
            log_format: self.config.log_format.clone(),
            reverse_dns: self.config.reverse_dns.map(|server| match server {
                NameServer::OfMachine => ReverseDns::of_machine(),
                NameServer::At(address) => ReverseDns::at(address),
            }),
            changes: self.config.look_up_changes,
        };
        Discovery::new(&self.clients, overrides, clock, deadline)
    }

    fn budget(&self) -> Budget {
        self.budget.borrow().clone()
    }

    fn queries(&self, deadline: Deadline) -> Recording<InsightsQueries> {
        Recording::new(InsightsQueries::new(&self.clients, self.budget(), deadline))
    }

    /// The flow logs that are in S3.
    fn bucket_files(&self, deadline: Deadline) -> BucketFiles<BucketObjects> {
        let files =
            BucketFiles::new(BucketObjects::new(&self.clients, self.budget(), deadline), Most::IN_FUNCTION);
        match &*self.turns.borrow() {
            Some(turns) => files.taking(turns.clone()),
            None => files,
        }
    }

    /// Athena, where a table is configured.
    fn athena(&self, deadline: Deadline) -> Option<Athena<AthenaQueries>> {
        let name = self.config.athena_table.clone()?;
        let queries =
            AthenaQueries::new(&self.clients, &self.config.athena_workgroup, self.budget(), deadline);
        Some(Athena::new(queries, name))
    }

    /// The embedded source, where it is configured.
    fn files(&self, deadline: Deadline) -> Result<Option<FlowLogFiles<'static>>, Failure> {
        if self.config.flow_logs.is_empty() {
            return Ok(None);
        }
        let inputs: Vec<Input> = self.config.flow_logs.iter().cloned().map(Input::Path).collect();
        let until = Some(deadline.before_publishing().instant().into_std());
        let options = Options { format: self.config.log_format.clone(), until };
        let files = FlowLogFiles::new(Inputs::open(&inputs)?, options, |_| {});
        Ok(Some(files.comparing(self.config.compare_earlier)))
    }

    /// The network that the configuration names, for the embedded source.
    fn named(&self) -> Network {
        let gateway = NatGateway::default().with_addresses(&self.config.nat_ips);
        Network { gateway, ..Network::default() }
    }

    fn outbox(&self, deadline: Deadline) -> Outbox<Topic<'_>, Option<ReportBucket<'_>>> {
        Outbox {
            publisher: Topic { service: self, deadline },
            // Without a topic there is no message that could lead to a page.
            pages: self.config.topic_arn.as_ref().and_then(|_| self.bucket(deadline)),
            https: self.config.https,
        }
    }

    fn bucket(&self, deadline: Deadline) -> Option<ReportBucket<'_>> {
        let name = self.config.report_bucket.as_deref()?;
        let owner = self.config.report_bucket_owner.as_deref();
        Some(ReportBucket::new(&self.clients, name, deadline).owned_by(owner))
    }

    fn ledger(&self, deadline: Deadline) -> Ledgers<'_> {
        // Where nothing goes out, nothing has gone out.
        let publishes = self.config.topic_arn.is_some();
        Ledgers {
            memory: publishes.then_some(&self.sent),
            bucket: self.bucket(deadline).filter(|_| publishes),
        }
    }
}

/// Whether a gateway and all others of its alarm had no error in these minutes. Errors there were somewhere, or
/// the alarm would not have fired: the metrics are late then.
fn is_blameless_with_all_others(
    outcome: &Outcome,
    answer: &Reply,
    outcomes: &[Outcome],
    answers: &[Reply],
) -> bool {
    let transition = |outcome: &Outcome| outcome.alarm().map(|alarm| (alarm.name.clone(), alarm.at));
    let of_alarm = outcomes.iter().zip(answers).filter(|(other, _)| transition(other) == transition(outcome));
    answer.is_blameless && of_alarm.map(|(_, answer)| answer).all(|answer| answer.is_blameless)
}

/// A panic as a failure that can be told of: it must not take the person's message with it.
async fn or_bug<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.unwrap_or_else(|panic| Err(Failure::Bug(words_of(panic.as_ref()))))
}

/// What a panic said.
fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".into())
}

/// The configured topic, or nowhere.
struct Topic<'a> {
    service: &'a Service,
    deadline: Deadline,
}

impl Publisher for Topic<'_> {
    async fn publish(&self, message: &Message) -> Result<Receipt, PublishError> {
        let Config { topic_arn, event_bus, .. } = &self.service.config;
        let clients = &self.service.clients;
        let sent = match topic_arn {
            Some(arn) => SnsTopic::new(clients, arn.clone(), self.deadline).publish(message).await,
            None => Nowhere.publish(message).await,
        };
        // A message that the topic did not take may still be heard by the bus, and the other way round.
        if let Some(bus) = event_bus
            && let Err(why) = aws::put_event(clients, bus, &message.event, self.deadline).await
        {
            tracing::error!(id = message.id, bus, "the event bus did not get the message: {why}");
        }
        sent
    }
}

/// The function's next invocation, which goes on with an incident of an alarm.
struct NextInvocation<'a> {
    service: &'a Service,
    event: &'a Value,
    incident: &'a Incident,
    /// How many invocations have looked before this one; `None` where no further one is to look.
    round: Option<u32>,
    deadline: Deadline,
}

impl Successor for NextInvocation<'_> {
    async fn take_over(&self, told: Option<&Sent>) -> bool {
        let Self { service, event, incident, round, deadline } = *self;
        let (Some(round), Some(name)) = (round, &service.config.function_name) else { return false };
        let scanned = service.budget().spent();
        let left = Continuation::new(round + 1, incident.clone(), event.clone(), told.cloned(), scanned);
        let Some(left) = left.to_event() else { return false };
        let taken = aws::invoke_later(&service.clients, name, left, deadline).await;
        if let Err(why) = &taken {
            tracing::warn!(id = incident.id(), "no further invocation waits for the flow logs: {why}");
        }
        taken.is_ok()
    }
}

/// What this process remembers, and what all of them have written down where there is a place for it.
struct Ledgers<'a> {
    memory: Option<&'a Memory>,
    bucket: Option<ReportBucket<'a>>,
}

impl Ledger for Ledgers<'_> {
    async fn sent(&self, id: &str) -> Option<Sent> {
        if let Some(remembered) = self.memory?.sent(id).await {
            return Some(remembered);
        }
        self.bucket.as_ref()?.sent(id).await
    }

    async fn record(&self, id: &str, sent: &Sent) {
        if let Some(memory) = self.memory {
            memory.record(id, sent).await;
        }
        if let Some(bucket) = &self.bucket {
            bucket.record(id, sent).await;
        }
    }

    async fn episode(&self, key: &str) -> Option<Episode> {
        let remembered = self.memory?.episode(key).await;
        // Another process may have told of a later alarm.
        match &self.bucket {
            Some(bucket) => bucket.episode(key).await.or(remembered),
            None => remembered,
        }
    }

    async fn record_episode(&self, key: &str, episode: &Episode) {
        if let Some(memory) = self.memory {
            memory.record_episode(key, episode).await;
        }
        if let Some(bucket) = &self.bucket {
            bucket.record_episode(key, episode).await;
        }
    }
}

/// A bundle of queries, with what was read of files beside them; `None` where that is too much to keep.
fn whole<Queries, Store, Sql>(of_queries: Bundle, source: &Live<'_, Queries, Store, Sql>) -> Option<Bundle> {
    let kept = source.kept();
    (kept.is_some() || !source.has_read_files()).then(|| of_queries.resting_on(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each function that takes a future, and each `join`, holds a copy of it. A megabyte of them overflowed the stack
    /// where the compiler did not put them together.
    #[tokio::test]
    async fn the_future_of_an_event_is_small() {
        const MAX_BYTES: usize = 256 * 1024;

        let service = Service::new(Config::default(), Clients::reaching_nobody());
        let time = Time {
            clock: Clock::showing(jiff::Timestamp::UNIX_EPOCH),
            deadline: Deadline::after(Duration::from_secs(1)),
        };
        let size = size_of_val(&service.on_event(time, &Value::Null));
        assert!(size <= MAX_BYTES, "{size} bytes");
    }

    #[tokio::test]
    async fn a_mistake_of_ours_is_a_failure_that_says_what_it_was() {
        for (bug, said) in [
            (or_bug::<()>(async { panic!("no step {}", 7) }).await, "no step 7"),
            (or_bug::<()>(async { std::panic::panic_any(7) }).await, "no reason given"),
        ] {
            let failure = bug.expect_err("a panic");
            assert_eq!(failure.kind(), "Bug");
            assert!(failure.chain().ends_with(said), "{}", failure.chain());
        }
        assert!(matches!(or_bug(async { Ok(7) }).await, Ok(7)));
    }
}
