//! The metrics of a NAT gateway that a diagnosis reasons with.
//!
//! Source: "NAT gateway metrics and dimensions" in the Amazon VPC user guide.

use std::fmt;

/// A metric's name in CloudWatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricName {
    /// Connections that got no port.
    ErrorPortAllocation,
    /// Connections at once, to all destinations together.
    ActiveConnectionCount,
    /// Attempts to connect, those that got no answer among them.
    ConnectionAttemptCount,
    /// Attempts that became connections.
    ConnectionEstablishedCount,
    /// Connections that idled until the gateway let go of them.
    IdleTimeoutCount,
}

impl MetricName {
    /// As CloudWatch spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ErrorPortAllocation => "ErrorPortAllocation",
            Self::ActiveConnectionCount => "ActiveConnectionCount",
            Self::ConnectionAttemptCount => "ConnectionAttemptCount",
            Self::ConnectionEstablishedCount => "ConnectionEstablishedCount",
            Self::IdleTimeoutCount => "IdleTimeoutCount",
        }
    }

    /// The statistic that means something for it.
    #[must_use]
    pub fn statistic(self) -> &'static str {
        match self {
            Self::ActiveConnectionCount => "Maximum",
            Self::ErrorPortAllocation
            | Self::ConnectionAttemptCount
            | Self::ConnectionEstablishedCount
            | Self::IdleTimeoutCount => "Sum",
        }
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
