//! What is tried on every incident: which flow log there was, how it was read, and what was wrong
//! with it.

use insights_server::Dialect;
use nat_simulator::{Duplicates, Field, GatewayKind, Incident, LogFormat, View};
use nat_triage::evidence::insights::CONSTRUCTS;

/// How the records are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// As files.
    Files,
    /// By Logs Insights queries.
    Insights,
}

/// What is wrong with the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Two flow logs over the same interfaces, whose records are cut differently.
    TwoFlowLogs,
    /// One record in twenty is missing, and SKIPDATA records say so.
    SkipData,
    /// Only what had been delivered three minutes after the alarm.
    Late,
}

/// One flow log, and how it is read.
#[derive(Clone, Debug)]
pub struct Setup {
    /// As the table names it.
    pub name: &'static str,
    /// Its fields.
    pub format: LogFormat,
    /// Whether it covers the whole VPC, or the gateway alone.
    pub whole_vpc: bool,
    /// Seconds that one record may span.
    pub aggregation_s: u32,
    /// How it is read.
    pub reader: Reader,
    /// Whether the gateway's metrics are at hand, as they are for the function.
    pub metrics: bool,
    /// What is wrong with it.
    pub fault: Fault,
    /// What Logs Insights takes, where it is asked.
    pub dialect: Dialect,
}

impl Setup {
    fn new(name: &'static str, format: LogFormat, whole_vpc: bool) -> Self {
        Self {
            name,
            format,
            whole_vpc,
            aggregation_s: 60,
            reader: Reader::Files,
            metrics: true,
            fault: Fault::None,
            dialect: Dialect::default(),
        }
    }

    fn over(self, aggregation_s: u32) -> Self {
        Self { aggregation_s, ..self }
    }

    fn asked(self) -> Self {
        Self { reader: Reader::Insights, ..self }
    }

    fn without_metrics(self) -> Self {
        Self { metrics: false, ..self }
    }

    /// Asked of a service that takes less.
    fn asked_of(self, dialect: Dialect) -> Self {
        Self { reader: Reader::Insights, dialect, ..self }
    }

    fn with(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    /// All that is tried, in the order of the table.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let (v2, v3, v5, v11) =
            (LogFormat::v2_default(), LogFormat::v3_pkt(), LogFormat::v5(), LogFormat::v11());
        let advised = LogFormat::recommended();
        vec![
            Self::new("v2, gateway", v2.clone(), false),
            Self::new("v2, VPC", v2.clone(), true),
            Self::new("v2, VPC, no metrics", v2.clone(), true).without_metrics(),
            Self::new("v3, gateway", v3, false),
            Self::new("v5, VPC", v5, true),
            Self::new("advised, gateway", advised.clone(), false),
            Self::new("v11, VPC", v11.clone(), true),
            Self::new("v2, VPC, 600 s", v2.clone(), true).over(600),
            Self::new("v11, VPC, 600 s", v11.clone(), true).over(600),
            Self::new("v2, VPC, Insights", v2.clone(), true).asked(),
            Self::new("advised, gateway, Insights", advised, false).asked(),
            Self::new("v11, VPC, Insights", v11.clone(), true).asked(),
            Self::new("v2, VPC, two stats", v2.clone(), true).asked_of(two_stats()),
            Self::new("v11, VPC, two stats", v11.clone(), true).asked_of(two_stats()),
            Self::new("v2, VPC, two stats, no if", v2.clone(), true).asked_of(Dialect::before_june_2026()),
            Self::new("v11, VPC, two stats, no if", v11.clone(), true).asked_of(Dialect::before_june_2026()),
            Self::new("v2, VPC, one stats", v2.clone(), true).asked_of(one_stats()),
            Self::new("v11, VPC, one stats", v11.clone(), true).asked_of(one_stats()),
            Self::new("v2, VPC, no parse by pattern", v2, true).asked_of(no_pattern()),
            Self::new("v11, VPC, no parse by pattern", v11.clone(), true).asked_of(no_pattern()),
            Self::new("v11, VPC, two flow logs", v11.clone(), true).with(Fault::TwoFlowLogs),
            Self::new("v11, VPC, SKIPDATA", v11.clone(), true).with(Fault::SkipData),
            Self::new("v11, VPC, late", v11, true).with(Fault::Late),
        ]
    }

    /// Whether the format can carry the answer: a regional gateway shows by `resource-id` alone.
    #[must_use]
    pub fn can_tell(&self, incident: &Incident) -> bool {
        incident.gateways[0].kind != GatewayKind::Regional || self.format.contains(Field::ResourceId)
    }

    /// What this flow log shows of an incident whose alarm fired at `alarm_at`.
    #[must_use]
    pub fn view(&self, incident: &Incident, alarm_at: i64) -> View {
        /// Seconds after the alarm at which the logs are asked.
        const ASKED_AFTER: i64 = 180;

        let mut view = if self.whole_vpc {
            View::of_vpc(self.format.clone())
        } else {
            View::of_gateway(incident, self.format.clone())
        };
        view.aggregation_s = self.aggregation_s;
        match self.fault {
            Fault::None => {}
            Fault::TwoFlowLogs => view.duplicates = Duplicates::Overlapping,
            Fault::SkipData => view.skipdata_share = 0.05,
            Fault::Late => view.delivered_by = Some(alarm_at + ASKED_AFTER),
        }
        view
    }
}

/// A service that takes two `stats`, as of a group of the class Infrequent Access.
fn two_stats() -> Dialect {
    Dialect { max_stats: 2, ..Dialect::default() }
}

/// A service that takes one.
fn one_stats() -> Dialect {
    Dialect { max_stats: 1, ..Dialect::default() }
}

/// A service that takes one and whose answers to a `parse` with a regular expression can't be had.
fn no_pattern() -> Dialect {
    let taken = CONSTRUCTS.iter().map(|construct| construct.name.to_owned());
    let constructs = taken.filter(|name| name != "parse by a regular expression").collect();
    Dialect { max_stats: 1, constructs: Some(constructs), ..Dialect::default() }
}
