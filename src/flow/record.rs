//! One line of a flow log, read into a record.
//!
//! Only the fields that a diagnosis uses are decoded; the others are passed over. Lines are bytes,
//! because nothing says that a damaged file is UTF-8.

use std::net::{IpAddr, Ipv4Addr};

use super::format::Column;
use super::{Field, LogFormat};

/// Most seconds that one record can span: the longest aggregation interval, and a minute by which times may be off.
/// One that claims to span more is damaged, and is cut to this.
///
/// Source: "Flow log records", Aggregation interval, in the Amazon VPC user guide.
pub const MAX_RECORD_SECONDS: i64 = 600 + 60;

/// Most packets and bytes that one record can count: ten minutes at some 450 Gbit/s, which no interface has for one
/// flow. More is damage, and must not make sums overflow.
pub(super) const MAX_PACKETS: u64 = 1 << 40;
pub(super) const MAX_BYTES: u64 = 1 << 45;

/// Whether the traffic was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Security groups and network ACLs let it pass.
    Accept,
    /// They did not, or the packets came after the connection had closed.
    Reject,
}

/// Which way the traffic went, as seen from the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into the interface.
    Ingress,
    /// Out of it.
    Egress,
}

/// The special TCP flags seen in a record, combined by OR over its aggregation interval.
///
/// Only FIN (1), SYN (2), RST (4) and SYN-ACK (18) are represented; a plain ACK counts 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// Whether a FIN or a RST was seen: a connection ended within the record, or one of its sides did.
    #[must_use]
    pub fn closes(self) -> bool {
        self.finishes() || self.resets()
    }

    /// Whether a FIN was seen: this side sends no more.
    #[must_use]
    pub fn finishes(self) -> bool {
        self.0 & 0b1 != 0
    }

    /// Whether a RST was seen: the connection is over for both sides.
    #[must_use]
    pub fn resets(self) -> bool {
        self.0 & 0b100 != 0
    }

    /// Whether a SYN was seen: a connection began within the record.
    #[must_use]
    pub fn opens(self) -> bool {
        self.0 & 0b10 != 0
    }
}

/// One record: what passed one interface, on one 5-tuple, in one direction, within one aggregation
/// interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRecord<'line> {
    /// `interface-id`; `None` where it is `-` or not in the format.
    pub interface: Option<&'line [u8]>,
    /// `resource-id`: the regional NAT gateway that saw the traffic.
    pub resource: Option<&'line [u8]>,
    /// `srcaddr`, or `pkt-srcaddr` where the format lacks it.
    pub src: IpAddr,
    /// `dstaddr`, or `pkt-dstaddr` where the format lacks it.
    pub dst: IpAddr,
    /// Whether both are the interface's own view, and not the packets' addresses in their place.
    pub ends_told: bool,
    /// `pkt-srcaddr`: the address in the packet itself.
    pub pkt_src: Option<IpAddr>,
    /// `pkt-dstaddr`: the address in the packet itself.
    pub pkt_dst: Option<IpAddr>,
    /// Source port; 0 for protocols without ports.
    pub src_port: u16,
    /// Destination port; 0 for protocols without ports.
    pub dst_port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// Packets; 1 where the format lacks them, as a record is of one at least.
    pub packets: u64,
    /// Bytes; 0 where the format lacks them.
    pub bytes: u64,
    /// First packet, in seconds of the Unix epoch.
    pub start: i64,
    /// Last packet, in seconds of the Unix epoch; not before `start`, nor more than [`MAX_RECORD_SECONDS`] after it.
    pub end: i64,
    /// Accepted unless the record says otherwise.
    pub action: Action,
    /// `None` where the format lacks them or the record holds `-`.
    pub tcp_flags: Option<TcpFlags>,
    /// `flow-direction`, where the format has it.
    pub direction: Option<Direction>,
    /// `interface-type`, where the format has it.
    pub interface_type: Option<&'line [u8]>,
    /// `next-hop-interface-id`, where the format has it.
    pub next_hop_interface: Option<&'line [u8]>,
    /// `next-hop-interface-type`, where the format has it.
    pub next_hop_type: Option<&'line [u8]>,
    /// `pkt-dst-aws-service`, where the format has it.
    pub dst_service: Option<&'line [u8]>,
    /// Whose the interface is, as far as the format tells.
    pub owner: OwnerFields<'line>,
}

/// What a record says of whose its interface is; `None` where it is `-` or not in the format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerFields<'line> {
    /// `instance-id`.
    pub instance: Option<&'line [u8]>,
    /// `ecs-cluster-name`.
    pub ecs_cluster: Option<&'line [u8]>,
    /// `ecs-service-name`.
    pub ecs_service: Option<&'line [u8]>,
    /// `ecs-task-id`.
    pub ecs_task: Option<&'line [u8]>,
    /// `interface-tag`, `instance-tag` and `asg-tag`, and the second of each: values, percent-encoded.
    pub tags: [Option<&'line [u8]>; 6],
}

/// What one line turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every line is a record, and none is kept")]
pub enum Line<'line> {
    /// Traffic.
    Record(FlowRecord<'line>),
    /// `NODATA`: no traffic in the interval.
    NoData(Interval<'line>),
    /// `SKIPDATA`: records of the interval were left out, perhaps many.
    SkipData(Interval<'line>),
}

/// Where and when a record without traffic is of; `None` where it is `-` or not in the format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval<'line> {
    /// `interface-id`.
    pub interface: Option<&'line [u8]>,
    /// `resource-id`.
    pub resource: Option<&'line [u8]>,
    /// First and last second, in the Unix epoch.
    pub span: Option<(i64, i64)>,
}

/// Why a line is not a record of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum LineError {
    /// Too few or too many fields.
    #[error("{found} fields where the format has {expected}")]
    Length {
        /// How many the format has.
        expected: usize,
        /// How many the line has.
        found: usize,
    },
    /// A field whose value cannot be what the field holds.
    #[error("{0} holds no usable value")]
    Value(Field),
    /// The last packet before the first.
    #[error("end is before start")]
    Backwards,
}

/// The fields that are decoded, in the order of [`Slots`].
const DECODED: [Field; 31] = [
    Field::InterfaceId,
    Field::ResourceId,
    Field::Srcaddr,
    Field::Dstaddr,
    Field::PktSrcaddr,
    Field::PktDstaddr,
    Field::Srcport,
    Field::Dstport,
    Field::Protocol,
    Field::Packets,
    Field::Bytes,
    Field::Start,
    Field::End,
    Field::Action,
    Field::LogStatus,
    Field::TcpFlags,
    Field::FlowDirection,
    Field::InterfaceType,
    Field::NextHopInterfaceId,
    Field::NextHopInterfaceType,
    Field::PktDstAwsService,
    Field::InstanceId,
    Field::EcsClusterName,
    Field::EcsServiceName,
    Field::EcsTaskId,
    Field::InterfaceTag,
    Field::InterfaceTag2,
    Field::InstanceTag,
    Field::InstanceTag2,
    Field::AsgTag,
    Field::AsgTag2,
];

/// The slot of a column that is passed over.
const UNUSED: u8 = u8::MAX;

/// Reads lines of one format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineParser {
    columns: usize,
    /// For each column, the slot of [`DECODED`] that it fills, or [`UNUSED`].
    slots: Vec<u8>,
}

type Slots<'line> = [Option<&'line [u8]>; DECODED.len()];

impl LineParser {
    /// A parser for lines of `format`.
    #[must_use]
    pub fn new(format: &LogFormat) -> Self {
        let slot_of = |column: &Column| match column {
            Column::Known(field) => DECODED
                .iter()
                .position(|decoded| decoded == field)
                .and_then(|slot| u8::try_from(slot).ok())
                .unwrap_or(UNUSED),
            Column::Unknown(_) => UNUSED,
        };
        Self { columns: format.columns().len(), slots: format.columns().iter().map(slot_of).collect() }
    }

    /// Reads one line, without its line end.
    ///
    /// # Errors
    /// When the line is not of the format; nothing of it is then used.
    #[inline]
    pub fn parse<'line>(&self, line: &'line [u8]) -> Result<Line<'line>, LineError> {
        // Fields have a few bytes each: looking at every one is quicker than searching anew for each end.
        self.parse_values(line.split(|byte| *byte == b' '))
    }

    /// Whether anything is made of the values of a field.
    #[must_use]
    pub fn is_decoded(field: Field) -> bool {
        DECODED.contains(&field)
    }

    /// The column of a field that is decoded.
    pub(super) fn position(&self, field: Field) -> Option<usize> {
        let slot = DECODED.iter().position(|decoded| *decoded == field)?;
        self.slots.iter().position(|filled| usize::from(*filled) == slot)
    }

    /// Whether anything is made of the values of a column.
    pub(super) fn decodes(&self, column: usize) -> bool {
        self.slots.get(column).is_some_and(|slot| *slot != UNUSED)
    }

    /// Whether any word may stand in a column of a record, and not only an address, a number or one of a few words.
    #[must_use]
    pub fn may_hold_words(&self, column: usize) -> bool {
        use Field::{
            Action, Bytes, Dstaddr, Dstport, End, FlowDirection, LogStatus, Packets, PktDstaddr, PktSrcaddr,
        };
        use Field::{Protocol, Srcaddr, Srcport, Start, TcpFlags};
        const OTHERS: [Field; 15] = [
            Srcaddr,
            Dstaddr,
            PktSrcaddr,
            PktDstaddr,
            Srcport,
            Dstport,
            Protocol,
            Packets,
            Bytes,
            Start,
            End,
            Action,
            LogStatus,
            TcpFlags,
            FlowDirection,
        ];
        let slot = self.slots.get(column).map_or(usize::MAX, |slot| usize::from(*slot));
        DECODED.get(slot).is_none_or(|field| !OTHERS.contains(field))
    }

    /// How many values a line has.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Reads the values of one line, in the order of the format.
    ///
    /// # Errors
    /// When they are not of the format; nothing of them is then used.
    #[inline]
    pub fn parse_values<'line>(
        &self,
        values: impl Iterator<Item = &'line [u8]>,
    ) -> Result<Line<'line>, LineError> {
        let mut slots: Slots<'line> = [None; DECODED.len()];
        let mut found = 0;
        for value in values {
            if let Some(&slot) = self.slots.get(found)
                && slot != UNUSED
                && let Some(into) = slots.get_mut(usize::from(slot))
            {
                *into = present(value);
            }
            found += 1;
        }
        if found != self.columns {
            return Err(LineError::Length { expected: self.columns, found });
        }
        decode(&slots)
    }
}

/// A value, or `None` for the `-` that stands for "not applicable".
fn present(value: &[u8]) -> Option<&[u8]> {
    (value != b"-").then_some(value)
}

fn decode<'line>(slots: &Slots<'line>) -> Result<Line<'line>, LineError> {
    let [
        interface,
        resource,
        src,
        dst,
        pkt_src,
        pkt_dst,
        src_port,
        dst_port,
        protocol,
        packets,
        bytes,
        start,
        end,
        action,
        status,
        flags,
        direction,
        interface_type,
        next_hop_interface,
        next_hop_type,
        dst_service,
        instance,
        ecs_cluster,
        ecs_service,
        ecs_task,
        tags @ ..,
    ] = *slots;
    let interval = || Interval {
        interface,
        resource,
        span: second(start, Field::Start)
            .ok()
            .zip(second(end, Field::End).ok())
            .filter(|(from, to)| from <= to)
            .map(|(from, to)| (from, to.min(from + MAX_RECORD_SECONDS))),
    };
    match status {
        None | Some(b"OK") => {}
        Some(b"NODATA") => return Ok(Line::NoData(interval())),
        Some(b"SKIPDATA") => return Ok(Line::SkipData(interval())),
        Some(_) => return Err(LineError::Value(Field::LogStatus)),
    }
    let ends_told = src.is_some() && dst.is_some();
    let pkt_src = optional_address(pkt_src, Field::PktSrcaddr)?;
    let pkt_dst = optional_address(pkt_dst, Field::PktDstaddr)?;
    let src = optional_address(src, Field::Srcaddr)?.or(pkt_src).ok_or(LineError::Value(Field::Srcaddr))?;
    let dst = optional_address(dst, Field::Dstaddr)?.or(pkt_dst).ok_or(LineError::Value(Field::Dstaddr))?;
    let (start, end) = (second(start, Field::Start)?, second(end, Field::End)?);
    if end < start {
        return Err(LineError::Backwards);
    }
    let end = end.min(start + MAX_RECORD_SECONDS);
    Ok(Line::Record(FlowRecord {
        interface,
        resource,
        src,
        dst,
        ends_told,
        pkt_src,
        pkt_dst,
        src_port: number(src_port, Field::Srcport)?,
        dst_port: number(dst_port, Field::Dstport)?,
        protocol: number(protocol, Field::Protocol)?,
        packets: counted(packets, 1, Field::Packets, MAX_PACKETS)?,
        bytes: counted(bytes, 0, Field::Bytes, MAX_BYTES)?,
        start,
        end,
        action: match action {
            None | Some(b"ACCEPT") => Action::Accept,
            Some(b"REJECT") => Action::Reject,
            Some(_) => return Err(LineError::Value(Field::Action)),
        },
        tcp_flags: flags.map(|v| number(Some(v), Field::TcpFlags).map(TcpFlags)).transpose()?,
        direction: match direction {
            None => None,
            Some(b"ingress") => Some(Direction::Ingress),
            Some(b"egress") => Some(Direction::Egress),
            Some(_) => return Err(LineError::Value(Field::FlowDirection)),
        },
        interface_type,
        next_hop_interface,
        next_hop_type,
        dst_service,
        owner: OwnerFields { instance, ecs_cluster, ecs_service, ecs_task, tags },
    }))
}

/// A count of at most so many; so many `without` it where the format lacks it.
fn counted(value: Option<&[u8]>, without: u64, field: Field, most: u64) -> Result<u64, LineError> {
    let count = value.map_or(Ok(without), |value| number(Some(value), field))?;
    if count <= most { Ok(count) } else { Err(LineError::Value(field)) }
}

fn optional_address(value: Option<&[u8]>, field: Field) -> Result<Option<IpAddr>, LineError> {
    value.map(|value| address(value).ok_or(LineError::Value(field))).transpose()
}

#[inline]
fn address(value: &[u8]) -> Option<IpAddr> {
    ipv4(value).map(IpAddr::V4).or_else(|| std::str::from_utf8(value).ok()?.parse().ok())
}

/// An IPv4 address as flow logs write it; `None` of what the standard library has to look at. There are two to four in
/// each line, and this takes a fifth of the time.
#[inline]
fn ipv4(value: &[u8]) -> Option<Ipv4Addr> {
    if value.len() > 15 {
        return None;
    }
    let (mut address, mut octet, mut digits, mut dots) = (0_u32, 0_u32, 0, 0);
    for &byte in value {
        if byte == b'.' {
            if digits == 0 || octet > 255 {
                return None;
            }
            address = address << 8 | octet;
            (octet, digits) = (0, 0);
            dots += 1;
        } else {
            let digit = byte.wrapping_sub(b'0');
            // A number with a leading zero may be meant as octal.
            if digit > 9 || digits == 3 || (digits > 0 && octet == 0) {
                return None;
            }
            octet = octet * 10 + u32::from(digit);
            digits += 1;
        }
    }
    (dots == 3 && digits > 0 && octet <= 255).then(|| Ipv4Addr::from(address << 8 | octet))
}

/// A decimal number that fits `T`.
fn number<T: TryFrom<u64>>(value: Option<&[u8]>, field: Field) -> Result<T, LineError> {
    let unusable = LineError::Value(field);
    let digits = value.filter(|v| (1..=19).contains(&v.len())).ok_or(unusable)?;
    let mut number = 0_u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return Err(unusable);
        }
        number = number * 10 + u64::from(digit - b'0');
    }
    T::try_from(number).map_err(|_| unusable)
}

/// The last second that is taken for a time: in the year 2106, the last that fits 32 bits.
const LAST_SECOND: i64 = 4_294_967_295;

fn second(value: Option<&[u8]>, field: Field) -> Result<i64, LineError> {
    number::<i64>(value, field)
        .and_then(|s| if s <= LAST_SECOND { Ok(s) } else { Err(LineError::Value(field)) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(line: &str) -> Result<Line<'_>, LineError> {
        LineParser::new(&LogFormat::version_2()).parse(line.as_bytes())
    }

    const LINE: &str = "2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK";

    #[test]
    fn a_default_line_is_read() {
        let Ok(Line::Record(record)) = parse(LINE) else { panic!("{:?}", parse(LINE)) };
        assert_eq!((record.src_port, record.dst_port, record.protocol), (20641, 22, 6));
        assert_eq!((record.start, record.end, record.bytes), (1_418_530_010, 1_418_530_070, 4249));
        assert_eq!(record.interface, Some(&b"eni-1235b8ca123456789"[..]));
        assert_eq!(record.tcp_flags, None);
    }

    #[test]
    fn an_address_is_what_the_standard_library_takes_it_for() {
        for text in [
            "0.0.0.0",
            "255.255.255.255",
            "10.0.1.47",
            "256.1.1.1",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "1.2.3.04",
            "1..2.3",
            ".1.2.3",
            "1.2.3.",
            "",
            "1.2.3.4 ",
            "+1.2.3.4",
            "1000.1.1.1",
            "0.0.0.00",
            "::1",
            "2600:1f18::5",
            "64:ff9b::203.0.113.5",
            "::ffff:1.2.3.4",
            "1.2.3.4/32",
            "1.2.3.\u{0661}",
        ] {
            assert_eq!(address(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_read_as_an_address_or_not_at_all(text in "[0-9.:af]{0,16}") {
            prop_assert_eq!(address(text.as_bytes()), text.parse().ok());
        }
    }

    #[test]
    fn lines_without_traffic_are_told_apart() {
        let nodata = "2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA";
        let of = Interval {
            interface: Some(b"eni-1235b8ca123456789"),
            resource: None,
            span: Some((1_431_280_876, 1_431_280_934)),
        };
        assert_eq!(parse(nodata), Ok(Line::NoData(of)));
        assert_eq!(parse(&nodata.replace("NODATA", "SKIPDATA")), Ok(Line::SkipData(of)));
    }

    #[test]
    fn a_line_that_is_not_of_the_format_says_what_is_wrong() {
        assert_eq!(parse("2 3 4"), Err(LineError::Length { expected: 14, found: 3 }));
        assert_eq!(parse(&format!("{LINE} 3")), Err(LineError::Length { expected: 14, found: 15 }));
        assert_eq!(parse(&LINE.replace("20641", "99999")), Err(LineError::Value(Field::Srcport)));
        assert_eq!(parse(&LINE.replace("172.31.16.21", "172.31.16")), Err(LineError::Value(Field::Dstaddr)));
        assert_eq!(parse(&LINE.replace("1418530070", "1418530000")), Err(LineError::Backwards));
        assert_eq!(
            parse(&LINE.replace("1418530070", "9999999999999999999")),
            Err(LineError::Value(Field::End))
        );
        assert_eq!(parse(&LINE.replace("ACCEPT", "MAYBE")), Err(LineError::Value(Field::Action)));
    }

    #[test]
    fn a_custom_order_is_followed_and_a_dash_means_absent() {
        let format: LogFormat =
            "tcp-flags srcaddr dstaddr from-the-future srcport dstport protocol start end pkt-srcaddr pkt-dstaddr"
                .parse()
                .expect("valid");
        let parser = LineParser::new(&format);
        let Ok(Line::Record(record)) = parser.parse(b"19 10.0.0.1 10.0.0.2 x 1 443 6 5 9 - 203.0.113.10")
        else {
            panic!("not read")
        };
        assert!(record.tcp_flags.is_some_and(|f| f.closes() && f.opens()));
        assert_eq!(record.pkt_src, None);
        assert_eq!(record.pkt_dst, "203.0.113.10".parse().ok());
        assert!(matches!(
            parser.parse(b"- 10.0.0.1 10.0.0.2 x 1 443 6 5 9 - -"),
            Ok(Line::Record(FlowRecord { tcp_flags: None, .. }))
        ));
    }
}
