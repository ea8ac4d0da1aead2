//! Who the clients' addresses belong to.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What sort of thing an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OwnerKind {
    /// An EC2 instance.
    Instance,
    /// A node of an EKS cluster, or one of the pods behind its address.
    EksNode,
    /// A pod with an interface of its own.
    EksPod,
    /// An ECS task with an interface of its own.
    EcsTask,
    /// A set of Lambda functions: those with the same subnet and security groups share interfaces.
    LambdaFunctions,
    /// A load balancer.
    LoadBalancer,
    /// A service of AWS that manages the interface.
    AwsService,
    /// An interface of which no more is known.
    Interface,
    /// Nothing in the gateway's VPC: a transit gateway brought its packets.
    OutsideVpc,
}

impl OwnerKind {
    /// As JSON has it: `lambda-functions`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::EksNode => "eks-node",
            Self::EksPod => "eks-pod",
            Self::EcsTask => "ecs-task",
            Self::LambdaFunctions => "lambda-functions",
            Self::LoadBalancer => "load-balancer",
            Self::AwsService => "aws-service",
            Self::Interface => "interface",
            Self::OutsideVpc => "outside-vpc",
        }
    }

    /// Whether several workloads may stand behind one address, so that it names none of them.
    #[must_use]
    pub fn is_shared(self) -> bool {
        matches!(self, Self::EksNode | Self::LambdaFunctions | Self::OutsideVpc)
    }
}

/// How it is known whose an address is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OwnerSource {
    /// EC2 was asked: whose it is now. Addresses change hands: it may have been another's then.
    #[default]
    Lookup,
    /// A flow-log record of its own interface: whose it was then.
    FlowLog,
}

/// The owner of a client's address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    /// The client's address.
    pub address: IpAddr,
    /// What sort of thing it is.
    pub kind: OwnerKind,
    /// What people call it. Tags and descriptions are in it, which may hold anything.
    pub name: String,
    /// The name of its Availability Zone, where that is known.
    #[serde(default)]
    pub zone: Option<String>,
    /// How it is known.
    #[serde(default)]
    pub source: OwnerSource,
    /// What calls have to name to change it, as far as that is known.
    #[serde(default)]
    pub handles: Handles,
}

/// The ids and names by which AWS's calls take what runs behind an address. Tags are among them, which may hold
/// anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Handles {
    /// The network interface that has the address.
    pub interface_id: Option<String>,
    /// The security groups of the interface.
    pub security_groups: Vec<String>,
    /// The subnet that the interface is in.
    pub subnet_id: Option<String>,
    /// The EC2 instance that the interface is attached to.
    pub instance_id: Option<String>,
    /// The Auto Scaling group that the instance is of.
    pub scaling_group: Option<String>,
    /// The ECS cluster.
    pub ecs_cluster: Option<String>,
    /// The ECS service.
    pub ecs_service: Option<String>,
    /// The ECS task.
    pub ecs_task: Option<String>,
    /// The EKS cluster.
    pub eks_cluster: Option<String>,
    /// The Lambda function for which the interface was made; others may share it.
    pub lambda_function: Option<String>,
}

impl Owner {
    /// The instance, where there is one. Saved contexts that tell no handles begin its name with its id.
    #[must_use]
    pub fn instance_id(&self) -> Option<&str> {
        let named = || {
            let word = self.name.split([' ', ',']).next()?;
            matches!(self.kind, OwnerKind::Instance | OwnerKind::EksNode).then_some(word)
        };
        self.handles.instance_id.as_deref().or_else(named).filter(|id| is_id(id, "i-"))
    }

    /// The network interface, where it is known.
    #[must_use]
    pub fn interface_id(&self) -> Option<&str> {
        self.handles.interface_id.as_deref().filter(|id| is_id(id, "eni-"))
    }
}

/// Whether a text is an id as EC2 makes them: a prefix and hexadecimal digits.
pub(crate) fn is_id(text: &str, prefix: &str) -> bool {
    let digits = text.strip_prefix(prefix);
    digits.is_some_and(|d| (8..=17).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_hexdigit()))
}
