//! Everything that touches an AWS SDK: the look-ups, the queries and the topic behind the roles that
//! the rest of the crate names. No SDK type leaves this module but in [`Clients`].

mod alarms;
mod athena;
mod bucket;
mod buckets;
mod changes;
mod discovery;
pub(crate) mod doctor;
mod errors;
mod event_bus;
mod fleet;
mod flow_logs;
mod function;
mod insights;
mod log_groups;
mod metrics;
mod owners;
mod quotas;
mod resolver_logs;
mod surroundings;
mod topic;

use std::time::Duration;

pub use aws_config::SdkConfig;
use aws_config::default_provider::region::DefaultRegionChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sns::config::ProvideCredentials as _;

pub use alarms::described_alarms;
pub use athena::AthenaQueries;
pub use bucket::ReportBucket;
pub use buckets::BucketObjects;
pub use discovery::{Discovery, Overrides};
pub use event_bus::put_event;
pub(crate) use fleet::{connections_of, weeks_of};
pub use function::invoke_later;
pub(crate) use function::try_invoking;
pub use insights::{BYTES_OF_GIB, Budget, InsightsQueries, LIST_PRICE_USD_PER_GB};
pub(crate) use metrics::errors_of;
pub use topic::SnsTopic;

/// Longest that one attempt at a call may take. The slowest of them answers within a second or two
/// when all is well; a lost packet must not cost the time that is kept back to publish.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Longest that a call may take with its retries. Callers bound it by the deadline as well.
const CALL: Duration = Duration::from_secs(20);

/// What a caller chose of the settings that the environment gives otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// A profile of the AWS configuration files.
    pub profile: Option<String>,
    /// The Region to ask.
    pub region: Option<String>,
}

/// The SDK's settings: Region, credentials and endpoints from where every AWS tool takes them
/// (environment, profile, the function's role), our timeouts, and the SDK's standard retries.
///
/// The behaviour version is pinned, so that an update of the SDK changes no default by itself:
/// this one retries three times in all and gives up a connection after 3.1 s. Retries are not set
/// here, so that `AWS_MAX_ATTEMPTS` and `AWS_RETRY_MODE` keep their meaning.
///
/// Without `AWS_REGION` or a profile the SDK asks the instance metadata service, which takes
/// seconds where there is none. Lambda always sets it.
pub async fn sdk_config(chosen: Chosen) -> SdkConfig {
    let timeouts =
        TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(CALL).build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(timeouts);
    if let Some(profile) = chosen.profile {
        // The AWS CLI does so too: a profile that is named wins over keys in the environment.
        let region = match &chosen.region {
            Some(region) => Some(Region::new(region.clone())),
            None => DefaultRegionChain::builder().profile_name(&profile).build().region().await,
        };
        // A profile that assumes a role asks STS in this Region.
        let settings = ProviderConfig::without_region().with_region(region);
        let credentials =
            ProfileFileCredentialsProvider::builder().configure(&settings).profile_name(&profile).build();
        loader = loader.profile_name(profile).credentials_provider(credentials);
    }
    if let Some(region) = chosen.region {
        loader = loader.region(Region::new(region));
    }
    loader.load().await
}

/// Why no call can be signed with these settings, and what to do about it; `None` where there are credentials,
/// whether or not AWS takes them.
///
/// `profile` is the one in use, if any, for the command that renews its login.
pub async fn without_credentials(config: &SdkConfig, profile: Option<&str>) -> Option<String> {
    let Some(provider) = config.credentials_provider() else {
        return Some(format!("none are configured; {}", errors::SUPPLY_CREDENTIALS));
    };
    let error = provider.provide_credentials().await.err()?;
    Some(errors::without_credentials(&error, profile))
}

/// A client per service, built once, outside the handler: they share connections and credentials
/// from one invocation to the next.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Athena, for flow logs in S3 that are too large to read in place.
    pub athena: aws_sdk_athena::Client,
    /// CloudWatch Logs, for Logs Insights.
    pub logs: aws_sdk_cloudwatchlogs::Client,
    /// EC2, for gateways, VPCs and flow logs.
    pub ec2: aws_sdk_ec2::Client,
    /// CloudTrail, for what was changed before.
    pub cloudtrail: aws_sdk_cloudtrail::Client,
    /// CloudWatch, for metrics and for the alarms beneath a composite one.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// EventBridge, for the bus that gets each message.
    pub events: aws_sdk_eventbridge::Client,
    /// Lambda, for the function's next invocation.
    pub lambda: aws_sdk_lambda::Client,
    /// Service Quotas, for how many addresses there may be.
    pub quotas: aws_sdk_servicequotas::Client,
    /// Route 53 Resolver, for where the questions of clients are logged.
    pub resolver: aws_sdk_route53resolver::Client,
    /// S3, for flow logs that are there and for what is kept of a report.
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
            athena: aws_sdk_athena::Client::new(config),
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
            ec2: aws_sdk_ec2::Client::new(config),
            cloudtrail: aws_sdk_cloudtrail::Client::new(config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(config),
            events: aws_sdk_eventbridge::Client::new(config),
            lambda: aws_sdk_lambda::Client::new(config),
            quotas: aws_sdk_servicequotas::Client::new(config),
            resolver: aws_sdk_route53resolver::Client::new(config),
            s3: aws_sdk_s3::Client::new(config),
            sns: aws_sdk_sns::Client::new(config),
            region: config.region().map(ToString::to_string),
        }
    }

    /// Clients that reach nobody: nothing listens on port 1 of this machine.
    #[cfg(test)]
    pub(crate) fn reaching_nobody() -> Self {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .endpoint_url("http://127.0.0.1:1")
            .build();
        Self::new(&config)
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
