//! The early warning: how full each gateway is, and who is told of it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Failure, Service, Time};
use crate::aws::{self, Budget};
use crate::contract::Diagnosis;
use crate::deadline::Deadline;
use crate::gap::{Fix, Gap};
use crate::incident::{NatGatewayId, TimeWindow, fingerprint};
use crate::network::NatGateway;
use crate::report::Trouble;
use crate::telemetry;
use crate::watch::{
    Connections, Fleet, Gate, Memory, SCHEMA, Seen, State, Turn, WARNING_SCHEMA, Warning, Watch, Watched,
    latest, levels,
};

/// With less time than this a gateway's flow logs are not begun with.
const MIN_TIME_OF_GATEWAY: Duration = Duration::from_secs(30);

/// Whether an event asks to look how full the gateways are: `{"watch": true}`, as the stack's schedule sends it.
pub(super) fn is_asked_for(event: &Value) -> bool {
    event["watch"] == true
}

/// Whether an event asks for the weekly page: `{"watch": "weekly"}`.
pub(super) fn is_weekly(event: &Value) -> bool {
    event["watch"] == "weekly"
}

impl Service {
    /// Looks how full the gateways are, and tells the readers of the reports what is new.
    pub(super) async fn on_watch(&self, event: &Value, time: Time) -> Result<Value, Failure> {
        let bucket = self.bucket(time.deadline);
        let kept = match &bucket {
            Some(bucket) => bucket.watched().await,
            None => None,
        };
        let before = kept.unwrap_or_else(|| self.watched.borrow().clone());
        let mut memory = before.clone();
        let found = Box::pin(self.watch(time, None, &mut memory)).await;
        self.measured.borrow_mut().extend(telemetry::metrics_of_gateways(&found));
        let outbox = self.outbox(time.deadline);
        for warning in &found.told {
            // What is not written down is told by the next look, or by Lambda's next attempt.
            outbox.warn(warning).await?;
            tracing::info!(id = warning.id, event = warning.turn.name(), "warned");
        }
        if !found.beyond_limit.is_empty() && memory.tell_of_stop(found.at) {
            outbox
                .tell(&Trouble::stopped(event, &found.beyond_limit, self.config.watch_gib_per_day, found.at))
                .await?;
            tracing::warn!(gateways = found.beyond_limit.len(), "stopped watching until midnight UTC");
        }
        if memory != before
            && let Some(bucket) = &bucket
        {
            bucket.remember_watch(&memory).await;
        }
        self.watched.replace(memory);
        Ok(found.to_json())
    }

    /// Sends the page of the gateways, week on week, to the readers of the reports.
    pub(super) async fn on_week(&self, time: Time) -> Result<Value, Failure> {
        let (now, soon) = (time.clock.now(), time.deadline.of_look_ups());
        let (weeks, gaps) = match aws::doctor::described(&self.clients, soon).await {
            Ok(gateways) => aws::weeks_of(&self.clients, &gateways, now, soon).await,
            Err(gap) => (Vec::new(), vec![gap]),
        };
        let fleet = Fleet::new(now, self.clients.region(), weeks, gaps);
        // A Region without gateways has nothing to read about.
        if !fleet.gateways.is_empty() || !fleet.gaps.is_empty() {
            self.outbox(time.deadline).tell_of_fleet(&fleet).await?;
        }
        Ok(fleet.to_json())
    }

    /// Looks how full the gateways are. With `only`, the flow logs of that gateway are read, however few connections
    /// it has. What is new since `memory` is in the answer, and told to nobody.
    pub async fn watch(&self, time: Time, only: Option<&NatGatewayId>, memory: &mut Memory) -> Watch {
        let Time { clock, deadline } = time;
        let now = clock.now();
        let window = latest(now);
        let a_day = (self.config.watch_gib_per_day * aws::BYTES_OF_GIB) as u64;
        let budget = Budget::of_day(memory.bytes_left(a_day, now));
        self.budget.replace(budget.clone());
        let (mut seen, mut told, mut beyond_limit) = (Vec::new(), Vec::new(), Vec::new());
        let (connections, gaps) = match self.gateways(deadline.of_look_ups(), only).await {
            Ok(gateways) => {
                if only.is_none() {
                    let ids: Vec<NatGatewayId> = gateways.iter().filter_map(|one| one.id.clone()).collect();
                    let gone = memory.forget_others(&ids);
                    told.extend(
                        gone.into_iter()
                            .map(|(watched, since, turn)| self.warning(&watched, now, since, window, turn)),
                    );
                }
                aws::connections_of(&self.clients, &gateways, window, deadline.of_look_ups()).await
            }
            Err(gap) => (Vec::new(), vec![gap]),
        };
        for of in connections {
            let gate = if only.is_some() { Gate::Ask } else { memory.gate(&of, self.config.watch, now) };
            let state = match gate {
                _ if of.capacity.is_none() => State::Unknown { missing: without_addresses(&of) },
                Gate::Ask if only.is_none() && of.most.is_none() => {
                    State::Unknown { missing: without_datapoints(&of) }
                }
                Gate::Quiet => State::Quiet,
                Gate::Rest(since) => State::Resting { since },
                Gate::Ask if deadline.before_publishing().remaining() < MIN_TIME_OF_GATEWAY => {
                    State::Unknown { missing: without_time() }
                }
                Gate::Ask if budget.left() == 0 => {
                    beyond_limit.push(of.watched());
                    State::Unknown { missing: without_budget() }
                }
                Gate::Ask => {
                    let state = self.read(time, &of, window).await;
                    if budget.take_shortage() && matches!(state, State::Unknown { .. }) {
                        beyond_limit.push(of.watched());
                    }
                    state
                }
            };
            let one = Seen {
                watched: of.watched(),
                connections: of.most,
                capacity_per_destination: of.capacity,
                state,
            };
            let turns = memory.take_in(&one, self.config.watch, now);
            let warning = |(since, turn)| self.warning(&one.watched, now, since, window, turn);
            told.extend(turns.into_iter().map(warning));
            seen.push(one);
        }
        memory.add_scanned(budget.spent(), now);
        Watch {
            schema: SCHEMA,
            at: now,
            region: self.clients.region().map(str::to_owned),
            gateways: seen,
            gaps,
            beyond_limit,
            scanned_bytes: budget.spent(),
            told,
        }
    }

    /// The gateways of the Region; only one of them where one is named.
    async fn gateways(
        &self,
        deadline: Deadline,
        only: Option<&NatGatewayId>,
    ) -> Result<Vec<NatGateway>, Gap> {
        let mut gateways = aws::doctor::described(&self.clients, deadline).await?;
        if let Some(only) = only {
            gateways.retain(|gateway| gateway.id.as_ref() == Some(only));
            if gateways.is_empty() {
                let why = format!("EC2 knows no NAT gateway {only} in this Region");
                let fix = Fix::run_to("look which there are", "aws ec2 describe-nat-gateways");
                return Err(Gap::new(HOW_FULL, why, fix));
            }
        }
        Ok(gateways)
    }

    /// What a gateway's flow logs show.
    async fn read(&self, time: Time, of: &Connections, window: TimeWindow) -> State {
        match self.look_at(time, of.ask(window)).await {
            Ok(triaged) => of_diagnosis(&triaged.diagnosis, time.clock.now()),
            Err(failure) => {
                State::Unknown { missing: Gap::new(HOW_FULL, failure.chain(), read_anyway(&of.gateway)) }
            }
        }
    }

    fn warning(
        &self,
        watched: &Watched,
        at: Timestamp,
        since: Timestamp,
        window: TimeWindow,
        turn: Turn,
    ) -> Warning {
        let id = fingerprint(&format!("{} {} {since}", watched.name(), turn.destination()));
        Warning {
            schema: WARNING_SCHEMA,
            id,
            at,
            since,
            region: self.clients.region().map(str::to_owned),
            watched: watched.clone(),
            window,
            turn,
        }
    }
}

/// What is missing where the state of a gateway is not known.
const HOW_FULL: &str = "how full the gateway is";

/// A diagnosis of the last minutes, as a state.
fn of_diagnosis(diagnosis: &Diagnosis, now: Timestamp) -> State {
    if diagnosis.coverage.records_read == 0
        && let Some(missing) = diagnosis.deciding_gaps().next().or(diagnosis.gaps.first())
    {
        return State::Unknown { missing: missing.clone() };
    }
    State::Read {
        destinations: levels(diagnosis, now),
        refused: diagnosis.refused_attempts.counted,
        logs_until: diagnosis.coverage.logs_until,
    }
}

fn read_anyway(gateway: &NatGatewayId) -> Fix {
    Fix::run_to("read its flow logs all the same", format!("nat-triage watch --nat-id {gateway}"))
}

fn without_addresses(of: &Connections) -> Gap {
    Gap::new(
        HOW_FULL,
        "none of its addresses is in place",
        Fix::run(format!("aws ec2 describe-nat-gateways --nat-gateway-ids {}", of.gateway)),
    )
}

fn without_datapoints(of: &Connections) -> Gap {
    Gap::new(
        HOW_FULL,
        "CloudWatch has no datapoint of its ActiveConnectionCount in the last minutes",
        read_anyway(&of.gateway),
    )
}

fn without_time() -> Gap {
    Gap::new(HOW_FULL, "the function had no time left for it", Fix::run("nat-triage watch"))
}

fn without_budget() -> Gap {
    Gap::new(
        HOW_FULL,
        "watching has scanned as much today as it may",
        "raise NAT_TRIAGE_WATCH_GIB_PER_DAY (the parameter WatchGiBPerDay), or wait for tomorrow",
    )
}
