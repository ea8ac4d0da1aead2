//! A client that tries very many destinations in vain: a scan, which somebody may have started who has no right to.

use std::net::IpAddr;

use super::caps::{FIRST_RULE, shut_out};
use super::limit_client::FEW;
use super::{Offer, Offered, Rule, Worth};
use crate::command_line::{Blank, CommandLine};
use crate::contract::{Command, Condition, Confidence, Remedy, RemedyId, Scan, When};
use crate::diagnosis::commands::{
    describe_owners, errors_since, quoted, region_option, shown, words_of_shell,
};
use crate::diagnosis::findings::Findings;
use crate::network::{Owner, OwnerKind, is_id};
use crate::words;

/// Longest name that is said.
const NAME: usize = 80;

pub(super) const RULE: Rule = Rule {
    ids: &[RemedyId::IsolateClient],
    when: "now",
    offered: "one client tries a hundred destinations or more, half of them in vain, whatever else is full; conditional on whether it is meant to",
    why: "a client that scans may be compromised",
    caution: "locks out whoever is logged in; an Auto Scaling group may replace it; nothing to be restarted before memory and disks are saved",
    offer: Offered::Always(isolate_client),
};

fn isolate_client(findings: &Findings<'_>, scan: Option<&Scan>) -> Option<Offer> {
    let scan = scan?;
    let client = scan.client?;
    let owner = findings.network.owner_of(client);
    let region = region_option(findings.region());
    let instance = owner.and_then(Owner::instance_id);
    let condition = match instance {
        Some(id) => Condition {
            unknown: format!("whether {client} is meant to scan: who started {id}, with which role"),
            command: format!(
                "aws ec2 describe-instances --instance-ids {id} --query 'Reservations[].Instances[].[LaunchTime,KeyName,IamInstanceProfile.Arn,Tags]' --output json{region}"
            ).into(),
        },
        None => Condition {
            unknown: match owner {
                Some(owner) => {
                    format!("whether {client} ({}) is meant to scan", words::outside(&owner.name, NAME))
                }
                None => format!("who owns {client}, and whether it is meant to scan"),
            },
            command: describe_owners(&[client], findings.region()).into_iter().next().unwrap_or_default().into(),
        },
    };
    let (commands, hazards) = isolation(findings, client, owner);
    Some(Offer {
        headroom: None,
        worth: Worth::Solves,
        remedy: Remedy {
            id: RemedyId::IsolateClient,
            title: format!("Isolate {client} if it is not meant to scan: it may be compromised"),
            when: When::Now,
            condition: Some(condition),
            why: format!(
                "{client} tried {} destinations, {} of them without an answer or refused at once.",
                words::count(scan.destinations),
                words::count(scan.in_vain)
            ),
            effect: "Once isolated, the client reaches nobody and nobody reaches it. Its memory and its disks stay as they are for whoever investigates.".into(),
            commands,
            hazards,
            monthly_cost_usd: Some(0.0),
            confidence: Confidence::Medium,
        },
    })
}

/// How to cut a client off, and what that breaks. Interfaces that AWS manages take no other security groups: those
/// clients are kept away from the gateway.
fn isolation(findings: &Findings<'_>, client: IpAddr, owner: Option<&Owner>) -> (Vec<Command>, Vec<String>) {
    let evidence = "Do not stop, restart or terminate the client before its memory and disks are saved: they tell what happened.".to_owned();
    let own_interface = match owner {
        None => findings.network.in_vpc(client) != Some(false),
        Some(owner) => {
            matches!(owner.kind, OwnerKind::Instance | OwnerKind::EksNode | OwnerKind::Interface)
        }
    };
    if !own_interface {
        // The first ones may be those of the greatest holders.
        let rule = FIRST_RULE + FEW as u16;
        let (commands, mut hazards) = shut_out(findings, client, rule, &errors_since(findings));
        hazards.push("The client still reaches everything that is not behind the gateway.".into());
        hazards.push(evidence);
        return (commands, hazards);
    }
    let region = region_option(findings.region());
    let mut commands = Vec::new();
    let mut hazards = vec![
        "This locks out everybody who is logged in by SSH or Session Manager, and everybody whom the client serves. Open connections may go on until they end, because a security group lets the connections that it tracks go on. A network ACL cuts them off at once.".to_owned(),
        evidence,
    ];
    if let Some(owner) = owner.filter(|owner| owner.kind.is_shared()) {
        hazards.push(format!("This cuts off every pod on the node: {}.", shown(&owner.name)));
    }
    let group = owner.and_then(|owner| owner.handles.scaling_group.as_deref());
    match (group, owner.and_then(Owner::instance_id)) {
        (Some(group), Some(id)) => {
            let of_group = format!("--instance-ids {id} --auto-scaling-group-name {}", quoted(group));
            commands.push(Command {
                does: "keeps the Auto Scaling group from replacing it, and starts another in its place".into(),
                run: format!(
                    "aws autoscaling enter-standby {of_group} --no-should-decrement-desired-capacity{region}"
                ).into(),
                verify: format!(
                    "aws autoscaling describe-auto-scaling-instances --instance-ids {id} --query 'AutoScalingInstances[].LifecycleState' --output text{region}"
                ).into(),
                undo: format!("aws autoscaling exit-standby {of_group}{region}").into(),
            });
        }
        _ => hazards.push(
            "Its Auto Scaling group or load balancer may replace the client, and what it held is lost. Take it out there first.".into(),
        ),
    }
    let interface = owner.and_then(Owner::interface_id).unwrap_or("NETWORK_INTERFACE_ID");
    let vpc = findings.network.gateway.vpc_id.as_deref().map_or_else(|| "VPC_ID".to_owned(), quoted);
    let groups: Vec<&str> = owner.map_or_else(Vec::new, |owner| {
        owner.handles.security_groups.iter().map(String::as_str).filter(|id| is_id(id, "sg-")).collect()
    });
    let known = !groups.is_empty();
    let before = if known { words_of_shell(groups) } else { "SECURITY_GROUPS_BEFORE".to_owned() };
    let modify = |groups: &str| {
        CommandLine::with(
            format!(
                "aws ec2 modify-network-interface-attribute --network-interface-id {interface} --groups {groups}{region}"
            ),
            &[Blank::NETWORK_INTERFACE_ID, Blank::NEW_SECURITY_GROUP_ID, Blank::SECURITY_GROUPS_BEFORE],
        )
    };
    let shows_rules = CommandLine::with(
        format!(
            "aws ec2 describe-security-groups --group-ids NEW_SECURITY_GROUP_ID --query 'SecurityGroups[].[IpPermissions,IpPermissionsEgress]' --output json{region}"
        ),
        &[Blank::NEW_SECURITY_GROUP_ID],
    );
    let deletes = CommandLine::with(
        format!("aws ec2 delete-security-group --group-id NEW_SECURITY_GROUP_ID{region}"),
        &[Blank::NEW_SECURITY_GROUP_ID],
    );
    commands.extend([
        Command {
            does: "creates a security group that lets nothing in".into(),
            run: CommandLine::with(format!(
                "aws ec2 create-security-group --group-name isolated-{} --description 'Lets nothing in or out' --vpc-id {vpc} --query GroupId --output text{region}",
                client.to_string().replace([':', '.'], "-")
            ), &[Blank::VPC_ID]),
            verify: shows_rules.clone(),
            undo: deletes.clone().into(),
        },
        Command {
            does: "lets nothing out of it either".into(),
            // By their ids: in a VPC with IPv6 there is a rule for ::/0 as well, and to revoke one that is not there
            // fails. Source: "Default security groups" and `RevokeSecurityGroupEgress` in the Amazon EC2 API.
            run: CommandLine::with(format!(
                "aws ec2 revoke-security-group-egress --group-id NEW_SECURITY_GROUP_ID --security-group-rule-ids $(aws ec2 describe-security-group-rules --filters Name=group-id,Values=NEW_SECURITY_GROUP_ID --query 'SecurityGroupRules[?IsEgress].SecurityGroupRuleId' --output text{region}){region}"
            ), &[Blank::NEW_SECURITY_GROUP_ID]),
            verify: shows_rules,
            undo: deletes.into(),
        },
        Command {
            does: "puts the client's interface into only that group".into(),
            run: modify("NEW_SECURITY_GROUP_ID"),
            verify: CommandLine::with(format!(
                "aws ec2 describe-network-interfaces --network-interface-ids {interface} --query 'NetworkInterfaces[].Groups[].GroupId' --output text{region}"
            ), &[Blank::NETWORK_INTERFACE_ID]),
            undo: modify(&before).into(),
        },
    ]);
    if !known {
        hazards.push("Run the command under Verify of the last step first, and write down which security groups the client is in: to undo, they take the place of SECURITY_GROUPS_BEFORE.".into());
    }
    (commands, hazards)
}
