//! Runs incidents and prints how often the diagnosis, and AWS's article, are right.

use std::io::{self, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use accuracy::{Outcome, Setup, Table, Trial};
use clap::Parser;
use indicatif::ProgressBar;

/// Measures the diagnosis on simulated incidents.
#[derive(Parser)]
struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 300)]
    seeds: u64,
    /// Ports per address; 55000 is the real number, and slow.
    #[arg(long, default_value_t = 400)]
    capacity: u32,
    /// Only the flow logs whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Print every miss.
    #[arg(long)]
    misses: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let setups: Vec<Setup> =
        Setup::all().into_iter().filter(|setup| setup.name.contains(&args.only)).collect();
    let mut outcomes = run(&args, &setups)?;
    outcomes.sort_by_key(|outcome| outcome.seed);
    if args.misses {
        misses(&setups, &outcomes)?;
    }
    let until = args.from + args.seeds - 1;
    writeln!(io::stdout(), "Seeds {} to {until}, {} ports per address.\n", args.from, args.capacity)?;
    write!(io::stdout(), "{}", Table { setups: &setups, outcomes: &outcomes })?;
    Ok(())
}

/// All seeds, on as many threads as there are processors.
fn run(args: &Args, setups: &[Setup]) -> anyhow::Result<Vec<Outcome>> {
    let next = AtomicU64::new(args.from);
    let progress = ProgressBar::new(args.seeds);
    let outcomes = Mutex::new(Vec::new());
    let work = || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= args.from + args.seeds {
                return Ok(());
            }
            let trial = Trial { seed, capacity: args.capacity };
            let outcome = runtime.block_on(trial.run(setups))?;
            outcomes.lock().expect("no thread panicked").push(outcome);
            progress.inc(1);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().try_for_each(|thread| thread.join().expect("no thread panicked"))
    })?;
    progress.finish_and_clear();
    Ok(outcomes.into_inner().expect("no thread panicked"))
}

fn misses(setups: &[Setup], outcomes: &[Outcome]) -> io::Result<()> {
    for (index, setup) in setups.iter().enumerate() {
        for outcome in outcomes {
            let Some(score) = &outcome.scores[index] else { continue };
            let missed = [score.destination, score.client, score.in_range, score.pattern]
                .contains(&Some(false))
                || score.wrong_verdict
                || score.unexplained;
            if missed {
                writeln!(io::stderr(), "{} seed {}: {}", setup.name, outcome.seed, score.line)?;
            }
        }
    }
    Ok(())
}
