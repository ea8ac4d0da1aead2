//! Runs incidents and prints how often the diagnosis, and AWS's article, are right.

use std::io::{self, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use accuracy::{Case, Outcome, Setup, Table, Trial};
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
    /// Print every diagnosis.
    #[arg(long)]
    all: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    writeln!(
        io::stdout(),
        "Seeds {} to {}, {} ports per address; of a case that leads astray fewer, as *can tell* says.\n",
        args.from,
        args.from + args.seeds - 1,
        args.capacity
    )?;
    for case in std::iter::once(Case::Random).chain(Case::beside_random()) {
        let named = |setup: &Setup| format!("{}: {}", case.name(), setup.name).contains(&args.only);
        let setups: Vec<Setup> = case.setups().into_iter().filter(named).collect();
        if setups.is_empty() {
            continue;
        }
        let mut outcomes = run(&args, case, case.seeds(args.seeds), &setups)?;
        outcomes.sort_by_key(|outcome| outcome.seed);
        if args.misses || args.all {
            lines(case, &setups, &outcomes, args.all)?;
        }
        write!(io::stdout(), "{}", Table { case, setups: &setups, outcomes: &outcomes })?;
    }
    Ok(())
}

/// All seeds, on as many threads as there are processors.
fn run(args: &Args, case: Case, seeds: u64, setups: &[Setup]) -> anyhow::Result<Vec<Outcome>> {
    let next = AtomicU64::new(args.from);
    let progress = ProgressBar::new(seeds);
    let outcomes = Mutex::new(Vec::new());
    let work = || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= args.from + seeds {
                return Ok(());
            }
            let trial = Trial { case, seed, capacity: args.capacity };
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

/// Prints the misses, or all.
fn lines(case: Case, setups: &[Setup], outcomes: &[Outcome], all: bool) -> io::Result<()> {
    for (index, setup) in setups.iter().enumerate() {
        for outcome in outcomes {
            let Some(score) = &outcome.scores[index] else { continue };
            let missed = [score.destination, score.client, score.in_range, score.pattern]
                .contains(&Some(false))
                || score.wrong_verdict
                || score.wrong_party
                || score.unexplained;
            if missed || all {
                let (case, setup) = (case.name(), setup.name);
                writeln!(io::stderr(), "{case}: {setup} seed {}: {}", outcome.seed, score.line)?;
            }
        }
    }
    Ok(())
}
