//! Objects fetched side by side, within bounds, and read by the engine that reads files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::iter;
use futures_util::{FutureExt as _, StreamExt as _};

use super::{Object, Objects, Refused};
use crate::deadline::Deadline;
use crate::evidence::files::FlowLogFiles;
use crate::evidence::{Evidence, EvidenceSource as _};
use crate::flow::LogFormat;
use crate::flow::reader::{Inputs, Options, ReadError};
use crate::incident::Incident;
use crate::network::{BucketPlace, Network};

/// Objects that are fetched at a time. S3 gives one connection some 90 MB a second, and takes thousands of requests a
/// second below one prefix; a small function's processor is the bound.
///
/// Source: "Performance design patterns for Amazon S3" in the Amazon S3 user guide.
const FETCHES_AT_ONCE: usize = 16;

/// Longest that fetching may take, of which a third of the time that is left is the most: what was fetched has to be
/// read too.
const MAX_FETCHING: Duration = Duration::from_secs(4 * 60);

/// How much may be held in memory at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Objects.
    pub objects: usize,
    /// Their bytes, as stored.
    pub bytes: u64,
}

impl Most {
    /// For a function of half a gigabyte, of which connections need the greater part.
    pub const IN_FUNCTION: Self = Self { objects: 2_000, bytes: 96 * 1024 * 1024 };

    /// For a person's machine.
    pub const ON_MACHINE: Self = Self { objects: 20_000, bytes: 2 * 1024 * 1024 * 1024 };
}

/// What became of the objects that were wanted.
#[derive(Debug, Default)]
pub struct Fetched {
    /// The contents, by key.
    pub contents: BTreeMap<String, Arc<Vec<u8>>>,
    /// Objects for which there was no room, no budget or no time.
    pub left: Vec<Object>,
    /// Whether it was the time.
    pub out_of_time: bool,
    /// Objects that S3 did not give.
    pub refused: Vec<(Object, Refused)>,
    /// Bytes of the contents.
    pub bytes: u64,
}

/// Fetches `wanted`, the most needed first, as far as the bounds go; what is in `held` is not fetched again.
pub async fn fetched<O: Objects>(
    objects: &O,
    place: &BucketPlace,
    wanted: Vec<Object>,
    most: Most,
    mut held: BTreeMap<String, Arc<Vec<u8>>>,
) -> Fetched {
    let mut fetched = Fetched::default();
    let mut taken: Vec<Object> = Vec::new();
    let (mut room, mut budget) = (most.bytes, objects.left());
    for object in wanted {
        let known = held.remove(&object.key).filter(|bytes| bytes.len() as u64 == object.bytes);
        let costs = if known.is_some() { 0 } else { object.bytes };
        if fetched.contents.len() + taken.len() >= most.objects || object.bytes > room || costs > budget {
            fetched.left.push(object);
            continue;
        }
        room -= object.bytes;
        budget -= costs;
        match known {
            Some(bytes) => {
                fetched.bytes += object.bytes;
                fetched.contents.insert(object.key, bytes);
            }
            None => taken.push(object),
        }
    }
    let by = objects.deadline().for_one_thing(MAX_FETCHING);
    let answers = iter(taken.into_iter().map(|object| async move {
        if by.remaining().is_zero() {
            return (object, None);
        }
        let answer = objects.fetch(place, &object, by).await;
        (object, Some(answer))
    }));
    let mut answers = std::pin::pin!(answers.buffer_unordered(FETCHES_AT_ONCE));
    while let Some((object, answer)) = answers.next().await {
        match answer {
            Some(Ok(bytes)) => {
                fetched.bytes += bytes.len() as u64;
                fetched.contents.insert(object.key, Arc::new(bytes));
            }
            Some(Err(refused)) if refused.cause == super::Cause::OutOfTime => {
                fetched.out_of_time = true;
                fetched.left.push(object);
            }
            Some(Err(refused)) => fetched.refused.push((object, refused)),
            None => {
                fetched.out_of_time = true;
                fetched.left.push(object);
            }
        }
    }
    fetched.left.sort_by(|a, b| a.key.cmp(&b.key));
    fetched.refused.sort_by(|(a, _), (b, _)| a.key.cmp(&b.key));
    fetched
}

/// Reads contents with the engine that reads files, beside this task: it works for as long as they are large, and a
/// lease has to be prolonged meanwhile.
pub async fn read(
    place: &BucketPlace,
    contents: BTreeMap<String, Arc<Vec<u8>>>,
    format: &LogFormat,
    incident: &Incident,
    network: &Network,
    deadline: Deadline,
) -> (Result<Evidence, ReadError>, Network) {
    let named: Vec<(String, Arc<Vec<u8>>)> =
        contents.into_iter().map(|(key, bytes)| (place.url(&key), bytes)).collect();
    let options = Options { format: Some(format.clone()), until: Some(deadline.instant().into_std()) };
    let (incident, mut network) = (incident.clone(), network.clone());
    let work = tokio::task::spawn_blocking(move || {
        let files = FlowLogFiles::new(Inputs::shared(named), options, |_| {});
        let collected = files.collect(&incident, &mut network).now_or_never();
        (collected.expect("files in memory are not waited for"), network)
    });
    match work.await {
        Ok(read) => read,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => unreachable!("nobody cancels it"),
        },
    }
}
