//! After an alarm: a look at its gateways when it has gone back to OK.

use futures_util::future::join_all;
use jiff::SignedDuration;
use tokio::time::{Instant, sleep};

use super::{Service, Time};
use crate::alarm::{Ended, EndedOf};
use crate::aws::{self, ReportBucket};
use crate::bundle::Bundle;
use crate::diagnosis::Limits;
use crate::incident::{Incident, TimeWindow};
use crate::looks;
use crate::publish::{Episode, Ledger as _};
use crate::recovery::{Look, Recovery, RefusedInAll, compare};
use crate::triage::Triaged;

/// How much is looked at: the last whole minute before the alarm went back to OK.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

impl Service {
    /// What the gateways of an alarm that is over were found to be.
    pub(super) async fn look_after(&self, time: Time, ended: &Ended) -> Vec<Recovery> {
        if ended.gateways.len() > 1 {
            self.turns.borrow_mut().get_or_insert_default();
        }
        join_all(ended.gateways.iter().map(|of| self.look_after_one(time, ended, of))).await
    }

    async fn look_after_one(&self, time: Time, ended: &Ended, of: &EndedOf) -> Recovery {
        // One after the other: each holds as much as a diagnosis takes.
        let now = self.settled(time, ended, of).await;
        let then = told_then(self.bucket(time.deadline).as_ref(), of).await;
        fn look(triaged: &Triaged) -> Look<'_> {
            Look { diagnosis: &triaged.diagnosis, network: &triaged.network }
        }
        let incident_id = self.incident_id(time, of).await;
        let refused_in_all = self.refused_in_all(time, ended, of).await;
        let recovery = compare(of.id.as_str(), then.as_ref().map(look), now.as_ref().map(look));
        let began = of.began.as_ref();
        Recovery {
            incident_id,
            began: began.and_then(|began| Some(began.alarm.as_ref()?.at)),
            refused_in_all,
            ..recovery
        }
    }

    /// The id by which other tools know the incident: of several alarms that were told as one, the first one's.
    async fn incident_id(&self, time: Time, of: &EndedOf) -> Option<String> {
        let began = of.began.as_ref()?;
        let own = began.id();
        let episode = match Episode::key(began) {
            Some(key) => self.ledger(time.deadline).episode(&key).await,
            None => None,
        };
        Some(episode.and_then(|episode| episode.id_of(&own).map(str::to_owned)).unwrap_or(own))
    }

    /// What CloudWatch counted from the minutes of the alarm's own report on.
    async fn refused_in_all(&self, time: Time, ended: &Ended, of: &EndedOf) -> Option<RefusedInAll> {
        let from = of.began.as_ref()?.window?.start();
        let window = TimeWindow::new(from, ended.alarm.at).ok()?;
        let deadline = time.deadline.of_look_ups();
        let errors = aws::errors_of(&self.clients, &of.id, of.zone.as_deref(), window, deadline).await?;
        Some(RefusedInAll {
            errors: errors.value,
            from,
            until: window.end(),
            most_at: errors.greatest_at.filter(|_| errors.value > 0.0),
        })
    }

    /// The last minute before the alarm went back to OK, looked at until its records have arrived or there is no time.
    async fn settled(&self, time: Time, ended: &Ended, of: &EndedOf) -> Option<Triaged> {
        let minute = TimeWindow::of_last(MINUTE, ended.alarm.at)?;
        let incident = Incident::of_minutes(Some(of.id.clone()), minute);
        let incident = Incident { zone: of.zone.clone(), ..incident };
        loop {
            let began = Instant::now();
            let triaged = match self.look_at(time, incident.clone()).await {
                Ok(triaged) => triaged,
                Err(failure) => {
                    tracing::warn!("not looked at after the alarm: {}", failure.chain());
                    return None;
                }
            };
            let due = triaged.diagnosis.coverage.records_due;
            let is_late = due.is_some_and(|due| time.clock.now() < due);
            let time_left = time.deadline.before_publishing().remaining();
            if !is_late || time_left < looks::BETWEEN + began.elapsed() * 2 {
                return Some(triaged);
            }
            tracing::info!("flow logs are still arriving; looking again in a while");
            sleep(looks::BETWEEN).await;
        }
    }
}

/// The alarm's own report, made once more from what was kept of it.
async fn told_then(bucket: Option<&ReportBucket<'_>>, of: &EndedOf) -> Option<Triaged> {
    let bundle: Bundle = bucket?.kept(of.began.as_ref()?).await?;
    Some(bundle.diagnose(Limits::default()).await)
}
