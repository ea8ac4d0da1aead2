//! How many addresses the account may have, and has.

use aws_sdk_servicequotas::error::ProvideErrorMetadata as _;

use super::Clients;
use super::errors::{Failure, within};
use crate::deadline::Deadline;
use crate::gap::Gap;
use crate::network::{Quota, Quotas};

const QUOTA: &str = "servicequotas:GetServiceQuota";
const ADDRESSES: &str = "ec2:DescribeAddresses";

const WHAT: &str = "how many more addresses the account may have";

/// What may be, and what there is, side by side. What could not be asked for is left open.
pub(super) async fn quotas(clients: &Clients, deadline: Deadline) -> (Quotas, Vec<Gap>) {
    let (per_gateway, per_region, in_use) = tokio::join!(
        quota(clients, Quotas::PER_GATEWAY, deadline),
        quota(clients, Quotas::PER_REGION, deadline),
        in_use(clients, deadline),
    );
    let mut gaps: Vec<Gap> = Vec::new();
    // Two refusals of one call say the same.
    let mut kept = |found: Result<Option<u32>, Failure>| {
        found.unwrap_or_else(|failure| {
            let gap = failure.gap(WHAT, "*");
            if gaps.iter().all(|known| known.fix != gap.fix) {
                gaps.push(gap);
            }
            None
        })
    };
    let quotas = Quotas {
        addresses_per_gateway: kept(per_gateway),
        elastic_ips: kept(per_region),
        elastic_ips_in_use: kept(in_use),
    };
    (quotas, gaps)
}

/// The quota as it applies to the account; `None` where nobody raised it and the service knows no value of
/// its own for the account.
async fn quota(clients: &Clients, quota: Quota, deadline: Deadline) -> Result<Option<u32>, Failure> {
    let request = clients.quotas.get_service_quota().service_code(quota.service).quota_code(quota.code);
    let answer = within(deadline, QUOTA, async {
        match request.send().await {
            Ok(output) => Ok(output.quota.and_then(|quota| quota.value)),
            Err(error) if error.code() == Some("NoSuchResourceException") => Ok(None),
            Err(error) => Err(Failure::of(QUOTA, &error)),
        }
    });
    Ok(answer.await?.filter(|value| *value >= 0.0).map(|value| value as u32))
}

/// Elastic IP addresses that the account has in the Region. They come in one answer, without pages.
async fn in_use(clients: &Clients, deadline: Deadline) -> Result<Option<u32>, Failure> {
    let request = clients.ec2.describe_addresses();
    let answer = within(deadline, ADDRESSES, async {
        request.send().await.map_err(|error| Failure::of(ADDRESSES, &error))
    });
    Ok(u32::try_from(answer.await?.addresses().len()).ok())
}
