//! Flow-log files in S3: keys are listed and objects fetched, in whichever Region the bucket is.

use std::cell::RefCell;
use std::collections::HashMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::{Object as Described, ObjectStorageClass};

use super::errors::{Failure, Kind, within};
use super::insights::Budget;
use super::{Clients, errors};
use crate::deadline::Deadline;
use crate::evidence::bucket::{Cause, Listed, Object, Objects, Refused};
use crate::network::{BucketPlace, Listing, is_region};

const LIST: &str = "s3:ListBucket";
const GET: &str = "s3:GetObject";

/// How often the body of an object is begun with. The SDK repeats what fails before it.
const TRIES: u32 = 2;

/// The header, and the words, by which S3 says where a bucket is.
///
/// Source: "Error responses" in the Amazon S3 API reference, `PermanentRedirect` and `AuthorizationHeaderMalformed`.
const BUCKET_REGION: &str = "x-amz-bucket-region";
const EXPECTING: &str = "expecting '";

/// S3, for one invocation.
#[derive(Debug)]
pub struct BucketObjects {
    client: Client,
    region: Option<String>,
    budget: Budget,
    deadline: Deadline,
    /// Each bucket that is in another Region than ours, with its Region and a client for that.
    elsewhere: RefCell<HashMap<String, (String, Client)>>,
}

impl BucketObjects {
    /// Objects that are read before `deadline`, and no more of them than is left of `budget`.
    #[must_use]
    pub fn new(clients: &Clients, budget: Budget, deadline: Deadline) -> Self {
        Self {
            client: clients.s3.clone(),
            region: clients.region().map(str::to_owned),
            budget,
            deadline,
            elsewhere: RefCell::default(),
        }
    }

    /// The client for the Region of the bucket, where it is known to be another one.
    fn client_elsewhere(&self, place: &BucketPlace) -> Option<Client> {
        self.elsewhere.borrow().get(place.bucket()).map(|(_, client)| client.clone())
    }

    /// Asks, and asks once more in the bucket's Region where that is another one.
    async fn asked<T, E, F>(
        &self,
        place: &BucketPlace,
        action: &'static str,
        by: Deadline,
        ask: impl Fn(&Client) -> F,
    ) -> Result<T, Refused>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let known = self.client_elsewhere(place);
        let asking = within(by, action, async {
            let error = match ask(known.as_ref().unwrap_or(&self.client)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let is_new = |region: &String| self.region.as_ref() != Some(region) && known.is_none();
            match region_in(&error).filter(is_new) {
                Some(region) => {
                    let settings = self.client.config().to_builder().region(Region::new(region.clone()));
                    let client = Client::from_conf(settings.build());
                    let asked = ask(&client);
                    self.elsewhere.borrow_mut().insert(place.bucket().to_owned(), (region, client));
                    asked.await.map_err(|error| Failure::of(action, &error))
                }
                None => Err(Failure::of(action, &error)),
            }
        });
        asking.await.map_err(|failure| refused(&failure, place))
    }
}

/// Where S3 says that the bucket is.
fn region_in<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let SdkError::ServiceError(service) = error else { return None };
    let by_header = service.raw().headers().get(BUCKET_REGION);
    let by_message = || {
        let (_, rest) = service.err().meta().message()?.split_once(EXPECTING)?;
        rest.split('\'').next()
    };
    let wrong = matches!(
        service.err().meta().code(),
        Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException")
    ) || service.raw().status().as_u16() == 301;
    by_header.or_else(by_message).filter(|region| wrong && is_region(region)).map(str::to_owned)
}

/// A failure as the report tells it.
fn refused(failure: &Failure, place: &BucketPlace) -> Refused {
    let cause = match (failure.kind, failure.code.as_deref()) {
        (_, Some("InvalidObjectState")) => Cause::Archived,
        (_, Some("NoSuchBucket")) => Cause::NoBucket,
        (Kind::Denied, _) if failure.message.contains("kms:") => Cause::KeyDenied(key_in(&failure.message)),
        (Kind::Denied, _) => Cause::Denied,
        (Kind::TimedOut, None) => Cause::OutOfTime,
        _ => Cause::Other,
    };
    let fix = match failure.code.as_deref() {
        Some(code) if code.starts_with("KMS.") => {
            "see whether the key that encrypts the bucket is enabled".to_owned()
        }
        _ => failure.fix(&place.bucket_arn()),
    };
    Refused { cause, why: failure.to_string(), fix }
}

/// The key that a message names, where it has the form of an ARN.
fn key_in(message: &str) -> Option<String> {
    let begin = message.find("arn:aws")?;
    let of_arn = |c: char| c.is_ascii_alphanumeric() || "-_:/".contains(c);
    let arns = message[begin..].split(|c| !of_arn(c));
    let mut keys = arns.filter(|text| text.starts_with("arn:aws") && text.contains(":kms:"));
    keys.next().map(str::to_owned)
}

fn mapped(object: &Described) -> Option<Object> {
    // From the archive of the class Intelligent-Tiering S3 says so only when it is asked for the object.
    let archived =
        matches!(object.storage_class(), Some(ObjectStorageClass::Glacier | ObjectStorageClass::DeepArchive));
    let bytes = u64::try_from(object.size()?).ok()?;
    Some(Object { key: object.key()?.to_owned(), bytes, archived })
}

impl Objects for BucketObjects {
    async fn list(&self, place: &BucketPlace, listing: &Listing, most: usize) -> Result<Listed, Refused> {
        let mut listed = Listed::default();
        let mut token: Option<String> = None;
        let by = self.deadline.of_look_ups();
        loop {
            let page = self
                .asked(place, LIST, by, |client| {
                    let request = client.list_objects_v2().bucket(place.bucket()).prefix(&listing.prefix);
                    let request = request.set_start_after(listing.after.clone());
                    request.set_continuation_token(token.clone()).send()
                })
                .await?;
            listed.calls += 1;
            for object in page.contents() {
                let Some(object) = mapped(object) else { continue };
                if listing.up_to.as_ref().is_some_and(|up_to| object.key > *up_to) {
                    return Ok(listed);
                }
                if listed.objects.len() >= most {
                    listed.more = true;
                    return Ok(listed);
                }
                listed.objects.push(object);
            }
            token = page.next_continuation_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(listed);
            }
        }
    }

    async fn folders(&self, place: &BucketPlace, below: &str) -> Result<Vec<String>, Refused> {
        let page = self
            .asked(place, LIST, self.deadline.of_look_ups(), |client| {
                client.list_objects_v2().bucket(place.bucket()).prefix(below).delimiter("/").send()
            })
            .await?;
        let folders = page.common_prefixes.unwrap_or_default();
        Ok(folders.into_iter().filter_map(|folder| folder.prefix).collect())
    }

    async fn fetch(&self, place: &BucketPlace, object: &Object, by: Deadline) -> Result<Vec<u8>, Refused> {
        self.budget.spend(object.bytes);
        for attempt in 1.. {
            let output = self
                .asked(place, GET, by, |client| {
                    client.get_object().bucket(place.bucket()).key(&object.key).send()
                })
                .await?;
            match within(by, GET, body(output, object.bytes)).await {
                Ok(bytes) => return Ok(bytes),
                Err(failure) if attempt >= TRIES || by.remaining().is_zero() => {
                    return Err(refused(&failure, place));
                }
                Err(_) => {}
            }
        }
        unreachable!("the last try returns")
    }

    fn left(&self) -> u64 {
        self.budget.left()
    }

    fn limit(&self) -> &'static str {
        self.budget.limit()
    }

    fn run_short(&self) {
        self.budget.run_short();
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }

    fn elsewhere(&self, place: &BucketPlace) -> Option<String> {
        self.elsewhere.borrow().get(place.bucket()).map(|(region, _)| region.clone())
    }
}

/// The body, of which no more is held than was listed.
async fn body(output: GetObjectOutput, most: u64) -> Result<Vec<u8>, Failure> {
    let broken = |message: String| Failure {
        action: GET,
        kind: Kind::Unreadable,
        code: None,
        message: errors::cleaned(&message),
        request_id: None,
    };
    let mut body = output.body;
    let mut bytes = Vec::with_capacity(usize::try_from(most).unwrap_or_default());
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| broken(format!("its body broke off: {error}")))?;
        if (bytes.len() + part.len()) as u64 > most {
            return Err(broken("the object has grown since it was listed".into()));
        }
        bytes.extend_from_slice(&part);
    }
    if (bytes.len() as u64) < most {
        return Err(broken(format!("its body has {} bytes, and {most} were listed", bytes.len())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: Kind, code: Option<&str>, message: &str) -> Failure {
        Failure { action: GET, kind, code: code.map(Into::into), message: message.into(), request_id: None }
    }

    #[test]
    fn each_refusal_of_s3_has_the_cause_that_decides_its_fix() {
        let place: BucketPlace = "s3://logs/vpc".parse().expect("a place");
        let key = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        let by_key = format!(
            "User: arn:aws:sts::123456789012:assumed-role/x/y is not authorized to perform: kms:Decrypt on resource: {key} because no identity-based policy allows it"
        );
        for (failure, cause) in [
            (failure(Kind::Denied, Some("AccessDenied"), "Access Denied"), Cause::Denied),
            (failure(Kind::Denied, Some("AccessDenied"), &by_key), Cause::KeyDenied(Some(key.into()))),
            (failure(Kind::Denied, Some("InvalidObjectState"), "archived"), Cause::Archived),
            (failure(Kind::NotFound, Some("NoSuchBucket"), "none"), Cause::NoBucket),
            (failure(Kind::TimedOut, None, "late"), Cause::OutOfTime),
            (failure(Kind::Refused, Some("KMS.DisabledException"), "disabled"), Cause::Other),
        ] {
            assert_eq!(refused(&failure, &place).cause, cause, "{failure}");
        }
        let disabled = refused(&failure(Kind::Refused, Some("KMS.DisabledException"), "x"), &place);
        assert!(disabled.fix.contains("key"), "{}", disabled.fix);
    }
}
