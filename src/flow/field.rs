//! The fields that a flow log can carry, from version 2 to version 11.
//!
//! Source: the field table of "Flow log records" in the Amazon VPC user guide. Version 6 belongs to
//! transit gateway flow logs alone.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

macro_rules! fields {
    ($($variant:ident $name:literal $version:literal,)+) => {
        /// One field of a flow log, named as AWS names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $(#[doc = concat!("`", $name, "`, since version ", stringify!($version), ".")] $variant,)+
        }

        impl Field {
            /// Every field, in the order of the versions that brought them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in a format string, without `${}`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The field of that name; `None` for a name that is not known.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

fields! {
    Version "version" 2,
    AccountId "account-id" 2,
    InterfaceId "interface-id" 2,
    Srcaddr "srcaddr" 2,
    Dstaddr "dstaddr" 2,
    Srcport "srcport" 2,
    Dstport "dstport" 2,
    Protocol "protocol" 2,
    Packets "packets" 2,
    Bytes "bytes" 2,
    Start "start" 2,
    End "end" 2,
    Action "action" 2,
    LogStatus "log-status" 2,
    VpcId "vpc-id" 3,
    SubnetId "subnet-id" 3,
    InstanceId "instance-id" 3,
    TcpFlags "tcp-flags" 3,
    Type "type" 3,
    PktSrcaddr "pkt-srcaddr" 3,
    PktDstaddr "pkt-dstaddr" 3,
    Region "region" 4,
    AzId "az-id" 4,
    SublocationType "sublocation-type" 4,
    SublocationId "sublocation-id" 4,
    PktSrcAwsService "pkt-src-aws-service" 5,
    PktDstAwsService "pkt-dst-aws-service" 5,
    FlowDirection "flow-direction" 5,
    TrafficPath "traffic-path" 5,
    EcsClusterArn "ecs-cluster-arn" 7,
    EcsClusterName "ecs-cluster-name" 7,
    EcsContainerInstanceArn "ecs-container-instance-arn" 7,
    EcsContainerInstanceId "ecs-container-instance-id" 7,
    EcsContainerId "ecs-container-id" 7,
    EcsSecondContainerId "ecs-second-container-id" 7,
    EcsServiceName "ecs-service-name" 7,
    EcsTaskDefinitionArn "ecs-task-definition-arn" 7,
    EcsTaskArn "ecs-task-arn" 7,
    EcsTaskId "ecs-task-id" 7,
    RejectReason "reject-reason" 8,
    ResourceId "resource-id" 9,
    EncryptionStatus "encryption-status" 10,
    InstanceTag "instance-tag" 11,
    InstanceTag2 "instance-tag-2" 11,
    InterfaceTag "interface-tag" 11,
    InterfaceTag2 "interface-tag-2" 11,
    AsgTag "asg-tag" 11,
    AsgTag2 "asg-tag-2" 11,
    InterfaceType "interface-type" 11,
    NextHopInterfaceId "next-hop-interface-id" 11,
    NextHopSubnetId "next-hop-subnet-id" 11,
    NextHopAzId "next-hop-az-id" 11,
    NextHopVpcId "next-hop-vpc-id" 11,
    NextHopInterfaceType "next-hop-interface-type" 11,
}

impl Field {
    /// The default format: the fourteen fields of version 2, in this order.
    pub const DEFAULT: &'static [Self] = &[
        Self::Version,
        Self::AccountId,
        Self::InterfaceId,
        Self::Srcaddr,
        Self::Dstaddr,
        Self::Srcport,
        Self::Dstport,
        Self::Protocol,
        Self::Packets,
        Self::Bytes,
        Self::Start,
        Self::End,
        Self::Action,
        Self::LogStatus,
    ];
}

/// Names that differ from AWS's own in more than capitals and hyphens, without either.
///
/// Sources: "Supported logs and discovered fields" in the CloudWatch Logs user guide (`startTime`), and the
/// table for the default format that the Athena user guide had for years (`sourceaddress`, `numpackets`).
const ALIASES: [(&str, Field); 9] = [
    ("starttime", Field::Start),
    ("endtime", Field::End),
    ("account", Field::AccountId),
    ("sourceaddress", Field::Srcaddr),
    ("destinationaddress", Field::Dstaddr),
    ("sourceport", Field::Srcport),
    ("destinationport", Field::Dstport),
    ("numpackets", Field::Packets),
    ("numbytes", Field::Bytes),
];

static BY_LETTERS: LazyLock<HashMap<String, Field>> = LazyLock::new(|| {
    let own = Field::ALL.iter().map(|field| (letters(field.name()), *field));
    own.chain(ALIASES.map(|(name, field)| (name.to_owned(), field))).collect()
});

/// What is left of a name without capitals and what stands between its words.
fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

impl Field {
    /// Whether nothing but a record of traffic is likely to have a field of that name.
    #[must_use]
    pub fn is_of_flow(self) -> bool {
        matches!(
            self,
            Self::Srcaddr
                | Self::Dstaddr
                | Self::Srcport
                | Self::Dstport
                | Self::PktSrcaddr
                | Self::PktDstaddr
                | Self::InterfaceId
                | Self::LogStatus
        )
    }

    /// The field that a tool calls so: in any case, with underscores, or nothing, for hyphens
    /// (`account_id`, `srcAddr`), or as Logs Insights and Athena name the fields of the default format.
    #[must_use]
    pub fn from_any_name(name: &str) -> Option<Self> {
        const LONGEST: usize = 64;
        Self::from_name(name).or_else(|| {
            let plain = name.len() <= LONGEST
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            if plain { BY_LETTERS.get(&letters(name)).copied() } else { None }
        })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_fields_as_aws_lists_up_to_version_11() {
        assert_eq!(Field::ALL.len(), 54);
    }

    #[test]
    fn every_name_leads_back_to_its_field() {
        for &field in Field::ALL {
            assert_eq!(Field::from_name(field.name()), Some(field));
            for spelt in
                [field.name().replace('-', "_"), field.name().to_uppercase(), field.name().replace('-', "")]
            {
                assert_eq!(Field::from_any_name(&spelt), Some(field), "{spelt}");
            }
        }
    }

    #[test]
    fn the_names_of_logs_insights_and_of_athenas_table_are_known() {
        for (name, field) in [
            ("srcAddr", Field::Srcaddr),
            ("endTime", Field::End),
            ("logStatus", Field::LogStatus),
            ("SourceAddress", Field::Srcaddr),
            ("numbytes", Field::Bytes),
            ("interfaceid", Field::InterfaceId),
            ("pktSrcAddr", Field::PktSrcaddr),
        ] {
            assert_eq!(Field::from_any_name(name), Some(field), "{name}");
        }
        for none in ["", "message", "srcaddr srcport", "end;"] {
            assert_eq!(Field::from_any_name(none), None, "{none}");
        }
    }
}
