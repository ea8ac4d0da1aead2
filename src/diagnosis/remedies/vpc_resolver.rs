//! Asking the VPC's own resolver instead of a public name server.

use super::{Offer, Offered, Rule, Shortage, Worth};
use crate::contract::{Confidence, Remedy, RemedyId, When};
use crate::evidence::TCP;
use crate::network::is_private;

pub(super) const RULE: Rule = Rule {
    ids: &[RemedyId::UseVpcResolver],
    when: "later",
    offered: "the destination is port 53 on a public resolver",
    why: "queries to the VPC's own resolver never pass the gateway",
    caution: "a change in the clients' settings",
    offer: Offered::Shortage(use_vpc_resolver),
};

/// The port of DNS, over UDP and over TCP. Not that of DNS over TLS, 853: the VPC's resolver does not
/// speak it to clients, and whoever uses it wants that server and no other.
const DNS: u16 = 53;
const UDP: u8 = 17;

fn use_vpc_resolver(shortage: &Shortage<'_>) -> Option<Offer> {
    let top = shortage.top;
    let dns = top.destination.port == DNS && matches!(top.destination.protocol, TCP | UDP);
    (dns && !is_private(top.address)).then(|| Offer {
        worth: Worth::Solves,
        headroom: Some(shortage.headroom(1.0, shortage.capacity)),
        remedy: Remedy {
            id: RemedyId::UseVpcResolver,
            title: "Ask the VPC's own resolver".into(),
            when: When::Later,
            condition: None,
            why: format!("{} is a name server outside the VPC, and every query to it takes a port.", top.label()),
            effect: "Queries to the VPC's resolver (the VPC's base address plus two, or 169.254.169.253) never pass the gateway.".into(),
            commands: shortage.who_holds_most(),
            hazards: vec![
                "This is a change in the clients' settings, or in the VPC's DHCP options. Clients take the options up when they renew their leases.".into(),
                "Names that only the outside server knows need a forwarding rule first.".into(),
                "The resolver takes 1,024 packets a second from each network interface.".into(),
            ],
            monthly_cost_usd: None,
            confidence: Confidence::High,
        },
    })
}
