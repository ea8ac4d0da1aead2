//! What was changed in the account before an alarm, as CloudTrail recorded it.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::incident::Incident;

/// How long before the minutes in question changes are looked for.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(2);

/// After so long, events should have been delivered: three times what AWS calls typical, "about 5 minutes", which it
/// does not guarantee.
///
/// Source: "Getting and viewing your CloudTrail log files" in the AWS CloudTrail user guide.
const DELIVERY: SignedDuration = SignedDuration::from_mins(15);

/// What sort of thing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Where packets go.
    Route,
    /// A NAT gateway was made or deleted.
    Gateway,
    /// The addresses of gateways and instances.
    Address,
    /// Ways to services that pass by the gateway.
    Endpoint,
    /// What security groups and network ACLs let through.
    TrafficRule,
    /// How many instances, tasks or functions run.
    Scaling,
    /// What runs.
    Deployment,
    /// Instances were started, stopped or changed one by one.
    Instance,
}

/// The calls that are of interest, by the service that takes them and by their names.
///
/// Sources: the API references of Amazon EC2, Amazon EC2 Auto Scaling, Application Auto Scaling (whose events have the
/// source `autoscaling.amazonaws.com` too), Amazon ECS, Amazon EKS and AWS Lambda.
const CALLS: &[(&str, ChangeKind, &[&str])] = &[
    (
        EC2,
        ChangeKind::Route,
        &[
            "AssociateRouteTable",
            "CreateRoute",
            "DeleteRoute",
            "DisassociateRouteTable",
            "ReplaceRoute",
            "ReplaceRouteTableAssociation",
        ],
    ),
    (EC2, ChangeKind::Gateway, &["CreateNatGateway", "DeleteNatGateway"]),
    (
        EC2,
        ChangeKind::Address,
        &[
            "AssignPrivateNatGatewayAddress",
            "AssociateAddress",
            "AssociateNatGatewayAddress",
            "DisassociateAddress",
            "DisassociateNatGatewayAddress",
            "ReleaseAddress",
            "UnassignPrivateNatGatewayAddress",
        ],
    ),
    (EC2, ChangeKind::Endpoint, &["CreateVpcEndpoint", "DeleteVpcEndpoints", "ModifyVpcEndpoint"]),
    (
        EC2,
        ChangeKind::TrafficRule,
        &[
            "AuthorizeSecurityGroupEgress",
            "AuthorizeSecurityGroupIngress",
            "CreateNetworkAclEntry",
            "DeleteNetworkAclEntry",
            "ModifyNetworkInterfaceAttribute",
            "ModifySecurityGroupRules",
            "ReplaceNetworkAclAssociation",
            "ReplaceNetworkAclEntry",
            "RevokeSecurityGroupEgress",
            "RevokeSecurityGroupIngress",
        ],
    ),
    (
        EC2,
        ChangeKind::Instance,
        &[
            "ModifyInstanceAttribute",
            "RebootInstances",
            "RunInstances",
            "StartInstances",
            "StopInstances",
            "TerminateInstances",
        ],
    ),
    (
        AUTO_SCALING,
        ChangeKind::Scaling,
        &[
            "AttachInstances",
            "CreateAutoScalingGroup",
            "DetachInstances",
            "ExecutePolicy",
            "PutScalingPolicy",
            "PutScheduledAction",
            "PutScheduledUpdateGroupAction",
            "RegisterScalableTarget",
            "ResumeProcesses",
            "SetDesiredCapacity",
            "SuspendProcesses",
            "UpdateAutoScalingGroup",
        ],
    ),
    (AUTO_SCALING, ChangeKind::Deployment, &["RollbackInstanceRefresh", "StartInstanceRefresh"]),
    (
        ECS,
        ChangeKind::Deployment,
        &["CreateService", "CreateTaskSet", "RunTask", "UpdateService", "UpdateTaskSet"],
    ),
    (EKS, ChangeKind::Scaling, &["CreateNodegroup", "DeleteNodegroup", "UpdateNodegroupConfig"]),
    (
        EKS,
        ChangeKind::Deployment,
        &[
            "CreateAddon",
            "UpdateAddon",
            "UpdateClusterConfig",
            "UpdateClusterVersion",
            "UpdateNodegroupVersion",
        ],
    ),
    (
        LAMBDA,
        ChangeKind::Scaling,
        &["DeleteFunctionConcurrency", "PutFunctionConcurrency", "PutProvisionedConcurrencyConfig"],
    ),
    (
        LAMBDA,
        ChangeKind::Deployment,
        &["CreateFunction", "UpdateAlias", "UpdateFunctionCode", "UpdateFunctionConfiguration"],
    ),
];

const EC2: &str = "ec2.amazonaws.com";
const AUTO_SCALING: &str = "autoscaling.amazonaws.com";
const ECS: &str = "ecs.amazonaws.com";
const EKS: &str = "eks.amazonaws.com";
const LAMBDA: &str = "lambda.amazonaws.com";

/// One call that changed something, and succeeded. All its texts come from outside, and may hold anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// CloudTrail's id of the event.
    #[serde(default)]
    pub event_id: Option<String>,
    /// The service that took the call: `ec2.amazonaws.com`.
    pub source: String,
    /// The call: `ReplaceRoute`.
    pub name: String,
    /// Who made it, as CloudTrail names him: a user, or the session of a role.
    #[serde(default)]
    pub user: Option<String>,
    /// The role of the session.
    #[serde(default)]
    pub role: Option<String>,
    /// The ids and names of what it changed, or changed with.
    #[serde(default)]
    pub on: Vec<String>,
}

impl Change {
    /// What sort of thing it changed; `None` where that has nothing to do with a gateway or its clients.
    #[must_use]
    pub fn kind(&self) -> Option<ChangeKind> {
        // Names of Lambda's calls end with the version of its API: `UpdateFunctionCode20150331v2`.
        let versioned = self.source == LAMBDA;
        let end = self.name.find(|c: char| c.is_ascii_digit()).filter(|_| versioned);
        let name = &self.name[..end.unwrap_or(self.name.len())];
        let call = CALLS.iter().find(|(source, _, names)| *source == self.source && names.contains(&name));
        call.map(|(_, kind, _)| *kind)
    }

    /// Whether the call named this, by itself or at the end of an ARN.
    #[must_use]
    pub fn names(&self, thing: &str) -> bool {
        let at_end = |name: &String| name.strip_suffix(thing).is_some_and(|rest| rest.ends_with(['/', ':']));
        !thing.is_empty() && self.on.iter().any(|name| name == thing || at_end(name))
    }

    /// Whether a service of that name took it: `ecs`.
    #[must_use]
    pub fn is_of(&self, service: &str) -> bool {
        self.source.strip_suffix(".amazonaws.com") == Some(service)
    }
}

/// The changes of an account and Region in the hours before an alarm, as far as CloudTrail was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changes {
    /// From when on they were asked for.
    pub from: Timestamp,
    /// Until when: that of the alarm, or the end of the minutes in question.
    pub until: Timestamp,
    /// When CloudTrail was asked last.
    pub asked_at: Timestamp,
    /// Since when all of them were read; later than `from` where there were more than are read.
    pub read_from: Timestamp,
    /// The names whose changes were asked for by themselves, from `from` on.
    #[serde(default)]
    pub asked_after: Vec<String>,
    /// Those that were found, latest first, each once.
    #[serde(default)]
    pub found: Vec<Change>,
}

impl Changes {
    /// No changes yet of the time before an incident; `None` where it has no minutes.
    #[must_use]
    pub fn before(incident: &Incident, asked_at: Timestamp) -> Option<Self> {
        let window = incident.window?;
        let from = window.start().checked_sub(LOOK_BACK).ok()?;
        let alarmed = incident.alarm.as_ref().map(|alarm| alarm.at);
        // A clock that is wrong, or an alarm that was made up, must not turn the times around.
        let until = alarmed.filter(|at| *at > from).unwrap_or_else(|| window.end());
        Some(Self { from, until, asked_at, read_from: until, asked_after: Vec::new(), found: Vec::new() })
    }

    /// Adds changes, each once and only those that may have to do with a gateway or its clients.
    pub fn add(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            let within = (self.from..=self.until).contains(&change.at) && change.kind().is_some();
            if within && !self.found.contains(&change) {
                self.found.push(change);
            }
        }
        let latest_first = |a: &Change, b: &Change| {
            b.at.cmp(&a.at)
                .then_with(|| (&a.source, &a.name, &a.event_id).cmp(&(&b.source, &b.name, &b.event_id)))
        };
        self.found.sort_by(latest_first);
    }

    /// Whether all changes of the time were read, of whatever.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.read_from <= self.from
    }

    /// Whether CloudTrail may have had changes to deliver still when it was asked.
    #[must_use]
    pub fn may_be_late(&self) -> bool {
        self.until.checked_add(DELIVERY).is_ok_and(|delivered| self.asked_at < delivered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(source: &str, name: &str, at: &str) -> Change {
        Change {
            at: at.parse().expect("a time"),
            event_id: None,
            source: source.into(),
            name: name.into(),
            user: None,
            role: None,
            on: vec!["arn:aws:ecs:eu-west-1:123456789012:service/prod/checkout".into(), "rtb-1".into()],
        }
    }

    #[test]
    fn a_call_has_its_kind_with_or_without_a_version() {
        let kind = |source, name| change(source, name, "2026-11-18T02:00:00Z").kind();
        assert_eq!(kind(EC2, "ReplaceRoute"), Some(ChangeKind::Route));
        assert_eq!(kind(LAMBDA, "UpdateFunctionCode20150331v2"), Some(ChangeKind::Deployment));
        assert_eq!(kind(EC2, "ReplaceRoute2"), None);
        assert_eq!(kind("evil.amazonaws.com", "ReplaceRoute"), None);
        assert_eq!(kind(EC2, "CreateTags"), None);
    }

    #[test]
    fn every_call_of_interest_has_one_kind() {
        let mut all: Vec<(&str, &str)> = CALLS
            .iter()
            .flat_map(|(source, _, names)| names.iter().map(move |name| (*source, *name)))
            .collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_name_is_whole_or_the_end_of_an_arn() {
        let change = change(ECS, "UpdateService", "2026-11-18T02:00:00Z");
        assert!(change.names("checkout") && change.names("rtb-1"));
        assert!(!change.names("out") && !change.names("") && !change.names("tb-1"));
    }

    #[test]
    fn changes_are_those_of_the_time_each_once_latest_first() {
        let window = "2026-11-18T02:11:00Z/2026-11-18T02:14:00Z".parse().expect("a window");
        let incident = Incident { window: Some(window), ..Incident::default() };
        let asked_at = "2026-11-18T02:20:00Z".parse().expect("a time");
        let mut changes = Changes::before(&incident, asked_at).expect("has minutes");
        let [old, first, second, after] =
            ["2026-11-18T00:10:59Z", "2026-11-18T00:11:00Z", "2026-11-18T02:14:00Z", "2026-11-18T02:14:01Z"]
                .map(|at| change(EC2, "ReplaceRoute", at));
        changes.add([first.clone(), old, after, change(EC2, "CreateTags", "2026-11-18T01:00:00Z")]);
        changes.add([second.clone(), first.clone()]);
        assert_eq!(changes.found, [second, first]);
        assert!(changes.may_be_late() && !changes.is_whole());
    }
}
