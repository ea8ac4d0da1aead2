//! Which flow logs cover a gateway: asked of EC2, or named by the caller.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    DestinationFileFormat, Filter, FlowLog as Described, LogDestinationType, TrafficType as DescribedTraffic,
};

use super::discovery::Overrides;
use super::errors::{Failure, cleaned, within};
use crate::deadline::Deadline;
use crate::flow::LogFormat;
use crate::gap::Gap;
use crate::network::{FlowLog, FlowLogDestination, GatewayKind, InBucket, NatGateway, TrafficType};

const DESCRIBE: &str = "ec2:DescribeFlowLogs";

/// What could not be seen where flow logs could not be found.
const WHAT: &str = "which flow logs cover the gateway";

/// The longer of the two intervals that AWS offers, and its default: where it is not known, records
/// may be that late.
const LONGEST_AGGREGATION: u32 = 600;

/// Most pages that are read; a resource may have 250 flow logs, and a page holds up to 1,000.
const MOST_PAGES: usize = 10;

/// The flow logs of the gateway's interfaces, subnet and VPC, or of the gateway itself where it is a
/// regional one, with one look-up; those that say of themselves that they are not active are left
/// out.
pub(super) async fn described(
    client: &Client,
    gateway: &NatGateway,
    deadline: Deadline,
) -> (Vec<FlowLog>, Vec<Gap>) {
    let resources = resources(gateway);
    if resources.is_empty() {
        let why = "neither the gateway's interface nor its subnet nor its VPC is known";
        let fix = "see to what is missing about the gateway, or name the log groups in NAT_TRIAGE_LOG_GROUPS";
        return (Vec::new(), vec![Gap::new(WHAT, why, fix).deciding()]);
    }
    let filter = Filter::builder().name("resource-id").set_values(Some(resources)).build();
    let (mut logs, mut gaps) = (Vec::new(), Vec::new());
    let mut token: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let request = client.describe_flow_logs().filter(filter.clone()).set_next_token(token.take());
        let answer = within(deadline, DESCRIBE, async {
            request.send().await.map_err(|error| Failure::of(DESCRIBE, &error))
        });
        match answer.await {
            Ok(output) => {
                for log in output.flow_logs() {
                    match mapped(log) {
                        Ok(log) => logs.extend(log),
                        Err(gap) => gaps.push(gap),
                    }
                }
                token = output.next_token.filter(|token| !token.is_empty());
            }
            Err(failure) => {
                let mut gap = failure.gap(WHAT, "*");
                gap.fix.add_words("; or name the log groups in NAT_TRIAGE_LOG_GROUPS");
                gaps.push(gap.deciding());
                break;
            }
        }
        if token.is_none() {
            break;
        }
    }
    if token.is_some() {
        let why = format!("{DESCRIBE} had more than {MOST_PAGES} pages of them");
        gaps.push(Gap::new(WHAT, why, "name the log groups in NAT_TRIAGE_LOG_GROUPS"));
    }
    // AWS promises no order, and the same network has to give the same report.
    logs.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    logs.dedup_by(|a, b| a.id == b.id);
    (logs, gaps)
}

/// What the flow logs that show the gateway's traffic may have been made for.
fn resources(gateway: &NatGateway) -> Vec<String> {
    let regional = gateway.id.as_ref().filter(|_| gateway.kind == GatewayKind::Regional);
    let interfaces = gateway.interface_ids.iter().map(ToString::to_string);
    interfaces
        .chain(regional.map(ToString::to_string))
        .chain(gateway.subnet_id.clone())
        .chain(gateway.vpc_id.clone())
        .collect()
}

/// One flow log as EC2 describes it; nothing where it is not active, and a gap where it is of a
/// sort that came after this version.
fn mapped(log: &Described) -> Result<Option<FlowLog>, Gap> {
    if log.flow_log_status().is_some_and(|status| status != "ACTIVE") {
        return Ok(None);
    }
    let id = cleaned(log.flow_log_id().unwrap_or("without an id"));
    let unknown = |what: &str, value: &str| {
        let why = format!("its {what} is {:?}, which this version does not know", cleaned(value));
        Gap::new(format!("flow log {id}"), why, "see whether a newer nat-triage knows it")
    };
    let destination = match log.log_destination_type() {
        None | Some(LogDestinationType::CloudWatchLogs) => FlowLogDestination::CloudWatchLogs,
        Some(LogDestinationType::S3) => FlowLogDestination::S3,
        Some(LogDestinationType::KinesisDataFirehose) => FlowLogDestination::Firehose,
        Some(other) => return Err(unknown("destination", other.as_str())),
    };
    let traffic = match log.traffic_type() {
        None | Some(DescribedTraffic::All) => TrafficType::All,
        Some(DescribedTraffic::Accept) => TrafficType::Accept,
        Some(DescribedTraffic::Reject) => TrafficType::Reject,
        Some(other) => return Err(unknown("traffic type", other.as_str())),
    };
    let log_group = match destination {
        FlowLogDestination::CloudWatchLogs => {
            log.log_group_name().map(str::to_owned).or_else(|| group_of_arn(log.log_destination()?))
        }
        FlowLogDestination::S3 | FlowLogDestination::Firehose => None,
    };
    let delivery_error = (log.deliver_logs_status() == Some("FAILED")).then(|| {
        let message = log
            .deliver_logs_error_message()
            .map_or_else(String::new, |message| format!(": {}", cleaned(message)));
        format!("AWS says that its delivery failed{message}")
    });
    Ok(Some(FlowLog {
        id,
        resource_id: log.resource_id().unwrap_or_default().to_owned(),
        log_group,
        destination,
        traffic,
        format: log.log_format().map_or_else(|| LogFormat::version_2().to_string(), str::to_owned),
        aggregation_seconds: log
            .max_aggregation_interval()
            .and_then(|seconds| u32::try_from(seconds).ok())
            .filter(|seconds| *seconds > 0)
            .unwrap_or(LONGEST_AGGREGATION),
        delivery_error,
        log_class: None,
        stored_bytes: None,
        in_bucket: (destination == FlowLogDestination::S3).then(|| in_bucket(log)).flatten(),
        kept_from: None,
    }))
}

/// Where its files are. What it does not say is AWS's default: plain text, with neither Hive's folders nor hours.
///
/// Source: `DestinationOptionsResponse` in the Amazon EC2 API.
fn in_bucket(log: &Described) -> Option<InBucket> {
    let options = log.destination_options();
    Some(InBucket {
        place: log.log_destination()?.parse().ok()?,
        hive: options.and_then(|o| o.hive_compatible_partitions()).unwrap_or_default(),
        per_hour: options.and_then(|o| o.per_hour_partition()).unwrap_or_default(),
        parquet: options.and_then(|o| o.file_format()) == Some(&DestinationFileFormat::Parquet),
        account: None,
    })
}

/// The name in `arn:partition:logs:region:account:log-group:NAME:*`.
fn group_of_arn(arn: &str) -> Option<String> {
    let (_, name) = arn.split_once(":log-group:")?;
    Some(name.trim_end_matches(":*").to_owned()).filter(|name| !name.is_empty())
}

/// The flow logs that the caller named by their log groups, in place of a look-up. What the caller
/// did not say is taken as AWS's default, and as coming as late as it may.
pub(super) fn named(overrides: &Overrides, vpc_id: Option<&str>) -> Vec<FlowLog> {
    let format = overrides.log_format.clone().unwrap_or_else(LogFormat::version_2);
    let log = |group: &String| FlowLog {
        id: FlowLog::NAMED.to_owned(),
        resource_id: vpc_id.unwrap_or_default().to_owned(),
        log_group: Some(group.clone()),
        destination: FlowLogDestination::CloudWatchLogs,
        traffic: TrafficType::All,
        format: format.to_string(),
        aggregation_seconds: LONGEST_AGGREGATION,
        delivery_error: None,
        log_class: None,
        kept_from: None,
        stored_bytes: None,
        in_bucket: None,
    };
    overrides.log_groups.iter().map(log).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described() -> aws_sdk_ec2::types::builders::FlowLogBuilder {
        Described::builder()
            .flow_log_id("fl-0123456789abcdef0")
            .flow_log_status("ACTIVE")
            .resource_id("eni-0123456789abcdef0")
            .log_group_name("/vpc/flow-logs")
            .log_destination_type(LogDestinationType::CloudWatchLogs)
            .traffic_type(DescribedTraffic::All)
            .log_format("${srcaddr} ${dstaddr}")
            .max_aggregation_interval(60)
            .deliver_logs_status("SUCCESS")
    }

    fn usable(builder: aws_sdk_ec2::types::builders::FlowLogBuilder) -> FlowLog {
        mapped(&builder.build()).expect("known").expect("active")
    }

    #[test]
    fn a_flow_log_is_read_as_ec2_describes_it() {
        assert_eq!(
            usable(described()),
            FlowLog {
                id: "fl-0123456789abcdef0".into(),
                resource_id: "eni-0123456789abcdef0".into(),
                log_group: Some("/vpc/flow-logs".into()),
                destination: FlowLogDestination::CloudWatchLogs,
                traffic: TrafficType::All,
                format: "${srcaddr} ${dstaddr}".into(),
                aggregation_seconds: 60,
                delivery_error: None,
                log_class: None,
                kept_from: None,
                stored_bytes: None,
                in_bucket: None,
            }
        );
    }

    #[test]
    fn what_ec2_leaves_out_is_its_default() {
        let log = usable(
            Described::builder().log_destination("arn:aws:logs:eu-west-1:123456789012:log-group:/vpc/flow:*"),
        );
        assert_eq!(log.log_group.as_deref(), Some("/vpc/flow"));
        assert_eq!(log.format.parse(), Ok(LogFormat::version_2()));
        assert_eq!((log.traffic, log.aggregation_seconds), (TrafficType::All, 600));
    }

    #[test]
    fn failed_delivery_inactive_log_and_bucket_are_told_apart() {
        let failed =
            usable(described().deliver_logs_status("FAILED").deliver_logs_error_message("Access error"));
        assert_eq!(failed.delivery_error.as_deref(), Some("AWS says that its delivery failed: Access error"));
        assert_eq!(mapped(&described().flow_log_status("DELETING").build()), Ok(None));
        let bucket =
            usable(described().log_destination_type(LogDestinationType::S3).set_log_group_name(None));
        assert_eq!((bucket.destination, bucket.log_group), (FlowLogDestination::S3, None));
    }

    #[test]
    fn a_destination_of_a_later_api_is_a_gap() {
        let gap =
            mapped(&described().log_destination_type(LogDestinationType::from("carrier-pigeon")).build());
        assert!(gap.expect_err("unknown").why.contains("carrier-pigeon"));
    }

    #[test]
    fn a_regional_gateway_is_looked_up_by_its_own_id() {
        let id = "nat-0123456789abcdef0".parse().ok();
        let zonal = NatGateway {
            id,
            interface_ids: vec!["eni-0123456789abcdef0".parse().expect("valid")],
            vpc_id: Some("vpc-1".into()),
            subnet_id: Some("subnet-1".into()),
            ..NatGateway::default()
        };
        assert_eq!(resources(&zonal), ["eni-0123456789abcdef0", "subnet-1", "vpc-1"]);
        let regional =
            NatGateway { kind: GatewayKind::Regional, interface_ids: Vec::new(), subnet_id: None, ..zonal };
        assert_eq!(resources(&regional), ["nat-0123456789abcdef0", "vpc-1"]);
    }

    #[test]
    fn named_groups_take_the_place_of_a_look_up() {
        let overrides = Overrides {
            log_groups: vec!["/a".into(), "/b".into()],
            log_format: Some("srcaddr dstaddr srcport dstport protocol start end".parse().expect("valid")),
            ..Overrides::default()
        };
        let logs = named(&overrides, Some("vpc-1"));
        assert_eq!(logs.iter().filter_map(|log| log.log_group.as_deref()).collect::<Vec<_>>(), ["/a", "/b"]);
        assert!(logs.iter().all(|log| log.resource_id == "vpc-1" && log.format.starts_with("${srcaddr}")));
    }
}
