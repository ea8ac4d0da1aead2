//! Every query that we can ask is one that the language has.

use nat_triage::evidence::insights::{Question, Scope};
use nat_triage::evidence::{Steps, Viewpoint};
use nat_triage::flow::LogFormat;
use nat_triage::incident::TimeWindow;
use nat_triage::network::{GatewayKind, NatAddress, NatGateway, TrafficType};

const FORMATS: [&str; 5] = [
    "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}",
    "pkt-dstaddr pkt-srcaddr srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status tcp-flags interface-id",
    "srcaddr dstaddr srcport dstport protocol start end",
    "pkt-srcaddr pkt-dstaddr srcport dstport protocol start end log-status",
    "resource-id srcaddr dstaddr srcport dstport protocol start end action flow-direction tcp-flags",
];

fn gateway(kind: GatewayKind) -> NatGateway {
    NatGateway {
        id: "nat-0123456789abcdef0".parse().ok(),
        kind,
        addresses: vec![NatAddress {
            private: "10.0.0.220".parse().ok(),
            public: "198.51.100.7".parse().ok(),
            zone: None,
            usable: true,
        }],
        interface_ids: vec!["eni-0123456789abcdef0".parse().expect("valid")],
        vpc_cidrs: vec!["10.0.0.0/16".parse().expect("valid"), "2600:1f18::/56".parse().expect("valid")],
        ..NatGateway::default()
    }
}

#[test]
fn every_query_of_every_format_kind_and_scope_is_understood() {
    let window: TimeWindow = "2026-11-18T02:00:00Z/2026-11-18T02:14:00Z".parse().expect("valid");
    let mut understood = 0;
    for format in FORMATS {
        let format: LogFormat = format.parse().expect("valid");
        for kind in [GatewayKind::Zonal, GatewayKind::Private, GatewayKind::Regional] {
            let gateway = gateway(kind);
            let viewpoint = Viewpoint::of(&gateway);
            let question = Question {
                viewpoint: &viewpoint,
                format: &format,
                log_groups: &[],
                window,
                lead: 410,
                steps: Steps::over(window),
                kept_from: None,
            };
            let server = "203.0.113.10".parse().expect("valid");
            let mut scopes = vec![
                Scope::Streams(gateway.interface_ids.clone(), TrafficType::All),
                Scope::Interfaces(Vec::new()),
                Scope::Clients(vec![server]),
            ];
            if format.has(nat_triage::flow::Field::InterfaceId) {
                scopes.push(Scope::Interfaces(gateway.interface_ids.clone()));
            }
            if format.has(nat_triage::flow::Field::ResourceId) {
                scopes.push(Scope::Gateway);
            }
            for scope in scopes {
                let query = question.query("held ports", &scope).expect("askable");
                if let Err(refused) = insights_server::Query::parse(&query.text) {
                    panic!("{kind:?} {scope:?} {format:?}: {refused}\n{}", query.text);
                }
                understood += 1;
            }
        }
    }
    assert!(understood >= 45, "only {understood}");
}
