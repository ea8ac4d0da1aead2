//! The message of a check-up.

use serde_json::json;

use super::chat::{code_block, notification, safe};
use crate::doctor::{Checkup, Tonight, table};
use crate::words::{ascii_line, escaped_json, one_line};

/// Longest name of a Region that is shown.
const REGION: usize = 40;

/// ASCII, at most 99 characters, one line.
pub(super) fn subject(checkup: &Checkup) -> String {
    let verdict = match checkup.tonight {
        Tonight::Full => "would get its full diagnosis",
        Tonight::Partial => "would get less than it could",
        Tonight::None => "would get no diagnosis",
    };
    let region =
        checkup.region.as_ref().map_or(String::new(), |name| format!(" in {}", one_line(name, REGION)));
    ascii_line(&format!("nat-triage check-up{region}: an alarm {verdict}"), 99)
}

/// For mail.
pub(super) fn mail(checkup: &Checkup) -> String {
    format!(
        "This is a check-up of nat-triage: would an alarm tonight get its diagnosis?\n\n{}",
        table(checkup)
    )
}

/// For chat: the rows that want something, each with what mends it.
pub(super) fn chat(checkup: &Checkup) -> serde_json::Value {
    let mut text = String::new();
    for row in checkup.rows.iter().filter(|row| row.tonight != Tonight::Full) {
        text.push_str(&safe(&format!("{}, {}: {}", row.about, row.check.name(), row.says)));
        text.push('\n');
        if let Some(fix) = &row.fix {
            text.push_str(&code_block(fix));
            text.push('\n');
        }
    }
    if text.is_empty() {
        text.push_str("Nothing is wanting.");
    }
    let subject = subject(checkup);
    let id = id(checkup);
    let metadata = json!({ "threadId": id, "summary": subject });
    notification(&id, &subject, &text, &[], &[], &metadata)
}

/// For machines.
pub(super) fn machines(checkup: &Checkup) -> String {
    escaped_json(&checkup.to_json().to_string())
}

/// The same on every delivery of one check-up.
pub(super) fn id(checkup: &Checkup) -> String {
    format!("check-up-{}", checkup.at.as_second())
}
