//! The SNS topic that reports go to.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use tokio::time::sleep;

use super::Clients;
use super::errors::{Failure, Kind, within};
use crate::deadline::Deadline;
use crate::publish::{PublishError, Publisher, Receipt};
use crate::report::Message;

const PUBLISH: &str = "sns:Publish";

/// The group that all reports to a FIFO topic belong to: they arrive in the order they were sent.
const GROUP: &str = "nat-triage";

/// How long to wait before publishing again what was throttled, at first; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Longest deduplication id (`Publish` in the SNS API).
const LONGEST_DEDUPLICATION_ID: usize = 128;

/// An SNS topic, for one invocation.
#[derive(Clone, Debug)]
pub struct SnsTopic {
    client: Client,
    arn: String,
    deadline: Deadline,
}

impl SnsTopic {
    /// The topic `arn`, published to before `deadline`.
    #[must_use]
    pub fn new(clients: &Clients, arn: String, deadline: Deadline) -> Self {
        Self { client: clients.sns.clone(), arn, deadline }
    }
}

/// The group and the deduplication id that a FIFO topic wants besides. It drops a second message of
/// the same id within five minutes, as when an alarm is delivered twice. Other topics take no
/// deduplication id, and have nothing of the kind.
fn fifo(arn: &str, id: &str) -> (Option<String>, Option<String>) {
    if !arn.ends_with(".fifo") {
        return (None, None);
    }
    let id: String = id.chars().take(LONGEST_DEDUPLICATION_ID).collect();
    (Some(GROUP.to_owned()), (!id.is_empty()).then_some(id))
}

/// What the filters of subscriptions see.
fn attributes(message: &Message) -> HashMap<String, MessageAttributeValue> {
    let value = |value: &String| {
        let built = MessageAttributeValue::builder().data_type("String").string_value(value).build();
        built.expect("it has a data type")
    };
    message.attributes.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect()
}

impl Publisher for SnsTopic {
    /// Sends the message once, in one call, which is repeated where SNS was busy, failed or did
    /// not answer in time. In the last case a second copy may go out: its body has the same id.
    async fn publish(&self, message: &Message) -> Result<Receipt, PublishError> {
        let (group, deduplication_id) = fifo(&self.arn, &message.id);
        let request = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .message_structure("json")
            .subject(&message.subject)
            .message(&message.body)
            .set_message_attributes(Some(attributes(message)))
            .set_message_group_id(group)
            .set_message_deduplication_id(deduplication_id);
        // The SDK does not know SNS's word for it, and gives up at the first.
        let mut pause = FIRST_PAUSE;
        let sent = loop {
            let sent = within(self.deadline, PUBLISH, async {
                request.clone().send().await.map_err(|error| Failure::of(PUBLISH, &error))
            });
            match sent.await {
                Err(failure) if failure.kind == Kind::Throttled && self.deadline.remaining() > pause => {
                    sleep(pause).await;
                    pause *= 2;
                }
                sent => break sent,
            }
        };
        match sent {
            Ok(output) => {
                tracing::info!(topic.arn = self.arn, message.id = output.message_id, "report published");
                Ok(Receipt { message_id: output.message_id })
            }
            Err(failure) => {
                let region = self.client.config().region().map(ToString::to_string);
                Err(refusal(&failure, &self.arn, region.as_deref(), message))
            }
        }
    }
}

/// What it means that SNS did not take a message.
fn refusal(failure: &Failure, arn: &str, region: Option<&str>, message: &Message) -> PublishError {
    PublishError { topic: arn.to_owned(), why: failure.to_string(), fix: fix(failure, arn, region, message) }
}

/// Source of the codes: `Publish` in the SNS API reference.
fn fix(failure: &Failure, arn: &str, region: Option<&str>, message: &Message) -> String {
    let code = failure.code.as_deref().unwrap_or_default().trim_end_matches("Exception");
    // arn:partition:sns:region:account:name. SNS says no more than "Invalid parameter: TopicArn".
    let of_topic = arn.split(':').nth(3);
    if let (Kind::NotFound | Kind::Refused, Some(topic), Some(ours)) = (failure.kind, of_topic, region)
        && topic != ours
        && !code.starts_with("KMS")
    {
        return format!(
            "publish to a topic in {ours}: NAT_TRIAGE_TOPIC_ARN names one in {topic:?}, and SNS takes messages only for topics of its own Region"
        );
    }
    match code {
        "KMSAccessDenied" => {
            "allow kms:GenerateDataKey* and kms:Decrypt on the topic's key, in the key's policy and to the function's role".to_owned()
        }
        "KMSDisabled" | "KMSInvalidState" | "KMSNotFound" => {
            "enable the topic's key, or give the topic another: aws kms describe-key shows its state".to_owned()
        }
        "KMSOptInRequired" => "the account has to be signed up for KMS; or take the key off the topic".to_owned(),
        "InvalidParameter" | "ParameterValueInvalid" | "InvalidParameterValue" | "ValidationError" => format!(
            "check NAT_TRIAGE_TOPIC_ARN; if it is right, report this as a bug of nat-triage: the subject had {} characters, the message {} bytes of at most 262144",
            message.subject.chars().count(),
            message.body.len(),
        ),
        _ if failure.kind == Kind::Denied => format!(
            "{}, and in the topic's own policy where it is another account's",
            failure.fix(arn)
        ),
        _ if failure.kind == Kind::NotFound => {
            "the topic is gone: make it again, or point NAT_TRIAGE_TOPIC_ARN at one that exists".to_owned()
        }
        _ => failure.fix("NAT_TRIAGE_TOPIC_ARN"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::errors::tests::refused;
    use super::*;
    use crate::report::BusEvent;

    const ARN: &str = "arn:aws:sns:eu-west-1:123456789012:nat-triage";

    fn message() -> Message {
        Message {
            subject: "subject".into(),
            body: r#"{"default":"text"}"#.into(),
            id: "nt-1".into(),
            attributes: vec![("kind", "diagnosis".to_owned())],
            event: BusEvent { detail_type: "NAT Gateway Diagnosis", detail: "{}".into() },
        }
    }

    fn refusal_of(code: &str) -> PublishError {
        refusal(&refused(PUBLISH, code, "no"), ARN, Some("eu-west-1"), &message())
    }

    #[test]
    fn every_refusal_of_sns_says_what_to_do() {
        for (code, fix) in [
            ("NotFound", "the topic is gone"),
            ("AuthorizationError", "allow sns:Publish on arn:aws:sns:eu-west-1:123456789012:nat-triage"),
            ("KMSAccessDenied", "kms:GenerateDataKey"),
            ("KMSDisabled", "enable the topic's key"),
            ("KMSInvalidState", "enable the topic's key"),
            ("KMSNotFound", "enable the topic's key"),
            ("KMSOptInRequired", "signed up for KMS"),
            ("InvalidParameter", "report this as a bug"),
        ] {
            let error = refusal_of(code);
            assert!(error.fix.contains(fix), "{code}: {error}");
            assert!(error.why.contains(code), "{error}");
        }
    }

    #[test]
    fn a_topic_of_another_region_is_named_as_such() {
        let error = refusal(
            &refused(PUBLISH, "InvalidParameter", "Invalid parameter: TopicArn"),
            ARN,
            Some("us-east-1"),
            &message(),
        );
        assert!(error.fix.contains("in us-east-1") && error.fix.contains("eu-west-1"), "{error}");
    }

    #[test]
    fn a_fifo_topic_gets_a_group_and_an_id() {
        let (group, id) = fifo(&format!("{ARN}.fifo"), &"x".repeat(200));
        assert_eq!((group.as_deref(), id.map(|id| id.len())), (Some(GROUP), Some(128)));
        assert_eq!(fifo(ARN, "x"), (None, None));
    }
}
