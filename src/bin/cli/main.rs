//! The command line: arguments in, exit status out. Decisions are made in the library.

// The futures of five SDK clients within one another go deeper than the compiler looks by itself.
#![recursion_limit = "256"]

mod analyze;
mod args;
mod event;
#[cfg(feature = "aws")]
mod live;
mod output;
mod queries;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Task};

/// How to come by a build that can ask AWS.
#[cfg(not(feature = "aws"))]
const INSTALL_WITH_AWS: &str =
    "install it with cargo install --locked --path . --bin nat-triage, without --no-default-features";

/// A diagnosis was made, but from partial input, or it leaves the question open.
const PARTIAL: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked = !error.use_stderr();
            // Nothing is left to report to where the message itself can't be written.
            let _ = error.print();
            return if asked { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            match cli.task {
                Task::Analyze(args) => analyze::run(&args).await,
                Task::Queries(args) => queries::run(&args),
                #[cfg(feature = "aws")]
                Task::Triage(args) => live::run(&args).await,
                #[cfg(feature = "aws")]
                Task::Doctor(args) => live::doctor(&args).await,
                #[cfg(feature = "aws")]
                Task::Watch(args) => live::watch(&args).await,
                #[cfg(feature = "aws")]
                Task::Replay(args) => live::replay(&args).await,
                #[cfg(not(feature = "aws"))]
                Task::Triage { .. } | Task::Doctor { .. } | Task::Watch { .. } | Task::Replay { .. } => {
                    Err(anyhow::anyhow!(
                        "this build leaves AWS out, and so cannot ask a live account: {INSTALL_WITH_AWS}"
                    ))
                }
            }
        })
    });
    match done {
        Ok(output::Outcome::Whole) => ExitCode::SUCCESS,
        Ok(output::Outcome::Partial) => ExitCode::from(PARTIAL),
        #[cfg(feature = "aws")]
        Ok(output::Outcome::Nothing) => ExitCode::FAILURE,
        Err(error) => {
            output::problem(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
