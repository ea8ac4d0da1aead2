//! Flow logs that arrive late: when the person hears what, with the clock of the runtime held still but
//! for waits.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nat_simulator::{Incident as Simulated, LogFormat, Pattern, Record, Scale, View};
use nat_triage::continuation::Successor;
use nat_triage::contract::{Diagnosis, Stage};
use nat_triage::deadline::{Clock, Deadline};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::insights::{Answer, LogsInsights, LogsQueries, Query, Unanswered};
use nat_triage::gap::Gap;
use nat_triage::looks::{Roles, until_known};
use nat_triage::network::Known;
use nat_triage::publish::{Ledger as _, Memory, Outbox, Pages, PublishError, Publisher, Receipt, Sent};
use nat_triage::report::{HttpsReaders, Message};
use nat_triage::triage::Surveyed;
use serde_json::Value;
use tokio::time::Instant;

use crate::support::evaluator::Evaluator;
use crate::support::incidents::{incident, network, store};

/// Ports per address, so that incidents are small.
const CAPACITY: u32 = 400;

/// Logs of which, so long after the beginning, only those records are there that had begun before some
/// instant.
struct Arriving {
    began: Instant,
    /// From when on the records of each batch are there, and up to when they reach.
    batches: Vec<(Duration, i64)>,
    records: Vec<Record>,
    /// Until when the first query hangs.
    hangs: Duration,
    asked: Cell<u32>,
}

impl LogsQueries for &Arriving {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        self.asked.set(self.asked.get() + 1);
        tokio::time::sleep_until(self.began + self.hangs).await;
        let there = self.began.elapsed();
        let until = self.batches.iter().filter(|(from, _)| *from <= there).map(|(_, until)| *until).max();
        let arrived = |record: &&Record| until.is_some_and(|until| record.timestamp < until);
        let arrived: Vec<Record> = self.records.iter().filter(arrived).cloned().collect();
        Evaluator::new(store(&arrived)).run(query).await
    }
}

/// A topic that keeps what it got, and when.
#[derive(Default)]
struct Inbox {
    messages: RefCell<Vec<(Duration, Value)>>,
    refuses: Cell<u32>,
}

struct Post<'a>(&'a Inbox, Instant);

impl Publisher for Post<'_> {
    async fn publish(&self, message: &Message) -> Result<Receipt, PublishError> {
        let Self(inbox, began) = self;
        if inbox.refuses.get() > 0 {
            inbox.refuses.set(inbox.refuses.get() - 1);
            return Err(PublishError { topic: "topic".into(), why: "busy".into(), fix: "wait".into() });
        }
        let body: Value = serde_json::from_str(&message.body).expect("JSON");
        for protocol in ["email", "https"] {
            let text = body[protocol].as_str().expect("text");
            assert!(text.contains("https://pages.example/"), "{protocol} leads to no page: {text}");
        }
        let diagnosis = serde_json::from_str(body["default"].as_str().expect("text")).expect("JSON");
        inbox.messages.borrow_mut().push((began.elapsed(), diagnosis));
        Ok(Receipt { message_id: None })
    }
}

/// A place for pages where each is known by what it is of.
struct Pinboard;

impl Pages for Pinboard {
    async fn keep(&self, diagnosis: &Diagnosis) -> Result<Option<String>, Gap> {
        Ok(Some(format!("https://pages.example/{}/{:?}", diagnosis.id, diagnosis.stage)))
    }
}

/// Another invocation, which goes on where there is one.
#[derive(Default)]
struct Next {
    takes: bool,
    /// What it was left with each time.
    told: RefCell<Vec<Option<Sent>>>,
}

impl Successor for Next {
    async fn take_over(&self, told: Option<&Sent>) -> bool {
        self.told.borrow_mut().push(told.cloned());
        self.takes
    }
}

/// What the person got, and how often the logs were asked.
struct Told {
    messages: Vec<(Duration, Value)>,
    asked: u32,
    last: Diagnosis,
    mark: String,
}

impl Told {
    /// `stage verdict at seconds`, of each message.
    fn lines(&self) -> Vec<String> {
        let text = |diagnosis: &Value, key: &str| diagnosis[key].as_str().expect("text").to_owned();
        let line = |(at, diagnosis): &(Duration, Value)| {
            format!("{} {} at {} s", text(diagnosis, "stage"), text(diagnosis, "verdict"), at.as_secs())
        };
        self.messages.iter().map(line).collect()
    }
}

/// One alarm on a leak that filled its destination.
struct Night<'a> {
    /// From so many seconds after the alarm on, records are there that began so many seconds before the
    /// window's end.
    batches: &'a [(u64, i64)],
    /// Seconds that the first query takes.
    hangs: u64,
    /// Seconds that the function has.
    allowed: u64,
}

impl Night<'_> {
    async fn told(&self, inbox: &Inbox, memory: &Memory) -> Told {
        self.told_beside(inbox, memory, &Next::default()).await
    }

    async fn told_beside(&self, inbox: &Inbox, memory: &Memory, next: &Next) -> Told {
        let simulated = Simulated::random_of(11, Scale::Reduced { capacity: CAPACITY }, Pattern::Leak, true);
        let simulation = simulated.simulate();
        let facts = simulation.facts();
        let format = LogFormat::v3_pkt();
        let records = simulation.records(&View::of_gateway(&simulated, format.clone()));
        let interface = facts.interface_id.clone().expect("zonal");
        let known = Known(network(&facts, &format.header(), &interface, 60));
        let began = Instant::now();
        let batch = |(from, before): &(u64, i64)| (Duration::from_secs(*from), facts.end - before);
        let arriving = Arriving {
            began,
            batches: self.batches.iter().map(batch).collect(),
            records,
            hangs: Duration::from_secs(self.hangs),
            asked: Cell::new(0),
        };
        let source = LogsInsights::new(&arriving);
        let now = Timestamp::from_second(facts.end + 30).expect("this century");
        let mut surveyed = Surveyed::new(incident(&facts), &known).await;
        let outbox =
            Outbox { publisher: Post(inbox, began), pages: Pinboard, https: HttpsReaders::default() };
        let roles = Roles {
            networks: &known,
            source: &source,
            outbox: &outbox,
            ledger: memory,
            successor: next,
            repeat_within: SignedDuration::ZERO,
        };
        let deadline = Deadline::after(Duration::from_secs(self.allowed));
        let limits = Limits { ports_per_address: facts.ports_per_address };
        let last =
            until_known(&mut surveyed, &roles, limits, Clock::showing(now), deadline).await.expect("heard");
        Told {
            messages: inbox.messages.borrow().clone(),
            asked: arriving.asked.get(),
            last: last.diagnosis,
            mark: surveyed.mark(),
        }
    }

    async fn told_once(&self) -> Told {
        self.told(&Inbox::default(), &Memory::default()).await
    }
}

const ALL: (u64, i64) = (0, 0);
/// What is there of the window when an alarm has just fired.
const EARLY: (u64, i64) = (0, 420);
const LAMBDA: u64 = 885;

#[tokio::test(start_paused = true)]
async fn what_the_first_look_confirms_goes_out_at_once() {
    let told = Night { batches: &[ALL], hangs: 0, allowed: LAMBDA }.told_once().await;
    assert_eq!(told.lines(), ["final confirmed at 0 s"]);
    assert_eq!(told.asked, 1);
}

#[tokio::test(start_paused = true)]
async fn records_that_come_soon_are_waited_for_and_one_report_goes() {
    let told = Night { batches: &[EARLY, (100, 0)], hangs: 0, allowed: LAMBDA }.told_once().await;
    assert_eq!(told.lines(), ["final confirmed at 120 s"]);
}

#[tokio::test(start_paused = true)]
async fn after_four_minutes_the_person_hears_what_is_known() {
    let told = Night { batches: &[EARLY, (300, 0)], hangs: 0, allowed: LAMBDA }.told_once().await;
    assert_eq!(told.lines(), ["provisional cannot-tell at 240 s", "final confirmed at 360 s"]);
    let ids: Vec<&Value> = told.messages.iter().map(|(_, diagnosis)| &diagnosis["id"]).collect();
    assert_eq!(ids[0], ids[1], "both are of one incident");
}

#[tokio::test(start_paused = true)]
async fn records_that_never_come_bring_no_second_message() {
    let told = Night { batches: &[EARLY], hangs: 0, allowed: LAMBDA }.told_once().await;
    assert_eq!(told.lines(), ["provisional cannot-tell at 240 s"]);
    // An interval of 60 s and ten minutes after the window's end, the records will not come any more.
    assert_eq!(told.asked, 7, "every two minutes");
}

#[tokio::test(start_paused = true)]
async fn a_query_that_hangs_keeps_nobody_waiting_for_a_first_word() {
    let told = Night { batches: &[ALL], hangs: 400, allowed: LAMBDA }.told_once().await;
    assert_eq!(told.lines(), ["provisional cannot-tell at 240 s", "final confirmed at 400 s"]);
    assert!(told.messages[0].1["gaps"].to_string().contains("still being read"));
}

#[tokio::test(start_paused = true)]
async fn where_nothing_had_been_read_a_report_follows() {
    let told = Night { batches: &[], hangs: 400, allowed: LAMBDA }.told_once().await;
    let lines = told.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0], "provisional cannot-tell at 240 s");
    assert!(lines[1].starts_with("final cannot-tell at "), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn without_time_to_look_again_the_first_look_is_final() {
    let told = Night { batches: &[EARLY, (100, 0)], hangs: 0, allowed: 60 }.told_once().await;
    assert_eq!(told.lines(), ["final cannot-tell at 0 s"]);
}

#[tokio::test(start_paused = true)]
async fn an_unsent_provisional_report_is_tried_with_the_next_look() {
    let inbox = Inbox { refuses: Cell::new(1), ..Inbox::default() };
    let night = Night { batches: &[EARLY], hangs: 0, allowed: LAMBDA };
    let told = night.told(&inbox, &Memory::default()).await;
    assert_eq!(told.lines(), ["provisional cannot-tell at 360 s"]);
    assert_eq!(told.last.stage, Stage::Final);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_a_provisional_report_sends_no_other_one() {
    let (inbox, memory) = (Inbox::default(), Memory::default());
    Night { batches: &[EARLY], hangs: 0, allowed: 300 }.told(&inbox, &memory).await;
    let first = inbox.messages.borrow().clone();
    assert_eq!(first.len(), 1);
    let again = Night { batches: &[EARLY], hangs: 0, allowed: LAMBDA }.told(&inbox, &memory).await;
    assert_eq!(again.messages, first, "it says no more");
    assert_eq!(memory.sent(&again.mark).await, Some(Sent::of(&again.last)));
    let more = Night { batches: &[ALL], hangs: 0, allowed: LAMBDA }.told(&inbox, &memory).await;
    assert_eq!(more.messages.len(), 2, "it says more");
}

#[tokio::test(start_paused = true)]
async fn logs_later_than_the_time_are_left_to_another_invocation() {
    let (inbox, memory) = (Inbox::default(), Memory::default());
    let next = Next { takes: true, ..Next::default() };
    let early = Night { batches: &[EARLY], hangs: 0, allowed: 420 };
    let told = early.told_beside(&inbox, &memory, &next).await;
    assert_eq!(told.lines(), ["provisional cannot-tell at 240 s"]);
    assert_eq!(told.last.stage, Stage::Provisional, "the last word is still to come");
    let left = next.told.borrow().clone();
    assert_eq!(left, [memory.sent(&told.mark).await], "it knows what went out");

    let later = Night { batches: &[ALL], hangs: 0, allowed: LAMBDA }.told(&inbox, &memory).await;
    assert_eq!(later.lines().last().map(String::as_str), Some("final confirmed at 0 s"));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_another_invocation_is_told_so_at_once() {
    let next = Next { takes: true, ..Next::default() };
    let night = Night { batches: &[EARLY], hangs: 0, allowed: 60 };
    let told = night.told_beside(&Inbox::default(), &Memory::default(), &next).await;
    assert_eq!(told.lines(), ["provisional cannot-tell at 0 s"]);
    let due = &told.messages[0].1["coverage"]["records_due"];
    assert!(due.as_str().is_some_and(|due| due.ends_with('Z')), "{due}");
}

#[tokio::test(start_paused = true)]
async fn a_successor_without_our_ledger_tells_nothing_again() {
    let (inbox, next) = (Inbox::default(), Next { takes: true, ..Next::default() });
    let night = Night { batches: &[EARLY], hangs: 0, allowed: 100 };
    let first = night.told_beside(&inbox, &Memory::default(), &next).await;
    assert_eq!(first.lines().len(), 1);
    let left = next.told.borrow().last().cloned().flatten().expect("what went out");
    let of_another = Memory::default();
    of_another.record(&first.mark, &left).await;
    let night = Night { batches: &[EARLY], hangs: 0, allowed: LAMBDA };
    let second = night.told_beside(&inbox, &of_another, &Next::default()).await;
    assert_eq!(second.lines(), first.lines(), "it says no more");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_goes_on_the_last_look_is_the_last_word() {
    let next = Next::default();
    let night = Night { batches: &[EARLY], hangs: 0, allowed: 60 };
    let told = night.told_beside(&Inbox::default(), &Memory::default(), &next).await;
    assert_eq!(told.lines(), ["final cannot-tell at 0 s"]);
    assert_eq!(next.told.borrow().len(), 1, "it was asked");
}
