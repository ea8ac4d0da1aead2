//! One incident, diagnosed from every flow log that there might have been.

use insights_server::{LogGroup, Store};
use nat_simulator::{LogFormat, Record, Simulation, View, Viewpoint};
use nat_triage::contract::Diagnosis;
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::evidence::insights::LogsInsights;
use nat_triage::flow::reader::{Inputs, Options};
use nat_triage::incident::Incident as Asked;
use nat_triage::network::{Known, Network, is_private};
use nat_triage::triage::triage;

use crate::case::{Case, Kept};
use crate::evaluator::Evaluator;
use crate::setup::{Reader, Setup};
use crate::world::{self, LOG_GROUP};
use crate::{Article, Score};

/// One simulated incident.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What kind of incident, and what is kept of its records.
    pub case: Case,
    /// Seed of the incident.
    pub seed: u64,
    /// Ports per address; the real number is 55,000.
    pub capacity: u32,
}

/// What came out of a trial.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Seed of the incident.
    pub seed: u64,
    /// Whether AWS's two queries put the exhausted destination's address first; `None` where nothing
    /// was exhausted.
    pub article_destination: Option<bool>,
    /// The same of the worst client.
    pub article_client: Option<bool>,
    /// One score for each setup; `None` where its format cannot carry the answer and the verdict
    /// says so, or no record had arrived.
    pub scores: Vec<Option<Score>>,
}

impl Trial {
    /// Simulates, and diagnoses each of the setups.
    ///
    /// # Errors
    /// When records could not be read, which none should be.
    pub async fn run(&self, setups: &[Setup]) -> anyhow::Result<Outcome> {
        let incident = self.case.incident(self.seed, self.capacity);
        let simulation = incident.simulate();
        let mut scores = Vec::new();
        for setup in setups {
            let score =
                diagnosed(&simulation, setup, self.case).await?.map(|told| Score::of(&simulation, &told));
            let tells = |score: &Score| setup.can_tell(&incident) || score.wrong_verdict || score.unexplained;
            scores.push(score.filter(tells));
        }
        let article = article(&simulation)?;
        let truth = simulation.truth();
        let stands_out = truth.pattern != nat_simulator::Pattern::FanIn;
        Ok(Outcome {
            seed: self.seed,
            article_destination: truth
                .exhausted
                .map(|triple| article.destination == Some(triple.address.into())),
            article_client: truth
                .exhausted
                .filter(|_| stands_out)
                .map(|_| article.client.is_some() && article.client == truth.worst_client),
            scores,
        })
    }
}

/// The diagnosis; none where no record had arrived yet, which is no flow-log file.
async fn diagnosed(simulation: &Simulation, setup: &Setup, case: Case) -> anyhow::Result<Option<Diagnosis>> {
    let facts = simulation.facts();
    let view = setup.view(simulation.incident(), facts.alarm_at);
    let incident = world::incident(&facts, setup, case.alarmed(simulation))?;
    if let Case::Kept(kept) = case {
        return of_kept(simulation, &view, incident, kept).await.map(Some);
    }
    let known = Known(world::network(simulation, setup, &incident));
    let limits = Limits { ports_per_address: facts.ports_per_address };
    match setup.reader {
        Reader::Files => {
            let mut text = Vec::new();
            if simulation.write_text(&view, &mut text)? == 0 {
                return Ok(None);
            }
            let inputs = Inputs::from_memory([("flow.log".to_owned(), text)]);
            let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
            Ok(Some(triage(incident, &known, &files, limits).await?.diagnosis))
        }
        Reader::Insights => {
            let queries = LogsInsights::new(Evaluator::speaking(
                store(&simulation.records(&view)),
                setup.dialect.clone(),
            ));
            Ok(Some(triage(incident, &known, &queries, limits).await?.diagnosis))
        }
    }
}

/// The diagnosis of what somebody kept of the records, by files, with nothing else known but the alarm.
async fn of_kept(
    simulation: &Simulation,
    view: &View,
    mut incident: Asked,
    kept: Kept,
) -> anyhow::Result<Diagnosis> {
    let truth = simulation.truth();
    let server = truth.exhausted.map(|triple| triple.address.to_string()).unwrap_or_default();
    let client = truth.worst_client.map(|address| address.to_string()).unwrap_or_default();
    let mut view = view.clone();
    let end = simulation.facts().end;
    let last_minute = end.div_euclid(60) * 60 - 60..end;
    let keeps = |record: &Record| match kept {
        Kept::LinesOfServer => has_word(&record.line, &server),
        Kept::LinesOfClient => has_word(&record.line, &client),
        Kept::OneMinute => last_minute.contains(&record.timestamp),
        Kept::BesideDefaultFormat | Kept::BesideGateway => true,
    };
    match kept {
        Kept::OneMinute => incident = Asked::default(),
        Kept::BesideGateway => {
            (incident.gateway, incident.one_of_several) = (None, true);
            view.viewpoints.push(Viewpoint::OtherGateways);
        }
        Kept::LinesOfServer | Kept::LinesOfClient | Kept::BesideDefaultFormat => {}
    }
    let mut files = vec![file(&view, simulation.records(&view).iter().filter(|record| keeps(record)))];
    if kept == Kept::BesideDefaultFormat {
        let others = [Viewpoint::ClientInterfaces, Viewpoint::OtherInterfaces];
        let others = View::new(others, LogFormat::v2_default());
        files.push(file(&others, simulation.records(&others).iter()));
    }
    let names = ["a.log", "b.log"].map(str::to_owned);
    let files =
        FlowLogFiles::new(Inputs::from_memory(names.into_iter().zip(files)), Options::default(), |_| {});
    let limits = Limits { ports_per_address: simulation.facts().ports_per_address };
    Ok(triage(incident, &Known(Network::default()), &files, limits).await?.diagnosis)
}

/// Records as a file, with the header line.
fn file<'r>(view: &View, records: impl Iterator<Item = &'r Record>) -> Vec<u8> {
    let lines = records.map(|record| record.line.as_str());
    let mut text = std::iter::once(view.format.header().as_str()).chain(lines).collect::<Vec<_>>().join("\n");
    text.push('\n');
    text.into_bytes()
}

/// As `grep -w` finds it.
fn has_word(line: &str, word: &str) -> bool {
    line.split(' ').any(|field| field == word)
}

/// The records in the log streams that CloudWatch Logs would keep them in.
pub(crate) fn store(records: &[Record]) -> Store {
    let store = Store::new();
    store.add_group(LogGroup::new(LOG_GROUP));
    let mut records: Vec<&Record> = records.iter().collect();
    records.sort_by(|a, b| a.stream.cmp(&b.stream));
    for stream in records.chunk_by(|a, b| a.stream == b.stream) {
        let lines = stream.iter().map(|record| (record.timestamp, record.line.as_str()));
        store.add_flow_log_lines(LOG_GROUP, &stream[0].stream, lines);
    }
    store
}

/// What the article's queries say: they read the default format of the whole VPC.
fn article(simulation: &Simulation) -> anyhow::Result<Article> {
    let mut records = Vec::new();
    simulation.write_text(&View::of_vpc(LogFormat::v2_default()), &mut records)?;
    let records = String::from_utf8(records)?;
    let setup = &Setup::all()[0];
    let incident = world::incident(&simulation.facts(), setup, Case::Random.alarmed(simulation))?;
    let addresses = world::network(simulation, setup, &incident).gateway.logged_addresses();
    let from = incident.window.map_or(0, |window| window.start().as_second());
    Ok(Article::on(records.lines().skip(1), &addresses, is_private, from))
}
