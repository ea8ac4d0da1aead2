//! Where the Route 53 Resolver writes down what a VPC's clients ask it, in CloudWatch Logs.

use aws_sdk_route53resolver::Client;
use aws_sdk_route53resolver::types::Filter;
use futures_util::future::join_all;

use super::errors::{Failure, Kind, listed, within};
use crate::deadline::Deadline;
use crate::gap::Gap;

const ASSOCIATIONS: &str = "route53resolver:ListResolverQueryLogConfigAssociations";
const CONFIG: &str = "route53resolver:GetResolverQueryLogConfig";

const WHAT: &str = "where the host names are logged that clients ask for";

/// The log groups, as ARNs, that a VPC's queries are written to; none is the usual case, and no gap.
pub(super) async fn log_groups(
    client: &Client,
    vpc: &str,
    deadline: Deadline,
) -> (Option<Vec<String>>, Option<Gap>) {
    let of_vpc = Filter::builder().name("ResourceId").values(vpc).build();
    let pages = client.list_resolver_query_log_config_associations().filters(of_vpc).into_paginator().items();
    let associations = match listed(deadline, ASSOCIATIONS, WHAT, pages.send().try_collect()).await {
        Ok(associations) => associations,
        Err(gap) => return (None, Some(gap)),
    };
    // Not every stand-in for the service filters.
    let own = associations.iter().filter(|association| association.resource_id() == Some(vpc));
    let mut configs: Vec<&str> = own.filter_map(|a| a.resolver_query_log_config_id()).collect();
    configs.sort_unstable();
    configs.dedup();
    let destinations = join_all(configs.into_iter().map(|id| destination(client, id, deadline))).await;
    let (mut groups, mut gap) = (Vec::new(), None);
    for destination in destinations {
        match destination {
            Ok(destination) => groups.extend(destination.as_deref().and_then(log_group)),
            // Gone since it was listed.
            Err(failure) if failure.kind == Kind::NotFound => {}
            Err(failure) => gap = Some(failure.gap(WHAT, "*")),
        }
    }
    (Some(groups), gap)
}

async fn destination(client: &Client, id: &str, deadline: Deadline) -> Result<Option<String>, Failure> {
    let request = client.get_resolver_query_log_config().resolver_query_log_config_id(id);
    let answer =
        within(deadline, CONFIG, async { request.send().await.map_err(|error| Failure::of(CONFIG, &error)) });
    Ok(answer.await?.resolver_query_log_config.and_then(|config| config.destination_arn))
}

/// The ARN of a log group as `StartQuery` takes it; queries may go to a bucket or a stream as well.
fn log_group(arn: &str) -> Option<String> {
    let is_group = arn.split(':').nth(2) == Some("logs") && arn.contains(":log-group:");
    is_group.then(|| arn.trim_end_matches(":*").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_group_is_told_from_a_bucket() {
        assert_eq!(
            log_group("arn:aws:logs:eu-west-1:123456789012:log-group:/dns/queries:*").as_deref(),
            Some("arn:aws:logs:eu-west-1:123456789012:log-group:/dns/queries")
        );
        assert_eq!(log_group("arn:aws:s3:::dns-queries"), None);
        assert_eq!(log_group("arn:aws:firehose:eu-west-1:123456789012:deliverystream/dns"), None);
    }
}
