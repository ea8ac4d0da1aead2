//! Whose the clients' addresses were, by the records of the clients' own interfaces: what held then, where
//! a look-up tells what holds now.

use std::collections::BTreeMap;
use std::net::IpAddr;

use percent_encoding::percent_decode;

use super::{PortRecord, Side};
use crate::flow::record::{FlowRecord, OwnerFields};
use crate::network::{Handles, Owner, OwnerKind, OwnerSource};
use crate::words::one_line;

/// Longest value of one field that is kept.
const VALUE: usize = 120;

/// Owners of clients' addresses, the first that a record tells of each.
#[derive(Debug, Default)]
pub(super) struct RecordedOwners {
    by_client: BTreeMap<IpAddr, Owner>,
}

impl RecordedOwners {
    /// Takes what one record of a client's own interface says of it. Where the packet is another's (a node's
    /// pods, an appliance's clients), it says nothing of that one.
    pub(super) fn note(&mut self, seen: &PortRecord, record: &FlowRecord<'_>) {
        if seen.side != Side::AtClient || self.by_client.contains_key(&seen.holder) {
            return;
        }
        let packets_holder = if seen.outward { record.pkt_src } else { record.pkt_dst };
        if packets_holder.is_some_and(|address| address != seen.holder) {
            return;
        }
        if let Some((kind, name)) = named(&record.owner) {
            let owner = Owner {
                address: seen.holder,
                kind,
                name: one_line(&name, 2 * VALUE),
                zone: None,
                source: OwnerSource::FlowLog,
                handles: handles(&record.owner),
            };
            self.by_client.insert(seen.holder, owner);
        }
    }

    /// Adds them to those that are known, which stay.
    pub(super) fn add_to(self, owners: &mut Vec<Owner>) {
        for (address, owner) in self.by_client {
            if owners.iter().all(|known| known.address != address) {
                owners.push(owner);
            }
        }
    }
}

fn named(fields: &OwnerFields<'_>) -> Option<(OwnerKind, String)> {
    let tags: Vec<String> = fields.tags.iter().flatten().map(|tag| text(tag)).collect();
    let tagged = if tags.is_empty() { String::new() } else { format!(", tagged {}", tags.join(" and ")) };
    let instance = fields.instance.map(|id| format!("{}{tagged}", text(id)));
    if let Some(task) = fields.ecs_service.or(fields.ecs_task) {
        let cluster = fields.ecs_cluster.map_or(String::new(), |c| format!(" in the cluster {}", text(c)));
        return Some((OwnerKind::EcsTask, format!("an ECS task of {}{cluster}{tagged}", text(task))));
    }
    if let Some(instance) = instance {
        return Some((OwnerKind::Instance, instance));
    }
    (!tags.is_empty()).then(|| (OwnerKind::Interface, format!("an interface{tagged}")))
}

/// What the fields tell of the ids and names that calls take. Tags have names of their own, which say nothing.
fn handles(fields: &OwnerFields<'_>) -> Handles {
    let told = |field: Option<&[u8]>| field.map(text);
    Handles {
        instance_id: told(fields.instance),
        ecs_cluster: told(fields.ecs_cluster),
        ecs_service: told(fields.ecs_service),
        ecs_task: told(fields.ecs_task),
        ..Handles::default()
    }
}

/// A field's value. Flow logs write values of tags percent-encoded, hyphens too.
fn text(value: &[u8]) -> String {
    one_line(&percent_decode(value).decode_utf8_lossy(), VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Viewpoint;
    use crate::flow::{Line, LineParser, LogFormat};
    use crate::network::{NatAddress, NatGateway};

    const FORMAT: &str = "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status pkt-srcaddr pkt-dstaddr instance-id ecs-cluster-name ecs-service-name instance-tag asg-tag";

    /// The owners that records, from the eight addresses and owner fields of each, tell.
    fn owners(lines: &[&str]) -> Vec<(String, OwnerKind, String)> {
        let gateway = NatGateway {
            addresses: vec![NatAddress {
                private: "10.0.0.220".parse().ok(),
                public: None,
                zone: None,
                usable: true,
            }],
            interface_ids: vec!["eni-0123456789abcdef0".parse().expect("valid")],
            ..NatGateway::default()
        };
        let viewpoint = Viewpoint::of(&gateway);
        let parser = LineParser::new(&FORMAT.parse::<LogFormat>().expect("a format"));
        let mut recorded = RecordedOwners::default();
        for line in lines {
            let fields: Vec<&str> = line.split(' ').collect();
            let [interface, src, dst, pkt_src, pkt_dst, owner @ ..] = &fields[..] else { panic!("{line}") };
            let (ports, owner) =
                (if src.starts_with("10.") { "1025 443" } else { "443 1025" }, owner.join(" "));
            let line =
                format!("{interface} {src} {dst} {ports} 6 1 1 1 2 ACCEPT OK {pkt_src} {pkt_dst} {owner}");
            let Ok(Line::Record(record)) = parser.parse(line.as_bytes()) else { panic!("{line}") };
            if let Some(seen) = viewpoint.classify(&record) {
                recorded.note(&seen, &record);
            }
        }
        let mut owners = Vec::new();
        recorded.add_to(&mut owners);
        owners.into_iter().map(|owner| (owner.address.to_string(), owner.kind, owner.name)).collect()
    }

    const OWN: &str = "eni-0aaaaaaaaaaaaaaaa";
    const GATEWAYS: &str = "eni-0123456789abcdef0";

    #[test]
    fn the_records_of_a_clients_own_interface_tell_whose_it_was() {
        let out = format!("{OWN} 10.0.1.5 203.0.113.5 10.0.1.5 203.0.113.5 i-0abc - - check%2Dout blue");
        let back = format!("{OWN} 203.0.113.5 10.0.1.6 203.0.113.5 10.0.1.6 - prod checkout - -");
        assert_eq!(
            owners(&[&out, &back]),
            [
                ("10.0.1.5".to_owned(), OwnerKind::Instance, "i-0abc, tagged check-out and blue".to_owned()),
                (
                    "10.0.1.6".to_owned(),
                    OwnerKind::EcsTask,
                    "an ECS task of checkout in the cluster prod".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn a_record_tells_what_a_call_has_to_name() {
        let fields = OwnerFields {
            ecs_cluster: Some(b"prod"),
            ecs_service: Some(b"check%2Dout"),
            ecs_task: Some(b"0123abcd"),
            ..OwnerFields::default()
        };
        let handles = handles(&fields);
        assert_eq!(
            (handles.ecs_cluster.as_deref(), handles.ecs_service.as_deref(), handles.ecs_task.as_deref()),
            (Some("prod"), Some("check-out"), Some("0123abcd"))
        );
    }

    #[test]
    fn packets_on_their_way_through_tell_nothing_of_a_client() {
        let gateways = format!("{GATEWAYS} 10.0.1.5 10.0.0.220 10.0.1.5 203.0.113.5 i-0abc - - - -");
        let through = format!("{OWN} 10.0.1.7 203.0.113.5 10.0.1.5 203.0.113.5 i-0firewall - - - -");
        let nobodys = format!("{OWN} 10.0.1.5 203.0.113.5 10.0.1.5 203.0.113.5 - - - - -");
        assert_eq!(owners(&[&gateways, &through, &nobodys]), []);
    }

    #[test]
    fn a_tag_in_a_record_is_one_line_and_harmless() {
        let hostile =
            format!("{OWN} 10.0.1.5 203.0.113.5 10.0.1.5 203.0.113.5 i-0abc - - a%0Ab%E2%80%AE%1B -");
        let [(_, _, name)] = &owners(&[&hostile])[..] else { panic!("one owner") };
        assert!(!name.contains(['\n', '\u{202e}', '\u{1b}']), "{name:?}");
    }
}
