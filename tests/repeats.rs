//! Alarms in quick succession about one destination and one greatest holder are told as one incident.

use std::cell::RefCell;
use std::time::Duration;

use jiff::SignedDuration;
use nat_simulator::{LogFormat, Pattern};
use nat_triage::contract::{Diagnosis, News, Verdict};
use nat_triage::deadline::{Clock, Deadline};
use nat_triage::evidence::insights::LogsInsights;
use nat_triage::gap::Gap;
use nat_triage::incident::Incident;
use nat_triage::looks::{Roles, until_known};
use nat_triage::network::{Change, Changes, Network, NetworkSource, Parties};
use nat_triage::publish::{Episode, Ledger as _, Memory, Outbox, Pages, PublishError, Publisher, Receipt};
use nat_triage::report::{HttpsReaders, Message};
use nat_triage::triage::Surveyed;
use serde_json::Value;

use crate::ladder::Scene;
use crate::support::evaluator::Evaluator;
use crate::support::incidents::incident;

const HALF_AN_HOUR: SignedDuration = SignedDuration::from_mins(30);

/// Keeps what is sent.
#[derive(Default)]
struct Inbox(RefCell<Vec<Message>>);

impl Publisher for &Inbox {
    async fn publish(&self, message: &Message) -> Result<Receipt, PublishError> {
        self.0.borrow_mut().push(message.clone());
        Ok(Receipt { message_id: None })
    }
}

/// Gives no page a place.
struct NoPages;

impl Pages for NoPages {
    async fn keep(&self, _: &Diagnosis) -> Result<Option<String>, Gap> {
        Ok(None)
    }
}

/// What stands around the gateway, with a history of changes.
struct Account {
    network: Network,
    history: RefCell<Vec<Change>>,
}

impl NetworkSource for Account {
    async fn network(&self, _: &Incident) -> (Network, Vec<Gap>) {
        (self.network.clone(), Vec::new())
    }

    async fn changes(&self, incident: &Incident) -> (Option<Changes>, Option<Gap>) {
        let at = incident.alarm.as_ref().expect("an alarm").at;
        let mut changes = Changes::before(incident, at).expect("has minutes");
        changes.read_from = changes.from;
        changes.add(self.history.borrow().iter().cloned());
        (Some(changes), None)
    }

    async fn identify(&self, _: &Parties, _: &Incident, _: &mut Network) -> Vec<Gap> {
        Vec::new()
    }
}

/// A gateway whose alarm flaps, and what the readers of its reports get.
struct Night {
    scene: Scene,
    account: Account,
    memory: Memory,
    inbox: Inbox,
    within: SignedDuration,
}

impl Night {
    fn new() -> Self {
        let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
        let account = Account { network: scene.network().clone(), history: RefCell::default() };
        let (memory, inbox) = (Memory::default(), Inbox::default());
        Self { scene, account, memory, inbox, within: HALF_AN_HOUR }
    }

    /// An alarm so many minutes after the first one.
    fn alarm(&self, minutes: i64) -> Incident {
        let mut incident = incident(&self.scene.simulation.facts());
        let alarm = incident.alarm.as_mut().expect("an alarm");
        alarm.at += SignedDuration::from_mins(minutes);
        incident
    }

    async fn told(&self, minutes: i64) -> Diagnosis {
        self.told_of(self.alarm(minutes)).await
    }

    async fn told_of(&self, incident: Incident) -> Diagnosis {
        let source = LogsInsights::new(Evaluator::new(self.scene.store.clone()));
        let clock = Clock::showing(incident.alarm.as_ref().expect("an alarm").at);
        let mut surveyed = Surveyed::new(incident, &self.account).await;
        let outbox = Outbox { publisher: &self.inbox, pages: NoPages, https: HttpsReaders::default() };
        let roles = Roles {
            networks: &self.account,
            source: &source,
            outbox: &outbox,
            ledger: &self.memory,
            successor: &(),
            repeat_within: self.within,
        };
        let deadline = Deadline::after(Duration::from_secs(800));
        let told = until_known(&mut surveyed, &roles, self.scene.limits(), clock, deadline).await;
        told.expect("heard").diagnosis
    }

    fn last_message(&self) -> Message {
        self.inbox.0.borrow().last().expect("a message").clone()
    }

    fn last_text(&self, protocol: &str) -> String {
        let body: Value = serde_json::from_str(&self.last_message().body).expect("JSON");
        body[protocol].as_str().expect("a text").to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn the_third_alarm_says_that_it_is_the_third() {
    let night = Night::new();
    let first = night.told(0).await;
    assert_eq!((first.verdict, &first.again), (Verdict::Confirmed, &None));
    night.told(12).await;
    let third = night.told(31).await;
    let again = third.again.as_ref().expect("the third");
    assert_eq!((again.times, &again.id), (3, &first.id));
    assert_eq!(again.since, night.alarm(0).alarm.expect("an alarm").at);
    assert_eq!(again.last_at, night.alarm(12).alarm.expect("an alarm").at);
    let Message { subject, attributes, .. } = night.last_message();
    assert!(subject.starts_with("Again (3): NAT nat-") && subject.len() <= 99, "{subject}");
    assert!(night.last_text("sms").starts_with("Again (3): "));
    assert!(attributes.contains(&("again", "3".into())), "{attributes:?}");
}

#[tokio::test(start_paused = true)]
async fn one_more_alarm_keeps_the_incident_of_other_tools_open() {
    let night = Night::new();
    let first = night.told(0).await.id;
    let second = night.told(10).await.id;
    assert_ne!(first, second);
    let detail: Value = serde_json::from_str(&night.last_message().event.detail).expect("JSON");
    assert_eq!((&detail["id"], &detail["incident_id"]), (&second.into(), &first.into()));
}

#[tokio::test(start_paused = true)]
async fn the_mail_of_a_second_alarm_has_only_what_is_new() {
    let night = Night::new();
    night.told(0).await;
    let whole = night.last_text("email");
    night.told(10).await;
    let short = night.last_text("email");
    assert!(short.lines().count() < whole.lines().count() * 3 / 4, "{short}");
    assert_eq!(short.lines().take(2).collect::<Vec<_>>(), whole.lines().take(2).collect::<Vec<_>>());
    insta::assert_snapshot!(short);
}

#[tokio::test(start_paused = true)]
async fn a_change_since_the_last_alarm_is_new() {
    let mut night = Night::new();
    night.account.network.siblings = None;
    let gateway = night.account.network.gateway.id.as_ref().expect("known").to_string();
    night.told(0).await;
    night.account.history.borrow_mut().push(Change {
        at: night.alarm(-1).alarm.expect("an alarm").at,
        event_id: Some("a6e1634d-4fa3-4b99-be61-9524e513b911".into()),
        source: "ec2.amazonaws.com".into(),
        name: "AssociateNatGatewayAddress".into(),
        user: Some("jane".into()),
        role: None,
        on: vec![gateway],
    });
    let second = night.told(10).await;
    let id = "a6e1634d-4fa3-4b99-be61-9524e513b911".to_owned();
    assert_eq!(second.again.expect("the second").new, [News::Change { event_id: id }]);
    let mail = night.last_text("email");
    assert!(mail.contains("1 change in CloudTrail") && mail.contains("AssociateNatGatewayAddress"), "{mail}");
    let third = night.told(20).await;
    assert_eq!(third.again.expect("the third").new, []);
    assert!(!night.last_text("email").contains("AssociateNatGatewayAddress"));
}

#[tokio::test(start_paused = true)]
async fn a_later_alarm_is_an_incident_of_its_own() {
    let night = Night::new();
    night.told(0).await;
    assert_eq!(night.told(31).await.again, None);
    let off = Night { within: SignedDuration::ZERO, ..Night::new() };
    off.told(0).await;
    assert_eq!(off.told(0).await.again, None);
    assert_eq!(off.told(1).await.again, None);
}

#[tokio::test(start_paused = true)]
async fn another_destination_or_holder_is_an_incident_of_its_own() {
    let night = Night::new();
    let first = night.told(0).await;
    let episode = Episode::with(None, &first, HALF_AN_HOUR);
    let mut next = Diagnosis { id: "nt-next".into(), ..first };
    let again = |next: &Diagnosis| Episode::with(episode.clone(), next, HALF_AN_HOUR).expect("full").again();
    assert!(again(&next).is_some());
    next.destinations[0].port += 1;
    assert_eq!(again(&next), None);
    next.destinations[0].port -= 1;
    next.destinations[0].clients[0].address = "10.0.9.9".parse().expect("valid");
    assert_eq!(again(&next), None);
}

#[tokio::test(start_paused = true)]
async fn one_alarm_delivered_twice_is_one_alarm() {
    let night = Night::new();
    night.told(0).await;
    let second = night.told(10).await;
    let key = Episode::key(&night.alarm(10)).expect("a gateway");
    let episode = night.memory.episode(&key).await.expect("kept");
    // As the final report after the provisional one.
    let next = Episode::with(Some(episode.clone()), &second, HALF_AN_HOUR).expect("full");
    assert_eq!(next.again().map(|again| again.times), Some(2));
    assert_eq!((episode.id_of(&second.id), episode.id_of("nt-other")), (Some(second.incident_id()), None));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_alarm_about_a_full_destination_is_no_episode() {
    let night = Night::new();
    let full = night.told(0).await;
    for other in [
        Diagnosis { alarm: None, ..full.clone() },
        Diagnosis { drill: true, ..full.clone() },
        Diagnosis { replay: true, ..full.clone() },
        Diagnosis { verdict: Verdict::CannotTell, ..full.clone() },
        Diagnosis { destinations: Vec::new(), ..full.clone() },
    ] {
        assert_eq!(Episode::with(None, &other, HALF_AN_HOUR), None);
    }
}
