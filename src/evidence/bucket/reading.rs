//! Objects fetched side by side, within bounds, and read by the engine that reads files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::iter;
use futures_util::{FutureExt as _, StreamExt as _};

use super::{Cause, MAX_LISTED, Object, Objects, Refused, stamps};
use crate::deadline::Deadline;
use crate::evidence::files::FlowLogFiles;
use crate::evidence::{Evidence, EvidenceSource as _};
use crate::flow::LogFormat;
use crate::flow::reader::{FailedFile, Inputs, Options, ReadError};
use crate::gap::Fix;
use crate::incident::{Incident, TimeWindow};
use crate::network::{BucketPlace, FileName, Listing, Network};
use crate::words;

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
    /// For a function of half a gigabyte: with what is counted of them these bytes take some 210 MiB, and less than a
    /// minute of its share of a processor (docs/performance.md, *Flow logs in S3*).
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
            Some(Err(refused)) if refused.cause == Cause::OutOfTime => {
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

/// What is below a place in S3.
#[derive(Debug, Default)]
pub struct Below {
    /// Names and contents.
    pub contents: Vec<(String, Arc<Vec<u8>>)>,
    /// How many.
    pub files: u64,
    /// Their bytes, as stored.
    pub bytes: u64,
    /// What could not be had, with what would show it.
    pub failed: Vec<FailedFile>,
}

/// The longer of the two intervals that AWS offers: what a file's name does not tell.
const LONGEST_AGGREGATION: u32 = 600;

/// Everything below a place in S3; of a flow log's own files those that may hold records of the window, where there is
/// one.
///
/// # Errors
/// When the place can't be listed.
pub async fn below<O: Objects>(
    objects: &O,
    place: &BucketPlace,
    window: Option<TimeWindow>,
    most: Most,
) -> Result<Below, Refused> {
    let listing = Listing { prefix: place.prefix().to_owned(), after: None, up_to: None };
    let listed = objects.list(place, &listing, MAX_LISTED).await?;
    let within = window.map(|window| stamps(window, LONGEST_AGGREGATION));
    let may_matter = |object: &Object| {
        let stamp = FileName::of_key(&object.key).map(|name| name.stamp);
        within.zip(stamp).is_none_or(|((from, until), stamp)| stamp >= from && stamp <= until)
    };
    // Consoles make an empty object of a folder.
    let is_file = |object: &Object| object.bytes > 0 && !object.key.ends_with('/');
    let wanted = listed.objects.into_iter().filter(|object| is_file(object) && may_matter(object));
    let (archived, wanted): (Vec<Object>, Vec<Object>) = wanted.partition(|object| object.archived);
    let fetched = fetched(objects, place, wanted, most, BTreeMap::new()).await;
    let failed =
        |object: &Object, error: String, fix: Fix| FailedFile { name: place.url(&object.key), error, fix };
    let copy = Fix::run_to(
        "copy it, and read the copy",
        format!("aws s3 cp --recursive {} flow-logs", words::in_shell(&place.to_string())),
    );
    let mut below = Below { files: fetched.contents.len() as u64, bytes: fetched.bytes, ..Below::default() };
    let too_much = if fetched.out_of_time {
        "there was no time to fetch it".to_owned()
    } else {
        format!(
            "it was not fetched: at most {} and {} are read at a time, and no more than NAT_TRIAGE_MAX_SCAN_GIB allows",
            words::counted(most.objects as u64, "file"),
            words::bytes(most.bytes)
        )
    };
    below.failed.extend(fetched.left.iter().map(|object| failed(object, too_much.clone(), copy.clone())));
    let refused = fetched.refused.iter();
    below.failed.extend(refused.map(|(object, of)| failed(object, of.why.clone(), of.fix.as_str().into())));
    let restore = "restore it from the archive with s3:RestoreObject, and then run again";
    let in_archive = "it is in an archive, from which S3 gives nothing at once";
    below.failed.extend(archived.iter().map(|object| failed(object, in_archive.into(), restore.into())));
    if listed.more {
        let error = format!(
            "it has more than {} files; the others were not looked at",
            words::count(MAX_LISTED as u64)
        );
        let fix = "name a longer prefix, such as that of a day".into();
        below.failed.push(FailedFile { name: place.to_string(), error, fix });
    }
    below.contents = fetched.contents.into_iter().map(|(key, bytes)| (place.url(&key), bytes)).collect();
    Ok(below)
}
