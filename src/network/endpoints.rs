//! Ways to AWS services that pass by the gateway: managed prefix lists with their gateway endpoints,
//! and interface endpoints.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A service that has gateway endpoints.
///
/// Source: "Gateway endpoints" in the AWS `PrivateLink` guide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GatewayService {
    /// Amazon S3.
    S3,
    /// Amazon S3 Express One Zone, whose endpoint is one of its own.
    S3Express,
    /// Amazon `DynamoDB`.
    DynamoDb,
}

impl GatewayService {
    /// As AWS writes its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "Amazon S3",
            Self::S3Express => "Amazon S3 Express One Zone",
            Self::DynamoDb => "Amazon DynamoDB",
        }
    }
}

/// A managed prefix list: the address ranges that one service answers from in one Region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PrefixList {
    /// Its id, `pl-…`.
    pub id: String,
    /// Its name, such as `com.amazonaws.us-east-1.s3`: also the name of the service that a gateway
    /// endpoint is made for.
    pub name: String,
    /// Its ranges.
    #[schemars(with = "Vec<String>")]
    pub ranges: Vec<IpNet>,
}

impl PrefixList {
    /// The Region that its name says it is of: the last part but one.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.name.rsplit('.').nth(1)
    }

    /// The service with gateway endpoints that its name says it is of, by the last part. Lists that
    /// customers make have names of their own, never with such a prefix.
    ///
    /// Source: "AWS-managed prefix lists" in the Amazon VPC user guide.
    #[must_use]
    pub fn service(&self) -> Option<GatewayService> {
        if !self.name.split('.').any(|part| part == "amazonaws") {
            return None;
        }
        match self.name.rsplit('.').next()? {
            "s3" => Some(GatewayService::S3),
            "s3express" => Some(GatewayService::S3Express),
            "dynamodb" => Some(GatewayService::DynamoDb),
            _ => None,
        }
    }
}

/// A gateway endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GatewayEndpoint {
    /// Its id, `vpce-…`.
    pub id: String,
    /// The service it leads to, such as `com.amazonaws.us-east-1.s3`.
    pub service_name: String,
    /// The VPC it is in.
    pub vpc_id: String,
    /// Its state, such as `available`.
    pub state: String,
    /// The route tables that have its route.
    pub route_table_ids: Vec<String>,
}

impl GatewayEndpoint {
    /// Whether it works, or is about to.
    #[must_use]
    pub fn stands(&self) -> bool {
        stands(&self.state)
    }
}

/// A service that interface endpoints can be made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EndpointService {
    /// Its name, such as `com.amazonaws.eu-west-1.sqs`.
    pub service_name: String,
    /// The host names that an endpoint with private DNS answers for; `*.` stands for any labels.
    pub private_dns_names: Vec<String>,
}

impl EndpointService {
    /// Whether an endpoint with private DNS would answer for this host name.
    #[must_use]
    pub fn answers_for(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.private_dns_names.iter().any(|name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            match name.strip_prefix('*') {
                Some(rest) => {
                    rest.starts_with('.') && host.strip_suffix(rest).is_some_and(|labels| !labels.is_empty())
                }
                None => host == name,
            }
        })
    }
}

/// An interface endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InterfaceEndpoint {
    /// Its id, `vpce-…`.
    pub id: String,
    /// The service it leads to.
    pub service_name: String,
    /// The VPC it is in.
    pub vpc_id: String,
    /// Its state, such as `available`.
    pub state: String,
    /// Whether the service's own names lead to it within the VPC.
    pub private_dns_enabled: bool,
}

impl InterfaceEndpoint {
    /// Whether it works, or is about to.
    #[must_use]
    pub fn stands(&self) -> bool {
        stands(&self.state)
    }
}

/// EC2 writes the states of endpoints in either case.
fn stands(state: &str) -> bool {
    ["available", "pending", "pendingacceptance"].iter().any(|up| state.eq_ignore_ascii_case(up))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lists_name_tells_its_service_and_region() {
        let of = |name: &str| {
            let list = PrefixList { name: name.into(), ..PrefixList::default() };
            (list.service(), list.region().map(ToOwned::to_owned))
        };
        assert_eq!(of("com.amazonaws.us-east-1.s3"), (Some(GatewayService::S3), Some("us-east-1".into())));
        assert_eq!(of("com.amazonaws.eu-west-1.dynamodb").0, Some(GatewayService::DynamoDb));
        assert_eq!(of("com.amazonaws.eu-west-1.s3express").0, Some(GatewayService::S3Express));
        assert_eq!(of("com.amazonaws.global.cloudfront.origin-facing").0, None);
        assert_eq!(of("our.partners.s3").0, None);
        assert_eq!(of("s3"), (None, None));
    }

    #[test]
    fn a_wildcard_answers_only_for_what_is_below_it() {
        let service = EndpointService {
            service_name: "com.amazonaws.eu-west-1.ecr.dkr".into(),
            private_dns_names: vec!["*.dkr.ecr.eu-west-1.amazonaws.com".into(), "sqs.example.com".into()],
        };
        for host in [
            "1234.dkr.ecr.eu-west-1.amazonaws.com.",
            "SQS.example.com",
            "a.b.dkr.ecr.eu-west-1.amazonaws.com",
        ] {
            assert!(service.answers_for(host), "{host}");
        }
        for host in
            ["dkr.ecr.eu-west-1.amazonaws.com", "xdkr.ecr.eu-west-1.amazonaws.com", "a.sqs.example.com", ""]
        {
            assert!(!service.answers_for(host), "{host}");
        }
    }
}
