//! Whose turn it is to report an incident. SNS and Lambda may deliver one alarm twice in the same second, to two
//! processes, and a report leaves its mark only once it went out.
//!
//! The process that writes a lease first reports, and prolongs the lease while it works. Another one waits until the
//! report has gone out, or the lease has run out: a report that comes twice does less harm than one that never comes.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, join, select};
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::Ledger;
use crate::contract::Stage;
use crate::deadline::{Clock, Deadline};

/// How long a lease lasts that nobody prolongs. After this time another process takes the place of one that died.
const LEASE: SignedDuration = SignedDuration::from_secs(90);

/// How often a lease is prolonged: one failed attempt must not lose it.
const PROLONGED_EVERY: Duration = Duration::from_secs(30);

/// How often a process that waits looks again.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A process with less time than this waits no longer. Lambda's next attempt comes a minute later, and has more time.
const MIN_TIME_TO_REPORT: Duration = Duration::from_secs(60);

/// Where processes see each other's leases.
#[expect(async_fn_in_trait, reason = "used with generics inside this crate; no caller needs Send bounds")]
pub trait Leases {
    /// What names a lease that was got.
    type Lease;

    /// Tries to get the lease of the incident with this mark at `now`. It lasts until `until`.
    async fn take(&self, mark: &str, now: Timestamp, until: Timestamp) -> Taken<Self::Lease>;

    /// Moves the end of a lease of ours. Where that fails, another process may report the incident as well.
    async fn prolong(&self, lease: &Self::Lease, until: Timestamp);
}

/// What came of trying to get a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken<L> {
    /// It is ours.
    Ours(L),
    /// Another process has it.
    Held,
    /// There is no place for leases, or it does not answer.
    Unknown,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn<L> {
    /// Ours, with the lease where there is one.
    Ours(Option<L>),
    /// Nobody's: the last report has gone out.
    Reported,
    /// Still another process's, and there is no time to wait any longer.
    Late,
}

/// Waits until it is our turn to report the incident with this mark, or there is nothing left to report.
pub async fn wait_for_turn<T: Leases, L: Ledger>(
    leases: &T,
    ledger: &L,
    mark: &str,
    clock: Clock,
    deadline: Deadline,
) -> Turn<T::Lease> {
    loop {
        let now = clock.now();
        let (sent, taken) = join(ledger.sent(mark), leases.take(mark, now, after(now, LEASE))).await;
        let reported = sent.is_some_and(|sent| sent.stage == Stage::Final);
        match taken {
            Taken::Ours(lease) if reported => {
                leases.prolong(&lease, clock.now()).await;
                return Turn::Reported;
            }
            _ if reported => return Turn::Reported,
            Taken::Ours(lease) => return Turn::Ours(Some(lease)),
            Taken::Unknown => return Turn::Ours(None),
            Taken::Held if deadline.remaining() < MIN_TIME_TO_REPORT + LOOK_EVERY => return Turn::Late,
            Taken::Held => sleep(LOOK_EVERY).await,
        }
    }
}

/// Does `work` while the lease is prolonged, and gives it up afterwards.
pub async fn hold<T: Leases, R>(
    leases: &T,
    lease: Option<T::Lease>,
    clock: Clock,
    work: impl Future<Output = R>,
) -> R {
    let Some(lease) = lease else { return work.await };
    let prolonging = pin!(async {
        loop {
            sleep(PROLONGED_EVERY).await;
            leases.prolong(&lease, after(clock.now(), LEASE)).await;
        }
    });
    let work = pin!(work);
    let ended: Either<_, (std::convert::Infallible, _)> = select(work, prolonging).await;
    let Either::Left((done, _)) = ended;
    leases.prolong(&lease, clock.now()).await;
    done
}

fn after(now: Timestamp, time: SignedDuration) -> Timestamp {
    now.checked_add(time).unwrap_or(Timestamp::MAX)
}

/// Perhaps a place for leases.
impl<T: Leases> Leases for Option<T> {
    type Lease = T::Lease;

    async fn take(&self, mark: &str, now: Timestamp, until: Timestamp) -> Taken<T::Lease> {
        match self {
            Some(leases) => leases.take(mark, now, until).await,
            None => Taken::Unknown,
        }
    }

    async fn prolong(&self, lease: &T::Lease, until: Timestamp) {
        if let Some(leases) = self {
            leases.prolong(lease, until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::publish::{Memory, Sent};

    const MARK: &str = "nt-1";

    /// One lease, which is held until then.
    #[derive(Default)]
    struct Shared(Cell<Option<Timestamp>>);

    impl Leases for Shared {
        type Lease = ();

        async fn take(&self, _: &str, now: Timestamp, until: Timestamp) -> Taken<()> {
            if self.0.get().is_some_and(|held| now < held) {
                return Taken::Held;
            }
            self.0.set(Some(until));
            Taken::Ours(())
        }

        async fn prolong(&self, (): &(), until: Timestamp) {
            self.0.set(Some(until));
        }
    }

    fn clock() -> Clock {
        Clock::showing("2026-03-14T02:17:00Z".parse().expect("a time"))
    }

    fn minutes(number: u64) -> Deadline {
        Deadline::after(Duration::from_secs(number * 60))
    }

    async fn report(leases: &Shared, ledger: &Memory, clock: Clock, takes: Duration) -> &'static str {
        match wait_for_turn(leases, ledger, MARK, clock, minutes(15)).await {
            Turn::Ours(lease) => {
                let work = async {
                    sleep(takes).await;
                    ledger.record(MARK, &Sent { stage: Stage::Final, answer: None }).await;
                };
                hold(leases, lease, clock, work).await;
                "reported"
            }
            Turn::Reported => "reported before",
            Turn::Late => "late",
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_processes_at_once_one_reports() {
        let (leases, ledger, clock) = (Shared::default(), Memory::default(), clock());
        // Longer than a lease lasts by itself.
        let takes = Duration::from_secs(400);
        let both = join(report(&leases, &ledger, clock, takes), report(&leases, &ledger, clock, takes)).await;
        assert_eq!(both, ("reported", "reported before"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_work_of_a_process_that_died_is_taken_over() {
        let (leases, ledger, clock) = (Shared::default(), Memory::default(), clock());
        let began = clock.now();
        let Turn::Ours(Some(())) = wait_for_turn(&leases, &ledger, MARK, clock, minutes(15)).await else {
            panic!("nobody else was there")
        };
        assert_eq!(report(&leases, &ledger, clock, Duration::ZERO).await, "reported");
        let waited = clock.now().duration_since(began);
        assert!(waited < LEASE + SignedDuration::from_secs(10), "{waited}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_process_leaves_its_turn_at_once() {
        let (leases, ledger, clock) = (Shared::default(), Memory::default(), clock());
        let Turn::Ours(lease) = wait_for_turn(&leases, &ledger, MARK, clock, minutes(15)).await else {
            panic!("nobody else was there")
        };
        hold(&leases, lease, clock, async {}).await;
        let began = clock.now();
        assert_eq!(report(&leases, &ledger, clock, Duration::ZERO).await, "reported");
        assert_eq!(clock.now(), began);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_without_time_leaves_it_to_the_next_attempt() {
        let (leases, ledger, clock) = (Shared::default(), Memory::default(), clock());
        leases.0.set(Some(after(clock.now(), SignedDuration::from_mins(15))));
        assert_eq!(wait_for_turn(&leases, &ledger, MARK, clock, minutes(1)).await, Turn::Late);
        assert_eq!(wait_for_turn(&leases, &ledger, MARK, clock, minutes(5)).await, Turn::Late);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_place_for_leases_everybody_reports() {
        let (ledger, clock) = (Memory::default(), clock());
        let nowhere = None::<Shared>;
        assert_eq!(wait_for_turn(&nowhere, &ledger, MARK, clock, minutes(1)).await, Turn::Ours(None));
    }
}
