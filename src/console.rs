//! Links into the AWS console: the alarm, the gateway, its errors as a graph, a Logs Insights query with its
//! window.
//!
//! None of these formats is documented. Each has one function here and a test against a sample that people
//! copied from the console; where one changes, a link leads to the console's front page and no further.

use std::fmt::Write as _;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::incident::{NatGatewayId, TimeWindow};
use crate::network::is_region;

/// The console of one Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    host: String,
    region: String,
}

/// What a path segment of the console keeps as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Console {
    /// The console of `region`; `None` where the text is no Region's code, or its partition has no public
    /// console (the isolated ones).
    ///
    /// Source of the prefixes and hosts: the partitions that the AWS SDKs list.
    #[must_use]
    pub fn of(region: &str) -> Option<Self> {
        let words: Vec<&str> = region.split('-').collect();
        let isolated = words.get(1).is_some_and(|word| word.starts_with("iso"));
        if !is_region(region) || isolated {
            return None;
        }
        let domain = match words[..] {
            ["cn", ..] => "console.amazonaws.cn",
            ["us", "gov", ..] => "console.amazonaws-us-gov.com",
            ["eusc", ..] => "console.amazonaws-eusc.eu",
            _ => "console.aws.amazon.com",
        };
        Some(Self { host: format!("{region}.{domain}"), region: region.to_owned() })
    }

    /// The alarm of that name.
    #[must_use]
    pub fn alarm(&self, name: &str) -> String {
        self.cloudwatch(&format!("alarmsV2:alarm/{}", utf8_percent_encode(name, KEPT)))
    }

    /// The gateway's details.
    #[must_use]
    pub fn nat_gateway(&self, id: &NatGatewayId) -> String {
        let Self { host, region } = self;
        format!("https://{host}/vpcconsole/home?region={region}#NatGatewayDetails:natGatewayId={id}")
    }

    /// The gateway's errors, minute by minute, as a graph; those of one zone of a regional gateway.
    #[must_use]
    pub fn port_allocation_errors(
        &self,
        id: &NatGatewayId,
        zone: Option<&str>,
        window: TimeWindow,
    ) -> String {
        let mut metric = vec!["AWS/NATGateway", "ErrorPortAllocation", "NatGatewayId", id.as_str()];
        if let Some(zone) = zone {
            metric.extend(["AvailabilityZone", zone]);
        }
        let metric = JsUrl::list(metric.into_iter().map(JsUrl::text));
        let graph = JsUrl::object([
            ("metrics", JsUrl::list([metric])),
            ("view", JsUrl::text("timeSeries")),
            ("stacked", JsUrl::bare("false")),
            ("region", JsUrl::text(&self.region)),
            ("start", JsUrl::text(&instant(window.start()))),
            ("end", JsUrl::text(&instant(window.end()))),
            ("stat", JsUrl::text("Sum")),
            ("period", JsUrl::bare("60")),
        ]);
        self.cloudwatch(&format!("metricsV2?graph={}", graph.0))
    }

    /// Logs Insights with this query about these log groups and minutes.
    #[must_use]
    pub fn logs_insights(&self, query: &str, log_groups: &[String], window: TimeWindow) -> String {
        let detail = JsUrl::object([
            ("end", JsUrl::text(&instant(window.end()))),
            ("start", JsUrl::text(&instant(window.start()))),
            ("timeType", JsUrl::text("ABSOLUTE")),
            ("tz", JsUrl::text("UTC")),
            ("editorString", JsUrl::text(query)),
            ("source", JsUrl::list(log_groups.iter().map(|group| JsUrl::text(group)))),
            ("lang", JsUrl::text("CWLI")),
        ]);
        // The console writes what stands before its own encoding with a dollar sign for the percent sign.
        self.cloudwatch(&format!("logsV2:logs-insights$3FqueryDetail$3D{}", detail.0))
    }

    fn cloudwatch(&self, fragment: &str) -> String {
        let Self { host, region } = self;
        format!("https://{host}/cloudwatch/home?region={region}#{fragment}")
    }
}

/// As the console writes an instant: with milliseconds, which are none here.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// A value in the encoding that the CloudWatch console uses in its URLs, after the JavaScript library JSURL:
/// `~(key~'text)`, `~(~'item~'item)`, and within texts `*xx` for what is neither letter, digit, `_`, `-` nor
/// `.`. The result is plain ASCII without quotes, spaces or angle brackets.
struct JsUrl(String);

impl JsUrl {
    /// A number or a truth value.
    fn bare(value: &'static str) -> Self {
        Self(format!("~{value}"))
    }

    fn text(text: &str) -> Self {
        let mut encoded = String::from("~'");
        for c in text.chars() {
            match c {
                _ if c.is_ascii_alphanumeric() || "_-.".contains(c) => encoded.push(c),
                '$' => encoded.push('!'),
                _ if (c as u32) < 0x100 => write!(encoded, "*{:02x}", c as u32).expect("written"),
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(encoded, "**{unit:04x}").expect("written");
                    }
                }
            }
        }
        Self(encoded)
    }

    fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self(format!("~({})", items.into_iter().map(|item| item.0).collect::<String>()))
    }

    fn object<const N: usize>(entries: [(&str, Self); N]) -> Self {
        let entries = entries.map(|(key, value)| format!("{key}{}", value.0));
        Self(format!("~({})", entries.join("~")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(region: &str) -> Console {
        Console::of(region).unwrap_or_else(|| panic!("{region} has a console"))
    }

    fn window(text: &str) -> TimeWindow {
        text.parse().expect("a window")
    }

    fn gateway() -> NatGatewayId {
        "nat-0a1b2c3d4e5f60718".parse().expect("valid")
    }

    #[test]
    fn every_partition_with_a_public_console_has_links_and_no_other() {
        for (region, host) in [
            ("eu-west-1", "eu-west-1.console.aws.amazon.com"),
            ("ap-southeast-5", "ap-southeast-5.console.aws.amazon.com"),
            ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
            ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
            ("eusc-de-east-1", "eusc-de-east-1.console.amazonaws-eusc.eu"),
        ] {
            let url = console(region).nat_gateway(&gateway());
            assert_eq!(
                url,
                format!(
                    "https://{host}/vpcconsole/home?region={region}#NatGatewayDetails:natGatewayId=nat-0a1b2c3d4e5f60718"
                )
            );
        }
        for none in [
            "us-iso-east-1",
            "us-isob-east-1",
            "eu-isoe-west-1",
            "",
            "eu-west",
            "evil.example/#-1",
            "EU-WEST-1",
            "eu-west-+1",
        ] {
            assert_eq!(Console::of(none), None, "{none}");
        }
    }

    #[test]
    fn a_query_reads_as_one_copied_from_the_console() {
        let url = console("us-east-1").logs_insights(
            "fields @timestamp\n| limit 10",
            &["arn:aws:logs:us-east-1:123456789012:log-group:name".to_owned()],
            window("2025-05-30T04:00:00Z/2025-05-30T05:00:00Z"),
        );
        assert_eq!(
            url,
            "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logsV2:logs-insights$3FqueryDetail$3D~(end~'2025-05-30T05*3a00*3a00.000Z~start~'2025-05-30T04*3a00*3a00.000Z~timeType~'ABSOLUTE~tz~'UTC~editorString~'fields*20*40timestamp*0a*7c*20limit*2010~source~(~'arn*3aaws*3alogs*3aus-east-1*3a123456789012*3alog-group*3aname)~lang~'CWLI)"
        );
    }

    #[test]
    fn a_graph_reads_as_one_copied_from_the_console() {
        let minutes = window("2026-11-18T02:01:00Z/2026-11-18T02:14:00Z");
        assert_eq!(
            console("eu-west-1").port_allocation_errors(&gateway(), Some("eu-west-1a"), minutes),
            "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#metricsV2?graph=~(metrics~(~(~'AWS*2fNATGateway~'ErrorPortAllocation~'NatGatewayId~'nat-0a1b2c3d4e5f60718~'AvailabilityZone~'eu-west-1a))~view~'timeSeries~stacked~false~region~'eu-west-1~start~'2026-11-18T02*3a01*3a00.000Z~end~'2026-11-18T02*3a14*3a00.000Z~stat~'Sum~period~60)"
        );
    }

    #[test]
    fn a_hostile_name_stays_within_its_link() {
        for hostile in ["a\"b<script>", "a b)~(x", "x\n\u{202e}y'z", "größe/π/😀", "$(reboot)"] {
            for url in [
                console("eu-west-1").alarm(hostile),
                console("eu-west-1").logs_insights(
                    hostile,
                    &[hostile.to_owned()],
                    window("2025-05-30T04:00:00Z/2025-05-30T05:00:00Z"),
                ),
            ] {
                assert!(
                    url.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b)),
                    "{hostile:?}: {url}"
                );
            }
        }
        assert_eq!(JsUrl::text("π😀$").0, "~'**03c0**d83d**de00!");
        assert!(console("eu-west-1").alarm("a/b c").ends_with("#alarmsV2:alarm/a%2Fb%20c"));
    }
}
