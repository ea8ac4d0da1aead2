//! Whether addresses can be added to a gateway tonight, or a quota stands before it.

use super::{Check, Examined, Row, Tonight, name_of};
use crate::diagnosis::raise_quota;
use crate::network::{GatewayKind, Provenance, Quotas};
use crate::words::counted;

/// The row of a zonal public gateway; `None` where its quotas were not asked for. A quota in the way costs no diagnosis; it costs minutes to
/// days when the diagnosis says to add addresses.
pub(super) fn row(examined: &Examined, region: Option<&str>) -> Option<Row> {
    let gateway = &examined.network.gateway;
    if gateway.kind != GatewayKind::Zonal || gateway.provenance != Provenance::LookedUp {
        return None;
    }
    let quotas = examined.network.quotas?;
    let (per_gateway, whose) = match quotas.addresses_per_gateway {
        Some(quota) => (quota, "its quota"),
        None => (Quotas::DEFAULT_ADDRESSES_PER_GATEWAY, "the default quota"),
    };
    let most = per_gateway.min(Quotas::MAX_ADDRESSES_PER_GATEWAY);
    let has = u32::try_from(gateway.addresses.len()).unwrap_or(u32::MAX);
    let of_region = quotas.elastic_ips.zip(quotas.elastic_ips_in_use);
    let says = format!(
        "{} of the {most} that {whose} allows{}",
        counted(u64::from(has), "address"),
        of_region.map_or_else(String::new, |(most, used)| {
            format!("; {used} of the Region's {most} Elastic IP addresses are in use")
        })
    );
    let fix = match of_region {
        _ if has >= Quotas::MAX_ADDRESSES_PER_GATEWAY => None,
        _ if has >= most => Some(raise_quota(Quotas::PER_GATEWAY, Quotas::MAX_ADDRESSES_PER_GATEWAY, region)),
        Some((most, used)) if used >= most => {
            let more = Quotas::MAX_ADDRESSES_PER_GATEWAY.saturating_sub(has);
            Some(raise_quota(Quotas::PER_REGION, used.saturating_add(more), region))
        }
        _ => None,
    };
    let about = name_of(examined);
    Some(match fix {
        None => Row::good(about, Check::Room, says),
        Some(fix) => Row::bad(
            about,
            Check::Room,
            Tonight::Full,
            format!("{says}: none can be added before a quota is raised"),
            fix,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Reading;
    use crate::network::{NatAddress, NatGateway, Network};

    fn fix_of(addresses: usize, per_gateway: u32, elastic_ips: u32, in_use: u32) -> Option<String> {
        let gateway = NatGateway {
            kind: GatewayKind::Zonal,
            provenance: Provenance::LookedUp,
            addresses: vec![NatAddress { private: None, public: None, zone: None, usable: true }; addresses],
            ..NatGateway::default()
        };
        let quotas = Quotas {
            addresses_per_gateway: Some(per_gateway),
            elastic_ips: Some(elastic_ips),
            elastic_ips_in_use: Some(in_use),
        };
        let network = Network { gateway, quotas: Some(quotas), ..Network::default() };
        let examined = Examined { network, gaps: Vec::new(), reading: Reading::default(), probe: None };
        let row = row(&examined, Some("eu-west-1")).expect("known");
        assert_eq!(row.tonight, Tonight::Full, "a quota costs no diagnosis");
        row.fix
    }

    #[test]
    fn a_quota_in_the_way_is_raised_by_its_own_command() {
        assert_eq!(fix_of(1, 2, 5, 3), None);
        assert_eq!(fix_of(8, 8, 5, 5), None, "a gateway can have no more");
        let raise = |service, code, to| {
            format!(
                "aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code} --desired-value {to} --region eu-west-1"
            )
        };
        assert_eq!(fix_of(2, 2, 5, 3), Some(raise("vpc", "L-5F53652F", 8)));
        assert_eq!(fix_of(1, 2, 5, 5), Some(raise("ec2", "L-0263D0A3", 12)));
    }

    #[test]
    fn without_quotas_the_room_is_not_told() {
        let network = Network::default();
        let examined = Examined { network, gaps: Vec::new(), reading: Reading::default(), probe: None };
        assert_eq!(row(&examined, None), None);
    }
}
