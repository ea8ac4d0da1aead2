//! Flow logs in S3 lead to the diagnosis that the same records lead to elsewhere, and what was not read is named.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use nat_simulator::{Incident as Simulated, LogFormat, Pattern, Record, Scale, Simulation, View};
use nat_triage::bundle::Bundle;
use nat_triage::contract::{Diagnosis, Verdict};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::Source;
use nat_triage::evidence::bucket::{BucketFiles, Cause, Most, Turns};
use nat_triage::evidence::insights::{LogsInsights, Recording, RungMemory};
use nat_triage::evidence::live::Live;
use nat_triage::flow::reader::{Inputs, Options};
use nat_triage::gap::Gap;
use nat_triage::incident::Incident;
use nat_triage::network::{FlowLog, FlowLogDestination, InBucket, Known, Network};
use nat_triage::report;
use nat_triage::triage::{Surveyed, Triaged, triage};
use serde_json::Value;

use crate::support::delivery::{Bucket, Delivered, Refusing};
use crate::support::evaluator::Evaluator;
use crate::support::incidents::{an_hour_earlier, file, incident, network, store};

/// Ports per address: few enough to be quick.
pub(crate) const CAPACITY: u32 = 400;
pub(crate) const FLOW_LOG: &str = "fl-0a1b2c3d4e5f60718";
pub(crate) const FOLDER: &str = "central/";

/// The records of a VPC's flow log, and what is known around them.
pub(crate) struct Case {
    pub(crate) simulation: Simulation,
    pub(crate) format: LogFormat,
    pub(crate) hive: bool,
    pub(crate) per_hour: bool,
    pub(crate) parquet: bool,
}

impl Case {
    pub(crate) fn simulated(pattern: Pattern) -> Simulated {
        Simulated::random_of(0, Scale::Reduced { capacity: CAPACITY }, pattern, true)
    }

    pub(crate) fn of(pattern: Pattern) -> Self {
        Self::of_simulated(&Self::simulated(pattern))
    }

    pub(crate) fn of_simulated(simulated: &Simulated) -> Self {
        Self {
            simulation: simulated.simulate(),
            format: LogFormat::v11(),
            hive: false,
            per_hour: false,
            parquet: false,
        }
    }

    pub(crate) fn objects_of(&self, flow_log: &str, account: &str) -> BTreeMap<String, Vec<u8>> {
        self.files_of(&self.simulation.records(&View::of_vpc(self.format.clone())), flow_log, account)
    }

    /// These records as the flow log's files.
    fn files_of(&self, records: &[Record], flow_log: &str, account: &str) -> BTreeMap<String, Vec<u8>> {
        let region = self.simulation.facts().region;
        let Self { hive, per_hour, parquet, .. } = *self;
        let delivered =
            Delivered { account, region: &region, flow_log, folder: FOLDER, hive, per_hour, parquet };
        delivered.files(records, &self.format.header())
    }

    pub(crate) fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.objects_of(FLOW_LOG, &self.simulation.facts().account_id)
    }

    pub(crate) fn bucket(&self) -> Bucket {
        Bucket::of(self.objects())
    }

    /// The same with the records of an hour earlier, which are alike.
    fn bucket_with_earlier(&self) -> Bucket {
        let header = self.format.header();
        let mut records = self.simulation.records(&View::of_vpc(self.format.clone()));
        records.extend(records.clone().iter().map(|record| an_hour_earlier(record, &header)));
        Bucket::of(self.files_of(&records, FLOW_LOG, &self.simulation.facts().account_id))
    }

    pub(crate) fn incident(&self) -> Incident {
        incident(&self.simulation.facts())
    }

    /// The network with a flow log in S3 only.
    pub(crate) fn network(&self) -> Network {
        let facts = self.simulation.facts();
        let mut network = network(&facts, &self.format.header(), &facts.vpc_id, 60);
        network.region = Some(facts.region.clone());
        let place = format!("arn:aws:s3:::flow-logs/{FOLDER}").parse().expect("a place");
        let in_bucket = InBucket {
            place,
            hive: self.hive,
            per_hour: self.per_hour,
            parquet: self.parquet,
            account: Some(facts.account_id),
        };
        network.flow_logs[0] = FlowLog {
            id: FLOW_LOG.into(),
            log_group: None,
            log_class: None,
            destination: FlowLogDestination::S3,
            in_bucket: Some(in_bucket),
            ..network.flow_logs[0].clone()
        };
        network
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { ports_per_address: self.simulation.facts().ports_per_address }
    }

    async fn triaged(&self, bucket: &Bucket, network: Network) -> Triaged {
        self.triaged_within(bucket, network, Most::ON_MACHINE).await
    }

    async fn triaged_within(&self, bucket: &Bucket, network: Network, most: Most) -> Triaged {
        let insights = LogsInsights::new(Evaluator::new(store(&[])));
        let source = Live::new(&insights, BucketFiles::new(bucket, most));
        triage(self.incident(), &Known(network), &source, self.limits()).await.expect("never fails")
    }

    /// The diagnosis, and what is kept of it.
    pub(crate) async fn kept(&self, bucket: &Bucket) -> (Diagnosis, Bundle) {
        let recording = Recording::new(Evaluator::new(store(&[])));
        let insights = LogsInsights::new(&recording).comparing(true);
        let source = Live::new(&insights, BucketFiles::new(bucket, Most::ON_MACHINE));
        let known = Known(self.network());
        let surveyed = Surveyed::new(self.incident(), &known).await;
        let triaged = surveyed.look(&known, &source, self.limits()).await.expect("never fails");
        assert!(source.has_read_files());
        let (asked, memory) = (recording.asked(), RungMemory::default());
        let bundle = Bundle::of(None, self.incident(), &surveyed, &triaged, asked, memory);
        (triaged.diagnosis, bundle.resting_on(Some(source.kept().expect("little enough"))))
    }

    async fn diagnosed(&self, bucket: &Bucket) -> Diagnosis {
        self.triaged(bucket, self.network()).await.diagnosis
    }

    /// The one gap that has these words in its reason.
    async fn gap(&self, bucket: &Bucket, words: &str) -> (Diagnosis, Gap) {
        let diagnosis = self.diagnosed(bucket).await;
        let gap = only(&diagnosis, words);
        (diagnosis, gap)
    }
}

pub(crate) fn only(diagnosis: &Diagnosis, words: &str) -> Gap {
    let gaps: Vec<&Gap> = diagnosis.gaps.iter().filter(|gap| gap.why.contains(words)).collect();
    let [gap] = gaps[..] else { panic!("{words}: {:#?}", diagnosis.gaps) };
    gap.clone()
}

/// What has to be the same whichever way the records were read.
fn answer(diagnosis: &Diagnosis) -> impl PartialEq + std::fmt::Debug + use<> {
    (diagnosis.verdict, diagnosis.pattern, diagnosis.destinations.clone(), diagnosis.clients.clone())
}

async fn from_files(case: &Case) -> Diagnosis {
    let records = case.simulation.records(&View::of_vpc(case.format.clone()));
    let text = file(&records, &case.format.header()).into_bytes();
    let inputs = Inputs::from_memory([("flow.log".to_owned(), text)]);
    let files = nat_triage::evidence::files::FlowLogFiles::new(inputs, Options::default(), |_| {});
    triage(case.incident(), &Known(case.network()), &files, case.limits()).await.expect("readable").diagnosis
}

async fn assert_agrees(pattern: Pattern, parquet: bool) {
    for (hive, per_hour) in [(false, false), (false, true), (true, false), (true, true)] {
        let case = Case { hive, per_hour, parquet, ..Case::of(pattern) };
        let in_place = case.diagnosed(&case.bucket()).await;
        let of_files = from_files(&case).await;
        assert_eq!(in_place.verdict, Verdict::Confirmed, "{}", in_place.headline);
        assert_eq!(answer(&in_place), answer(&of_files), "{hive} {per_hour}");
        assert_eq!(in_place.coverage.source, Source::S3);
        assert_eq!(in_place.gaps, of_files.gaps, "nothing is missing that the files have");
    }
}

#[tokio::test]
async fn text_in_s3_leads_to_the_diagnosis_of_the_same_files() {
    assert_agrees(Pattern::Leak, false).await;
    assert_agrees(Pattern::Churn, false).await;
}

#[cfg(feature = "parquet")]
#[tokio::test]
async fn parquet_in_s3_leads_to_the_diagnosis_of_the_same_files() {
    assert_agrees(Pattern::Leak, true).await;
}

#[tokio::test]
async fn s3_and_logs_insights_agree_on_the_same_records() {
    let case = Case::of(Pattern::Leak);
    let in_place = case.diagnosed(&case.bucket()).await;
    let facts = case.simulation.facts();
    let records = case.simulation.records(&View::of_vpc(case.format.clone()));
    let known = Known(network(&facts, &case.format.header(), &facts.vpc_id, 60));
    let insights = LogsInsights::new(Evaluator::new(store(&records)));
    let asked =
        triage(case.incident(), &known, &insights, case.limits()).await.expect("never fails").diagnosis;
    let said = |diagnosis: &Diagnosis| {
        let top = diagnosis.destinations.first().expect("a destination");
        let clients: Vec<_> = top.clients.iter().map(|client| client.address).collect();
        (diagnosis.verdict, diagnosis.pattern, top.address, top.port, clients)
    };
    assert_eq!(said(&in_place), said(&asked));
}

#[tokio::test]
async fn only_the_files_of_the_window_and_of_the_flow_log_are_read() {
    let case = Case::of(Pattern::Leak);
    let account = case.simulation.facts().account_id;
    let ours = case.objects();
    let mut objects = ours.clone();
    objects.extend(case.objects_of("fl-00000000000000000", &account));
    objects.extend(case.objects_of(FLOW_LOG, "999999999999"));
    objects.insert(format!("{FOLDER}AWSLogs/{account}/CloudTrail/x.json.gz"), b"{}".to_vec());
    // The same records a day later, and a day before: another incident's.
    let window = case.incident().window.expect("known");
    for day in [-86_400, 86_400] {
        let delivered = Delivered {
            account: &account,
            region: &case.simulation.facts().region,
            flow_log: FLOW_LOG,
            folder: FOLDER,
            hive: false,
            per_hour: false,
            parquet: false,
        };
        let stamp = window.start().as_second() + day;
        objects.insert(delivered.key(stamp - stamp.rem_euclid(300)), b"damaged".to_vec());
    }
    let bucket = Bucket::of(objects);
    let diagnosis = case.diagnosed(&bucket).await;
    let fetched = bucket.fetched.borrow().clone();
    assert!(!fetched.is_empty() && fetched.iter().all(|key| ours.contains_key(key)), "{fetched:?}");
    let alone = case.diagnosed(&case.bucket()).await;
    assert_eq!(answer(&diagnosis), answer(&alone));
    // Its cost is stated: lists and fetches at the list price, and the bytes.
    let run = diagnosis.queries.first().expect("a run");
    assert_eq!(run.bytes_scanned, Some(bucket.spent.get()));
    assert!(run.cost_usd.is_some_and(|cost| cost > 0.0 && cost < 0.01), "{run:?}");
    assert_eq!(run.console_url, None, "there is nothing to open in Logs Insights");
}

#[tokio::test]
async fn logs_insights_comes_first_and_s3_where_it_holds_nothing() {
    let case = Case::of(Pattern::Leak);
    let facts = case.simulation.facts();
    let in_groups = network(&facts, &case.format.header(), &facts.vpc_id, 60).flow_logs.remove(0);
    let mut both = case.network();
    both.flow_logs.insert(0, in_groups);
    let records = case.simulation.records(&View::of_vpc(case.format.clone()));
    let bucket = case.bucket();
    for (kept, source) in [(&records[..], Source::LogsInsights), (&[], Source::S3)] {
        let insights = LogsInsights::new(Evaluator::new(store(kept)));
        let live = Live::new(&insights, BucketFiles::new(&bucket, Most::ON_MACHINE));
        let looked = triage(case.incident(), &Known(both.clone()), &live, case.limits()).await;
        let diagnosis = looked.expect("never fails").diagnosis;
        assert_eq!((diagnosis.coverage.source, diagnosis.verdict), (source, Verdict::Confirmed));
        assert_eq!(live.has_read_files(), source == Source::S3);
        let why = diagnosis.coverage.flow_log.expect("a reason");
        assert_eq!(why.contains("CloudWatch Logs gave no record"), source == Source::S3, "{why}");
    }
}

#[tokio::test]
async fn a_denied_bucket_gets_the_exact_statement_of_its_policy() {
    let case = Case::of(Pattern::Leak);
    let facts = case.simulation.facts();
    let denied = || Some(Refusing { with: "AWSLogs", cause: Cause::Denied });
    for bucket in [
        Bucket { lists_refused: denied(), ..case.bucket() },
        Bucket { fetches_refused: denied(), ..case.bucket() },
    ] {
        let (diagnosis, gap) = case.gap(&bucket, "s3 said no").await;
        assert_eq!(diagnosis.verdict, Verdict::CannotTell);
        assert!(gap.decides);
        let statement = format!(
            r#"{{"Action":["s3:ListBucket","s3:GetObject"],"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{}:root"}},"Resource":["arn:aws:s3:::flow-logs","arn:aws:s3:::flow-logs/{FOLDER}AWSLogs/*"]}}"#,
            facts.account_id
        );
        assert!(gap.fix.to_string().ends_with(&statement), "{}", gap.fix);
    }
}

#[tokio::test]
async fn each_refusal_of_s3_says_what_would_show_the_files() {
    let case = Case::of(Pattern::Leak);
    let key = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d";
    for (cause, fix) in [
        (Cause::KeyDenied(Some(key.into())), format!("allow kms:Decrypt on {key}")),
        (Cause::Archived, "s3:RestoreObject".into()),
        (Cause::NoBucket, "the bucket flow-logs was deleted".into()),
        (Cause::Other, "do what the cause does not tell".into()),
    ] {
        let refusing = Refusing { with: "AWSLogs", cause: cause.clone() };
        let bucket = Bucket { fetches_refused: Some(refusing), ..case.bucket() };
        let (diagnosis, gap) = case.gap(&bucket, "s3 said no").await;
        assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{cause:?}");
        assert!(gap.decides && gap.fix.to_string().contains(&fix), "{cause:?}: {gap:?}");
    }
}

#[tokio::test]
async fn a_denied_folder_spares_the_others_and_is_named() {
    // The errors begin two minutes after a full hour, so that their lead is in the folder of the hour before.
    let mut simulated = Case::simulated(Pattern::Leak);
    let first = simulated.simulate().facts().errors[0].0;
    simulated.start += 120 - first.rem_euclid(3_600);
    let case = Case { per_hour: true, ..Case::of_simulated(&simulated) };
    let window = case.incident().window.expect("known");
    let before = window.start().checked_sub(SignedDuration::from_mins(5)).expect("in range");
    let folder: &'static str = before.strftime("/%H/").to_string().leak();
    let refusing = Refusing { with: folder, cause: Cause::Denied };
    let bucket = Bucket { lists_refused: Some(refusing), ..case.bucket() };
    let (diagnosis, gap) = case.gap(&bucket, "s3 said no").await;
    assert!(gap.decides && gap.why.contains(folder), "{gap:?}");
    assert!(diagnosis.coverage.records_read > 0, "the other hour is read");
    assert_ne!(diagnosis.verdict, Verdict::NotSupported);
    let fetched = bucket.fetched.borrow();
    assert!(!fetched.is_empty() && fetched.iter().all(|key| !key.contains(folder)), "{fetched:?}");
}

#[tokio::test]
async fn ten_thousand_small_files_are_read_within_bounds() {
    let case = Case::of(Pattern::Leak);
    let mut objects = BTreeMap::new();
    for (key, bytes) in case.objects() {
        for copy in 0..1_000 {
            // The records are in one of them; the others hold a header line.
            let text =
                if copy == 0 { bytes.clone() } else { format!("{}\n", case.format.header()).into_bytes() };
            objects.insert(key.replace("_0a1b2c3d.", &format!("_{copy:08x}.")), text);
        }
    }
    let bucket = Bucket::of(objects);
    let triaged = case.triaged_within(&bucket, case.network(), Most::IN_FUNCTION).await;
    let gap = only(&triaged.diagnosis, "are read in place");
    assert!(
        gap.decides && gap.fix.to_string().contains("aws s3 cp s3://flow-logs/central/AWSLogs/"),
        "{gap:?}"
    );
    assert_eq!(bucket.fetched.borrow().len(), Most::IN_FUNCTION.objects);
    assert_ne!(triaged.diagnosis.verdict, Verdict::NotSupported, "what is left out may be what matters");
}

#[tokio::test]
async fn a_file_of_gigabytes_is_left_out_and_the_rest_is_read() {
    let case = Case::of(Pattern::Leak);
    let mut bucket = case.bucket();
    let window = case.incident().window.expect("known");
    let all = case.objects();
    // The last file of the window.
    let stamp = window.end().strftime("%Y%m%dT%H").to_string();
    let key = all.keys().rfind(|key| key.contains(&stamp)).expect("a file").clone();
    bucket.sizes.insert(key.clone(), 5 * 1024 * 1024 * 1024);
    let (diagnosis, gap) = case.gap(&bucket, "are read in place").await;
    assert!(gap.why.contains(&key) && gap.what.contains("5.0 GiB"), "{gap:?}");
    assert!(gap.fix.to_string().contains("nat-triage analyze --flow-logs flow-logs --nat-ip "), "{gap:?}");
    assert!(!bucket.fetched.borrow().contains(&key));
    assert!(diagnosis.coverage.files_failed == 1 && diagnosis.verdict != Verdict::NotSupported);
}

#[tokio::test]
async fn files_beyond_the_scan_limit_of_the_event_are_left_out() {
    let case = Case::of(Pattern::Leak);
    let total: usize = case.objects().values().map(Vec::len).sum();
    let bucket = Bucket { allowed: Some(total as u64 / 2), ..case.bucket() };
    let (_, gap) = case.gap(&bucket, "NAT_TRIAGE_MAX_SCAN_GIB").await;
    assert!(gap.decides, "{gap:?}");
    assert!(bucket.spent.get() <= total as u64 / 2);
}

#[tokio::test]
async fn files_in_an_archive_are_not_asked_for() {
    let case = Case::of(Pattern::Leak);
    let bucket = Bucket { archived: case.objects().into_keys().collect(), ..case.bucket() };
    let (diagnosis, gap) = case.gap(&bucket, "in an archive").await;
    assert!(gap.fix.to_string().contains("s3:RestoreObject"), "{gap:?}");
    assert_eq!(bucket.fetched.borrow().len(), 0);
    assert_eq!(diagnosis.verdict, Verdict::CannotTell);
}

#[tokio::test]
async fn files_that_are_yet_to_come_are_waited_for() {
    let case = Case::of(Pattern::Leak);
    let bucket = Bucket::default();
    let triaged = case.triaged(&bucket, case.network()).await;
    let gap = only(&triaged.diagnosis, "there is none with a time stamp");
    assert!(gap.decides && gap.fix.to_string().starts_with("run again in 20 minutes"), "{gap:?}");
    assert_eq!(triaged.diagnosis.verdict, Verdict::CannotTell);
    assert!(
        triaged
            .diagnosis
            .coverage
            .records_due
            .is_some_and(|due| due > case.incident().window.expect("known").end())
    );
}

#[tokio::test]
async fn minutes_without_a_file_between_others_are_named() {
    let case = Case::of(Pattern::Leak);
    let objects = case.objects();
    let bucket = case.bucket();
    case.diagnosed(&bucket).await;
    let mut read = bucket.fetched.borrow().clone();
    read.sort();
    assert!(read.len() >= 3, "{read:?}");
    let hole = read[read.len() / 2].clone();
    let without = objects.into_iter().filter(|(key, _)| *key != hole).collect();
    let (_, gap) = case.gap(&Bucket::of(without), "there is no file of").await;
    let stamp = hole.rsplit('_').nth(1).expect("a stamp");
    let clock = format!("{}:{}", &stamp[9..11], &stamp[11..13]);
    assert!(gap.why.contains(&clock), "{clock}: {gap:?}");
}

#[tokio::test]
async fn an_account_that_nobody_knows_is_found_among_the_folders() {
    for hive in [false, true] {
        let case = Case { hive, ..Case::of(Pattern::Leak) };
        let mut network = case.network();
        network.flow_logs[0].in_bucket.as_mut().expect("there").account = None;
        let mut asked = case.incident();
        asked.alarm.as_mut().expect("there").account = None;
        let bucket = case.bucket();
        let insights = LogsInsights::new(Evaluator::new(store(&[])));
        let source = Live::new(&insights, BucketFiles::new(&bucket, Most::ON_MACHINE));
        let triaged = triage(asked, &Known(network), &source, case.limits()).await.expect("never fails");
        assert_eq!(triaged.diagnosis.verdict, Verdict::Confirmed, "{}", triaged.diagnosis.headline);
        let read = &triaged.diagnosis.queries[0].text;
        let account = if hive { "aws-account-id=123456789012/" } else { "AWSLogs/123456789012/" };
        assert!(read.contains(account), "{read}");
    }
}

#[tokio::test]
async fn accounts_that_were_not_looked_through_are_no_sign_of_none() {
    for hive in [false, true] {
        let case = Case { hive, ..Case::of(Pattern::Leak) };
        let mut network = case.network();
        network.flow_logs[0].in_bucket.as_mut().expect("there").account = None;
        let mut asked = case.incident();
        asked.alarm.as_mut().expect("there").account = None;
        let mut objects = case.objects();
        for n in 0..25 {
            let account = format!("{:012}", 1000 + n);
            let folder = if hive { format!("aws-account-id={account}") } else { account };
            objects.insert(format!("{FOLDER}AWSLogs/{folder}/x.txt"), b"x".to_vec());
        }
        let crowded = Bucket::of(objects);
        let insights = LogsInsights::new(Evaluator::new(store(&[])));
        let source = Live::new(&insights, BucketFiles::new(&crowded, Most::ON_MACHINE));
        let triaged = triage(asked, &Known(network), &source, case.limits()).await.expect("never fails");
        let diagnosis = triaged.diagnosis;
        assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
        let gap = diagnosis.deciding_gaps().find(|gap| gap.why.contains("6 more accounts were not"));
        let fix = gap.unwrap_or_else(|| panic!("{:#?}", diagnosis.gaps)).fix.to_string();
        assert!(fix.contains("AWSLogs/ flow-logs --recursive") && !fix.contains("//vpcflowlogs"), "{fix}");
        assert!(
            diagnosis.gaps.iter().all(|gap| !gap.why.starts_with("there is none with")),
            "{:?}",
            diagnosis.gaps
        );
    }
}

#[tokio::test]
async fn a_later_look_fetches_only_what_is_new() {
    let case = Case::of(Pattern::Leak);
    let objects = case.objects();
    let bucket = case.bucket();
    case.diagnosed(&bucket).await;
    let mut all = bucket.fetched.take();
    all.sort();
    let late = all.last().expect("a file").clone();
    let kept = bucket.objects.borrow_mut().remove(&late).expect("there");
    let insights = LogsInsights::new(Evaluator::new(store(&[])));
    let source = Live::new(&insights, BucketFiles::new(&bucket, Most::ON_MACHINE));
    let known = Known(case.network());
    triage(case.incident(), &known, &source, case.limits()).await.expect("never fails");
    assert_eq!(bucket.fetched.take().len(), all.len() - 1);
    bucket.objects.borrow_mut().insert(late.clone(), kept);
    triage(case.incident(), &known, &source, case.limits()).await.expect("never fails");
    assert_eq!(bucket.fetched.take(), [late]);
    assert_eq!(objects, bucket.objects.take());
}

#[tokio::test]
async fn files_that_hold_no_flow_log_are_no_evidence_of_calm() {
    let case = Case::of(Pattern::Leak);
    let damaged =
        case.objects().into_keys().map(|key| (key, b"\x00\x01\x02 not a flow log".to_vec())).collect();
    let diagnosis = case.diagnosed(&Bucket::of(damaged)).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell);
    assert!(
        diagnosis.gaps.iter().any(|gap| gap.decides && gap.what.contains(FLOW_LOG)),
        "{:#?}",
        diagnosis.gaps
    );
}

/// A diagnosis of a leak in files, with the records of an hour earlier beside them where that is wanted.
async fn compared(with_earlier: bool, most: Most) -> Diagnosis {
    let case = Case::of(Pattern::Leak);
    let bucket = if with_earlier { case.bucket_with_earlier() } else { case.bucket() };
    let insights = LogsInsights::new(Evaluator::new(store(&[]))).comparing(true);
    let source = Live::new(&insights, BucketFiles::new(&bucket, most));
    let looked = triage(case.incident(), &Known(case.network()), &source, case.limits()).await;
    looked.expect("never fails").diagnosis
}

#[tokio::test]
async fn files_of_an_hour_earlier_are_compared_where_there_is_room() {
    let diagnosis = compared(true, Most::ON_MACHINE).await;
    let now = &diagnosis.destinations[0];
    let then = now.held_earlier.expect("read");
    assert_eq!(
        (then.at_least, then.estimate, then.at_most),
        (now.held.at_least, now.held.estimate, now.held.at_most)
    );
    assert_eq!(diagnosis.queries.len(), 2, "{:?}", diagnosis.queries);
    let bytes: u64 = diagnosis.queries[0].bytes_scanned.expect("told");
    let most = Most { bytes: bytes + bytes / 2, ..Most::ON_MACHINE };
    let diagnosis = compared(true, most).await;
    assert_eq!((diagnosis.verdict, diagnosis.earlier.is_none()), (Verdict::Confirmed, true));
    only(&diagnosis, "are read in place");
}

#[tokio::test]
async fn without_files_of_an_hour_earlier_that_is_a_gap() {
    let diagnosis = compared(false, Most::ON_MACHINE).await;
    assert_eq!((diagnosis.verdict, diagnosis.earlier.is_none()), (Verdict::Confirmed, true));
    let gaps = diagnosis.gaps.iter().filter(|gap| gap.what == "held ports an hour earlier").count();
    assert_eq!(gaps, 1, "{:?}", diagnosis.gaps);
}

#[tokio::test]
async fn an_hour_that_is_too_much_to_read_in_place_is_known_before() {
    let case = Case::of(Pattern::Leak);
    let bucket = case.bucket();
    let window = case.incident().window.expect("the alarm's");
    let hour = nat_triage::doctor::hour_of(window);
    let little = BucketFiles::new(&bucket, Most { objects: 1_000, bytes: 1_000 });
    let (why, fix) = little.too_much_of(&case.network(), hour).await.expect("too much");
    assert!(why.contains("are read in place"), "{why}");
    assert!(fix.contains("NAT_TRIAGE_ATHENA_TABLE"), "{fix}");
    let all = BucketFiles::new(&bucket, Most::ON_MACHINE);
    assert_eq!(all.too_much_of(&case.network(), hour).await, None);
    assert!(bucket.fetched.borrow().is_empty(), "only listed");
}

/// The case with a flow log in the default format in CloudWatch Logs as well, which has no packet addresses and no
/// tcp-flags; and what Logs Insights has of it.
fn with_a_poorer_group(case: &Case) -> (Network, LogsInsights<Evaluator>) {
    let facts = case.simulation.facts();
    let format = LogFormat::v2_default();
    let mut both = case.network();
    both.flow_logs.insert(0, network(&facts, &format.header(), &facts.vpc_id, 60).flow_logs.remove(0));
    let records = case.simulation.records(&View::of_vpc(format));
    (both, LogsInsights::new(Evaluator::new(store(&records))))
}

async fn of_both(case: &Case, bucket: &Bucket, most: Most) -> (Diagnosis, bool) {
    let (both, insights) = with_a_poorer_group(case);
    let live = Live::new(&insights, BucketFiles::new(bucket, most));
    let looked = triage(case.incident(), &Known(both), &live, case.limits()).await;
    (looked.expect("never fails").diagnosis, live.has_read_files())
}

#[tokio::test]
async fn a_richer_flow_log_in_s3_is_read_before_a_poorer_group() {
    let case = Case::of(Pattern::Leak);
    let (diagnosis, read) = of_both(&case, &case.bucket(), Most::ON_MACHINE).await;
    assert!(read);
    assert_eq!((diagnosis.coverage.source, diagnosis.verdict), (Source::S3, Verdict::Confirmed));
    let why = diagnosis.coverage.flow_log.as_deref().expect("a reason");
    let lacks = "was not asked, as it shows no clients beside their destinations and no ends of connections";
    assert!(why.starts_with(FLOW_LOG) && why.contains(lacks) && why.contains("read in place"), "{why}");
    assert!(diagnosis.queries.iter().all(|run| !run.text.contains("stats")), "{:?}", diagnosis.queries);
    let alone = case.diagnosed(&case.bucket()).await;
    assert_eq!(answer(&diagnosis), answer(&alone));
}

#[tokio::test]
async fn until_a_richer_flow_log_is_there_the_group_answers() {
    let case = Case::of(Pattern::Leak);
    let (both, insights) = with_a_poorer_group(&case);
    let bucket = case.bucket();
    let late = bucket.objects.take();
    let live = Live::new(&insights, BucketFiles::new(&bucket, Most::ON_MACHINE));
    let known = Known(both);
    let window = case.incident().window.expect("the alarm's");
    let early = (window.start() - SignedDuration::from_mins(5)).strftime("%Y%m%dT%H%M").to_string();
    for (there, source) in [
        (Vec::new(), Source::LogsInsights),
        // The files from before the alarm, and no other.
        (
            late.iter()
                .filter(|(key, _)| key.rsplit('_').nth(1).is_some_and(|stamp| stamp < &early[..]))
                .collect(),
            Source::LogsInsights,
        ),
        (late.iter().collect(), Source::S3),
    ] {
        bucket.objects.replace(there.into_iter().map(|(key, bytes)| (key.clone(), bytes.clone())).collect());
        let looked = triage(case.incident(), &known, &live, case.limits()).await;
        let diagnosis = looked.expect("never fails").diagnosis;
        assert_eq!(diagnosis.coverage.source, source, "{:?}", diagnosis.coverage.flow_log);
        assert_eq!(live.has_read_files(), source == Source::S3, "a bundle is kept of queries only");
        let why = diagnosis.coverage.flow_log.expect("a reason");
        assert!(source == Source::S3 || why.contains("in S3 shows more, and is read instead"), "{why}");
    }
}

#[tokio::test]
async fn where_s3_refuses_or_is_too_much_the_poorer_group_answers() {
    let case = Case::of(Pattern::Leak);
    let little = Most { objects: 1_000, bytes: 1_000 };
    let (diagnosis, read) = of_both(&case, &case.bucket(), little).await;
    assert_eq!((diagnosis.coverage.source, read), (Source::LogsInsights, false));
    let refusing = || Some(Refusing { with: "AWSLogs", cause: Cause::Denied });
    for bucket in [
        Bucket { lists_refused: refusing(), ..case.bucket() },
        Bucket { fetches_refused: refusing(), ..case.bucket() },
    ] {
        let (diagnosis, _) = of_both(&case, &bucket, Most::ON_MACHINE).await;
        assert_eq!(diagnosis.coverage.source, Source::LogsInsights);
        let gap = only(&diagnosis, "s3 said no");
        assert!(!gap.decides && gap.fix.to_string().contains("s3:ListBucket"), "{gap:?}");
    }
    let bucket = Bucket { allowed: Some(10), ..case.bucket() };
    assert_eq!(of_both(&case, &bucket, Most::ON_MACHINE).await.0.coverage.source, Source::LogsInsights);
}

#[tokio::test]
async fn a_flow_log_in_s3_that_shows_less_is_not_read_first() {
    // No tcp-flags and no packet addresses, beside a group of the richest format.
    let case = Case { format: LogFormat::v2_default(), ..Case::of(Pattern::Leak) };
    let facts = case.simulation.facts();
    let rich = LogFormat::v11();
    let mut both = case.network();
    both.flow_logs.insert(0, network(&facts, &rich.header(), &facts.vpc_id, 60).flow_logs.remove(0));
    let records = case.simulation.records(&View::of_vpc(rich));
    let insights = LogsInsights::new(Evaluator::new(store(&records)));
    let bucket = case.bucket();
    let live = Live::new(&insights, BucketFiles::new(&bucket, Most::ON_MACHINE));
    let looked = triage(case.incident(), &Known(both), &live, case.limits()).await;
    assert_eq!(looked.expect("never fails").diagnosis.coverage.source, Source::LogsInsights);
    assert!(bucket.listed.borrow().is_empty() && bucket.fetched.borrow().is_empty());
}

#[tokio::test]
async fn incidents_side_by_side_hold_files_one_after_the_other() {
    const ANOTHER: &str = "fl-0fedcba9876543210";

    let case = Case::of(Pattern::Leak);
    let mut objects = case.objects();
    objects.extend(case.objects_of(ANOTHER, &case.simulation.facts().account_id));
    let bucket = Bucket::of(objects);
    let window = case.incident().window.expect("of an alarm");
    let turns = Turns::default();
    let read = async |flow_log: &str, turns: Option<Turns>| {
        let mut network = case.network();
        network.flow_logs[0].id = flow_log.into();
        let files = BucketFiles::new(&bucket, Most::ON_MACHINE);
        let files = match turns {
            Some(turns) => files.taking(turns),
            None => files,
        };
        let mut records = Vec::new();
        for _look in 0..2 {
            let (.., evidence) = files.try_out(&network, window).await.expect("a flow log");
            records.push(evidence.coverage.records_read);
        }
        assert!(records[0] > 0 && records[0] == records[1], "{records:?}");
    };
    // How many times in a row files of one flow log are fetched, and how many files.
    let fetched = || {
        let mut of: Vec<bool> = bucket.under_way.take().iter().map(|key| key.contains(ANOTHER)).collect();
        let all = of.len() / 2;
        of.dedup();
        (of.len(), all)
    };
    tokio::join!(read(FLOW_LOG, None), read(ANOTHER, None));
    let (in_a_row, all) = fetched();
    assert!(in_a_row > 2, "each waits for S3, and lets the other go on");
    tokio::join!(read(FLOW_LOG, Some(turns.clone())), read(ANOTHER, Some(turns)));
    assert_eq!(fetched(), (4, 2 * all), "two looks of each, by turns; what was read is not kept");
}

/// A bundle as it is read from a file.
fn read_again(bundle: &str) -> Result<Bundle, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kept.json");
    std::fs::write(&path, bundle).expect("written");
    Bundle::read(&path)
        .map_err(|error| std::error::Error::source(&error).map_or_else(String::new, ToString::to_string))
}

#[tokio::test]
async fn a_bundle_gives_what_was_read_in_s3_again() {
    for pattern in [Pattern::Leak, Pattern::FanIn] {
        let case = Case::of(pattern);
        let (live, bundle) = case.kept(&case.bucket_with_earlier()).await;
        assert!(live.coverage.source == Source::S3 && live.earlier.is_some());
        let again = read_again(&bundle.to_json()).expect("a bundle").diagnose(case.limits()).await;
        assert_eq!(report::json(&again.diagnosis), report::json(&live), "{pattern:?}");
    }
}

#[tokio::test]
async fn evidence_that_does_not_fit_together_is_no_bundle() {
    let case = Case::of(Pattern::Leak);
    let (_, bundle) = case.kept(&case.bucket()).await;
    let mut json: Value = serde_json::from_str(&bundle.to_json()).expect("JSON");
    let steps = json["kept"]["evidence"]["steps"]["count"].as_u64().expect("a number");
    json["kept"]["evidence"]["steps"]["count"] = (steps + 1).into();
    let read = read_again(&json.to_string());
    assert_eq!(read.err().as_deref(), Some("its evidence does not fit together"));
}
