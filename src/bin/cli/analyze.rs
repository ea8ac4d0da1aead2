//! `nat-triage analyze`: the embedded source.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use nat_triage::alarm::{Outcome as Alarmed, outcomes_from_event};
use nat_triage::bundle::{self, Bundle};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::evidence::insights::LogsInsights;
use nat_triage::flow::reader::{Input, Inputs, Options};
use nat_triage::incident::{Incident, NatGatewayId};
use nat_triage::network::{Known, NatGateway, Network};
use nat_triage::triage::triage;

use crate::args::{Analyze, Gateway, Writing};
use crate::output::{self, Outcome};

pub(crate) async fn run(args: &Analyze) -> anyhow::Result<Outcome> {
    if let Some(path) = bundled(args) {
        return again(path, &args.writing).await;
    }
    let from_stdin = [args.event.as_deref(), args.context.as_deref()];
    let from_stdin = from_stdin.into_iter().flatten().filter(|path| path.as_os_str() == "-").count()
        + args.flow_logs.iter().filter(|input| matches!(input, Input::Stdin)).count();
    anyhow::ensure!(from_stdin <= 1, "standard input can be read once: more than one option names -");
    let nat_id = args.gateway.nat_id.as_ref();
    let asked = args.event.as_deref().map(|path| incident(&read_json(path)?, path, nat_id)).transpose()?;
    let mut incident = match asked {
        Some(Alarmed::Incident(incident)) => incident,
        Some(Alarmed::Ignored(ignored)) => return output::ignored(&ignored.reason, &args.writing),
        Some(Alarmed::Ended(ended)) => return output::ignored(&ended.reason(), &args.writing),
        None => Incident::default(),
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

    let mut network: Network = args.context.as_deref().map(read_json).transpose()?.unwrap_or_default();
    network.gateway = named_gateway(network.gateway, &args.gateway);

    let inputs = Inputs::open(&args.flow_logs)?;
    let bar = progress(inputs.total_bytes());
    let options = Options { format: args.log_format.clone() };
    let source = FlowLogFiles::new(inputs, options, |bytes| bar.set_position(bytes));
    let triaged = triage(incident, &Known(network), &source, Limits::default()).await;
    bar.finish_and_clear();
    let triaged = triaged?;
    output::diagnosis(&triaged.diagnosis, &args.writing)
}

/// The bundle that is meant: one that was named as such, or a folder of one among the flow logs.
fn bundled(args: &Analyze) -> Option<&Path> {
    let folder = match &args.flow_logs[..] {
        [Input::Path(path)] if path.join(bundle::FILE).is_file() => Some(path.as_path()),
        _ => None,
    };
    args.bundle.as_deref().or(folder)
}

/// Makes a live diagnosis once more from what it rested on.
async fn again(path: &Path, writing: &Writing) -> anyhow::Result<Outcome> {
    let bundle = Bundle::read(path)?;
    let source = LogsInsights::new(&bundle).remembering(bundle.memory());
    let triaged = triage(bundle.incident(), &bundle, &source, Limits::default()).await;
    let Ok(triaged) = triaged;
    output::diagnosis(&triaged.diagnosis, writing)
}

/// A bar on a terminal; silence in a pipe.
fn progress(bytes: Option<u64>) -> ProgressBar {
    let Some(bytes) = bytes else { return ProgressBar::hidden() };
    let style = ProgressStyle::with_template("reading {bytes}/{total_bytes} {wide_bar} {eta}")
        .expect("the template holds known keys alone");
    ProgressBar::new(bytes).with_style(style)
}

/// The incident, or the reason to ignore it, that an event tells of: of the gateway that was named, else
/// the first.
pub(crate) fn incident(event: &Value, path: &Path, named: Option<&NatGatewayId>) -> anyhow::Result<Alarmed> {
    let outcomes = outcomes_from_event(event)
        .with_context(|| format!("failed to understand the event in {}", path.display()))?;
    let is_named = |outcome: &Alarmed| matches!(outcome, Alarmed::Incident(incident) if incident.gateway.as_ref() == named);
    let of_named = outcomes.iter().find(|outcome| is_named(outcome)).cloned();
    of_named
        .or_else(|| outcomes.into_iter().next())
        .with_context(|| format!("the event in {} holds no record", path.display()))
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
