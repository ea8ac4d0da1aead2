//! One look at the flow logs, and further ones while records of the incident's minutes may still arrive:
//! what is published when.
//!
//! A first look that confirms is published at once. Otherwise we wait and look again; after
//! [`PROVISIONAL_AFTER`] what is known goes out, marked provisional, and a final report follows only if it
//! says more. Where records are still due when the time is over, another invocation goes on.

use std::pin::pin;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, sleep, sleep_until};

use crate::continuation::Successor;
use crate::contract::{Diagnosis, Stage};
use crate::deadline::{Clock, Deadline};
use crate::diagnosis::Limits;
use crate::evidence::EvidenceSource;
use crate::network::NetworkSource;
use crate::publish::{Episode, Ledger, Outbox, Pages, PublishError, Publisher, Sent};
use crate::triage::{NoEvidence, Surveyed, Triaged};

/// How long a person waits for a first word.
pub const PROVISIONAL_AFTER: Duration = Duration::from_secs(4 * 60);

/// How long between two looks. Each scans the gateway's records anew, which costs; and flow logs come in
/// batches, minutes apart.
pub const BETWEEN: Duration = Duration::from_secs(2 * 60);

/// Why nobody heard of an incident, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum Unheard<E: std::error::Error + 'static> {
    /// There was nothing to diagnose.
    #[error(transparent)]
    NoEvidence(#[from] NoEvidence<E>),
    /// The message did not go out.
    #[error("the diagnosis was made but did not go out")]
    NotPublished(#[from] PublishError),
}

/// What has the evidence, where reports go, and what went there before.
#[derive(Debug)]
pub struct Roles<'a, N, E, P, G, L, S> {
    /// Finds out who the parties are.
    pub networks: &'a N,
    /// Has the evidence.
    pub source: &'a E,
    /// Takes the reports.
    pub outbox: &'a Outbox<P, G>,
    /// Knows what went out.
    pub ledger: &'a L,
    /// Goes on where the time is over before the records are there.
    pub successor: &'a S,
    /// How long after an alarm the next one about its destination and greatest holder is told as one more of it.
    pub repeat_within: SignedDuration,
}

/// Looks until the answer is certain, complete, or there is no more time, and publishes it. `deadline` has
/// to leave time for publishing. What is returned is provisional where the successor goes on.
///
/// # Errors
/// When there is no evidence to diagnose, or the last word did not go out.
pub async fn until_known<N, E, P, G, L, S>(
    surveyed: &mut Surveyed,
    roles: &Roles<'_, N, E, P, G, L, S>,
    limits: Limits,
    clock: Clock,
    deadline: Deadline,
) -> Result<Triaged, Unheard<E::Error>>
where
    N: NetworkSource,
    E: EvidenceSource,
    P: Publisher,
    G: Pages,
    L: Ledger,
    S: Successor,
{
    let provisional_at = Instant::now() + PROVISIONAL_AFTER;
    let mark = surveyed.mark();
    let mut told = roles.ledger.sent(&mark).await;
    let is_late =
        |triaged: &Triaged| triaged.diagnosis.coverage.records_due.is_some_and(|due| clock.now() < due);
    let mut last = loop {
        let began = Instant::now();
        let triaged = {
            let known = &*surveyed;
            let mut look = pin!(known.look(roles.networks, roles.source, limits));
            loop {
                tokio::select! {
                    biased;
                    triaged = &mut look => break triaged?,
                    () = sleep_until(provisional_at), if told.is_none() => {
                        told = match known.so_far(roles.source, limits) {
                            Some(so_far) => provisional(roles, known, so_far, Sent::of).await,
                            None => provisional(roles, known, known.unread(limits), Sent::unread).await,
                        };
                        if told.is_none() {
                            break look.await?;
                        }
                    }
                }
            }
        };
        let took = began.elapsed();
        if !is_late(&triaged) || deadline.remaining() < BETWEEN + took * 2 {
            break triaged;
        }
        // Before the next look would be too late for a first word.
        if told.is_none() && Instant::now() + BETWEEN / 2 >= provisional_at {
            told = provisional(roles, surveyed, triaged.diagnosis, Sent::of).await;
        }
        tracing::info!(id = surveyed.id(), "flow logs are still arriving; looking again in a while");
        sleep(BETWEEN).await;
        surveyed.refresh(roles.networks).await;
    };
    if is_late(&last) {
        let mut so_far = Diagnosis { stage: Stage::Provisional, ..last.diagnosis.clone() };
        // Without a common ledger the successor knows nothing but what is left to it here.
        let news = (!says_the_same(told.as_ref(), &so_far)).then(|| Sent::of(&so_far));
        if roles.successor.take_over(news.as_ref().or(told.as_ref())).await {
            tracing::info!(id = so_far.id, "flow logs are still arriving; another invocation goes on");
            if let Some(news) = news {
                // The successor takes it for told: what does not go out is for the next attempt.
                send(roles, surveyed, &mut so_far).await?;
                roles.ledger.record(&mark, &news).await;
            }
            last.diagnosis = so_far;
            return Ok(last);
        }
    }
    let sent = Sent::of(&last.diagnosis);
    if says_the_same(told.as_ref(), &last.diagnosis) {
        tracing::info!(id = last.diagnosis.id, "the last look says no more than what went out before");
    } else {
        send(roles, surveyed, &mut last.diagnosis).await?;
    }
    roles.ledger.record(&mark, &sent).await;
    Ok(last)
}

/// Whether what went out last has the diagnosis's answer.
fn says_the_same(told: Option<&Sent>, diagnosis: &Diagnosis) -> bool {
    told.is_some_and(|told| told.answer == Sent::of(diagnosis).answer)
}

/// Tells what is known so far; `None` where that did not go out, which the last word makes up for.
async fn provisional<N, E, P: Publisher, G: Pages, L: Ledger, S>(
    roles: &Roles<'_, N, E, P, G, L, S>,
    surveyed: &Surveyed,
    mut diagnosis: Diagnosis,
    sent: impl FnOnce(&Diagnosis) -> Sent,
) -> Option<Sent> {
    diagnosis.stage = Stage::Provisional;
    if let Err(error) = send(roles, surveyed, &mut diagnosis).await {
        tracing::warn!(id = diagnosis.id, "the provisional report did not go out: {error}");
        return None;
    }
    let sent = sent(&diagnosis);
    roles.ledger.record(&surveyed.mark(), &sent).await;
    Some(sent)
}

/// Sends a report, which says so where it is one more of an incident that was reported a short while ago.
async fn send<N, E, P: Publisher, G: Pages, L: Ledger, S>(
    roles: &Roles<'_, N, E, P, G, L, S>,
    surveyed: &Surveyed,
    diagnosis: &mut Diagnosis,
) -> Result<(), PublishError> {
    let key = Episode::key(surveyed.incident());
    let before = match &key {
        Some(key) => roles.ledger.episode(key).await,
        None => None,
    };
    let episode = Episode::with(before, diagnosis, roles.repeat_within);
    diagnosis.again = episode.as_ref().and_then(Episode::again);
    let receipt = roles.outbox.send(diagnosis).await?;
    tracing::info!(
        id = diagnosis.id,
        stage = ?diagnosis.stage,
        verdict = ?diagnosis.verdict,
        headline = diagnosis.headline,
        gaps = diagnosis.gaps.len(),
        message_id = receipt.message_id,
        "reported"
    );
    if let (Some(key), Some(episode)) = (key, episode) {
        roles.ledger.record_episode(&key, &episode).await;
    }
    Ok(())
}
