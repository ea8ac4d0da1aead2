//! What is looked into: which NAT gateway, which minutes. Knows nothing of how an alarm arrives.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a value from outside was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIncident {
    /// Not `nat-` followed by 8 to 17 hexadecimal digits.
    #[error("{0:?} is not a NAT gateway id: expected nat- and 8 to 17 hexadecimal digits")]
    GatewayId(String),
    /// Not `eni-` followed by 8 to 17 hexadecimal digits.
    #[error("{0:?} is not a network interface id: expected eni- and 8 to 17 hexadecimal digits")]
    InterfaceId(String),
    /// The end is not after the start.
    #[error("the window ends at {end}, which is not after its start {start}")]
    EmptyWindow {
        /// First instant of the refused window.
        start: Timestamp,
        /// Last instant of the refused window.
        end: Timestamp,
    },
    /// Longer than flow logs are asked about.
    #[error(
        "the window {0} is {days} days long; flow logs are asked about {MAX_DAYS_ASKED} days at most: name the minutes in which errors were counted",
        days = .0.seconds() / 86_400
    )]
    TooLong(TimeWindow),
    /// Not two RFC 3339 instants with a slash between them.
    #[error(
        "{0:?} is not a window: expected START/END, each RFC 3339, such as 2026-11-18T02:00:00Z/2026-11-18T02:14:00Z"
    )]
    Window(String),
}

/// Most days that one question to Logs Insights is about: its instants are then more than five hours apart, and say
/// little.
const MAX_DAYS_ASKED: i64 = 7;

/// Longest piece of an unusable value that an error repeats.
const QUOTED: usize = 80;

fn shortened(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}

/// Whether a text is the id of an account: 12 digits.
#[must_use]
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_resource_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| {
        (8..=17).contains(&digits.len()) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

macro_rules! resource_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $refused:ident) => {
        $(#[$doc])*
        ///
        /// Holds only its prefix and hexadecimal digits, so that it is safe in a query, a shell
        /// command and a URL.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(#[schemars(with = "String")] Box<str>);

        impl $name {
            /// The id as AWS writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidIncident;

            fn from_str(text: &str) -> Result<Self, InvalidIncident> {
                if is_resource_id(text, $prefix) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidIncident::$refused(shortened(text)))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidIncident;

            fn try_from(text: String) -> Result<Self, InvalidIncident> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

resource_id!(
    /// The id of a NAT gateway, such as `nat-0a1b2c3d4e5f60718`.
    NatGatewayId, "nat-", GatewayId
);
resource_id!(
    /// The id of a network interface, such as `eni-0f1e2d3c4b5a69788`.
    InterfaceId, "eni-", InterfaceId
);

/// A stretch of time whose end is after its start, both to the second.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Bounds")]
pub struct TimeWindow {
    start: Timestamp,
    end: Timestamp,
}

/// The two ends as they are written, before they are known to be in order.
#[derive(Deserialize, JsonSchema)]
struct Bounds {
    start: Timestamp,
    end: Timestamp,
}

impl TryFrom<Bounds> for TimeWindow {
    type Error = InvalidIncident;

    fn try_from(bounds: Bounds) -> Result<Self, InvalidIncident> {
        Self::new(bounds.start, bounds.end)
    }
}

impl TimeWindow {
    /// The first second of 1970: the window of records that there are none of.
    pub const EPOCH: Self = Self { start: Timestamp::UNIX_EPOCH, end: Timestamp::constant(1, 0) };

    /// From `start` up to `end`; fractions of seconds are cut off, as flow logs have none.
    ///
    /// # Errors
    /// When `end` is not at least one second after `start`.
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Self, InvalidIncident> {
        let whole = |t: Timestamp| Timestamp::from_second(t.as_second()).unwrap_or(t);
        let (start, end) = (whole(start), whole(end));
        if start < end { Ok(Self { start, end }) } else { Err(InvalidIncident::EmptyWindow { start, end }) }
    }

    /// The whole minutes of this length that end with the last whole minute before `now`; `None` of a time that no
    /// calendar has.
    #[must_use]
    pub fn of_last(length: SignedDuration, now: Timestamp) -> Option<Self> {
        let end = Timestamp::from_second(now.as_second().div_euclid(60) * 60).ok()?;
        Self::new(end.checked_sub(length).ok()?, end).ok()
    }

    /// The first instant.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// The instant after the last.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// How long it is, in seconds; at least 1.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.end.as_second() - self.start.as_second()
    }

    /// The same window, where it is one that flow logs can be asked about.
    ///
    /// # Errors
    /// When it is longer than that.
    pub fn to_ask_about(self) -> Result<Self, InvalidIncident> {
        if self.seconds() <= MAX_DAYS_ASKED * 86_400 { Ok(self) } else { Err(InvalidIncident::TooLong(self)) }
    }

    /// Whether both have a second in common.
    #[must_use]
    pub fn overlaps(&self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The same length of time, so much earlier; `None` of a time that no calendar has.
    #[must_use]
    pub fn earlier(&self, by: SignedDuration) -> Option<Self> {
        Self::new(self.start.checked_sub(by).ok()?, self.end.checked_sub(by).ok()?).ok()
    }

    /// The same window, begun earlier by `lead`.
    #[must_use]
    pub fn begun_earlier(&self, lead: SignedDuration) -> Self {
        Self { start: self.start.checked_sub(lead).unwrap_or(self.start), end: self.end }
    }
}

impl FromStr for TimeWindow {
    type Err = InvalidIncident;

    fn from_str(text: &str) -> Result<Self, InvalidIncident> {
        let unusable = || InvalidIncident::Window(shortened(text));
        let (start, end) = text.split_once('/').ok_or_else(unusable)?;
        Self::new(start.parse().map_err(|_| unusable())?, end.parse().map_err(|_| unusable())?)
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.start, self.end)
    }
}

impl fmt::Debug for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the alarm said of itself. Every text in it comes from outside: renderers treat it as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alarm {
    /// The alarm's name as its owner wrote it.
    pub name: String,
    /// Its ARN, where the event carried one.
    pub arn: Option<String>,
    /// The account id, where the event carried one.
    pub account: Option<String>,
    /// The Region's code, such as `eu-west-1`.
    pub region: Option<String>,
    /// The state that it went into.
    pub state: String,
    /// When it went into that state.
    pub at: Timestamp,
    /// The account that has the metric, where the alarm says that it is another than its own.
    #[serde(default)]
    pub metric_account: Option<String>,
    /// Which of its contributors it tells of, where it is an alarm on a query that groups.
    #[serde(default)]
    pub contributor: Option<String>,
    /// What kept its actions from being taken, such as a mute rule; the event came all the same.
    #[serde(default)]
    pub muted: Option<String>,
}

/// How much earlier the same question is asked once more, to tell what is new from what has grown.
const EARLIER: SignedDuration = SignedDuration::from_hours(1);

/// One thing to look into: a gateway (where known) and the minutes in question.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// The alarm that reported it; `None` for a run by hand.
    pub alarm: Option<Alarm>,
    /// The gateway, where the alarm or the caller named one.
    pub gateway: Option<NatGatewayId>,
    /// The zone dimension of a regional gateway's alarm, as written there.
    pub zone: Option<String>,
    /// Whether the alarm named no zone, and the gateway's metrics told which it is.
    #[serde(default)]
    pub zone_from_metrics: bool,
    /// The minutes in question, where they are known before the records are read.
    pub window: Option<TimeWindow>,
    /// Whether the window was given as it is to be, and not told by an alarm's datapoints.
    pub exact_window: bool,
    /// The `ErrorPortAllocation` sum that the alarm itself reported for its breaching datapoints.
    pub errors_reported: Option<f64>,
    /// Whether the alarm is on several gateways or zones together: then this one may have had no error.
    #[serde(default)]
    pub one_of_several: bool,
    /// Whether the alarm saw no error: somebody set it by hand, its datapoints are all 0, or it takes missing ones for
    /// a breach.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_errors: bool,
}

impl Incident {
    /// No alarm: exactly these minutes of a gateway.
    #[must_use]
    pub fn of_minutes(gateway: Option<NatGatewayId>, window: TimeWindow) -> Self {
        Self { gateway, window: Some(window), exact_window: true, ..Self::default() }
    }

    /// The same minutes of the gateway an hour earlier, of which no alarm tells; `None` where the minutes are not known,
    /// or where they are so many that the two would overlap.
    #[must_use]
    pub fn an_hour_earlier(&self) -> Option<Self> {
        let window = self.window.filter(|window| window.seconds() <= EARLIER.as_secs())?.earlier(EARLIER)?;
        Some(Self {
            zone: self.zone.clone(),
            zone_from_metrics: self.zone_from_metrics,
            ..Self::of_minutes(self.gateway.clone(), window)
        })
    }

    /// The same text for the same alarm transition, however often and in whichever shape it is
    /// delivered; for a run by hand, the same for the same gateway and window.
    ///
    /// An FNV-1a hash over the alarm's name, its second of transition, the gateway and, where the alarm names
    /// them, zone and contributor: stable across versions, unlike the standard library's hasher. Not over
    /// account and Region, which not every delivery tells; a gateway's id stands for both. It is an
    /// identifier, not a secret.
    #[must_use]
    pub fn id(&self) -> String {
        self.id_of(self.window)
    }

    /// By what it is known that a report of this incident went out: its id, and the minutes that it asks about.
    ///
    /// Whoever may send an event may send one with the id of an alarm that is about to come, about other minutes:
    /// that must not keep the alarm's own report back.
    #[must_use]
    pub fn mark(&self) -> String {
        let window = self.window.map(|window| window.to_string());
        format!("{}/{}", self.id(), fingerprint(&window.unwrap_or_default()))
    }

    /// The same, for a run by hand about all that the records hold, once they were read.
    #[must_use]
    pub fn id_of(&self, window: Option<TimeWindow>) -> String {
        let mut hash = Fnv::default();
        match &self.alarm {
            Some(alarm) => {
                hash.part(&alarm.name);
                hash.part(&alarm.at.as_second().to_string());
            }
            None => hash.part(&window.map_or(String::new(), |w| w.to_string())),
        }
        hash.part(self.gateway.as_ref().map_or("", NatGatewayId::as_str));
        // The same alarm has the same id, whatever is found out later.
        let zone = self.zone.as_deref().filter(|_| !self.zone_from_metrics);
        let contributor = self.alarm.as_ref().and_then(|alarm| alarm.contributor.as_deref());
        for part in zone.into_iter().chain(contributor) {
            hash.part(part);
        }
        hash.id()
    }
}

/// The same text for the same text, of the form of an incident's id.
#[must_use]
pub fn fingerprint(text: &str) -> String {
    let mut hash = Fnv::default();
    hash.part(text);
    hash.id()
}

struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn id(&self) -> String {
        format!("nt-{:016x}", self.0)
    }

    /// Adds one part and a separator, so that ("ab", "c") and ("a", "bc") differ.
    fn part(&mut self, text: &str) {
        for byte in text.bytes().chain([0]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_not_of_the_form_is_refused_and_quoted_short() {
        let long = format!("nat-{}", "x".repeat(500));
        let refused = long.parse::<NatGatewayId>().expect_err("refused");
        assert!(refused.to_string().len() < 200, "{refused}");
        for text in ["nat-0a1b2c3d'; rm -rf", "nat-", "nat-0A1B2C3D4E5F60718", "i-0a1b2c3d4e5f60718"] {
            assert!(text.parse::<NatGatewayId>().is_err(), "{text}");
        }
        assert_eq!(
            "nat-0a1b2c3d4e5f60718".parse::<NatGatewayId>().expect("valid").as_str(),
            "nat-0a1b2c3d4e5f60718"
        );
    }

    #[test]
    fn a_window_ends_after_it_starts() {
        assert!("2026-11-18T02:00:00Z/2026-11-18T02:00:00Z".parse::<TimeWindow>().is_err());
        assert!("2026-11-18T02:00:00Z".parse::<TimeWindow>().is_err());
        let window: TimeWindow = "2026-11-18T02:00:00Z/2026-11-18T02:14:00.9Z".parse().expect("valid");
        assert_eq!(window.seconds(), 14 * 60);
    }

    #[test]
    fn a_transition_has_one_id_and_another_has_another() {
        let at = |second| Incident {
            alarm: Some(Alarm {
                name: "nat".into(),
                arn: None,
                account: Some("123456789012".into()),
                region: Some("eu-west-1".into()),
                state: "ALARM".into(),
                at: Timestamp::from_second(second).expect("valid"),
                metric_account: None,
                contributor: None,
                muted: None,
            }),
            gateway: None,
            zone: None,
            window: None,
            exact_window: false,
            zone_from_metrics: false,
            errors_reported: None,
            one_of_several: false,
            without_errors: false,
        };
        assert_eq!(at(1).id(), at(1).id());
        assert_ne!(at(1).id(), at(2).id());
    }
}
