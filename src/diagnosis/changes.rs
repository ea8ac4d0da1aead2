//! What was changed before the alarm, by how near it is to the gateway and to who holds its ports. What comes before
//! need not be the cause, and nothing here says so.

use std::collections::BTreeSet;

use super::commands::region_option;
use super::findings::Findings;
use crate::contract::{ChangeReport, ChangesReport, Relation};
use crate::network::{Change, Changes, Handles};

/// Most changes that a diagnosis lists.
const MAX_LISTED: usize = 10;

/// Most names of each.
const MAX_NAMES: usize = 10;

/// The names by which a call can mean the incident.
struct Surroundings<'a> {
    gateway: BTreeSet<String>,
    routes: BTreeSet<&'a str>,
    holder: Option<&'a Handles>,
    vpc: BTreeSet<&'a str>,
}

impl Surroundings<'_> {
    fn of<'a>(findings: &Findings<'a>) -> Surroundings<'a> {
        let network = findings.network;
        let gateway = &network.gateway;
        let id = findings.gateway_id().map(ToString::to_string);
        let addresses = gateway.addresses.iter().filter_map(|address| address.public);
        let interfaces = gateway.interface_ids.iter().map(ToString::to_string);
        let tables = network.route_tables.as_deref().unwrap_or_default();
        let leads_here = |target: &str| id.as_deref() == Some(target);
        let routes = tables.iter().filter(|table| table.routes.iter().any(|route| leads_here(&route.target)));
        let top = findings.destinations.first();
        let greatest = top.and_then(|top| top.clients.first()).filter(|client| client.stands_out());
        let owner = greatest.and_then(|client| network.owner_of(client.address));
        let subnets = network.subnets.as_deref().unwrap_or_default().iter().map(|subnet| subnet.id.as_str());
        let ways = network.gateway_endpoints.as_deref().unwrap_or_default().iter().map(|way| way.id.as_str());
        let services =
            network.interface_endpoints.as_deref().unwrap_or_default().iter().map(|way| way.id.as_str());
        let siblings = network.siblings.as_deref().unwrap_or_default().iter().map(|other| other.id.as_str());
        let within = tables.iter().map(|table| table.id.as_str()).chain(subnets).chain(ways).chain(services);
        Surroundings {
            gateway: id.iter().cloned().chain(interfaces).chain(addresses.map(|ip| ip.to_string())).collect(),
            routes: routes.map(|table| table.id.as_str()).collect(),
            holder: owner.map(|owner| &owner.handles),
            vpc: within.chain(siblings).chain(gateway.vpc_id.as_deref()).collect(),
        }
    }

    fn relation(&self, change: &Change) -> Option<Relation> {
        if self.gateway.iter().any(|name| change.names(name)) {
            return Some(Relation::Gateway);
        }
        if self.routes.iter().any(|name| change.names(name)) {
            return Some(Relation::Routes);
        }
        if self.holder.is_some_and(|handles| is_of_holder(change, handles)) {
            return Some(Relation::GreatestHolder);
        }
        self.vpc.iter().any(|name| change.names(name)).then_some(Relation::Vpc)
    }
}

/// Whether a change was made to what these calls name. Ids are unique; a name means something to its service only.
fn is_of_holder(change: &Change, handles: &Handles) -> bool {
    let names = |thing: &Option<String>| thing.as_deref().is_some_and(|thing| change.names(thing));
    let ids = [&handles.interface_id, &handles.instance_id];
    if ids.into_iter().any(names) || handles.security_groups.iter().any(|id| change.names(id)) {
        return true;
    }
    // Several clusters may have services of one name.
    let of_cluster = handles.ecs_cluster.is_none() || names(&handles.ecs_cluster);
    (change.is_of("autoscaling") && names(&handles.scaling_group))
        || (change.is_of("ecs") && of_cluster && names(&handles.ecs_service))
        || (change.is_of("eks") && names(&handles.eks_cluster))
        || (change.is_of("lambda") && names(&handles.lambda_function))
}

/// What CloudTrail says; `None` where it was not asked, or did not answer.
pub(super) fn changes(findings: &Findings<'_>) -> Option<ChangesReport> {
    let known: &Changes = findings.network.changes.as_ref()?;
    let around = Surroundings::of(findings);
    let (mut listed, mut others) = (Vec::<ChangeReport>::new(), 0);
    for change in &known.found {
        let Some(kind) = change.kind() else { continue };
        let Some(relation) = around.relation(change) else {
            others += 1;
            continue;
        };
        let alike = |report: &&mut ChangeReport| {
            (report.relation, &report.event_name, &report.event_source)
                == (relation, &change.name, &change.source)
                && (&report.user, &report.role) == (&change.user, &change.role)
        };
        match listed.iter_mut().find(alike) {
            Some(report) => more_of(report, change),
            None => listed.push(ChangeReport {
                at: change.at,
                first_at: change.at,
                times: 1,
                event_name: change.name.clone(),
                event_source: change.source.clone(),
                event_id: change.event_id.clone(),
                kind,
                relation,
                on: change.on.iter().take(MAX_NAMES).cloned().collect(),
                user: change.user.clone(),
                role: change.role.clone(),
            }),
        }
    }
    listed.sort_by(|a, b| a.relation.cmp(&b.relation).then_with(|| b.at.cmp(&a.at)));
    others += listed.iter().skip(MAX_LISTED).map(|report| report.times).sum::<u64>();
    listed.truncate(MAX_LISTED);
    let first = listed.first().and_then(|report| report.event_id.as_deref()).filter(|id| is_event_id(id));
    Some(ChangesReport {
        from: known.from,
        until: known.until,
        read_from: known.read_from,
        asked_after: known.asked_after.clone(),
        may_be_late: known.may_be_late(),
        command: first.map(|id| {
            format!(
                "aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventId,AttributeValue={id} --query 'Events[].CloudTrailEvent' --output text{}",
                region_option(findings.region())
            )
        }),
        listed,
        others,
    })
}

fn more_of(report: &mut ChangeReport, change: &Change) {
    report.times += 1;
    if change.at > report.at {
        (report.at, report.event_id) = (change.at, change.event_id.clone());
    }
    report.first_at = report.first_at.min(change.at);
    for name in &change.on {
        if report.on.len() < MAX_NAMES && !report.on.contains(name) {
            report.on.push(name.clone());
        }
    }
}

/// Whether a text is an id as CloudTrail gives to events: a UUID.
///
/// Source: `eventID` in "CloudTrail record contents" in the AWS CloudTrail user guide.
fn is_event_id(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_event_id_goes_into_a_command() {
        assert!(is_event_id("a6e1634d-4fa3-4b99-be61-9524e513b911"));
        for other in
            ["", "a6e1634d", "a6e1634d-4fa3-4b99-be61-9524e513b91;", "$(reboot)-0000-0000-0000-000000000000"]
        {
            assert!(!is_event_id(other), "{other}");
        }
    }
}
