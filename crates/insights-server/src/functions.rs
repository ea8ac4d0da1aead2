//! The functions of the language: their names, how many arguments they take, periods and CIDRs.
//! What is not listed is refused by name.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::malformed::{Parsed, Span, refuse};

/// A scalar function. `if`, `case`, `ispresent` and `coalesce` are here too: they look like the
/// others in a query and differ only in how their arguments are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    If,
    Case,
    Abs,
    Ceil,
    Floor,
    Sqrt,
    Greatest,
    Least,
    IsPresent,
    Coalesce,
    IsValidIp(Family),
    IsInSubnet(Family),
    IsPrivateIp,
    ToNumber,
    ToInt,
    StrLen,
    StrContains,
    Concat,
    Bin,
    DateFloor,
    DateCeil,
    QueryStartTime,
    QueryEndTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Any,
    V4,
    V6,
}

impl Family {
    pub(crate) fn admits(self, address: IpAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Count,
    CountDistinct,
    Sum,
    Average,
    Min,
    Max,
    Earliest,
    Latest,
    SortsFirst,
    SortsLast,
}

/// The smallest and, where there is one, the largest number of arguments.
type Arity = (usize, Option<usize>);

const FUNCTIONS: [(&str, Function, Arity); 27] = [
    ("if", Function::If, (3, Some(3))),
    ("case", Function::Case, (3, Some(21))),
    ("abs", Function::Abs, (1, Some(1))),
    ("ceil", Function::Ceil, (1, Some(1))),
    ("floor", Function::Floor, (1, Some(1))),
    ("sqrt", Function::Sqrt, (1, Some(1))),
    ("greatest", Function::Greatest, (1, None)),
    ("least", Function::Least, (1, None)),
    ("ispresent", Function::IsPresent, (1, Some(1))),
    ("coalesce", Function::Coalesce, (1, None)),
    ("isValidIp", Function::IsValidIp(Family::Any), (1, Some(1))),
    ("isValidIpV4", Function::IsValidIp(Family::V4), (1, Some(1))),
    ("isValidIpV6", Function::IsValidIp(Family::V6), (1, Some(1))),
    ("isIpInSubnet", Function::IsInSubnet(Family::Any), (2, Some(2))),
    ("isIpv4InSubnet", Function::IsInSubnet(Family::V4), (2, Some(2))),
    ("isIpv6InSubnet", Function::IsInSubnet(Family::V6), (2, Some(2))),
    ("isPrivateIP", Function::IsPrivateIp, (1, Some(1))),
    ("toNumber", Function::ToNumber, (1, Some(1))),
    ("toInt", Function::ToInt, (1, Some(1))),
    ("strlen", Function::StrLen, (1, Some(1))),
    ("strcontains", Function::StrContains, (2, Some(2))),
    ("concat", Function::Concat, (1, None)),
    ("bin", Function::Bin, (1, Some(1))),
    ("datefloor", Function::DateFloor, (2, Some(2))),
    ("dateceil", Function::DateCeil, (2, Some(2))),
    ("queryStartTime", Function::QueryStartTime, (0, Some(0))),
    ("queryEndTime", Function::QueryEndTime, (0, Some(0))),
];

/// `count_distinct` is the older spelling; public queries are full of it.
const AGGREGATIONS: [(&str, Aggregation); 11] = [
    ("count", Aggregation::Count),
    ("countDistinct", Aggregation::CountDistinct),
    ("count_distinct", Aggregation::CountDistinct),
    ("sum", Aggregation::Sum),
    ("avg", Aggregation::Average),
    ("min", Aggregation::Min),
    ("max", Aggregation::Max),
    ("earliest", Aggregation::Earliest),
    ("latest", Aggregation::Latest),
    ("sortsFirst", Aggregation::SortsFirst),
    ("sortsLast", Aggregation::SortsLast),
];

pub(crate) fn function(name: &str) -> Option<(Function, Arity)> {
    FUNCTIONS
        .iter()
        .find(|(known, ..)| known.eq_ignore_ascii_case(name))
        .map(|(_, function, arity)| (*function, *arity))
}

pub(crate) fn aggregation(name: &str) -> Option<Aggregation> {
    AGGREGATIONS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, aggregation)| *aggregation)
}

/// Refuses what Insights would silently lower to the unit's cap.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-operations-functions.html>
pub(crate) fn period_milliseconds(count: f64, unit: &str, span: Span) -> Parsed<f64> {
    let (milliseconds, cap, name) = match unit.to_ascii_lowercase().as_str() {
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => (1.0, Some(1000.0), "milliseconds"),
        "s" | "sec" | "secs" | "second" | "seconds" => (1000.0, Some(60.0), "seconds"),
        "m" | "min" | "mins" | "minute" | "minutes" => (60_000.0, Some(60.0), "minutes"),
        "h" | "hr" | "hrs" | "hour" | "hours" => (3_600_000.0, Some(24.0), "hours"),
        "d" | "day" | "days" => (86_400_000.0, None, "days"),
        _ => {
            return refuse(
                span,
                format!("`{unit}` is not a unit of time known here; known are ms, s, m, h and d"),
            );
        }
    };
    if count.fract() != 0.0 || count < 1.0 {
        return refuse(span, "a period is a whole number of units, at least 1");
    }
    match cap {
        Some(cap) if count > cap => refuse(
            span,
            format!(
                "a period in {name} is capped at {cap}: {count}{unit} would silently become {cap}{unit}; use a larger unit"
            ),
        ),
        _ => Ok(count * milliseconds),
    }
}

pub(crate) fn network(text: &str, family: Family, span: Span) -> Parsed<IpNet> {
    let Ok(network) = text.parse::<IpNet>() else {
        return refuse(span, format!("\"{text}\" is not a subnet in CIDR notation, like 10.0.0.0/8"));
    };
    if !family.admits(network.addr()) {
        return refuse(span, format!("\"{text}\" is a subnet of the other address family"));
    }
    if network.trunc() != network {
        return refuse(
            span,
            format!("\"{text}\" does not start at its network address; write {}", network.trunc()),
        );
    }
    Ok(network)
}

/// RFC 1918, as the reference defines it: not loopback, link-local or carrier-grade NAT.
pub(crate) fn is_private(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_private())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span { start: 0, end: 0 };

    #[test]
    fn periods_at_the_cap_pass_and_over_it_are_refused() {
        for (count, unit) in [(1000.0, "ms"), (60.0, "s"), (60.0, "m"), (24.0, "h"), (7.0, "d")] {
            assert!(period_milliseconds(count, unit, SPAN).is_ok(), "{count}{unit}");
        }
        for (count, unit) in
            [(1001.0, "ms"), (300.0, "s"), (61.0, "m"), (25.0, "h"), (0.0, "m"), (1.5, "m"), (1.0, "y")]
        {
            assert!(period_milliseconds(count, unit, SPAN).is_err(), "{count}{unit}");
        }
        assert_eq!(period_milliseconds(5.0, "min", SPAN).unwrap(), 300_000.0);
    }

    #[test]
    fn a_subnet_starts_at_its_network_address() {
        assert!(network("10.0.0.0/8", Family::V4, SPAN).is_ok());
        assert!(network("2001:db8::/32", Family::Any, SPAN).is_ok());
        assert!(network("10.0.0.1/8", Family::Any, SPAN).unwrap_err().message.contains("write 10.0.0.0/8"));
        assert!(network("10.0.0.0/8", Family::V6, SPAN).is_err());
        assert!(network("10.0.0.0", Family::Any, SPAN).is_err());
        assert!(network("10.0.0.0/33", Family::Any, SPAN).is_err());
    }

    #[test]
    fn private_means_rfc_1918_alone() {
        let private = ["10.1.2.3", "172.31.0.1", "192.168.0.1"];
        let others = ["172.32.0.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "8.8.8.8", "fd00::1"];
        assert!(private.iter().all(|text| is_private(text.parse().unwrap())));
        assert!(!others.iter().any(|text| is_private(text.parse().unwrap())));
    }
}
