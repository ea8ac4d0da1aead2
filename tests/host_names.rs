//! What the clients call a destination, out of Resolver query logs.

use std::cell::RefCell;

use insights_server::LogGroup;
use nat_simulator::{Facts, Incident, LogFormat, Pattern, Scale, View};
use nat_triage::contract::{Diagnosis, Verdict};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::insights::{Answer, LogsInsights, LogsQueries, Purpose, Query, Unanswered};
use nat_triage::network::{HostName, Known, NameSource, Network};
use nat_triage::triage::Surveyed;

use crate::support::evaluator::Evaluator;
use crate::support::incidents::{incident, network, query_log, store};

const QUERY_LOG_GROUP: &str = "/dns/queries";

/// Runs queries, and remembers of what.
struct Watched {
    evaluator: Evaluator,
    purposes: RefCell<Vec<Purpose>>,
}

impl LogsQueries for &Watched {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        self.purposes.borrow_mut().push(query.purpose);
        self.evaluator.run(query).await
    }
}

struct World {
    facts: Facts,
    network: Network,
    watched: Watched,
    server: String,
}

impl World {
    /// A leak, and what its clients asked: the log holds `asked`, a name and an address each.
    fn new(asked: impl Fn(&str) -> Vec<String>) -> Self {
        let simulated = Incident::random_of(11, Scale::Reduced { capacity: 400 }, Pattern::Leak, true);
        let simulation = simulated.simulate();
        let facts = simulation.facts();
        let format = LogFormat::v3_pkt();
        let store = store(&simulation.records(&View::of_gateway(&simulated, format.clone())));
        let server = simulation.truth().exhausted.expect("one is").address.to_string();
        store.add_group(LogGroup::new(QUERY_LOG_GROUP));
        let at = facts.errors[0].0 - 1800;
        let lines = asked(&server).into_iter().map(|line| (at, line));
        store.add_flow_log_lines(QUERY_LOG_GROUP, "vpc", lines);
        let mut network = network(&facts, &format.header(), &facts.vpc_id, 60);
        network.resolver_log_groups = Some(vec![QUERY_LOG_GROUP.into()]);
        let watched = Watched { evaluator: Evaluator::new(store), purposes: RefCell::default() };
        Self { facts, network, watched, server }
    }

    async fn diagnoses(&self, looks: usize) -> Vec<Diagnosis> {
        let known = Known(self.network.clone());
        let limits = Limits { ports_per_address: self.facts.ports_per_address };
        let surveyed = Surveyed::new(incident(&self.facts), &known).await;
        let source = LogsInsights::new(&self.watched);
        let mut diagnoses = Vec::new();
        for _ in 0..looks {
            diagnoses.push(surveyed.look(&known, &source, limits).await.expect("never fails").diagnosis);
        }
        diagnoses
    }
}

#[tokio::test]
async fn a_destination_is_called_by_the_name_that_clients_asked_for() {
    let world = World::new(|server| {
        vec![
            query_log("payments.example.com", &[server]),
            query_log("payments.example.com", &[server]),
            query_log("other.example.com", &["203.0.113.200"]),
            // Longer, and so another address.
            query_log("longer.example.com", &[&format!("{server}9"), &format!("1{server}")]),
            query_log("$(reboot).example.com", &[server]),
            "not even JSON".to_owned(),
        ]
    });
    let [first, second] = &world.diagnoses(2).await[..] else { panic!("two looks") };
    let top = &first.destinations[0];
    assert_eq!(
        (top.address.to_string(), top.name.as_deref()),
        (world.server.clone(), Some("payments.example.com"))
    );
    assert!(first.headline.contains("payments.example.com"), "{}", first.headline);
    assert_eq!(first.verdict, Verdict::Confirmed);
    assert_eq!(
        first.queries.last().map(|query| query.bytes_scanned > Some(0)),
        Some(true),
        "and what it cost"
    );

    // A second look at the same destinations does not pay for their names again.
    let names = |purpose: &&Purpose| **purpose == Purpose::HostNames;
    assert_eq!(world.watched.purposes.borrow().iter().filter(names).count(), 1);
    assert_eq!((&second.destinations, &second.queries), (&first.destinations, &first.queries));
}

#[tokio::test]
async fn a_name_by_reverse_dns_gives_way_to_what_clients_asked_for() {
    let asked = |server: &str| vec![query_log("payments.example.com", &[server])];
    for (mut world, called, source) in [
        (World::new(|_| Vec::new()), "host-10.example.net by reverse DNS", NameSource::ReverseDns),
        (World::new(asked), "payments.example.com", NameSource::ResolverQueryLog),
    ] {
        world.network.names.push(HostName {
            name: "host-10.example.net".into(),
            addresses: vec![world.server.parse().expect("an address")],
            source: NameSource::ReverseDns,
        });
        let [diagnosis] = &world.diagnoses(1).await[..] else { panic!("one look") };
        assert!(diagnosis.headline.contains(&format!("({called})")), "{}", diagnosis.headline);
        assert_eq!(diagnosis.destinations[0].name_source, Some(source));
        let report = nat_triage::report::text::text(diagnosis);
        assert_eq!(report.contains("its owner's name for it"), source == NameSource::ReverseDns, "{report}");
    }
}

#[tokio::test]
async fn without_resolver_query_logs_nothing_is_missing() {
    let mut world = World::new(|_| Vec::new());
    world.network.resolver_log_groups = Some(Vec::new());
    let [diagnosis] = &world.diagnoses(1).await[..] else { panic!("one look") };
    assert_eq!(diagnosis.queries.len(), 1);
    assert_eq!(diagnosis.destinations[0].name, None);
    assert!(diagnosis.gaps.iter().all(|gap| !gap.what.contains("names")), "{:?}", diagnosis.gaps);
}

#[tokio::test]
async fn names_that_can_not_be_asked_for_are_a_gap() {
    let mut world = World::new(|_| Vec::new());
    world.network.resolver_log_groups = Some(vec!["/dns/gone".into()]);
    let [diagnosis] = &world.diagnoses(1).await[..] else { panic!("one look") };
    assert_eq!(diagnosis.verdict, Verdict::Confirmed);
    assert!(diagnosis.gaps.iter().any(|gap| gap.what.contains("host names")), "{:?}", diagnosis.gaps);
}
