//! `nat-triage triage`: the live path, by hand.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use nat_triage::aws::{self, BucketObjects, Budget, Chosen, Clients, SdkConfig};
use nat_triage::bundle::{Bundle, FILE as BUNDLE_FILE};
use nat_triage::config::{Config, MAX_SCAN_GIB, TOPIC_ARN};
use nat_triage::deadline::{Clock, Deadline};
use nat_triage::doctor::{self, Tonight};
use nat_triage::evidence::bucket::{self, Cause, Most, Refused};
use nat_triage::flow::reader::Inputs;
use nat_triage::incident::{Incident, TimeWindow};
use nat_triage::network::BucketPlace;
use nat_triage::service::{Service, Time};
use nat_triage::watch::{self, Memory};
use nat_triage::words;

use crate::analyze::{again, read_json};
use crate::args::{Account, Doctor, Replay, TableFormat, Triage, Watch, Writing};
use crate::event::{Asked, Meant, asked, more};
use crate::output::{self, Outcome};

/// As long as the function may take.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

pub(crate) async fn run(args: &Triage) -> anyhow::Result<Outcome> {
    let config = Config::from_env()?;
    ensure_topic(args.publish, &config)?;
    let event: Option<Value> = args.event.as_deref().map(read_json).transpose()?;
    let live = config.flow_logs.is_empty();
    let sdk = account(&args.account, live).await?;
    if live {
        let bytes = config.max_scan_gib * aws::BYTES_OF_GIB;
        output::problem(&format!(
            "scans at most {} of logs, {} at the list price of us-east-1; {MAX_SCAN_GIB} sets the most",
            words::bytes(bytes as u64),
            words::dollars(bytes / 1e9 * aws::LIST_PRICE_USD_PER_GB)
        ));
    }
    let service = Service::new(config, Clients::new(&sdk));
    let time = Time { clock: Clock::showing(jiff::Timestamp::now()), deadline: Deadline::after(PATIENCE) };
    let mut gaps = Vec::new();
    let mut incident = match event.as_ref().zip(args.event.as_deref()) {
        None => Incident { gateway: args.nat_id.clone(), ..Incident::default() },
        Some((event, path)) => {
            let meant = Meant { incident: args.incident.as_deref(), gateway: args.nat_id.as_ref() };
            match asked(service.outcomes(time.deadline, event).await, path, meant)? {
                Asked::Nothing(reason) => return output::ignored(&reason, &args.writing),
                Asked::Incident { incident, others } => {
                    gaps.extend(more(&incident, &others));
                    *incident
                }
            }
        }
    };
    if let (Some(named), Some(alarmed)) = (&args.nat_id, &incident.gateway)
        && named != alarmed
    {
        bail!("--nat-id names {named}, but the event's alarm is about {alarmed}: leave one of them out");
    }
    if args.window.is_some() && args.window != incident.window {
        // What the alarm counted was of other minutes.
        incident.errors_reported = None;
    }
    incident.window = args.window.or(incident.window);
    incident.exact_window = args.window.is_some();
    let (triaged, bundle) = service.diagnose(time, event.as_ref(), incident).await?;
    if let Some(folder) = &args.save_bundle {
        let bundle = bundle
            .context("there is nothing to save: the records are in the files that NAT_TRIAGE_FLOW_LOGS names, which a bundle does not hold, or in S3, with too many destinations and clients for a bundle")?;
        save(&bundle, folder)?;
    }
    let mut diagnosis = triaged.diagnosis;
    output::tell_of(&gaps);
    diagnosis.gaps.extend(gaps);
    let outcome = output::diagnosis(&diagnosis, &args.writing)?;
    if args.publish {
        service.send(time.deadline, &diagnosis).await?;
    }
    Ok(outcome)
}

/// `nat-triage replay`: a past incident once more.
pub(crate) async fn replay(args: &Replay) -> anyhow::Result<Outcome> {
    let config = Config::from_env()?;
    ensure_topic(args.publish, &config)?;
    let mut diagnosis = again(&args.bundle).await?;
    diagnosis.replay = true;
    // Whoever reads it has not just read the first alarm's report.
    diagnosis.again = None;
    let outcome = output::diagnosis(&diagnosis, &args.writing)?;
    if args.publish {
        // Its page in the bucket stays that of the incident.
        let config = Config { report_bucket: None, ..config };
        let sdk = account(&args.account, true).await?;
        let service = Service::new(config, Clients::new(&sdk));
        service.send(Deadline::after(PATIENCE), &diagnosis).await?;
    }
    Ok(outcome)
}

/// Refuses to publish to no topic.
fn ensure_topic(publish: bool, config: &Config) -> anyhow::Result<()> {
    ensure!(!publish || config.topic_arn.is_some(), "--publish needs a topic: set {TOPIC_ARN} to its ARN");
    Ok(())
}

/// `nat-triage doctor`: whether an alarm tonight would get its diagnosis.
pub(crate) async fn doctor(args: &Doctor) -> anyhow::Result<Outcome> {
    let config = Config::from_env()?;
    let sdk = account(&args.account, true).await?;
    let service = Service::new(config, Clients::new(&sdk));
    let time = Time { clock: Clock::showing(jiff::Timestamp::now()), deadline: Deadline::after(PATIENCE) };
    let found = service.check_up(time).await;
    let text = match args.format {
        TableFormat::Text => doctor::table(&found),
        TableFormat::Json => words::escaped_json(&serde_json::to_string_pretty(&found.to_json())?) + "\n",
    };
    output::write(&text, &Writing::default())?;
    Ok(match found.tonight {
        Tonight::Full => Outcome::Whole,
        Tonight::Partial => Outcome::Partial,
        Tonight::None => Outcome::Nothing,
    })
}

/// `nat-triage watch`: how full each gateway is getting.
pub(crate) async fn watch(args: &Watch) -> anyhow::Result<Outcome> {
    let config = Config::from_env()?;
    let sdk = account(&args.account, true).await?;
    let service = Service::new(config, Clients::new(&sdk));
    let time = Time { clock: Clock::showing(jiff::Timestamp::now()), deadline: Deadline::after(PATIENCE) };
    let found = service.watch(time, args.nat_id.as_ref(), &mut Memory::default()).await;
    let text = match args.format {
        TableFormat::Text => watch::table(&found),
        TableFormat::Json => words::escaped_json(&serde_json::to_string_pretty(&found.to_json())?) + "\n",
    };
    output::write(&text, &Writing::default())?;
    Ok(if found.is_whole() { Outcome::Whole } else { Outcome::Partial })
}

/// The settings of the account that is meant. Where it `is_asked`, there have to be credentials: every look-up
/// would fail alike, and one line says more than a report of nothing but gaps.
pub(crate) async fn account(named: &Account, is_asked: bool) -> anyhow::Result<SdkConfig> {
    let sdk = aws::sdk_config(Chosen { profile: named.profile.clone(), region: named.region.clone() }).await;
    let profile = named.profile.clone().or_else(|| std::env::var("AWS_PROFILE").ok());
    if is_asked && let Some(why) = aws::without_credentials(&sdk, profile.as_deref()).await {
        bail!("there are no AWS credentials to look anything up with: {why}");
    }
    Ok(sdk)
}

/// Fetches what is below a place in S3 and may hold records of the window, into memory.
pub(crate) async fn fetch(
    place: &BucketPlace,
    window: Option<TimeWindow>,
    inputs: &mut Inputs,
) -> anyhow::Result<()> {
    let config = Config::from_env()?;
    let sdk = account(&Account::default(), true).await?;
    let budget = Budget::of_event(config.max_scan_gib);
    let objects = BucketObjects::new(&Clients::new(&sdk), budget, Deadline::after(PATIENCE));
    let below = bucket::below(&objects, place, window, Most::ON_MACHINE)
        .await
        .map_err(|refused| anyhow::anyhow!("failed to read {place}: {refused}; {}", to_do(&refused)))?;
    output::problem(&format!(
        "read {} of {} from {place}",
        words::counted(below.files, "file"),
        words::bytes(below.bytes)
    ));
    inputs.add(below.contents);
    below.failed.into_iter().for_each(|failed| inputs.add_failed(failed));
    Ok(())
}

/// What to do where S3 did not answer.
fn to_do(refused: &Refused) -> &str {
    match refused.cause {
        Cause::Denied => {
            "allow s3:ListBucket on the bucket and s3:GetObject on its objects to whom nat-triage runs as"
        }
        Cause::KeyDenied(_) => "allow kms:Decrypt on the key that encrypts the objects",
        Cause::NoBucket => "check the bucket's name, and the account that it is in",
        Cause::Archived => "restore the objects first",
        Cause::OutOfTime | Cause::Other => &refused.fix,
    }
}

/// Writes a bundle into a folder, which is made where there is none.
fn save(bundle: &Bundle, folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(BUNDLE_FILE);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, bundle.to_json()))
        .with_context(|| format!("failed to write {}", path.display()))
}
