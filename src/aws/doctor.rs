//! What a check-up asks of AWS beside what a diagnosis asks: which gateways and alarms there are, and who reads
//! the topic.

use aws_sdk_cloudwatch::types::{AlarmType, Dimension, MetricAlarm, StateValue};
use jiff::SignedDuration;
use tokio::time::Instant;

use super::Clients;
use super::discovery::mapped;
use super::errors::{Failure, Kind, within};
use crate::deadline::Deadline;
use crate::doctor::{Invoked, Probe, Reading, Run, Series, Topic, Watcher};
use crate::evidence::insights::{COMPARED, LogsQueries, Query, Rung, Unanswered, busiest_minute, compare};
use crate::gap::{Fix, Gap};
use crate::incident::{NatGatewayId, TimeWindow};
use crate::network::NatGateway;

const GATEWAYS: &str = "ec2:DescribeNatGateways";
const ALARMS: &str = "cloudwatch:DescribeAlarms";
const POLICY: &str = "lambda:GetPolicy";
const TOPIC: &str = "sns:GetTopicAttributes";

/// The ids of the Region's gateways, in order, without those that are deleted.
pub(crate) async fn gateways(clients: &Clients, deadline: Deadline) -> Result<Vec<NatGatewayId>, Gap> {
    let all = described(clients, deadline).await?;
    Ok(all.into_iter().filter_map(|gateway| gateway.id).collect())
}

/// The Region's gateways, in the order of their ids, without those that are deleted.
pub(crate) async fn described(clients: &Clients, deadline: Deadline) -> Result<Vec<NatGateway>, Gap> {
    let all = clients.ec2.describe_nat_gateways().into_paginator().items().send();
    let all = within(deadline, GATEWAYS, async {
        all.try_collect().await.map_err(|error| Failure::of(GATEWAYS, &error))
    });
    let all = all.await.map_err(|failure| failure.gap("which NAT gateways there are", "*"))?;
    // A gateway that is gone is described for an hour more.
    let gone = |state: &str| state == "deleted" || state == "deleting" || state == "failed";
    let mut gateways: Vec<(NatGatewayId, NatGateway)> = all
        .iter()
        .filter(|gateway| !gateway.state().is_some_and(|state| gone(state.as_str())))
        .filter_map(|gateway| {
            let id: NatGatewayId = gateway.nat_gateway_id()?.parse().ok()?;
            let mapped = mapped(&id, gateway, None);
            Some((id, mapped))
        })
        .collect();
    gateways.sort_unstable_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    Ok(gateways.into_iter().map(|(_, gateway)| gateway).collect())
}

/// The Region's alarms.
pub(crate) async fn watchers(clients: &Clients, deadline: Deadline) -> Result<Vec<Watcher>, Gap> {
    let all =
        clients.cloudwatch.describe_alarms().alarm_types(AlarmType::MetricAlarm).into_paginator().send();
    let all = within(deadline, ALARMS, async {
        all.try_collect().await.map_err(|error| Failure::of(ALARMS, &error))
    });
    let pages = all.await.map_err(|failure| failure.gap("which alarms watch the gateways", "*"))?;
    let mut watchers: Vec<Watcher> =
        pages.iter().flat_map(|page| page.metric_alarms()).map(watcher).collect();
    watchers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(watchers)
}

fn watcher(alarm: &MetricAlarm) -> Watcher {
    let count =
        |number: Option<i32>, default: u32| number.and_then(|n| u32::try_from(n).ok()).unwrap_or(default);
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let of_metric = |namespace: Option<&str>, name: Option<&str>, dimensions: &[Dimension]| Series::Metric {
        namespace: owned(namespace),
        name: owned(name),
        dimensions: dimensions.iter().map(|one| (owned(one.name()), owned(one.value()))).collect(),
    };
    let mut series = Vec::new();
    let mut period = alarm.period();
    let mut statistic = alarm.statistic().map(|statistic| statistic.as_str().to_owned());
    if alarm.metric_name().is_some() {
        series.push(of_metric(alarm.namespace(), alarm.metric_name(), alarm.dimensions()));
    }
    for query in alarm.metrics() {
        period = period.or(query.period());
        series.extend(query.expression().map(|text| Series::Expression(text.to_owned())));
        if let Some(stat) = query.metric_stat() {
            period = period.or(stat.period());
            statistic = statistic.or_else(|| stat.stat().map(str::to_owned));
            series.extend(
                stat.metric()
                    .map(|metric| of_metric(metric.namespace(), metric.metric_name(), metric.dimensions())),
            );
        }
    }
    let evaluated = count(alarm.evaluation_periods(), 1);
    Watcher {
        name: owned(alarm.alarm_name()),
        arn: owned(alarm.alarm_arn()),
        series,
        statistic,
        period: count(period, 60),
        evaluated,
        bad: count(alarm.datapoints_to_alarm(), evaluated),
        threshold: alarm.threshold().unwrap_or_default(),
        comparison: alarm
            .comparison_operator()
            .map_or_else(String::new, |operator| operator.as_str().to_owned()),
        missing: alarm.treat_missing_data().unwrap_or("missing").to_owned(),
        acts: alarm.actions_enabled().unwrap_or(true),
        actions: alarm.alarm_actions().to_vec(),
        state: alarm.state_value().map_or("", StateValue::as_str).to_owned(),
    }
}

/// Most functions whose policies are read: alarms on gateways invoke one, as a rule.
const MAX_FUNCTIONS: usize = 10;

/// The functions that alarms invoke, with the policies that let them.
pub(crate) async fn invoked(
    clients: &Clients,
    functions: Vec<(String, Vec<String>)>,
    deadline: Deadline,
) -> Vec<Invoked> {
    let mut found = Vec::new();
    for (function, alarms) in functions.into_iter().take(MAX_FUNCTIONS) {
        let request = clients.lambda.get_policy().function_name(&function);
        let policy = within(deadline, POLICY, async {
            request.send().await.map_err(|error| Failure::of(POLICY, &error))
        });
        let policy = match policy.await {
            Ok(output) => Ok(output.policy().map(str::to_owned)),
            Err(failure) if failure.kind == Kind::NotFound => Ok(None),
            Err(failure) => Err(failure.gap("whether the alarms may invoke the function", &function)),
        };
        found.push(Invoked { function, alarms, policy });
    }
    found
}

/// Who reads the topic.
pub(crate) async fn topic(clients: &Clients, arn: &str, deadline: Deadline) -> Topic {
    let request = clients.sns.get_topic_attributes().topic_arn(arn);
    let answer =
        within(deadline, TOPIC, async { request.send().await.map_err(|error| Failure::of(TOPIC, &error)) });
    match answer.await {
        Ok(output) => {
            let count = |name: &str| {
                let attributes = output.attributes()?;
                attributes.get(name)?.parse().ok()
            };
            let (confirmed, pending) = (count("SubscriptionsConfirmed"), count("SubscriptionsPending"));
            Topic::Known {
                arn: arn.to_owned(),
                confirmed: confirmed.unwrap_or_default(),
                pending: pending.unwrap_or_default(),
                key: output.attributes().and_then(|all| all.get("KmsMasterKeyId")).cloned(),
            }
        }
        Err(failure) if failure.kind == Kind::NotFound => {
            let why = failure.to_string();
            let fix = Fix::run_to("point NAT_TRIAGE_TOPIC_ARN at a topic that exists", "aws sns list-topics");
            Topic::Missing(Gap::new("the topic of the reports", why, fix))
        }
        Err(failure) => Topic::Unknown(failure.gap("who is subscribed to the topic", arn)),
    }
}

/// What kept a question from being answered, of each.
pub(crate) type Questions = Vec<(Rung, Result<(), Unanswered>)>;

/// Asks each question about one past second.
pub(crate) async fn questions(
    queries: &impl LogsQueries,
    plan: &[(Rung, Query)],
    window: TimeWindow,
) -> Questions {
    let second = window.start().as_second();
    let mut questions = Questions::new();
    for (rung, query) in plan {
        let query = Query { from: second, to: second, ..query.clone() };
        questions.push((*rung, queries.run(&query).await.map(drop)));
    }
    questions
}

/// Asks the best of the questions that are answered about all of its minutes, and compares what is said of the busiest
/// one.
pub(crate) async fn probe(
    queries: &impl LogsQueries,
    gateway: &NatGateway,
    reading: &Reading,
    plan: &[(Rung, Query)],
    questions: Questions,
    window: TimeWindow,
) -> Probe {
    let answered = |rung: &Rung| questions.iter().any(|(of, answer)| of == rung && answer.is_ok());
    let run = match plan.iter().find(|(rung, _)| answered(rung)) {
        None => None,
        Some((rung, query)) => {
            let began = Instant::now();
            Some(queries.run(query).await.map(|answer| Run {
                rung: *rung,
                window,
                took: SignedDuration::try_from(began.elapsed()).unwrap_or(SignedDuration::MAX),
                answer,
            }))
        }
    };
    let all_answered =
        questions.iter().filter(|(rung, _)| COMPARED.contains(rung)).all(|(_, said)| said.is_ok());
    let agreement = match (&run, &reading.log) {
        (Some(Ok(run)), Some((log, format))) if all_answered => {
            let minute = busiest_minute(gateway, (log, format), (run.rung, &run.answer), window);
            let compared = compare(queries, gateway, (log, format), &reading.log_groups, minute).await;
            compared.transpose()
        }
        _ => None,
    };
    Probe { questions, run, agreement }
}
