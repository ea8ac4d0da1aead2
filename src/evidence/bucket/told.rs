//! What is told of files in S3 that were not read, each with what would show them.

use jiff::Timestamp;
use serde_json::json;

use super::{Cause, Fetched, MAX_LISTED, Most, Object, Objects, Refused};
use crate::flow::reader::ReadError;
use crate::gap::{Fix, Gap};
use crate::incident::{Incident, TimeWindow};
use crate::network::{FILE_INTERVAL, FlowLog, InBucket, Network, is_harmless};
use crate::words::{self, counted};

/// So many keys are named.
const NAMED: usize = 3;

/// One flow log in S3, and the minutes in question.
pub(super) struct Told<'a> {
    pub(super) log: &'a FlowLog,
    pub(super) files: &'a InBucket,
    pub(super) network: &'a Network,
    pub(super) incident: &'a Incident,
    pub(super) window: TimeWindow,
    /// The time stamps of the files that are of use.
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    /// The account that made the flow log, where its files told.
    pub(super) found_account: Option<String>,
}

impl Told<'_> {
    fn what(&self) -> String {
        format!("the files of flow log {} in {}", self.log.id, self.files.place)
    }

    /// Which flow log was read, why, and how much of it.
    pub(super) fn source(&self, why: &str, files: u64, bytes: u64, elsewhere: Option<&str>) -> String {
        let elsewhere = elsewhere.map_or(String::new(), |region| {
            format!(", from a bucket in {region}; AWS charges for the transfer between Regions besides")
        });
        format!("{why}; read in place: {} of {}{elsewhere}", counted(files, "file"), words::bytes(bytes))
    }

    /// The folder with the files of the window, as far as all have it: that of all accounts where it is not known
    /// which one made the flow log.
    pub(super) fn folder_url(&self) -> String {
        let Some(account) = self.account() else {
            return self.files.place.url(&self.files.root());
        };
        let region = self.network.region.as_deref().unwrap_or_default();
        let keys =
            crate::network::Keys { files: self.files, account: &account, region, flow_log: &self.log.id };
        let listings = keys.listings(self.from, self.until);
        let first = listings.first().map_or("", |listing| listing.prefix.as_str());
        let last = listings.last().map_or("", |listing| listing.prefix.as_str());
        let common = common_prefix(first, last);
        let folder = common.rfind('/').map_or("", |end| &common[..=end]);
        self.files.place.url(folder)
    }

    /// The commands that read the same files on a person's machine.
    fn copy_and_analyze(&self) -> String {
        let stamp = |at: Timestamp| at.strftime("%Y%m%dT%H%MZ").to_string();
        let (from, until) = (stamp(self.from), stamp(self.until));
        let names = format!("*_{}_{}*", self.log.id, common_prefix(&from, &until));
        format!(
            "aws s3 cp {} flow-logs --recursive --exclude '*' --include {} && {}",
            words::in_shell(&self.folder_url()),
            words::in_shell(&names),
            self.analyze("flow-logs")
        )
    }

    fn read_elsewhere(&self) -> Fix {
        Fix::run_to(
            "read them where there is more room, or name a table over them in NAT_TRIAGE_ATHENA_TABLE so that Athena reads them",
            self.copy_and_analyze(),
        )
    }

    fn analyze(&self, what: &str) -> String {
        let mut command = format!("nat-triage analyze --flow-logs {what}");
        let list = |items: Vec<String>| items.join(",");
        let gateway = &self.network.gateway;
        let addresses = gateway.logged_addresses();
        if !addresses.is_empty() {
            command.push_str(&format!(
                " --nat-ip {}",
                list(addresses.iter().map(ToString::to_string).collect())
            ));
        }
        if let Some(id) = &gateway.id {
            command.push_str(&format!(" --nat-id {id}"));
        }
        if !gateway.vpc_cidrs.is_empty() {
            command.push_str(&format!(
                " --vpc-cidr {}",
                list(gateway.vpc_cidrs.iter().map(ToString::to_string).collect())
            ));
        }
        command.push_str(&format!(" --window {}/{}", self.window.start(), self.window.end()));
        command
    }

    /// There is no file, and nothing was refused: they come later, or never came.
    pub(super) fn no_files(&self, accounts: &[String]) -> Gap {
        let account = match accounts {
            [] => "no account has a folder there".to_owned(),
            [one] => format!("looked for those of account {one}"),
            several => format!("looked for those of the accounts {}", words::list(several)),
        };
        Gap::new(
            self.what(),
            format!(
                "there is none with a time stamp from {} to {} ({account}); files reach S3 10 to 20 minutes after the traffic",
                words::instant(self.from),
                words::instant(self.until)
            ),
            Fix::ask_again("run again in 20 minutes"),
        )
        .deciding()
    }

    /// Folders of accounts that were not looked through, where nobody knows which account made the flow log.
    pub(super) fn accounts_left(&self, looked: usize, left: usize) -> Gap {
        Gap::new(
            self.what(),
            format!(
                "which account made the flow log is not known. None of the {} that were looked through has a file of these minutes; {} were not looked through",
                counted(looked as u64, "account"),
                counted(left as u64, "more account")
            ),
            self.read_elsewhere(),
        )
        .deciding()
    }

    /// Folders that could not be listed.
    pub(super) fn list_refused(&self, refused: &[(String, Refused)]) -> Gap {
        let (prefix, first) = &refused[0];
        let more = refused.len() - 1;
        let more =
            if more > 0 { format!("; and {}", counted(more as u64, "more folder")) } else { String::new() };
        let shown = words::outside(prefix, 200);
        Gap::new(self.what(), format!("{} (below {shown}{more})", first.why), self.fix(first)).deciding()
    }

    /// Objects that S3 did not give, a gap for each cause.
    pub(super) fn refused(&self, refused: &[(Object, Refused)]) -> Vec<Gap> {
        let mut gaps: Vec<(&Cause, &Refused, Vec<&Object>)> = Vec::new();
        for (object, of) in refused {
            match gaps.iter_mut().find(|(cause, ..)| **cause == of.cause) {
                Some((.., objects)) => objects.push(object),
                None => gaps.push((&of.cause, of, vec![object])),
            }
        }
        let gap = |(_, of, objects): (&Cause, &Refused, Vec<&Object>)| {
            let what = format!("{} of flow log {}", counted(objects.len() as u64, "file"), self.log.id);
            Gap::new(what, format!("{} ({})", of.why, named(&objects)), self.fix(of)).deciding()
        };
        gaps.into_iter().map(gap).collect()
    }

    /// What to do about a refusal: for a denial the statements that are missing.
    fn fix(&self, refused: &Refused) -> Fix {
        let place = &self.files.place;
        match &refused.cause {
            Cause::Denied => Fix::from(format!(
                "allow s3:ListBucket on {} and s3:GetObject on {} to the role or user that nat-triage runs as (the parameter FlowLogBuckets of the template does); where the bucket is of another account, add this statement to its bucket policy; a bucket whose requesters pay is not read: {}",
                place.bucket_arn(),
                self.objects_arn(),
                self.statement()
            )),
            Cause::KeyDenied(key) => Fix::from(format!(
                "allow kms:Decrypt on {} to the role or user that nat-triage runs as, in its own policy and in the key's",
                key.as_deref().unwrap_or("the key that encrypts the bucket")
            )),
            Cause::NoBucket => Fix::from(format!(
                "see whether the bucket {} was deleted, or create a flow log to one that exists",
                place.bucket()
            )),
            Cause::Archived => self.restore(),
            Cause::OutOfTime | Cause::Other => refused.fix.as_str().into(),
        }
    }

    fn objects_arn(&self) -> String {
        format!("{}/{}*", self.files.place.bucket_arn(), self.files.root())
    }

    /// The statement that a bucket policy needs so that our account can read.
    fn statement(&self) -> String {
        let account = self.account();
        let account = account.as_deref().unwrap_or("ACCOUNT");
        let place = &self.files.place;
        json!({
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:{}:iam::{account}:root", place.partition()) },
            "Action": ["s3:ListBucket", "s3:GetObject"],
            "Resource": [place.bucket_arn(), self.objects_arn()],
        })
        .to_string()
    }

    /// Objects in an archive, as the listing shows them.
    pub(super) fn archived(&self, objects: &[Object]) -> Option<Gap> {
        let objects: Vec<&Object> = objects.iter().collect();
        (!objects.is_empty()).then(|| {
            Gap::new(
                format!("{} of flow log {}", counted(objects.len() as u64, "file"), self.log.id),
                format!("in an archive, from which S3 gives nothing at once ({})", named(&objects)),
                self.restore(),
            )
            .deciding()
        })
    }

    fn restore(&self) -> Fix {
        Fix::ask_again("restore these files from the archive with s3:RestoreObject, and then run again")
    }

    /// Objects for which there was no room.
    pub(super) fn left_out(&self, fetched: &Fetched, objects: &impl Objects, most: Most) -> Option<Gap> {
        if fetched.left.is_empty() {
            return None;
        }
        let left = objects.left();
        let bytes: u64 = fetched.left.iter().map(|object| object.bytes).sum();
        let largest = fetched.left.iter().map(|object| object.bytes).max().unwrap_or(0);
        let why = if fetched.out_of_time {
            "there was no time to fetch them with s3:GetObject".to_owned()
        } else if bytes > left && largest <= most.bytes && fetched.bytes + bytes <= most.bytes {
            objects.run_short();
            format!("{} leaves {} to it", objects.limit(), words::bytes(left))
        } else {
            format!(
                "at most {} and {} are read in place, those nearest to the minutes in question first",
                counted(most.objects as u64, "file"),
                words::bytes(most.bytes)
            )
        };
        let objects: Vec<&Object> = fetched.left.iter().collect();
        let gap = Gap::new(
            format!(
                "{} of flow log {}, of {} in all",
                counted(objects.len() as u64, "file"),
                self.log.id,
                words::bytes(bytes)
            ),
            format!("{why} ({})", named(&objects)),
            self.read_elsewhere(),
        );
        Some(gap.deciding())
    }

    /// There are more folders, or more files in them, than are listed.
    pub(super) fn too_many_to_list(&self, folders: usize) -> Gap {
        let why = if folders > 0 {
            format!("the window has {} more than are listed", counted(folders as u64, "folder"))
        } else {
            format!("a folder has more than {}", counted(MAX_LISTED as u64, "file"))
        };
        Gap::new(format!("some files of flow log {}", self.log.id), why, self.read_elsewhere()).deciding()
    }

    /// Minutes without a file between others that have some.
    pub(super) fn missing_between(&self, objects: &[(Timestamp, Object)]) -> Option<Gap> {
        let mut stamps: Vec<i64> = objects.iter().map(|(stamp, _)| stamp.as_second()).collect();
        stamps.sort_unstable();
        stamps.dedup();
        let step = FILE_INTERVAL.as_secs();
        let holes: Vec<String> = stamps
            .windows(2)
            .filter(|pair| pair[1] - pair[0] > step)
            .filter_map(|pair| {
                let from = Timestamp::from_second(pair[0] + step).ok()?;
                Some(words::span(from, Timestamp::from_second(pair[1]).ok()?))
            })
            .collect();
        (!holes.is_empty()).then(|| {
            Gap::new(
                format!("some minutes of flow log {}", self.log.id),
                format!(
                    "there is no file of {}, and there are files of the minutes before and after",
                    words::list(&holes[..holes.len().min(NAMED)])
                ),
                Fix::ask_again("run again in 20 minutes, as files may come late"),
            )
        })
    }

    /// Files that hold no record.
    pub(super) fn unreadable(&self, error: &ReadError) -> Gap {
        Gap::new(
            self.what(),
            error.to_string(),
            "look into one of them, and report it as a bug of nat-triage if it holds records",
        )
        .deciding()
    }
}

/// The first few keys. They come from outside: what could be more than a key is not repeated.
fn named(objects: &[&Object]) -> String {
    let key = |object: &&&Object| {
        if is_harmless(&object.key) { object.key.clone() } else { words::outside(&object.key, 100) }
    };
    let first: Vec<String> = objects.iter().take(NAMED).map(|object| key(&object)).collect();
    let more = objects.len() - first.len();
    let more = if more > 0 { format!(", and {} more", words::count(more as u64)) } else { String::new() };
    format!("{}{more}", first.join(", "))
}

fn common_prefix<'t>(a: &'t str, b: &str) -> &'t str {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    &a[..same]
}
