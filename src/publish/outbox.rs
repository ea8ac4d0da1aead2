//! The way out: the report's page to where readers can open it, then the message that leads to it.

use super::{PublishError, Publisher, Receipt};
use crate::contract::Diagnosis;
use crate::doctor::Checkup;
use crate::gap::Gap;
use crate::report::{HttpsReaders, Message, Trouble};
use crate::watch::{Fleet, Warning};

/// Keeps the page of a report, as HTML, where readers of the message can open it.
#[expect(async_fn_in_trait, reason = "used with generics inside this crate; no caller needs Send bounds")]
pub trait Pages {
    /// Keeps the page of this diagnosis and gives the link to it; `None` where there is no place for it.
    ///
    /// # Errors
    /// When it could not be kept in time: the message goes out all the same, and says so.
    async fn keep(&self, diagnosis: &Diagnosis) -> Result<Option<String>, Gap>;
}

/// Perhaps a place for pages.
impl<P: Pages> Pages for Option<P> {
    async fn keep(&self, diagnosis: &Diagnosis) -> Result<Option<String>, Gap> {
        match self {
            Some(place) => place.keep(diagnosis).await,
            None => Ok(None),
        }
    }
}

/// Where reports go, and how.
#[derive(Clone, Debug)]
pub struct Outbox<P, G> {
    /// Takes the messages.
    pub publisher: P,
    /// Takes the pages.
    pub pages: G,
    /// Who reads what is sent by HTTPS.
    pub https: HttpsReaders,
}

impl<P: Publisher, G: Pages> Outbox<P, G> {
    /// Sends a diagnosis out.
    ///
    /// # Errors
    /// When the message did not go out.
    pub async fn send(&self, diagnosis: &Diagnosis) -> Result<Receipt, PublishError> {
        let message = match self.pages.keep(diagnosis).await {
            Ok(report_url) => Message::of(diagnosis, report_url.as_deref(), self.https),
            Err(gap) => {
                let mut told = diagnosis.clone();
                told.gaps.push(gap);
                Message::of(&told, None, self.https)
            }
        };
        self.publisher.publish(&message).await
    }

    /// Tells what a check-up found.
    ///
    /// # Errors
    /// When the message did not go out.
    pub async fn tell_of_checkup(&self, checkup: &Checkup) -> Result<Receipt, PublishError> {
        self.publisher.publish(&Message::of_checkup(checkup, self.https)).await
    }

    /// Tells that a destination fills up, or has room again.
    ///
    /// # Errors
    /// When the message did not go out.
    pub async fn warn(&self, warning: &Warning) -> Result<Receipt, PublishError> {
        self.publisher.publish(&Message::of_warning(warning, self.https)).await
    }

    /// Sends the weekly page of the gateways.
    ///
    /// # Errors
    /// When the message did not go out.
    pub async fn tell_of_fleet(&self, fleet: &Fleet) -> Result<Receipt, PublishError> {
        self.publisher.publish(&Message::of_fleet(fleet, self.https)).await
    }

    /// Tells that there is no diagnosis, and why.
    ///
    /// # Errors
    /// When the message did not go out.
    pub async fn tell(&self, trouble: &Trouble<'_>) -> Result<Receipt, PublishError> {
        self.publisher.publish(&Message::of_trouble(trouble, self.https)).await
    }
}
