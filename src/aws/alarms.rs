//! What CloudWatch says of the alarms beneath a composite one, whose event names them and no gateway.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::{DateTime, DateTimeFormat};
use aws_sdk_cloudwatch::types::{
    AlarmType, CompositeAlarm, Dimension, MetricAlarm, MetricDataQuery, StateValue,
};
use serde_json::{Value, json};

use super::Clients;
use super::errors::{Failure, within};
use crate::deadline::Deadline;

const DESCRIBE: &str = "cloudwatch:DescribeAlarms";

/// Most alarms that one call may name.
///
/// Source: `DescribeAlarms` in the Amazon CloudWatch API.
const MAX_NAMES: usize = 100;

/// Alarms by their names, as `aws cloudwatch describe-alarms` prints them. What cannot be had is `None`, with
/// the reason in the log: the permission is an optional one.
pub async fn described_alarms(clients: &Clients, names: &[String], deadline: Deadline) -> Option<Value> {
    match describe(&clients.cloudwatch, names, deadline).await {
        Ok(described) => Some(described),
        Err(failure) => {
            let reason = failure.gap("the alarms beneath a composite alarm", "*").why;
            tracing::warn!(reason, "the alarms beneath a composite alarm could not be looked up");
            None
        }
    }
}

async fn describe(client: &Client, names: &[String], deadline: Deadline) -> Result<Value, Failure> {
    let names: Vec<String> = names.iter().take(MAX_NAMES).cloned().collect();
    // Without the types, composite alarms are left out.
    let request = client
        .describe_alarms()
        .set_alarm_names(Some(names))
        .alarm_types(AlarmType::MetricAlarm)
        .alarm_types(AlarmType::CompositeAlarm);
    let answer = within(deadline, DESCRIBE, async {
        request.send().await.map_err(|error| Failure::of(DESCRIBE, &error))
    });
    let answer = answer.await?;
    let metric: Vec<Value> = answer.metric_alarms().iter().map(of_metric).collect();
    let composite: Vec<Value> = answer.composite_alarms().iter().map(of_composite).collect();
    Ok(json!({ "MetricAlarms": metric, "CompositeAlarms": composite }))
}

fn of_metric(alarm: &MetricAlarm) -> Value {
    json!({
        "AlarmName": alarm.alarm_name(),
        "AlarmArn": alarm.alarm_arn(),
        "StateValue": alarm.state_value().map(StateValue::as_str),
        "StateReason": alarm.state_reason(),
        "StateReasonData": alarm.state_reason_data(),
        "StateTransitionedTimestamp": time(alarm.state_transitioned_timestamp()),
        "StateUpdatedTimestamp": time(alarm.state_updated_timestamp()),
        "Namespace": alarm.namespace(),
        "MetricName": alarm.metric_name(),
        "Dimensions": dimensions(alarm.dimensions()),
        "Statistic": alarm.statistic().map(|statistic| statistic.as_str()),
        "Period": alarm.period(),
        "EvaluationPeriods": alarm.evaluation_periods(),
        "Metrics": alarm.metrics().iter().map(of_query).collect::<Vec<Value>>(),
    })
}

fn of_query(query: &MetricDataQuery) -> Value {
    let stat = query.metric_stat().map(|stat| {
        json!({
            "Metric": stat.metric().map(|metric| json!({
                "Namespace": metric.namespace(),
                "MetricName": metric.metric_name(),
                "Dimensions": dimensions(metric.dimensions()),
            })),
            "Period": stat.period(),
            "Stat": stat.stat(),
        })
    });
    json!({
        "Id": query.id(),
        "Expression": query.expression(),
        "ReturnData": query.return_data(),
        "Period": query.period(),
        "AccountId": query.account_id(),
        "MetricStat": stat,
    })
}

fn of_composite(alarm: &CompositeAlarm) -> Value {
    json!({
        "AlarmName": alarm.alarm_name(),
        "AlarmArn": alarm.alarm_arn(),
        "AlarmRule": alarm.alarm_rule(),
        "StateValue": alarm.state_value().map(StateValue::as_str),
        "StateReason": alarm.state_reason(),
        "StateReasonData": alarm.state_reason_data(),
        "StateTransitionedTimestamp": time(alarm.state_transitioned_timestamp()),
        "StateUpdatedTimestamp": time(alarm.state_updated_timestamp()),
    })
}

fn dimensions(dimensions: &[Dimension]) -> Vec<Value> {
    dimensions.iter().map(|one| json!({ "Name": one.name(), "Value": one.value() })).collect()
}

fn time(at: Option<&DateTime>) -> Option<String> {
    at?.fmt(DateTimeFormat::DateTime).ok()
}
