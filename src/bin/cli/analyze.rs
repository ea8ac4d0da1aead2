//! `nat-triage analyze`: the embedded source.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use nat_triage::alarm::{is_drill, outcomes_from_event};
use nat_triage::bundle::Bundle;
use nat_triage::contract::Diagnosis;
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::evidence::window_to_look_at;
use nat_triage::flow::reader::{Input, Inputs, Options};
use nat_triage::incident::{Incident, TimeWindow};
use nat_triage::network::{Known, NatGateway, Network};
use nat_triage::triage::Surveyed;

use crate::args::{Analyze, Gateway};
use crate::event::{Asked, Meant, asked, more, of_any};
use crate::output::{self, Outcome};

pub(crate) async fn run(args: &Analyze) -> anyhow::Result<Outcome> {
    if let Some(path) = &args.bundle {
        return output::diagnosis(&again(path).await?, &args.writing);
    }
    let from_stdin = [args.event.as_deref(), args.context.as_deref()];
    let from_stdin = from_stdin.into_iter().flatten().filter(|path| path.as_os_str() == "-").count()
        + args.flow_logs.iter().filter(|input| matches!(input, Input::Stdin)).count();
    anyhow::ensure!(from_stdin <= 1, "standard input can be read once: more than one option names -");
    let mut network: Network = args.context.as_deref().map(read_json).transpose()?.unwrap_or_default();
    let mut gaps = Vec::new();
    let mut by_hand = false;
    let mut incident = match args.event.as_deref() {
        None => Incident::default(),
        Some(path) => {
            let event: Value = read_json(path)?;
            let named = args.gateway.nat_id.clone().or_else(|| network.gateway.id.clone());
            let meant = Meant { incident: args.incident.as_deref(), gateway: named.as_ref() };
            match asked(outcomes_from_event(&event), path, meant)? {
                Asked::Nothing(reason) => return output::ignored(&reason, &args.writing),
                Asked::Incident { mut incident, mut others } => {
                    by_hand = is_drill(&event, &incident);
                    let told = args.incident.is_some() || named.is_some() && named == incident.gateway;
                    if incident.one_of_several && !told && args.gateway.nat_id.is_none() {
                        gaps.push(of_any(&mut incident, &mut others));
                    }
                    gaps.extend(more(&incident, &others));
                    *incident
                }
            }
        }
    };
    if args.window.is_some_and(|named| incident.window.is_some_and(|alarmed| alarmed != named)) {
        // What the alarm counted is of its own minutes.
        incident.errors_reported = None;
    }
    incident.window = args.window.or(incident.window);
    incident.exact_window = args.window.is_some();
    if let (Some(named), Some(alarmed)) = (&args.gateway.nat_id, &incident.gateway)
        && named != alarmed
    {
        anyhow::bail!(
            "--nat-id names {named}, but the event's alarm is about {alarmed}: leave one of them out"
        );
    }
    incident.gateway = args.gateway.nat_id.clone().or(incident.gateway);

    network.gateway = named_gateway(network.gateway, &args.gateway);

    let inputs = opened(&args.flow_logs, window_to_look_at(&incident, &network)).await?;
    let bar = progress(inputs.total_bytes());
    let options = Options { format: args.log_format.clone(), ..Options::default() };
    let source = FlowLogFiles::new(inputs, options, |bytes| bar.set_position(bytes));
    let known = Known(network);
    let surveyed = Surveyed::new(incident, &known).await.set_by_hand(by_hand);
    let triaged = surveyed.look(&known, &source, Limits::default()).await;
    bar.finish_and_clear();
    let mut diagnosis = triaged?.diagnosis;
    output::tell_of(&gaps);
    diagnosis.gaps.extend(gaps);
    output::diagnosis(&diagnosis, &args.writing)
}

/// What is to be read: files, and what of S3 may hold records of the window, in memory.
#[cfg(feature = "aws")]
async fn opened(named: &[Input], window: Option<TimeWindow>) -> anyhow::Result<Inputs> {
    let (places, others): (Vec<Input>, Vec<Input>) =
        named.iter().cloned().partition(|input| matches!(input, Input::InBucket(_)));
    let mut inputs = if others.is_empty() { Inputs::default() } else { Inputs::open(&others)? };
    for place in places {
        if let Input::InBucket(place) = place {
            crate::live::fetch(&place, window, &mut inputs).await?;
        }
    }
    Ok(inputs)
}

#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "as with AWS")]
async fn opened(named: &[Input], _: Option<TimeWindow>) -> anyhow::Result<Inputs> {
    if let Some(Input::InBucket(place)) = named.iter().find(|input| matches!(input, Input::InBucket(_))) {
        anyhow::bail!(
            "this build leaves AWS out, and so cannot read {place}: copy the files, and name the copy; or {}",
            crate::INSTALL_WITH_AWS
        );
    }
    Ok(Inputs::open(named)?)
}

/// Makes a live diagnosis once more from what it rested on.
pub(crate) async fn again(path: &Path) -> anyhow::Result<Diagnosis> {
    Ok(Bundle::read(path)?.diagnose(Limits::default()).await.diagnosis)
}

/// A bar on a terminal; silence in a pipe.
fn progress(bytes: Option<u64>) -> ProgressBar {
    let Some(bytes) = bytes else { return ProgressBar::hidden() };
    let style = ProgressStyle::with_template("reading {bytes}/{total_bytes} {wide_bar} {eta}")
        .expect("the template holds known keys alone");
    ProgressBar::new(bytes).with_style(style)
}

/// Reads a file, or standard input where it is named `-`.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = if path.as_os_str() == "-" {
        let mut text = Vec::new();
        io::stdin().read_to_end(&mut text).map(|_| text)
    } else {
        fs::read(path)
    };
    let text = text.with_context(|| format!("failed to read {}", path.display()))?;
    anyhow::ensure!(!text.trim_ascii().is_empty(), "{} is empty: expected JSON", path.display());
    // Some programs begin a file with the mark of its byte order.
    serde_json::from_slice(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text))
        .with_context(|| format!("{} does not hold the JSON that is expected", path.display()))
}

/// The gateway of a context, with what the command line names of it.
pub(crate) fn named_gateway(mut gateway: NatGateway, named: &Gateway) -> NatGateway {
    if let Some(eni) = &named.eni {
        gateway.interface_ids = vec![eni.clone()];
    }
    if let Some(id) = &named.nat_id {
        gateway.id = Some(id.clone());
    }
    if !named.vpc_cidr.is_empty() {
        gateway.vpc_cidrs = named.vpc_cidr.clone();
    }
    gateway.with_addresses(&named.nat_ip)
}
