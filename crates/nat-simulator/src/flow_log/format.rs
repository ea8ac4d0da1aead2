//! The fields of flow-log records, versions 2 to 11, and formats made of them.

use std::fmt;

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident $name:literal $version:literal,)*) => {
        /// A field of a flow-log record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each is named as in the flow-log documentation")]
        pub enum Field { $($variant,)* }

        impl Field {
            /// Every field of versions 2 to 11.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As in a format string and in the header line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The version in which it appeared.
            pub fn version(self) -> u8 {
                match self { $(Self::$variant => $version,)* }
            }
        }
    };
}

fields! {
    Version "version" 2,
    AccountId "account-id" 2,
    InterfaceId "interface-id" 2,
    SrcAddr "srcaddr" 2,
    DstAddr "dstaddr" 2,
    SrcPort "srcport" 2,
    DstPort "dstport" 2,
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
    PktSrcAddr "pkt-srcaddr" 3,
    PktDstAddr "pkt-dstaddr" 3,
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

/// A flow log's format: fields in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFormat {
    fields: Vec<Field>,
}

/// Why a format string is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// It names no field.
    Empty,
    /// It names one that versions 2 to 11 do not have.
    Unknown(String),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the format names no field"),
            Self::Unknown(name) => write!(f, "no flow-log field is called {name:?}"),
        }
    }
}

impl std::error::Error for FormatError {}

const V2: usize = 14;
const V3: usize = 21;
const V5: usize = 29;

impl LogFormat {
    /// The default format: the 14 fields of version 2.
    pub fn v2_default() -> Self {
        Self { fields: Field::ALL[..V2].to_vec() }
    }

    /// The default fields, then those of version 3: tells closed connections from open ones, and
    /// client and destination from the gateway.
    pub fn v3_pkt() -> Self {
        Self { fields: Field::ALL[..V3].to_vec() }
    }

    /// All fields of versions 2 to 5.
    pub fn v5() -> Self {
        Self { fields: Field::ALL[..V5].to_vec() }
    }

    /// All fields of versions 2 to 11.
    pub fn v11() -> Self {
        Self { fields: Field::ALL.to_vec() }
    }

    /// What a flow log for watching a NAT gateway best contains.
    pub fn recommended() -> Self {
        let mut fields = Field::ALL[..V3].to_vec();
        fields.extend([
            Field::Region,
            Field::AzId,
            Field::FlowDirection,
            Field::TrafficPath,
            Field::PktDstAwsService,
            Field::ResourceId,
            Field::NextHopInterfaceId,
        ]);
        Self { fields }
    }

    /// Reads `${version} ${account-id} …`; the `${}` may be left out.
    ///
    /// # Errors
    ///
    /// When the text names an unknown field or none at all.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let fields = text
            .split_whitespace()
            .map(|word| {
                let name = word.strip_prefix("${").and_then(|w| w.strip_suffix('}')).unwrap_or(word);
                Field::ALL
                    .iter()
                    .copied()
                    .find(|field| field.name() == name)
                    .ok_or_else(|| FormatError::Unknown(name.to_owned()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if fields.is_empty() { Err(FormatError::Empty) } else { Ok(Self { fields }) }
    }

    /// The fields in their order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// True when `field` is one of them.
    pub fn contains(&self, field: Field) -> bool {
        self.fields.contains(&field)
    }

    /// What a record's `version` shows: the newest version among the fields.
    pub fn version(&self) -> u8 {
        self.fields.iter().map(|field| field.version()).max().unwrap_or(2)
    }

    /// The first line of a file as S3 delivers it.
    pub fn header(&self) -> String {
        self.fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(" ")
    }
}

/// As `DescribeFlowLogs` shows it.
impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, field) in self.fields.iter().enumerate() {
            let space = if i > 0 { " " } else { "" };
            write!(f, "{space}${{{}}}", field.name())?;
        }
        Ok(())
    }
}

/// The values of one record. Empty text is shown as `-`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line<'a> {
    pub(crate) account_id: &'a str,
    pub(crate) interface_id: &'a str,
    pub(crate) region: &'a str,
    pub(crate) vpc_id: &'a str,
    pub(crate) subnet_id: &'a str,
    pub(crate) instance_id: &'a str,
    pub(crate) az_id: &'a str,
    pub(crate) resource_id: &'a str,
    pub(crate) interface_type: &'a str,
    pub(crate) next_hop_interface_id: &'a str,
    pub(crate) next_hop_subnet_id: &'a str,
    pub(crate) next_hop_az_id: &'a str,
    pub(crate) next_hop_vpc_id: &'a str,
    pub(crate) next_hop_interface_type: &'a str,
    pub(crate) log_status: &'a str,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// `None` in NODATA and SKIPDATA records.
    pub(crate) traffic: Option<Traffic<'a>>,
}

/// What a record says about packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic<'a> {
    pub(crate) src: &'a str,
    pub(crate) dst: &'a str,
    pub(crate) pkt_src: &'a str,
    pub(crate) pkt_dst: &'a str,
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    pub(crate) protocol: u8,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) tcp_flags: u8,
    /// `ACCEPT` or `REJECT`.
    pub(crate) action: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) src_service: &'a str,
    pub(crate) dst_service: &'a str,
    pub(crate) direction: &'static str,
    pub(crate) path: &'static str,
}

impl LogFormat {
    /// Appends a record, without a line end.
    pub(crate) fn write(&self, line: &Line<'_>, out: &mut String) {
        let version = self.version();
        for (i, field) in self.fields.iter().enumerate() {
            if i > 0 {
                out.push(' ');
            }
            self.write_field(*field, version, line, out);
        }
    }

    fn write_field(&self, field: Field, version: u8, line: &Line<'_>, out: &mut String) {
        let traffic = line.traffic.as_ref();
        let text = |out: &mut String, text: &str| out.push_str(if text.is_empty() { "-" } else { text });
        let of_traffic = |out: &mut String, value: Option<&str>| text(out, value.unwrap_or_default());
        let number = |out: &mut String, value: Option<u64>| match value {
            Some(value) => push_number(value, out),
            None => out.push('-'),
        };
        match field {
            Field::Version => push_number(u64::from(version), out),
            Field::AccountId => text(out, line.account_id),
            Field::InterfaceId => text(out, line.interface_id),
            Field::SrcAddr => of_traffic(out, traffic.map(|t| t.src)),
            Field::DstAddr => of_traffic(out, traffic.map(|t| t.dst)),
            Field::SrcPort => number(out, traffic.map(|t| u64::from(t.src_port))),
            Field::DstPort => number(out, traffic.map(|t| u64::from(t.dst_port))),
            Field::Protocol => number(out, traffic.map(|t| u64::from(t.protocol))),
            Field::Packets => number(out, traffic.map(|t| t.packets)),
            Field::Bytes => number(out, traffic.map(|t| t.bytes)),
            Field::Start => push_number(line.start as u64, out),
            Field::End => push_number(line.end as u64, out),
            Field::Action => of_traffic(out, traffic.map(|t| t.action)),
            Field::LogStatus => text(out, line.log_status),
            Field::VpcId => text(out, line.vpc_id),
            Field::SubnetId => text(out, line.subnet_id),
            Field::InstanceId => text(out, line.instance_id),
            Field::TcpFlags => number(out, traffic.map(|t| u64::from(t.tcp_flags))),
            Field::Type => of_traffic(out, traffic.map(|t| t.kind)),
            Field::PktSrcAddr => of_traffic(out, traffic.map(|t| t.pkt_src)),
            Field::PktDstAddr => of_traffic(out, traffic.map(|t| t.pkt_dst)),
            Field::Region => text(out, line.region),
            Field::AzId => text(out, line.az_id),
            Field::PktSrcAwsService => of_traffic(out, traffic.map(|t| t.src_service)),
            Field::PktDstAwsService => of_traffic(out, traffic.map(|t| t.dst_service)),
            Field::FlowDirection => of_traffic(out, traffic.map(|t| t.direction)),
            Field::TrafficPath => of_traffic(out, traffic.map(|t| t.path)),
            Field::ResourceId => text(out, line.resource_id),
            Field::InterfaceType => text(out, line.interface_type),
            Field::NextHopInterfaceId => text(out, line.next_hop_interface_id),
            Field::NextHopSubnetId => text(out, line.next_hop_subnet_id),
            Field::NextHopAzId => text(out, line.next_hop_az_id),
            Field::NextHopVpcId => text(out, line.next_hop_vpc_id),
            Field::NextHopInterfaceType => text(out, line.next_hop_interface_type),
            Field::SublocationType
            | Field::SublocationId
            | Field::EcsClusterArn
            | Field::EcsClusterName
            | Field::EcsContainerInstanceArn
            | Field::EcsContainerInstanceId
            | Field::EcsContainerId
            | Field::EcsSecondContainerId
            | Field::EcsServiceName
            | Field::EcsTaskDefinitionArn
            | Field::EcsTaskArn
            | Field::EcsTaskId
            | Field::RejectReason
            | Field::EncryptionStatus
            | Field::InstanceTag
            | Field::InstanceTag2
            | Field::InterfaceTag
            | Field::InterfaceTag2
            | Field::AsgTag
            | Field::AsgTag2 => out.push('-'),
        }
    }
}

/// `write!` costs several times as much, and a view has tens of millions of numbers.
fn push_number(mut value: u64, out: &mut String) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.push_str(std::str::from_utf8(&digits[at..]).expect("digits are ASCII"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_reads_what_it_prints() {
        for format in [
            LogFormat::v2_default(),
            LogFormat::v3_pkt(),
            LogFormat::v5(),
            LogFormat::v11(),
            LogFormat::recommended(),
        ] {
            assert_eq!(LogFormat::parse(&format.to_string()), Ok(format.clone()));
            assert_eq!(LogFormat::parse(&format.header()), Ok(format));
        }
    }

    #[test]
    fn the_version_is_the_newest_among_the_fields() {
        let version = |text| LogFormat::parse(text).map(|format| format.version());
        assert_eq!(version("${srcaddr} ${bytes}"), Ok(2));
        assert_eq!(version("${resource-id} ${srcaddr}"), Ok(9));
        assert_eq!(LogFormat::v5().version(), 5);
        assert_eq!(LogFormat::v11().version(), 11);
    }

    #[test]
    fn unknown_fields_are_refused_by_name() {
        assert_eq!(LogFormat::parse("${srcaddr} ${dest}"), Err(FormatError::Unknown("dest".to_owned())));
        assert_eq!(LogFormat::parse("  "), Err(FormatError::Empty));
    }

    #[test]
    fn all_54_documented_fields_are_known() {
        assert_eq!(Field::ALL.len(), 54);
    }

    #[test]
    fn numbers_are_written_in_full() {
        let mut out = String::new();
        for value in [0, 9, 10, u64::MAX] {
            push_number(value, &mut out);
            out.push(' ');
        }
        assert_eq!(out, "0 9 10 18446744073709551615 ");
    }
}
