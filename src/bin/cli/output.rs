//! What is written where: the result alone to standard output, everything else to standard error.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Context as _;

use nat_triage::contract::Diagnosis;
use nat_triage::gap::Gap;
use nat_triage::report;
use nat_triage::words;

use crate::args::{Format, Writing};

/// How a run ended, where it did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A diagnosis, from all that was given.
    Whole,
    /// A diagnosis from partial input, or one that leaves the question open.
    Partial,
    /// No diagnosis tonight, as a check-up says.
    #[cfg(feature = "aws")]
    Nothing,
}

/// Tells of a problem.
#[expect(clippy::print_stderr, reason = "the one place where problems are told")]
pub(crate) fn problem(text: &str) {
    eprintln!("nat-triage: {}", words::for_terminal(text));
}

/// Tells what one run leaves open of an event, which the report says too.
pub(crate) fn tell_of(gaps: &[Gap]) {
    for Gap { what, why, fix, .. } in gaps {
        problem(&format!("{what}: {why}; {fix}"));
    }
}

/// Writes the diagnosis, and says how the run ended.
pub(crate) fn diagnosis(diagnosis: &Diagnosis, writing: &Writing) -> anyhow::Result<Outcome> {
    let text = match writing.format {
        Format::Text if writing.output.is_none() && io::stdout().is_terminal() => {
            report::text::terminal(diagnosis)
        }
        Format::Text => report::text::text(diagnosis),
        Format::Json => report::json(diagnosis),
        Format::Html => report::html::html(diagnosis),
        Format::Markdown => report::markdown::markdown(diagnosis),
        Format::Sms => report::sms::sms(diagnosis) + "\n",
        Format::Chat => report::chat::chat(diagnosis, None).to_string() + "\n",
    };
    write(&text, writing)?;
    Ok(if diagnosis.from_partial_input() { Outcome::Partial } else { Outcome::Whole })
}

/// Says that an event asks for nothing, which is a normal result.
pub(crate) fn ignored(reason: &str, writing: &Writing) -> anyhow::Result<Outcome> {
    let said = format!("Ignored: {}", words::one_line(reason, 400));
    let text = match writing.format {
        Format::Json => {
            words::escaped_json(&serde_json::json!({ "ignored": true, "reason": reason }).to_string())
        }
        Format::Text => said,
        Format::Sms => report::sms::note(&said),
        Format::Markdown => report::markdown::note(&said),
        Format::Html => report::html::note(&said),
        Format::Chat => report::chat::note(&said).to_string(),
    };
    write(&(text + "\n"), writing)?;
    Ok(Outcome::Whole)
}

/// Writes a result. Colours come off where there is no terminal, or `NO_COLOR` forbids them.
pub(crate) fn write(text: &str, writing: &Writing) -> anyhow::Result<()> {
    match &writing.output {
        Some(path) => fs::write(path, text).with_context(|| format!("failed to write {}", path.display())),
        None => match anstream::stdout().lock().write_all(text.as_bytes()) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done.context("failed to write to standard output"),
        },
    }
}
