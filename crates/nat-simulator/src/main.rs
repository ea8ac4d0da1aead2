//! `nat-simulator`: writes the repository's sample, or a random incident for a look.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use nat_simulator::{Incident, LogFormat, Scale, View, sample};

const USAGE: &str = "\
usage: nat-simulator sample --out DIRECTORY
           writes leak.log.zst and README.md
       nat-simulator random --seed N [--capacity PORTS] [--format FIELDS] [--aggregation 60|600] [--vpc]
           prints an incident's records (the gateway's own flow log, or with --vpc all of them)
           with a header line, and its truth to stderr; --format is v2, v3, v5, v11, recommended
           or a list of fields
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["sample", "--out", directory] => write_sample(Path::new(directory)),
        ["random", options @ ..] => print_random(options),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if stderr is closed too.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn write_sample(directory: &Path) -> Result<(), Box<dyn Error>> {
    let sample = sample::sample()?;
    fs::create_dir_all(directory)?;
    fs::write(directory.join(sample::LOG_FILE), &sample.log)?;
    fs::write(directory.join(sample::README_FILE), &sample.readme)?;
    Ok(())
}

fn print_random(options: &[&str]) -> Result<(), Box<dyn Error>> {
    let (mut seed, mut scale, mut format) = (None, Scale::Full, LogFormat::v3_pkt());
    let (mut aggregation_s, mut vpc) = (60, false);
    let mut options = options.iter();
    while let Some(&option) = options.next() {
        let mut value = || options.next().copied().ok_or_else(|| format!("{option} needs a value"));
        match option {
            "--seed" => seed = Some(value()?.parse()?),
            "--capacity" => scale = Scale::Reduced { capacity: value()?.parse()? },
            "--aggregation" => aggregation_s = value()?.parse()?,
            "--vpc" => vpc = true,
            "--format" => {
                format = match value()? {
                    "v2" => LogFormat::v2_default(),
                    "v3" => LogFormat::v3_pkt(),
                    "v5" => LogFormat::v5(),
                    "v11" => LogFormat::v11(),
                    "recommended" => LogFormat::recommended(),
                    fields => LogFormat::parse(fields)?,
                }
            }
            _ => return Err(format!("{option} is unknown\n{USAGE}").into()),
        }
    }
    let incident = Incident::random(seed.ok_or("--seed is needed")?, scale);
    let simulation = incident.simulate();
    let whole = if vpc { View::of_vpc(format) } else { View::of_gateway(&incident, format) };
    let view = View { aggregation_s, ..whole };
    let mut out = io::BufWriter::new(io::stdout().lock());
    simulation.write_text(&view, &mut out)?;
    out.flush()?;

    let truth = simulation.truth();
    let mut err = io::stderr().lock();
    let exhausted = truth.exhausted.map_or("nothing".to_owned(), |triple| triple.to_string());
    writeln!(err, "pattern {}, exhausted {exhausted}, refused {}", truth.pattern, truth.refused)?;
    writeln!(err, "{:?}", simulation.facts())?;
    for destination in truth.destinations.iter().take(5) {
        let (triple, peak, capacity) = (destination.triple, destination.peak, destination.capacity);
        writeln!(err, "{triple} peak {peak} of {capacity}")?;
        for client in destination.clients.iter().take(5) {
            writeln!(err, "    {} held {} refused {}", client.address, client.held, client.refused)?;
        }
    }
    Ok(())
}
