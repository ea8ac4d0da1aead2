//! The Lambda function: logs, configuration and clients once, then one story per event.

// The futures of five SDK clients within one another go deeper than the compiler looks by itself.
#![recursion_limit = "256"]

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;
use tracing_subscriber::EnvFilter;

use nat_triage::aws::{self, Clients};
use nat_triage::config::Config;
use nat_triage::deadline::{Clock, Deadline};
use nat_triage::service::{Failure, Service, Time};

/// Crates that write requests with their signatures and session tokens into their own logs, at the finer levels.
const QUIET: [&str; 8] = [
    "aws_config",
    "aws_runtime",
    "aws_sigv4",
    "aws_smithy_http_client",
    "aws_smithy_runtime",
    "aws_smithy_runtime_api",
    "h2",
    "hyper",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let filter = EnvFilter::try_from_env("AWS_LAMBDA_LOG_LEVEL")
        .or_else(|_| EnvFilter::try_from_default_env())
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = QUIET.iter().fold(filter, |filter, name| {
        filter.add_directive(format!("{name}=info").parse().expect("names of crates make a directive"))
    });
    tracing_subscriber::fmt().json().with_env_filter(filter).with_current_span(false).init();
    let config = Config::from_env()?;
    let service = Service::new(config, Clients::new(&aws::sdk_config(aws::Chosen::default()).await));
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| handle(&service, event))).await
}

async fn handle(service: &Service, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let time = Time {
        clock: Clock::showing(jiff::Timestamp::now()),
        deadline: Deadline::of_invocation(event.context.deadline, now_ms),
    };
    let answered = service.on_event(time, &event.payload).await;
    // CloudWatch makes metrics of lines that hold nothing else: they go past the log's own format.
    let mut out = std::io::stdout().lock();
    for line in service.take_measurements() {
        let _ = writeln!(out, "{line}");
    }
    answered.map_err(|failure| {
        tracing::error!(error = failure.chain(), "no report went out");
        diagnostic(&failure)
    })
}

/// What Lambda, and so the dead-letter queue, is told: the whole chain, which the stock conversion
/// cuts to its outermost text.
fn diagnostic(failure: &Failure) -> Diagnostic {
    Diagnostic { error_type: failure.kind().to_owned(), error_message: failure.chain() }
}
