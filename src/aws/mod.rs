//! Everything that touches an AWS SDK: the look-ups, the queries and the topic behind the roles that
//! the rest of the crate names. No SDK type leaves this module but in [`Clients`].

mod alarms;
mod bucket;
mod discovery;
mod errors;
mod flow_logs;
mod insights;
mod log_groups;
mod metrics;
mod owners;
mod quotas;
mod resolver_logs;
mod surroundings;
mod topic;

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_sns::config::ProvideCredentials as _;

pub use alarms::described_alarms;
pub use bucket::ReportBucket;
pub use discovery::{Discovery, Overrides};
pub use insights::{InsightsQueries, LIST_PRICE_USD_PER_GB};
pub use topic::SnsTopic;

/// Longest that one attempt at a call may take. The slowest of them answers within a second or two
/// when all is well; a lost packet must not cost the time that is kept back to publish.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Longest that a call may take with its retries. Callers bound it by the deadline as well.
const CALL: Duration = Duration::from_secs(20);

/// The SDK's settings: Region, credentials and endpoints from where every AWS tool takes them
/// (environment, profile, the function's role), our timeouts, and the SDK's standard retries.
///
/// The behaviour version is pinned, so that an update of the SDK changes no default by itself:
/// this one retries three times in all and gives up a connection after 3.1 s. Retries are not set
/// here, so that `AWS_MAX_ATTEMPTS` and `AWS_RETRY_MODE` keep their meaning.
///
/// Without `AWS_REGION` or a profile the SDK asks the instance metadata service, which takes
/// seconds where there is none. Lambda always sets it.
pub async fn sdk_config() -> SdkConfig {
    let timeouts =
        TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(CALL).build();
    aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(timeouts).load().await
}

/// Why no call can be signed with these settings, and what to do about it; `None` where there are credentials,
/// whether or not AWS takes them.
pub async fn without_credentials(config: &SdkConfig) -> Option<String> {
    let found = match config.credentials_provider() {
        Some(provider) => provider.provide_credentials().await.err().map(|error| error.to_string()),
        None => Some("none are configured".to_owned()),
    };
    found.map(|why| format!("{}; {}", errors::cleaned(&why), errors::SUPPLY_CREDENTIALS))
}

/// A client per service, built once, outside the handler: they share connections and credentials
/// from one invocation to the next.
#[derive(Clone, Debug)]
pub struct Clients {
    /// CloudWatch Logs, for Logs Insights.
    pub logs: aws_sdk_cloudwatchlogs::Client,
    /// EC2, for gateways, VPCs and flow logs.
    pub ec2: aws_sdk_ec2::Client,
    /// CloudWatch, for metrics and for the alarms beneath a composite one.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// Service Quotas, for how many addresses there may be.
    pub quotas: aws_sdk_servicequotas::Client,
    /// Route 53 Resolver, for where the questions of clients are logged.
    pub resolver: aws_sdk_route53resolver::Client,
    /// S3, for what is kept of a report.
    pub s3: aws_sdk_s3::Client,
    /// SNS, for the report.
    pub sns: aws_sdk_sns::Client,
    region: Option<String>,
}

impl Clients {
    /// The clients for these settings.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
            ec2: aws_sdk_ec2::Client::new(config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(config),
            quotas: aws_sdk_servicequotas::Client::new(config),
            resolver: aws_sdk_route53resolver::Client::new(config),
            s3: aws_sdk_s3::Client::new(config),
            sns: aws_sdk_sns::Client::new(config),
            region: config.region().map(ToString::to_string),
        }
    }

    /// The Region that is asked, where one is set.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }
}

/// A count that an API gives as a floating-point number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and counts are not negative"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
