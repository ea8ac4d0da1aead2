//! What was changed before an alarm stands in its report, nearest first, and never as the cause.

use jiff::SignedDuration;
use nat_simulator::{LogFormat, Pattern};
use nat_triage::bundle::Bundle;
use nat_triage::contract::{ChangesReport, Relation, Verdict};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::insights::{LogsInsights, Recording, RungMemory};
use nat_triage::gap::Gap;
use nat_triage::incident::Incident;
use nat_triage::network::{
    Change, Changes, Handles, Known, Network, NetworkSource, Owner, OwnerKind, OwnerSource, Parties, Route,
    RouteTable, Subnet,
};
use nat_triage::report::{self, HttpsReaders, Message};
use nat_triage::triage::{Surveyed, Triaged};

use crate::ladder::Scene;
use crate::support::evaluator::Evaluator;
use crate::support::incidents::incident;
use crate::support::prose;

const TABLE: &str = "rtb-0a1b2c3d4e5f60718";
const SUBNET: &str = "subnet-0a1b2c3d4e5f60718";
const GROUP: &str = "checkout-blue";

/// An account with a history: what CloudTrail says of it, or why it says nothing.
struct Account {
    network: Network,
    history: Vec<Change>,
    refusal: Option<Gap>,
}

impl NetworkSource for Account {
    async fn network(&self, _: &Incident) -> (Network, Vec<Gap>) {
        (self.network.clone(), Vec::new())
    }

    async fn changes(&self, incident: &Incident) -> (Option<Changes>, Option<Gap>) {
        if self.refusal.is_some() {
            return (None, self.refusal.clone());
        }
        let at = incident.alarm.as_ref().expect("an alarm").at;
        let mut changes = Changes::before(incident, at + SignedDuration::from_hours(1)).expect("has minutes");
        changes.read_from = changes.from;
        changes.add(self.history.iter().cloned());
        (Some(changes), None)
    }

    async fn identify(&self, parties: &Parties, _: &Incident, network: &mut Network) -> Vec<Gap> {
        let greatest = parties.clients.first().copied();
        network.owners.extend(greatest.map(|address| Owner {
            address,
            kind: OwnerKind::Instance,
            name: "i-0a1b2c3d4e5f60718 checkout".into(),
            zone: None,
            source: OwnerSource::Lookup,
            handles: Handles { scaling_group: Some(GROUP.into()), ..Handles::default() },
        }));
        Vec::new()
    }
}

/// A leak at a gateway with a route table, and the account around it.
struct Night {
    scene: Scene,
    account: Account,
}

impl Night {
    fn new() -> Self {
        let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
        let mut network = scene.network().clone();
        let gateway = network.gateway.id.as_ref().expect("known").to_string();
        network.route_tables = Some(vec![RouteTable {
            id: TABLE.into(),
            routes: vec![Route { destination: "0.0.0.0/0".into(), target: gateway }],
            ..RouteTable::default()
        }]);
        network.subnets = Some(vec![Subnet { id: SUBNET.into(), zone: None, ranges: Vec::new() }]);
        Self { scene, account: Account { network, history: Vec::new(), refusal: None } }
    }

    fn incident(&self) -> Incident {
        incident(&self.scene.simulation.facts())
    }

    fn gateway(&self) -> String {
        self.account.network.gateway.id.as_ref().expect("known").to_string()
    }

    /// A call so many minutes before the alarm.
    fn call(&mut self, minutes: i64, source: &str, name: &str, on: &[&str]) {
        let at = self.incident().alarm.expect("an alarm").at - SignedDuration::from_mins(minutes);
        self.account.history.push(Change {
            at,
            event_id: Some("a6e1634d-4fa3-4b99-be61-9524e513b911".into()),
            source: format!("{source}.amazonaws.com"),
            name: name.into(),
            user: Some("jane".into()),
            role: None,
            on: on.iter().map(ToString::to_string).collect(),
        });
    }

    fn limits(&self) -> Limits {
        self.scene.limits()
    }

    async fn triaged(&self) -> Triaged {
        let source = LogsInsights::new(Evaluator::new(self.scene.store.clone()));
        let surveyed = Surveyed::new(self.incident(), &self.account).await;
        surveyed.look(&self.account, &source, self.limits()).await.expect("never fails")
    }

    async fn changes(&self) -> ChangesReport {
        self.triaged().await.diagnosis.changes.expect("asked")
    }
}

#[tokio::test]
async fn the_nearest_change_comes_first_whenever_it_was() {
    let mut night = Night::new();
    let gateway = night.gateway();
    night.call(5, "ec2", "RunInstances", &[SUBNET]);
    night.call(10, "autoscaling", "SetDesiredCapacity", &[GROUP]);
    night.call(20, "ec2", "DeleteRoute", &[TABLE]);
    night.call(90, "ec2", "AssociateNatGatewayAddress", &[&gateway]);
    night.call(100, "ec2", "ReplaceRoute", &[TABLE, &gateway]);
    let changes = night.changes().await;
    let listed: Vec<(Relation, &str)> =
        changes.listed.iter().map(|change| (change.relation, change.event_name.as_str())).collect();
    assert_eq!(
        listed,
        [
            (Relation::Gateway, "AssociateNatGatewayAddress"),
            (Relation::Gateway, "ReplaceRoute"),
            (Relation::Routes, "DeleteRoute"),
            (Relation::GreatestHolder, "SetDesiredCapacity"),
            (Relation::Vpc, "RunInstances"),
        ]
    );
    assert_eq!(changes.others, 0);
}

#[tokio::test]
async fn changes_of_others_are_counted_and_not_listed() {
    let mut night = Night::new();
    // Another group; the group's name, as another service has it; a sort of no interest; and two hours and more ago.
    night.call(10, "autoscaling", "SetDesiredCapacity", &["checkout-green"]);
    night.call(10, "ecs", "UpdateService", &[GROUP]);
    night.call(10, "ec2", "CreateTags", &[TABLE]);
    night.call(300, "ec2", "ReplaceRoute", &[TABLE]);
    let triaged = night.triaged().await;
    let changes = triaged.diagnosis.changes.as_ref().expect("asked");
    assert_eq!((changes.listed.len(), changes.others, &changes.command), (0, 2, &None));
    let mail = prose(&triaged.diagnosis);
    assert!(!mail.contains("WHAT CHANGED BEFORE"), "{mail}");
    assert!(mail.contains("shows none that names the gateway") && mail.contains("2 other changes"), "{mail}");
}

#[tokio::test]
async fn calls_of_one_sort_are_one_line_with_their_number() {
    let mut night = Night::new();
    for minutes in [30, 20, 10] {
        night.call(minutes, "ec2", "RunInstances", &[SUBNET, &format!("i-0000000{minutes}")]);
    }
    let changes = night.changes().await;
    let [change] = &changes.listed[..] else { panic!("{changes:?}") };
    assert_eq!((change.times, change.on.len()), (3, 4));
    assert_eq!(change.at.duration_since(change.first_at), SignedDuration::from_mins(20));
}

#[tokio::test]
async fn a_change_is_said_to_come_before_and_never_to_cause() {
    let mut night = Night::new();
    night.call(20, "ec2", "ReplaceRoute", &[TABLE]);
    let diagnosis = night.triaged().await.diagnosis;
    let body = Message::of(&diagnosis, None, HttpsReaders::Chat).body;
    for text in [
        prose(&diagnosis),
        report::markdown::markdown(&diagnosis),
        report::html::html(&diagnosis),
        report::chat::chat(&diagnosis, None).to_string(),
        body,
    ] {
        assert!(text.contains("ReplaceRoute") && text.contains("need not be the cause"), "{text}");
        for said in ["caused by", "because of the change", "due to"] {
            assert!(!text.contains(said), "{said}: {text}");
        }
    }
    assert!(
        prose(&diagnosis).contains("to a route table that leads here: ReplaceRoute on rtb-"),
        "{diagnosis:?}"
    );
}

#[tokio::test]
async fn without_its_permission_one_line_says_what_is_missing() {
    let mut night = Night::new();
    let whole = night.triaged().await.diagnosis;
    night.account.refusal =
        Some(Gap::new("what was changed before", "denied", "allow cloudtrail:LookupEvents"));
    let diagnosis = night.triaged().await.diagnosis;
    assert_eq!((diagnosis.verdict, diagnosis.headline), (Verdict::Confirmed, whole.headline));
    assert_eq!(diagnosis.changes, None);
    let missing: Vec<&Gap> = diagnosis.gaps.iter().filter(|gap| !whole.gaps.contains(gap)).collect();
    assert_eq!(missing, [&night.account.refusal.expect("set")]);
}

/// What `--save-bundle` keeps, and what follows from it again.
async fn kept_and_again(night: &Night) -> (String, String) {
    let recording = Recording::new(Evaluator::new(night.scene.store.clone()));
    let source = LogsInsights::new(&recording);
    let surveyed = Surveyed::new(night.incident(), &night.account).await;
    let triaged = surveyed.look(&night.account, &source, night.limits()).await.expect("never fails");
    let (incident, asked) = (night.incident(), recording.asked());
    let bundle = Bundle::of(None, incident, &surveyed, &triaged, asked, RungMemory::default());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kept.json");
    std::fs::write(&path, bundle.to_json()).expect("written");
    let bundle = Bundle::read(&path).expect("a bundle");
    let again = bundle.diagnose(night.limits()).await;
    (report::json(&triaged.diagnosis), report::json(&again.diagnosis))
}

#[tokio::test]
async fn a_bundle_holds_the_changes_and_what_was_not_seen() {
    let mut night = Night::new();
    night.call(10, "autoscaling", "SetDesiredCapacity", &[GROUP]);
    let (live, again) = kept_and_again(&night).await;
    assert!(live.contains("SetDesiredCapacity") && live == again, "{live}\n{again}");
    night.account.refusal = Some(Gap::new("what was changed before", "denied", "allow it"));
    let (live, again) = kept_and_again(&night).await;
    assert!(live.contains("what was changed before") && live == again, "{live}\n{again}");
}

#[tokio::test]
async fn a_context_may_hold_the_changes() {
    let mut night = Night::new();
    night.call(10, "ec2", "ReplaceRoute", &[TABLE]);
    let network = night.triaged().await.network;
    let text = serde_json::to_string(&network).expect("JSON");
    let known = Known(serde_json::from_str(&text).expect("a context"));
    let source = LogsInsights::new(Evaluator::new(night.scene.store.clone()));
    let surveyed = Surveyed::new(night.incident(), &known).await;
    let diagnosis = surveyed.look(&known, &source, night.limits()).await.expect("never fails").diagnosis;
    assert_eq!(diagnosis.changes.expect("known").listed[0].event_name, "ReplaceRoute");
}
