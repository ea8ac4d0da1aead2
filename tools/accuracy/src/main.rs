//! Runs incidents and prints how often the diagnosis, and AWS's article, are right.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use accuracy::{Score, Trial};
use clap::Parser;
use nat_simulator::LogFormat;

/// Measures the diagnosis on simulated incidents.
#[derive(Parser)]
struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// Ports per address; 55000 is the real number, and slow.
    #[arg(long, default_value_t = 400)]
    capacity: u32,
    /// Print every miss.
    #[arg(long)]
    misses: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut table = format!(
        "Seeds {} to {}, {} ports per address.\n\n| format | incidents | destination first | AWS's article | client first | AWS's article | peak in range | estimate off by (median, 95 %) | wrong verdicts | pattern right |\n|---|---|---|---|---|---|---|---|---|---|\n",
        args.from,
        args.from + args.seeds - 1,
        args.capacity
    );
    let formats = [
        ("v2, gateway", LogFormat::v2_default(), false),
        ("v2, VPC", LogFormat::v2_default(), true),
        ("v3, gateway", LogFormat::v3_pkt(), false),
        ("v5, VPC", LogFormat::v5(), true),
        ("v11, VPC", LogFormat::v11(), true),
    ];
    for (name, format, whole_vpc) in formats {
        let mut scores = Vec::new();
        for seed in args.from..args.from + args.seeds {
            let trial = Trial { seed, capacity: args.capacity, format: format.clone(), whole_vpc };
            let score = trial.run().await?;
            let missed = score.destination == Some(false)
                || score.client == Some(false)
                || score.in_range == Some(false)
                || score.wrong_verdict
                || score.pattern_right == Some(false);
            if args.misses && missed {
                writeln!(io::stderr(), "{name} seed {seed}: {score:?}")?;
            }
            scores.push(score);
        }
        writeln!(table, "{}", row(name, &scores))?;
    }
    io::stdout().write_all(table.as_bytes())?;
    Ok(())
}

fn row(name: &str, scores: &[Score]) -> String {
    let rate = |of: &dyn Fn(&Score) -> Option<bool>| {
        let told: Vec<bool> = scores.iter().filter_map(of).collect();
        let right = told.iter().filter(|right| **right).count();
        format!("{right} of {}", told.len())
    };
    let mut errors: Vec<f64> = scores.iter().filter_map(|score| score.estimate_error).collect();
    errors.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let index = (errors.len() as f64 * part) as usize;
        errors.get(index.min(errors.len().saturating_sub(1))).map_or(0.0, |e| e * 100.0)
    };
    format!(
        "| {name} | {} | {} | {} | {} | {} | {} | {:.1} %, {:.1} % | {} | {} |",
        scores.len(),
        rate(&|s| s.destination),
        rate(&|s| s.article_destination),
        rate(&|s| s.client),
        rate(&|s| s.article_client),
        rate(&|s| s.in_range),
        at(0.5),
        at(0.95),
        scores.iter().filter(|s| s.wrong_verdict).count(),
        rate(&|s| s.pattern_right),
    )
}
