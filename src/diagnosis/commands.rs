//! Commands that a person can paste: every value that goes into one is quoted or typed.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::findings::Findings;
use crate::command_line::{Blank, CommandLine};
use crate::gap::ASK_AGAIN;
use crate::incident::{NatGatewayId, TimeWindow};
use crate::network::{MetricName, Quota};
use crate::words;

pub(super) use crate::words::argument as quoted;

/// Several such words, with a space between.
pub(super) fn words_of_shell<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// Text from outside for a sentence: no link, without what a terminal would act on, and not endless.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 400;
    words::outside(&printable(text), LONGEST)
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !words::is_unprintable(*c)).collect()
}

/// ` --region eu-west-1`, where the Region is known.
pub(crate) fn region_option(region: Option<&str>) -> String {
    region.map_or_else(String::new, |region| format!(" --region {}", quoted(region)))
}

/// Asks AWS to raise a quota.
pub(crate) fn raise_quota(Quota { service, code }: Quota, to: u32, region: Option<&str>) -> String {
    format!(
        "aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code} --desired-value {to}{}",
        region_option(region)
    )
}

/// Shows what a quota allows.
pub(super) fn show_quota(Quota { service, code }: Quota, region: Option<&str>) -> String {
    format!(
        "aws service-quotas get-service-quota --service-code {service} --quota-code {code} --query Quota.Value{}",
        region_option(region)
    )
}

/// Shows who owns private addresses: one command for those of each family, as their filters differ.
pub(super) fn describe_owners(addresses: &[IpAddr], region: Option<&str>) -> Vec<String> {
    let (six, four): (Vec<IpAddr>, Vec<IpAddr>) = addresses.iter().partition(|address| address.is_ipv6());
    let families = [
        ("addresses.private-ip-address", "PrivateIpAddress", four),
        ("ipv6-addresses.ipv6-address", "Ipv6Addresses[0].Ipv6Address", six),
    ];
    let asked = families.into_iter().filter(|(.., addresses)| !addresses.is_empty());
    asked
        .map(|(filter, shown, addresses)| {
            let values: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!(
                "aws ec2 describe-network-interfaces --filters Name={filter},Values={} --query 'NetworkInterfaces[].[{shown},VpcId,NetworkInterfaceId,InterfaceType,Description,Attachment.InstanceId]' --output text{}",
                values.join(","),
                region_option(region)
            )
        })
        .collect()
}

/// Shows the errors between two times, minute by minute.
pub(super) fn errors_metric(
    gateway: Option<&NatGatewayId>,
    zone: Option<&str>,
    window: TimeWindow,
    region: Option<&str>,
) -> CommandLine {
    let gateway = gateway.map_or(Blank::NAT_GATEWAY_ID.as_str(), NatGatewayId::as_str);
    metric(MetricName::ErrorPortAllocation, gateway, zone, window, region)
}

/// Shows the errors of the day since the window: that they stopped tells that a remedy worked.
pub(super) fn errors_since(findings: &Findings<'_>) -> CommandLine {
    const DAY: SignedDuration = SignedDuration::from_hours(24);

    let since = findings.evidence.window.end();
    let until = since.checked_add(DAY).unwrap_or(Timestamp::MAX);
    let window = TimeWindow::new(since, until).unwrap_or(findings.evidence.window);
    errors_metric(findings.gateway_id(), findings.metric_zone(), window, findings.region())
}

/// Most values that `get-metric-statistics` gives: the minutes of a day.
///
/// Source: `GetMetricStatistics` in the Amazon CloudWatch API.
const MOST_VALUES: u64 = 1_440;

/// Shows a metric of the gateway minute by minute, or over a longer window in as small steps as
/// there are to be had.
pub(super) fn metric(
    name: MetricName,
    gateway: &str,
    zone: Option<&str>,
    window: TimeWindow,
    region: Option<&str>,
) -> CommandLine {
    let zone = zone.map_or_else(String::new, |zone| {
        format!(" {}", quoted(&format!("Name=AvailabilityZone,Value={zone}")))
    });
    let minutes = u64::try_from(window.seconds()).unwrap_or(0).div_ceil(60);
    let period = 60 * minutes.div_ceil(MOST_VALUES).max(1);
    let text = format!(
        "aws cloudwatch get-metric-statistics --namespace AWS/NATGateway --metric-name {name} --dimensions Name=NatGatewayId,Value={gateway}{zone} --statistics {} --period {period} --start-time {} --end-time {}{}",
        name.statistic(),
        window.start(),
        window.end(),
        region_option(region)
    );
    CommandLine::with(text, &[Blank::NAT_GATEWAY_ID, Blank::AVAILABILITY_ZONE])
}

/// Asks once more about these minutes of the gateway, with the credentials of whoever runs it.
pub(super) fn triage(gateway: Option<&NatGatewayId>, window: TimeWindow, region: Option<&str>) -> String {
    let Some(gateway) = gateway.filter(|_| window != TimeWindow::EPOCH) else { return ASK_AGAIN.to_owned() };
    let region = region.map_or_else(String::new, |region| format!("AWS_REGION={} ", quoted(region)));
    format!("{region}nat-triage triage --nat-id {gateway} --window {}/{}", window.start(), window.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_quoted_word_reaches_the_shell() {
        assert_eq!(quoted("/vpc/flow-logs"), "/vpc/flow-logs");
        for option in ["-rf", "--endpoint-url=http://x", "file://x", "\u{200b}-x", "file:\u{200b}//x"] {
            assert_eq!(quoted(option), "NOT_USABLE");
        }
        for hostile in ["a b", "$(reboot)", "`reboot`", "x;y", "a'b", "", "a\nb", "\u{202e}x"] {
            let word = quoted(hostile);
            let shell = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {word}")])
                .output()
                .expect("sh runs");
            let kept: String = hostile.chars().filter(|c| !words::is_unprintable(*c)).collect();
            assert_eq!(String::from_utf8_lossy(&shell.stdout), kept, "{hostile:?}");
        }
    }

    #[test]
    fn a_metric_is_asked_for_in_as_many_values_as_there_are() {
        let period = |end: &str| {
            let window = format!("2026-11-18T02:00:00Z/{end}").parse().expect("valid");
            let command = errors_metric(None, None, window, None);
            let after = command.split_once("--period ").expect("has one").1;
            after.split(' ').next().expect("a word").to_owned()
        };
        assert_eq!(period("2026-11-18T02:14:00Z"), "60");
        assert_eq!(period("2026-11-19T02:00:00Z"), "60");
        assert_eq!(period("2026-11-19T02:01:00Z"), "120");
        assert_eq!(period("2026-11-25T02:00:00Z"), "420");
    }

    #[test]
    fn a_look_by_hand_names_the_gateway_where_it_is_known() {
        let gateway = "nat-0a1b2c3d4e5f60718".parse().expect("valid");
        let window = "2026-11-18T02:01:00Z/2026-11-18T02:14:00Z".parse().expect("valid");
        assert_eq!(
            triage(Some(&gateway), window, Some("eu-west-1")),
            "AWS_REGION=eu-west-1 nat-triage triage --nat-id nat-0a1b2c3d4e5f60718 --window 2026-11-18T02:01:00Z/2026-11-18T02:14:00Z"
        );
        assert!(triage(Some(&gateway), window, Some("x; reboot")).starts_with("AWS_REGION='x; reboot' nat-"));
        assert_eq!(triage(None, window, None), ASK_AGAIN);
        assert_eq!(triage(Some(&gateway), TimeWindow::EPOCH, None), ASK_AGAIN);
    }
}
