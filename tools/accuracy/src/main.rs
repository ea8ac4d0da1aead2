//! Runs incidents and prints how often the diagnosis, and AWS's article, are right.

use std::io::{self, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use accuracy::early;
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
    early_warning(&args)
}

/// The early warning on rises of each seed: as many as are a fifth of the random incidents, for each is looked at a
/// dozen times.
fn early_warning(args: &Args) -> anyhow::Result<()> {
    let setups: Vec<Setup> = early::setups()
        .into_iter()
        .filter(|setup| format!("early warning: {}", setup.name).contains(&args.only))
        .collect();
    if setups.is_empty() {
        return Ok(());
    }
    let seeds = args.seeds.div_ceil(5);
    let tried: Vec<(usize, early::Told)> = side_by_side(args.from, seeds, |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let mut told = Vec::new();
        for climb in early::climbs() {
            for (index, setup) in setups.iter().enumerate() {
                let one = runtime.block_on(early::watch(climb, seed, args.capacity, setup))?;
                if args.all || args.misses && (one.false_alarm || one.fills && one.lead_minutes.is_none()) {
                    writeln!(io::stderr(), "{climb:?}: {} seed {seed}: {one:?}", setup.name)?;
                }
                told.push((index, one));
            }
        }
        Ok(told)
    })?
    .into_iter()
    .flatten()
    .collect();
    writeln!(
        io::stdout(),
        "\nEarly warning, on {} rises over 30 to 90 minutes:\n\n{}",
        seeds * early::climbs().len() as u64,
        early::HEAD
    )?;
    for (index, setup) in setups.iter().enumerate() {
        let of_setup = tried.iter().filter(|(of, _)| *of == index);
        let row = early::Row { setup, told: of_setup.map(|(_, told)| *told).collect() };
        writeln!(io::stdout(), "{row}")?;
    }
    Ok(())
}

/// Works on all seeds, on as many threads as there are processors.
fn side_by_side<T: Send>(
    from: u64,
    seeds: u64,
    work: impl Fn(u64) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let next = AtomicU64::new(from);
    let progress = ProgressBar::new(seeds);
    let done = Mutex::new(Vec::new());
    let run = || -> anyhow::Result<()> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + seeds {
                return Ok(());
            }
            let one = work(seed)?;
            done.lock().expect("no thread panicked").push(one);
            progress.inc(1);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().try_for_each(|thread| thread.join().expect("no thread panicked"))
    })?;
    progress.finish_and_clear();
    Ok(done.into_inner().expect("no thread panicked"))
}

/// All seeds of a case.
fn run(args: &Args, case: Case, seeds: u64, setups: &[Setup]) -> anyhow::Result<Vec<Outcome>> {
    side_by_side(args.from, seeds, |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(Trial { case, seed, capacity: args.capacity }.run(setups))
    })
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
