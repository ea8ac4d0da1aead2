//! One more alarm of an incident that was reported a short while ago, in words: what is new, and where the rest stands.

use super::wording::{outside, pattern_in_words, verdict_in_words};
use crate::contract::{Again, Diagnosis, News, Remedy};
use crate::words;

/// How often it happened, and what is new, a sentence each; none of the first alarm.
pub(super) fn sentences(diagnosis: &Diagnosis) -> Vec<String> {
    let Some(again) = &diagnosis.again else { return Vec::new() };
    let holder = diagnosis.destinations.first().and_then(|top| top.clients.first());
    let both = holder.is_some_and(|client| client.stands_out());
    let unchanged = if both { "Destination and greatest holder are" } else { "The destination is" };
    let (times, since) = (words::ordinal(again.times), words::instant(again.since));
    vec![
        format!("Again: this is the {times} alarm since {since}. {unchanged} unchanged."),
        news(diagnosis, again),
    ]
}

fn news(diagnosis: &Diagnosis, again: &Again) -> String {
    let last = words::instant(again.last_at);
    let changes = again.new.iter().filter(|news| matches!(news, News::Change { .. })).count() as u64;
    let mut said: Vec<String> = again.new.iter().filter_map(|news| in_words(diagnosis, news)).collect();
    said.extend((changes > 0).then(|| format!("{} in CloudTrail", words::counted(changes, "change"))));
    if said.is_empty() {
        return format!("Nothing has changed since the alarm of {last} but the figures.");
    }
    format!("New since the alarm of {last}: {}.", said.join("; "))
}

fn in_words(diagnosis: &Diagnosis, news: &News) -> Option<String> {
    Some(match news {
        News::Verdict { before } => format!(
            "the verdict is {}, and was {}",
            verdict_in_words(diagnosis.verdict).to_lowercase(),
            verdict_in_words(*before).to_lowercase()
        ),
        News::Pattern { before } => {
            let pattern = |pattern: Option<_>| pattern.map_or("not known", pattern_in_words);
            format!("the pattern is {}, and was {}", pattern(diagnosis.pattern), pattern(*before))
        }
        News::AlsoFull { destination } => format!("{} is full as well", outside(destination)),
        News::NoLongerFull { destination } => format!("{} is no longer full", outside(destination)),
        News::Remedy { id } => {
            let remedy = diagnosis.remedies.iter().find(|remedy| remedy.id.to_string() == *id)?;
            format!("the fix \"{}\"", remedy.title)
        }
        News::Change { .. } => return None,
    })
}

/// Whether a remedy has to be written out: the first one, which the first step refers to, and new ones.
pub(super) fn is_written_out(diagnosis: &Diagnosis, index: usize, remedy: &Remedy) -> bool {
    let is_new = |again: &Again| {
        again.new.iter().any(|news| matches!(news, News::Remedy { id } if *id == remedy.id.to_string()))
    };
    index == 0 || diagnosis.again.as_ref().is_none_or(is_new)
}

/// Whether the changes before have one that was not told.
pub(super) fn has_new_change(diagnosis: &Diagnosis) -> bool {
    let new = |again: &Again| again.new.iter().any(|news| matches!(news, News::Change { .. }));
    diagnosis.again.as_ref().is_none_or(new)
}

/// Where the rest stands.
pub(super) fn the_rest(diagnosis: &Diagnosis, has_page: bool) -> Option<String> {
    let again = diagnosis.again.as_ref()?;
    let page = if has_page { ", and on the page above as of now" } else { "" };
    Some(format!(
        "The clients, the commands of the other fixes and all else are in the report of the alarm of {}, with the id {}{page}.",
        words::instant(again.since),
        outside(&again.id)
    ))
}

/// What the subject and a text message begin with: `Again (3): `.
pub(super) fn prefix(diagnosis: &Diagnosis) -> String {
    diagnosis.again.as_ref().map_or(String::new(), |again| format!("Again ({}): ", again.times))
}
