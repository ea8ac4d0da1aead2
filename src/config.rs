//! The environment's names and what they mean. The only place, beside the binaries, that reads it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use jiff::SignedDuration;

use crate::evidence::athena::TableName;
use crate::flow::LogFormat;
use crate::incident::is_account;
use crate::network::is_region;
use crate::report::HttpsReaders;
use crate::watch::Thresholds;

/// Where to publish; without it the result is only returned and logged.
pub const TOPIC_ARN: &str = "NAT_TRIAGE_TOPIC_ARN";
/// Log groups to ask, separated by commas, instead of those that the account's flow logs name.
pub const LOG_GROUPS: &str = "NAT_TRIAGE_LOG_GROUPS";
/// The flow log's format string, where [`LOG_GROUPS`] is given.
pub const LOG_FORMAT: &str = "NAT_TRIAGE_LOG_FORMAT";
/// The gateway's addresses, separated by commas, when EC2 may not be asked.
pub const NAT_IPS: &str = "NAT_TRIAGE_NAT_IPS";
/// Flow-log files or folders, separated by commas: the embedded source instead of Logs Insights.
pub const FLOW_LOGS: &str = "NAT_TRIAGE_FLOW_LOGS";

/// The bucket in which reports leave a mark, and what they rest on.
pub const REPORT_BUCKET: &str = "NAT_TRIAGE_REPORT_BUCKET";
/// The account that the bucket belongs to: calls to one of another account are denied.
pub const REPORT_BUCKET_OWNER: &str = "NAT_TRIAGE_REPORT_BUCKET_OWNER";
/// The most that all queries of one event may scan together, in GiB.
pub const MAX_SCAN_GIB: &str = "NAT_TRIAGE_MAX_SCAN_GIB";

/// [`MAX_SCAN_GIB`] where it is not set: about half a dollar at the list price of us-east-1.
pub const DEFAULT_MAX_SCAN_GIB: f64 = 100.0;

/// The part of its capacity, in percent, from which a destination is told of.
pub const WATCH_PERCENT: &str = "NAT_TRIAGE_WATCH_PERCENT";
/// The part of its capacity, in percent, below which such a destination has room again.
pub const WATCH_OVER_PERCENT: &str = "NAT_TRIAGE_WATCH_OVER_PERCENT";
/// The most that looks how full the gateways are may scan together in a day, in GiB.
pub const WATCH_GIB_PER_DAY: &str = "NAT_TRIAGE_WATCH_GIB_PER_DAY";

/// [`WATCH_GIB_PER_DAY`] where it is not set: about a tenth of a dollar at the list price of us-east-1.
pub const DEFAULT_WATCH_GIB_PER_DAY: f64 = 20.0;

/// Whether to tell that an alarm ended: `true` or `false`.
pub const NOTIFY_OK: &str = "NAT_TRIAGE_NOTIFY_OK";

/// Who is subscribed to the topic by HTTPS: `chat` or `machines`.
pub const HTTPS: &str = "NAT_TRIAGE_HTTPS";

/// Whether to ask the DNS for the names of destinations: `true`, `false`, or the name server to ask.
pub const REVERSE_DNS: &str = "NAT_TRIAGE_REVERSE_DNS";

/// Whether to ask CloudTrail what was changed before an alarm: `true`, which is usual, or `false`.
pub const LOOK_UP_CHANGES: &str = "NAT_TRIAGE_LOOK_UP_CHANGES";

/// Whether to ask what was held an hour before an alarm as well: `true`, which is usual, or `false`.
pub const COMPARE_EARLIER: &str = "NAT_TRIAGE_COMPARE_EARLIER";

/// Within how many minutes of an alarm's report the next alarm about its destination and greatest holder is told as one
/// more of the same incident; 0 for never.
pub const REPEAT_MINUTES: &str = "NAT_TRIAGE_REPEAT_MINUTES";

/// [`REPEAT_MINUTES`] where it is not set.
pub const DEFAULT_REPEAT_MINUTES: u32 = 30;

/// The name or the ARN of the EventBridge bus that gets each message as an event as well.
pub const EVENT_BUS: &str = "NAT_TRIAGE_EVENT_BUS";

/// The table that Athena is asked about flow logs in S3 which are too large to read in place: `DATABASE.TABLE`, or
/// `DATABASE` for the one of its tables that is over the flow log's files.
pub const ATHENA_TABLE: &str = "NAT_TRIAGE_ATHENA_TABLE";

/// The workgroup in which Athena is asked; [`DEFAULT_ATHENA_WORKGROUP`] where it is not set.
pub const ATHENA_WORKGROUP: &str = "NAT_TRIAGE_ATHENA_WORKGROUP";

/// The workgroup that every account has.
///
/// Source: "Use workgroups to control query access and costs" in the Amazon Athena user guide.
pub const DEFAULT_ATHENA_WORKGROUP: &str = "primary";

/// What Lambda calls the function; not set elsewhere.
///
/// Source: "Defined runtime environment variables" in the AWS Lambda developer guide.
pub const FUNCTION_NAME: &str = "AWS_LAMBDA_FUNCTION_NAME";

/// Every name that this program reads.
pub const NAMES: [&str; 21] = [
    TOPIC_ARN,
    LOG_GROUPS,
    LOG_FORMAT,
    NAT_IPS,
    FLOW_LOGS,
    REPORT_BUCKET,
    REPORT_BUCKET_OWNER,
    MAX_SCAN_GIB,
    WATCH_PERCENT,
    WATCH_OVER_PERCENT,
    WATCH_GIB_PER_DAY,
    NOTIFY_OK,
    HTTPS,
    REVERSE_DNS,
    LOOK_UP_CHANGES,
    COMPARE_EARLIER,
    REPEAT_MINUTES,
    EVENT_BUS,
    ATHENA_TABLE,
    ATHENA_WORKGROUP,
    FUNCTION_NAME,
];

/// What the function was told by its environment.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// [`TOPIC_ARN`].
    pub topic_arn: Option<String>,
    /// [`LOG_GROUPS`].
    pub log_groups: Vec<String>,
    /// [`LOG_FORMAT`].
    pub log_format: Option<LogFormat>,
    /// [`NAT_IPS`].
    pub nat_ips: Vec<IpAddr>,
    /// [`FLOW_LOGS`].
    pub flow_logs: Vec<PathBuf>,
    /// [`REPORT_BUCKET`].
    pub report_bucket: Option<String>,
    /// [`REPORT_BUCKET_OWNER`].
    pub report_bucket_owner: Option<String>,
    /// [`MAX_SCAN_GIB`]; [`DEFAULT_MAX_SCAN_GIB`] where it is not set.
    pub max_scan_gib: f64,
    /// [`WATCH_PERCENT`] and [`WATCH_OVER_PERCENT`], as fractions of 1.
    pub watch: Thresholds,
    /// [`WATCH_GIB_PER_DAY`]; [`DEFAULT_WATCH_GIB_PER_DAY`] where it is not set.
    pub watch_gib_per_day: f64,
    /// [`NOTIFY_OK`].
    pub notify_ok: bool,
    /// [`HTTPS`].
    pub https: HttpsReaders,
    /// [`REVERSE_DNS`]; `None` asks nobody.
    pub reverse_dns: Option<NameServer>,
    /// [`LOOK_UP_CHANGES`]; `true` where it is not set.
    pub look_up_changes: bool,
    /// [`COMPARE_EARLIER`]; `true` where it is not set.
    pub compare_earlier: bool,
    /// [`REPEAT_MINUTES`]; [`DEFAULT_REPEAT_MINUTES`] where it is not set.
    pub repeat_within: SignedDuration,
    /// [`EVENT_BUS`].
    pub event_bus: Option<String>,
    /// [`ATHENA_TABLE`]; without one Athena is not asked.
    pub athena_table: Option<TableName>,
    /// [`ATHENA_WORKGROUP`]; [`DEFAULT_ATHENA_WORKGROUP`] where it is not set.
    pub athena_workgroup: String,
    /// [`FUNCTION_NAME`].
    pub function_name: Option<String>,
}

/// A name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameServer {
    /// Those that the machine uses.
    OfMachine,
    /// This one.
    At(SocketAddr),
}

/// A variable whose value can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {name} is unusable: {why}")]
pub struct ConfigError {
    /// Which variable.
    pub name: &'static str,
    /// What is wrong with it, and what was expected.
    pub why: String,
}

impl Default for Config {
    fn default() -> Self {
        Self::from_values(|_| None).expect("nothing that is set is unusable")
    }
}

impl Config {
    /// What the process's environment says.
    ///
    /// # Errors
    /// When a variable of ours holds a value that can't be understood.
    pub fn from_env() -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        for name in NAMES {
            match std::env::var(name) {
                Ok(value) => {
                    values.insert(name, value);
                }
                Err(std::env::VarError::NotPresent) => {}
                Err(std::env::VarError::NotUnicode(_)) => {
                    return Err(ConfigError { name, why: "it is not UTF-8".into() });
                }
            }
        }
        Self::from_values(|name| values.get(name).map(String::as_str))
    }

    /// What variables say that are looked up with `value`; an empty one counts as not set.
    ///
    /// # Errors
    /// When one holds a value that can't be understood.
    pub fn from_values<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Result<Self, ConfigError> {
        let set = |name: &'static str| value(name).map(str::trim).filter(|text| !text.is_empty());
        let list = |name| -> Vec<&str> {
            set(name)
                .map(|text| text.split(',').map(str::trim).filter(|t| !t.is_empty()).collect())
                .unwrap_or_default()
        };
        let topic_arn = set(TOPIC_ARN).map(topic_arn).transpose()?;
        let log_groups: Vec<String> =
            list(LOG_GROUPS).into_iter().map(log_group).collect::<Result<_, _>>()?;
        let log_format = set(LOG_FORMAT)
            .map(|text| text.parse().map_err(|e| ConfigError { name: LOG_FORMAT, why: format!("{e}") }))
            .transpose()?;
        let nat_ips = list(NAT_IPS)
            .into_iter()
            .map(|text| {
                text.parse().map_err(|_| ConfigError {
                    name: NAT_IPS,
                    why: format!(
                        "{:?} is not an IP address; give addresses separated by commas",
                        short(text)
                    ),
                })
            })
            .collect::<Result<_, _>>()?;
        let flow_logs = list(FLOW_LOGS).into_iter().map(PathBuf::from).collect();
        let report_bucket = set(REPORT_BUCKET).map(bucket).transpose()?;
        let report_bucket_owner = set(REPORT_BUCKET_OWNER).map(account).transpose()?;
        let max_scan_gib = set(MAX_SCAN_GIB)
            .map(|text| gib(MAX_SCAN_GIB, text))
            .transpose()?
            .unwrap_or(DEFAULT_MAX_SCAN_GIB);
        let watch = thresholds(set(WATCH_PERCENT), set(WATCH_OVER_PERCENT))?;
        let watch_gib_per_day =
            set(WATCH_GIB_PER_DAY).map(|text| gib(WATCH_GIB_PER_DAY, text)).transpose()?;
        let is_wanted = |name, usually| set(name).map_or(Ok(usually), |text| yes_or_no(name, text));
        let https = set(HTTPS).map(https_readers).transpose()?.unwrap_or_default();
        let reverse_dns = set(REVERSE_DNS).map(name_server).transpose()?.flatten();
        Ok(Self {
            topic_arn,
            log_groups,
            log_format,
            nat_ips,
            flow_logs,
            report_bucket,
            report_bucket_owner,
            max_scan_gib,
            watch,
            watch_gib_per_day: watch_gib_per_day.unwrap_or(DEFAULT_WATCH_GIB_PER_DAY),
            notify_ok: is_wanted(NOTIFY_OK, false)?,
            https,
            reverse_dns,
            look_up_changes: is_wanted(LOOK_UP_CHANGES, true)?,
            compare_earlier: is_wanted(COMPARE_EARLIER, true)?,
            repeat_within: SignedDuration::from_mins(i64::from(
                set(REPEAT_MINUTES).map(minutes).transpose()?.unwrap_or(DEFAULT_REPEAT_MINUTES),
            )),
            event_bus: set(EVENT_BUS).map(event_bus).transpose()?,
            athena_table: set(ATHENA_TABLE).map(athena_table).transpose()?,
            athena_workgroup: set(ATHENA_WORKGROUP).map_or(Ok(DEFAULT_ATHENA_WORKGROUP.into()), workgroup)?,
            function_name: set(FUNCTION_NAME).map(str::to_owned),
        })
    }
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

fn topic_arn(text: &str) -> Result<String, ConfigError> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_topic = matches!(parts[..], ["arn", partition, "sns", region, account, name]
        if partition.starts_with("aws") && !region.is_empty() && !account.is_empty() && !name.is_empty());
    if is_topic && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(ConfigError {
            name: TOPIC_ARN,
            why: format!(
                "{:?} is not a topic's ARN, such as arn:aws:sns:eu-west-1:123456789012:nat-triage",
                short(text)
            ),
        })
    }
}

/// A bus's name or ARN, as `PutEvents` in the Amazon EventBridge API reference has it.
fn event_bus(text: &str) -> Result<String, ConfigError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/.-_:".contains(&b);
    let is_arn = text.starts_with("arn:") && text.contains(":events:");
    if text.len() <= 1_600 && text.bytes().all(allowed) && (is_arn || !text.contains(':')) {
        Ok(text.to_owned())
    } else {
        Err(ConfigError {
            name: EVENT_BUS,
            why: format!("{:?} is neither the name nor the ARN of an event bus", short(text)),
        })
    }
}

fn athena_table(text: &str) -> Result<TableName, ConfigError> {
    text.parse().map_err(|error| ConfigError {
        name: ATHENA_TABLE,
        why: format!("{:?} is neither DATABASE.TABLE nor DATABASE: {error}", short(text)),
    })
}

/// A workgroup's name, as `WorkGroup` in the Athena API reference has it.
fn workgroup(text: &str) -> Result<String, ConfigError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if text.len() <= 128 && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(ConfigError {
            name: ATHENA_WORKGROUP,
            why: format!("{:?} is not the name of a workgroup", short(text)),
        })
    }
}

/// A log group's name, as the CloudWatch Logs API allows it; of another account's, its ARN.
fn log_group(text: &str) -> Result<String, ConfigError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-/.#".contains(&b);
    let is_name = |name: &str| (1..=512).contains(&name.len()) && name.bytes().all(allowed);
    let group = text.trim_end_matches(":*");
    let parts: Vec<&str> = group.split(':').collect();
    let is_arn = matches!(parts[..], ["arn", partition, "logs", region, account, "log-group", name]
        if partition.starts_with("aws") && is_region(region) && is_account(account) && is_name(name));
    if is_name(group) || is_arn {
        Ok(group.to_owned())
    } else {
        Err(ConfigError {
            name: LOG_GROUPS,
            why: format!(
                "{:?} is neither the name of a log group nor its ARN, such as arn:aws:logs:eu-west-1:123456789012:log-group:/vpc/flow",
                short(text)
            ),
        })
    }
}

/// A bucket's name, as "General purpose bucket naming rules" in the Amazon S3 user guide has it.
fn bucket(text: &str) -> Result<String, ConfigError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
    if (3..=63).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err(ConfigError {
            name: REPORT_BUCKET,
            why: format!("{:?} is not the name of a bucket; give only the name, without s3://", short(text)),
        })
    }
}

/// An account's id: "AWS account identifiers" in the AWS account management guide.
fn account(text: &str) -> Result<String, ConfigError> {
    if is_account(text) {
        Ok(text.to_owned())
    } else {
        Err(ConfigError {
            name: REPORT_BUCKET_OWNER,
            why: format!("{:?} is not the id of an account, which has 12 digits", short(text)),
        })
    }
}

fn gib(name: &'static str, text: &str) -> Result<f64, ConfigError> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| ConfigError {
        name,
        why: format!("{:?} is not a number of GiB above 0, such as 50", short(text)),
    })
}

/// Minutes of a day at most.
fn minutes(text: &str) -> Result<u32, ConfigError> {
    const MAX_MINUTES: u32 = 24 * 60;

    text.parse().ok().filter(|minutes| *minutes <= MAX_MINUTES).ok_or_else(|| ConfigError {
        name: REPEAT_MINUTES,
        why: format!("{:?} is not a number of minutes from 0 to {MAX_MINUTES}", short(text)),
    })
}

/// Percents above 0 and at most 100, the second below the first.
fn thresholds(warn: Option<&str>, over: Option<&str>) -> Result<Thresholds, ConfigError> {
    let part = |name: &'static str, text: &str| {
        let percents = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= 100.0);
        percents.map(|percents| percents / 100.0).ok_or_else(|| ConfigError {
            name,
            why: format!("{:?} is not a number of percents, above 0 and at most 100", short(text)),
        })
    };
    let usual = Thresholds::default();
    let warn = warn.map(|text| part(WATCH_PERCENT, text)).transpose()?;
    let over = over.map(|text| part(WATCH_OVER_PERCENT, text)).transpose()?;
    // As far below as the usual one is.
    let clear = over.unwrap_or_else(|| warn.map_or(usual.clear, |warn| warn * 0.875));
    let warn = warn.unwrap_or(usual.warn);
    if clear < warn {
        Ok(Thresholds { warn, clear })
    } else {
        Err(ConfigError {
            name: WATCH_OVER_PERCENT,
            why: format!("{} is not below {WATCH_PERCENT}, which is {}", clear * 100.0, warn * 100.0),
        })
    }
}

fn yes_or_no(name: &'static str, text: &str) -> Result<bool, ConfigError> {
    text.to_ascii_lowercase()
        .parse()
        .map_err(|_| ConfigError { name, why: format!("{:?} is neither true nor false", short(text)) })
}

fn https_readers(text: &str) -> Result<HttpsReaders, ConfigError> {
    match text.to_ascii_lowercase().as_str() {
        "chat" => Ok(HttpsReaders::Chat),
        "machines" => Ok(HttpsReaders::Machines),
        _ => Err(ConfigError { name: HTTPS, why: format!("{:?} is neither chat nor machines", short(text)) }),
    }
}

/// A name server's address, with or without a port; none where nobody is to be asked.
fn name_server(text: &str) -> Result<Option<NameServer>, ConfigError> {
    /// Where name servers listen (RFC 1035).
    const DNS: u16 = 53;
    let at = |address: SocketAddr| Some(NameServer::At(address));
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(Some(NameServer::OfMachine)),
        "false" => Ok(None),
        _ => {
            text.parse().or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, DNS))).map(at).map_err(|_| {
                ConfigError {
                    name: REVERSE_DNS,
                    why: format!(
                        "{:?} is neither true, false nor the address of a name server, such as 10.0.0.2",
                        short(text)
                    ),
                }
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str, text: &str) -> Result<Config, ConfigError> {
        Config::from_values(|asked| (asked == name).then_some(text))
    }

    #[test]
    fn an_unusable_value_names_its_variable() {
        for (name, text) in [
            (TOPIC_ARN, "my-topic"),
            (LOG_GROUPS, "a b"),
            (LOG_GROUPS, "arn:aws:s3:::flow-logs"),
            (LOG_GROUPS, "arn:aws:logs:eu-west-1:12:log-group:/vpc/flow"),
            (LOG_FORMAT, "srcaddr only"),
            (NAT_IPS, "10.0.0.220;10.0.0.221"),
            (REPORT_BUCKET, "s3://reports"),
            (REPORT_BUCKET_OWNER, "12345"),
            (MAX_SCAN_GIB, "-1"),
            (NOTIFY_OK, "sometimes"),
            (WATCH_PERCENT, "0.8%"),
            (WATCH_OVER_PERCENT, "80"),
            (WATCH_GIB_PER_DAY, "0"),
            (REPEAT_MINUTES, "half an hour"),
            (REPEAT_MINUTES, "1441"),
            (HTTPS, "slack"),
            (REVERSE_DNS, "dns.example"),
            (EVENT_BUS, "arn:aws:sns:eu-west-1:123456789012:nat-triage"),
            (ATHENA_TABLE, "logs.vpc; DROP TABLE x"),
            (ATHENA_WORKGROUP, "my group"),
            (MAX_SCAN_GIB, "50 GiB"),
        ] {
            let error = config(name, text).expect_err(name);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn nothing_set_is_a_valid_configuration() {
        assert_eq!(Config::from_values(|_| None), Ok(Config::default()));
        assert_eq!(config(TOPIC_ARN, " "), Ok(Config::default()));
    }

    #[test]
    fn chats_read_what_is_sent_by_https_unless_machines_do() {
        assert_eq!(Config::default().https, HttpsReaders::Chat);
        assert_eq!(config(HTTPS, "Machines").expect("valid").https, HttpsReaders::Machines);
    }

    #[test]
    fn the_dns_is_asked_only_where_that_is_wanted() {
        let told = |text| config(REVERSE_DNS, text).expect("valid").reverse_dns;
        assert_eq!(told("True"), Some(NameServer::OfMachine));
        assert_eq!(told("false"), None);
        let at = |text: &str| Some(NameServer::At(text.parse().expect("valid")));
        assert_eq!(told("10.0.0.2"), at("10.0.0.2:53"));
        assert_eq!(told("[fd00:ec2::253]:5353"), at("[fd00:ec2::253]:5353"));
    }

    #[test]
    fn log_groups_of_linked_accounts_are_named_by_their_arn() {
        let arn = "arn:aws:logs:eu-west-1:111122223333:log-group:/vpc/flow";
        let groups = |text: &str| config(LOG_GROUPS, text).expect("valid").log_groups;
        assert_eq!(groups(&format!("{arn}:*, /vpc/ours")), [arn, "/vpc/ours"]);
    }

    #[test]
    fn a_warning_ends_below_where_it_begins() {
        let watch = |text| config(WATCH_PERCENT, text).expect("valid").watch;
        assert_eq!(Config::default().watch, Thresholds::default());
        let at_forty = watch("40");
        assert!((at_forty.clear - 0.35).abs() < 1e-9, "{at_forty:?}");
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let ips = config(NAT_IPS, "10.0.0.220, 10.0.0.221").expect("valid").nat_ips;
        assert_eq!(ips.len(), 2);
    }
}
