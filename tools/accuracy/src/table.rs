//! The figures of many trials, as a table in Markdown.

use std::fmt;

use crate::case::Case;
use crate::score::Score;
use crate::setup::Setup;
use crate::trial::Outcome;

/// What was counted, setup by setup. The random incidents have a header, and AWS's article beside them; rows of
/// another case follow below.
pub struct Table<'a> {
    /// Which incidents these were.
    pub case: Case,
    /// The setups, in order.
    pub setups: &'a [Setup],
    /// The trials, in any order.
    pub outcomes: &'a [Outcome],
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.case != Case::Random {
            return self.rows(f);
        }
        let article = |of: fn(&Outcome) -> Option<bool>| rate(self.outcomes.iter().filter_map(of));
        writeln!(
            f,
            "| flow log | can tell | destination first | client first | peak in range | estimate off by (median, 95 %) | range (median, of capacity) | verdicts: told, wrong | false all-clears | wrong party named | pattern right, of called |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|---|")?;
        writeln!(
            f,
            "| AWS's article (v2, VPC) | {} | {} | {} | - | - | - | - | - | - | - |",
            self.outcomes.len(),
            article(|o| o.article_destination),
            article(|o| o.article_client),
        )?;
        self.rows(f)
    }
}

impl Table<'_> {
    fn rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = if self.case == Case::Random { String::new() } else { format!("{}: ", self.case.name()) };
        for (index, setup) in self.setups.iter().enumerate() {
            let scores: Vec<&Score> = self.outcomes.iter().filter_map(|o| o.scores[index].as_ref()).collect();
            writeln!(f, "| {of}{} | {}", setup.name, row(&scores))?;
        }
        Ok(())
    }
}

fn row(scores: &[&Score]) -> String {
    let of = |of: fn(&Score) -> Option<bool>| rate(scores.iter().copied().filter_map(of));
    let percentile = |of: fn(&Score) -> Option<f64>, part: f64| {
        let mut values: Vec<f64> = scores.iter().copied().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        let index = (values.len() as f64 * part) as usize;
        values.get(index.min(values.len().saturating_sub(1))).map_or(0.0, |value| value * 100.0)
    };
    format!(
        "{} | {} | {} | {} | {:.1} %, {:.1} % | {:.1} % | {}, {} | {} | {} | {} |",
        scores.len(),
        of(|s| s.destination),
        of(|s| s.client),
        of(|s| s.in_range),
        percentile(|s| s.estimate_error, 0.5),
        percentile(|s| s.estimate_error, 0.95),
        percentile(|s| s.width, 0.5),
        scores.iter().filter(|s| s.told).count(),
        scores.iter().filter(|s| s.wrong_verdict || s.unexplained).count(),
        scores.iter().filter(|s| s.false_all_clear).count(),
        scores.iter().filter(|s| s.wrong_party).count(),
        of(|s| s.pattern),
    )
}

fn rate(told: impl Iterator<Item = bool>) -> String {
    let told: Vec<bool> = told.collect();
    let right = told.iter().filter(|right| **right).count();
    format!("{right} of {}", told.len())
}
