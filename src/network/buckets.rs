//! Flow logs in S3: where their files are, and which keys can hold records of some minutes.
//!
//! Source: "Flow log files" in "Publish flow logs to Amazon S3", Amazon VPC user guide
//! (docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-path.html): the four key layouts, the name of a file, and
//! that a file holds the records that end in five minutes.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_id;
use super::shapes::is_region;
use crate::incident::is_account;

/// A flow log begins new files at each multiple of this.
///
/// Source: "publishes the log files to the Amazon S3 bucket at 5-minute intervals", as above.
pub const FILE_INTERVAL: SignedDuration = SignedDuration::from_mins(5);

/// A bucket, and what the keys in it begin with. It holds only characters that are harmless in a command and in a
/// policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketPlace {
    partition: String,
    bucket: String,
    prefix: String,
}

/// A text that names no place in S3.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a place in S3: expected s3://BUCKET/PREFIX or arn:aws:s3:::BUCKET/PREFIX, of letters, digits and !-_.*()/=+@:,~"
)]
pub struct InvalidPlace;

/// What URLs of S3 begin with.
const SCHEME: &str = "s3://";

/// Most bytes of a key (`Key` in the Amazon S3 API).
const MAX_KEY: usize = 1024;

impl BucketPlace {
    /// Whether a text is meant as a place in S3, well-formed or not.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// The bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What keys begin with; empty where all are meant.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The bucket's ARN, as a policy names it.
    #[must_use]
    pub fn bucket_arn(&self) -> String {
        format!("arn:{}:s3:::{}", self.partition, self.bucket)
    }

    /// The partition of the ARN: `aws`, `aws-cn`, `aws-us-gov`.
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The prefix as a folder: empty, or with a slash at its end.
    fn folder(&self) -> String {
        match self.prefix.trim_matches('/') {
            "" => String::new(),
            folder => format!("{folder}/"),
        }
    }

    /// The URL of a key in this bucket.
    #[must_use]
    pub fn url(&self, key: &str) -> String {
        format!("{SCHEME}{}/{key}", self.bucket)
    }
}

impl fmt::Display for BucketPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.bucket, self.prefix)
    }
}

impl FromStr for BucketPlace {
    type Err = InvalidPlace;

    /// Takes `s3://BUCKET/PREFIX`, or the ARN that `DescribeFlowLogs` gives.
    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let (partition, path) = match text.strip_prefix(SCHEME) {
            Some(path) => ("aws", path),
            None => {
                let of =
                    text.strip_prefix("arn:").and_then(|rest| rest.split_once(':')).ok_or(InvalidPlace)?;
                (of.0, of.1.strip_prefix("s3:::").ok_or(InvalidPlace)?)
            }
        };
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        // Buckets of us-east-1 from before 2018 may have longer names, upper case and underscores: "Bucket naming
        // rules" in the Amazon S3 user guide.
        let of_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let named = (3..=255).contains(&bucket.len())
            && bucket.chars().all(of_name)
            && bucket.starts_with(|c: char| c.is_ascii_alphanumeric());
        let of_partition = |c: char| c.is_ascii_lowercase() || c == '-';
        let in_aws = partition.starts_with("aws") && partition.chars().all(of_partition);
        if !(named && in_aws && is_harmless(prefix)) {
            return Err(InvalidPlace);
        }
        Ok(Self { partition: partition.to_owned(), bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl TryFrom<String> for BucketPlace {
    type Error = InvalidPlace;

    fn try_from(text: String) -> Result<Self, InvalidPlace> {
        text.parse()
    }
}

impl From<BucketPlace> for String {
    fn from(place: BucketPlace) -> Self {
        let slash = if place.prefix.is_empty() { "" } else { "/" };
        format!("{}{slash}{}", place.bucket_arn(), place.prefix)
    }
}

/// Whether a key can stand in a command and in a policy as it is: flow logs' own keys can, unless whoever chose the
/// prefix wanted otherwise.
#[must_use]
pub fn is_harmless(key: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!-_.*()/=+@:,~".contains(c);
    key.len() <= MAX_KEY && key.chars().all(allowed)
}

/// Where a flow log puts its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InBucket {
    /// The bucket and the optional folder, as its ARN.
    #[schemars(with = "String")]
    pub place: BucketPlace,
    /// Whether folders are called `year=2026` and the like.
    #[serde(default)]
    pub hive: bool,
    /// Whether each hour has a folder of its own.
    #[serde(default)]
    pub per_hour: bool,
    /// Whether the files are Parquet.
    #[serde(default)]
    pub parquet: bool,
    /// The account that made the flow log, which stands in its keys; `None` where that is not known.
    #[serde(default)]
    pub account: Option<String>,
}

/// The keys of one flow log's files.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// Where they are.
    pub files: &'a InBucket,
    /// The account that made the flow log.
    pub account: &'a str,
    /// The Region of the flow log, which may be another one than the bucket's.
    pub region: &'a str,
    /// The flow log's id.
    pub flow_log: &'a str,
}

/// Keys to list: those that begin with a prefix, and come after another key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What the keys begin with.
    pub prefix: String,
    /// Keys come after this one, in the order of their bytes.
    pub after: Option<String>,
    /// Keys that come after this one are of no use; `None` where all are.
    pub up_to: Option<String>,
}

impl Keys<'_> {
    /// What to list so that all files whose time stamp is within these are found: one listing a day, or one an
    /// hour where hours have folders. Each goes down to the flow log's id, so that a bucket of many accounts and many
    /// flow logs costs no more than one of this alone.
    #[must_use]
    pub fn listings(&self, from: Timestamp, until: Timestamp) -> Vec<Listing> {
        let step = if self.files.per_hour { 1.hour() } else { 24.hours() };
        let seconds = if self.files.per_hour { 3_600 } else { 86_400 };
        let mut listings = Vec::new();
        let begin = Timestamp::from_second(from.as_second().div_euclid(seconds) * seconds);
        let mut at = begin.unwrap_or(from);
        while at <= until {
            let prefix = format!("{}{}", self.folder_of(at), self.name());
            let after = (at <= from).then(|| format!("{prefix}{}", from.strftime(STAMP)));
            let next = at.checked_add(step).ok();
            // Behind the stamp stands an underscore, which comes before this.
            let up_to = next.is_none_or(|next| next > until);
            let up_to = up_to.then(|| format!("{prefix}{}~", until.strftime(STAMP)));
            listings.push(Listing { prefix, after, up_to });
            let Some(next) = next else { break };
            at = next;
        }
        listings
    }

    /// The folders that hold the files of all flow logs of the account and Region, of these days or hours.
    #[must_use]
    pub fn folders(&self, from: Timestamp, until: Timestamp) -> Vec<String> {
        let listings = self.listings(from, until);
        let folder = |listing: &Listing| Some(listing.prefix[..=listing.prefix.rfind('/')?].to_owned());
        listings.iter().filter_map(folder).collect()
    }

    /// What all names of the files begin with.
    fn name(&self) -> String {
        format!("{}_vpcflowlogs_{}_{}_", self.account, self.region, self.flow_log)
    }

    fn folder_of(&self, at: Timestamp) -> String {
        let Self { files, account, region, .. } = self;
        let hour = match (files.per_hour, files.hive) {
            (false, _) => "",
            (true, false) => "%H/",
            (true, true) => "hour=%H/",
        };
        let folder = files.place.folder();
        if files.hive {
            let day = at.strftime(&format!("year=%Y/month=%m/day=%d/{hour}")).to_string();
            format!(
                "{folder}AWSLogs/aws-account-id={account}/aws-service=vpcflowlogs/aws-region={region}/{day}"
            )
        } else {
            let day = at.strftime(&format!("%Y/%m/%d/{hour}")).to_string();
            format!("{folder}AWSLogs/{account}/vpcflowlogs/{region}/{day}")
        }
    }
}

impl InBucket {
    /// What the keys of all accounts begin with.
    #[must_use]
    pub fn root(&self) -> String {
        format!("{}AWSLogs/", self.place.folder())
    }

    /// The account of which a folder directly below [`InBucket::root`] is.
    #[must_use]
    pub fn account_of(&self, folder: &str) -> Option<String> {
        let name = folder.strip_prefix(&self.root())?.trim_end_matches('/');
        let name = if self.hive { name.strip_prefix("aws-account-id=")? } else { name };
        is_account(name).then(|| name.to_owned())
    }
}

/// The time stamp in a file's name, as `strftime` has it.
const STAMP: &str = "%Y%m%dT%H%MZ";

/// What the name of a flow log's file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName {
    /// The account that made the flow log.
    pub account: String,
    /// The flow log's Region.
    pub region: String,
    /// The flow log's id.
    pub flow_log: String,
    /// The beginning of the five minutes in which the records end, by the user guide of today. It once said that
    /// they are those before: whoever asks for minutes has to allow for both.
    pub stamp: Timestamp,
}

impl FileName {
    /// The name of the file under a key; `None` where it is not a flow log's.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        let name = key.rsplit('/').next()?;
        let mut parts = name.splitn(6, '_');
        let (account, service, region) = (parts.next()?, parts.next()?, parts.next()?);
        let (flow_log, stamp, hash) = (parts.next()?, parts.next()?, parts.next()?);
        let stamp = DateTime::strptime(STAMP, stamp).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
        let ours = is_account(account)
            && service == "vpcflowlogs"
            && is_region(region)
            && is_id(flow_log, "fl-")
            && !hash.is_empty();
        ours.then(|| Self {
            account: account.to_owned(),
            region: region.to_owned(),
            flow_log: flow_log.to_owned(),
            stamp,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "123456789012";
    const ID: &str = "fl-0a1b2c3d4e5f60718";

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn listed(place: &str, hive: bool, per_hour: bool, from: &str, until: &str) -> Vec<Listing> {
        let place = place.parse().expect("a place");
        let files = InBucket { place, hive, per_hour, parquet: false, account: None };
        Keys { files: &files, account: ACCOUNT, region: "eu-west-1", flow_log: ID }
            .listings(at(from), at(until))
    }

    #[test]
    fn a_window_within_a_day_is_one_listing_from_its_stamp_on() {
        let listings =
            listed("arn:aws:s3:::logs", false, false, "2026-11-18T02:05:00Z", "2026-11-18T02:40:00Z");
        let folder = "AWSLogs/123456789012/vpcflowlogs/eu-west-1/2026/11/18/";
        let prefix = format!("{folder}{ACCOUNT}_vpcflowlogs_eu-west-1_{ID}_");
        let after = Some(format!("{prefix}20261118T0205Z"));
        let up_to = Some(format!("{prefix}20261118T0240Z~"));
        let wanted = Listing { prefix: prefix.clone(), after: after.clone(), up_to: up_to.clone() };
        assert_eq!(listings, [wanted]);
        // Keys of the first and of the last minute are among them, and those of the next minute are not.
        let key = |minute: &str| Some(format!("{prefix}20261118T{minute}Z_0a1b2c3d.log.gz"));
        for (minute, within) in [("0204", false), ("0205", true), ("0240", true), ("0241", false)] {
            assert_eq!(key(minute) > after && key(minute) <= up_to, within, "{minute}");
        }
    }

    #[test]
    fn each_layout_has_the_folders_that_aws_documents() {
        let of = |hive, per_hour| {
            let listings = listed(
                "arn:aws:s3:::logs/vpc/",
                hive,
                per_hour,
                "2026-11-18T02:05:00Z",
                "2026-11-18T02:06:00Z",
            );
            let [one] = &listings[..] else { panic!("{listings:?}") };
            one.prefix.rsplit_once('/').expect("a folder").0.to_owned()
        };
        assert_eq!(of(false, false), "vpc/AWSLogs/123456789012/vpcflowlogs/eu-west-1/2026/11/18");
        assert_eq!(of(false, true), "vpc/AWSLogs/123456789012/vpcflowlogs/eu-west-1/2026/11/18/02");
        let hive = "vpc/AWSLogs/aws-account-id=123456789012/aws-service=vpcflowlogs/aws-region=eu-west-1";
        assert_eq!(of(true, false), format!("{hive}/year=2026/month=11/day=18"));
        assert_eq!(of(true, true), format!("{hive}/year=2026/month=11/day=18/hour=02"));
    }

    #[test]
    fn midnight_and_a_full_hour_are_listed_on_both_sides() {
        let ends = |listings: &[Listing]| {
            listings
                .iter()
                .map(|l| l.prefix.rsplit('/').nth(1).expect("a folder").to_owned())
                .collect::<Vec<_>>()
        };
        let days = listed("s3://logs", false, false, "2026-12-31T23:50:00Z", "2027-01-01T00:00:00Z");
        assert_eq!(ends(&days), ["31", "01"]);
        let bounds: Vec<_> = days.iter().map(|day| (day.after.is_some(), day.up_to.is_some())).collect();
        assert_eq!(bounds, [(true, false), (false, true)]);
        let hours = listed("s3://logs", true, true, "2026-11-18T01:59:00Z", "2026-11-18T04:00:00Z");
        assert_eq!(ends(&hours), ["hour=01", "hour=02", "hour=03", "hour=04"]);
    }

    #[test]
    fn a_file_s_name_is_read_and_others_are_not_taken_for_one() {
        // The example of the user guide.
        let key = "AWSLogs/123456789012/vpcflowlogs/us-east-1/2018/06/20/123456789012_vpcflowlogs_us-east-1_fl-1234abcd_20180620T1620Z_fe123456.log.gz";
        let name = FileName::of_key(key).expect("a file of a flow log");
        assert_eq!((name.account.as_str(), name.region.as_str()), (ACCOUNT, "us-east-1"));
        assert_eq!((name.flow_log.as_str(), name.stamp), ("fl-1234abcd", at("2018-06-20T16:20:00Z")));
        for other in [
            "AWSLogs/123456789012/CloudTrail/123456789012_CloudTrail_us-east-1_20180620T1620Z_fe123456.json.gz",
            "123456789012_vpcflowlogs_us-east-1_fl-1234abcd_20180620T1620Z",
            "123456789012_vpcflowlogs_us-east-1_fl-1234abcd_20181320T1620Z_fe.log.gz",
            "12345_vpcflowlogs_us-east-1_fl-1234abcd_20180620T1620Z_fe.log.gz",
            "notes.txt",
            "",
        ] {
            assert_eq!(FileName::of_key(other), None, "{other}");
        }
    }

    #[test]
    fn a_place_takes_nothing_that_a_command_acts_on() {
        for (text, shown) in [
            ("arn:aws:s3:::flow-logs", "s3://flow-logs/"),
            ("arn:aws-us-gov:s3:::flow-logs/a/b/", "s3://flow-logs/a/b/"),
            ("s3://flow-logs/AWSLogs/x=1/", "s3://flow-logs/AWSLogs/x=1/"),
        ] {
            let place: BucketPlace = text.parse().expect("a place");
            assert_eq!(place.to_string(), shown);
            assert_eq!(String::from(place.clone()).parse(), Ok(place), "{text}");
        }
        for text in [
            "flow-logs",
            "s3://-logs/x",
            "s3://logs/$(reboot)",
            "s3://logs/a b",
            "s3://logs/a'b",
            "arn:aws:s3:::ab",
            "arn:evil:s3:::logs",
            "arn:aws:sns:::logs",
            "https://logs/",
        ] {
            assert_eq!(text.parse::<BucketPlace>(), Err(InvalidPlace), "{text}");
        }
    }

    #[test]
    fn the_account_of_a_folder_is_read_in_both_layouts() {
        let of = |hive, folder: &str| {
            let place = "s3://logs/vpc".parse().expect("a place");
            InBucket { place, hive, per_hour: false, parquet: false, account: None }.account_of(folder)
        };
        assert_eq!(of(false, "vpc/AWSLogs/123456789012/").as_deref(), Some(ACCOUNT));
        assert_eq!(of(true, "vpc/AWSLogs/aws-account-id=123456789012/").as_deref(), Some(ACCOUNT));
        assert_eq!(of(true, "vpc/AWSLogs/123456789012/"), None);
        assert_eq!(of(false, "vpc/AWSLogs/o-abcdef/"), None);
    }
}
