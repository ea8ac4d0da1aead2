//! Which incidents are tried, and what people do to their records before they are read.

use std::ops::Range;

use nat_simulator::{GatewayKind, Incident, Pattern, Rule, Scale, Scenario, Simulation};

use crate::setup::Setup;

/// Incidents of one kind, read in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Random incidents, with all records.
    Random,
    /// Incidents with something in them that leads astray.
    Scenario(Scenario),
    /// Of a random incident in which something is exhausted, only what somebody kept.
    Kept(Kept),
}

/// What of the records was kept. Nothing is known beside them but the alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The lines in which the exhausted server's address stands.
    LinesOfServer,
    /// The lines in which the worst client's address stands.
    LinesOfClient,
    /// The records of the alarm's last minute, and no alarm.
    OneMinute,
    /// All, beside records of other interfaces in the default format.
    BesideDefaultFormat,
    /// All, beside those of another gateway; the alarm is on both together.
    BesideGateway,
}

/// So many servers are more than a report lists or a question brings.
const FEW_SERVERS: u32 = 2_000;

/// So many a real crawler has.
const MANY_SERVERS: u32 = 60_000;

impl Case {
    /// How many seeds are tried where so many random incidents are: of each of the many cases a fifteenth, and of
    /// the largest a sixtieth, so that all of them take no longer than the random incidents do.
    #[must_use]
    pub fn seeds(self, of_random: u64) -> u64 {
        match self {
            Self::Random => of_random,
            Self::Scenario(Scenario::Crawler(MANY_SERVERS) | Scenario::Scan(MANY_SERVERS)) => {
                of_random.div_ceil(60)
            }
            Self::Scenario(_) | Self::Kept(_) => of_random.div_ceil(15),
        }
    }

    /// The cases beside the random incidents.
    #[must_use]
    pub fn beside_random() -> Vec<Self> {
        vec![
            Self::Scenario(Scenario::PrivateServer),
            Self::Scenario(Scenario::EarlierBurst),
            Self::Scenario(Scenario::LaterBurst),
            Self::Scenario(Scenario::OneFullAddress),
            Self::Scenario(Scenario::RejectBeside(Rule::AtGateway)),
            Self::Scenario(Scenario::RejectInstead(Rule::AtGateway)),
            Self::Scenario(Scenario::RejectBeside(Rule::AtClient)),
            Self::Scenario(Scenario::RejectInstead(Rule::AtClient)),
            Self::Scenario(Scenario::Crawler(FEW_SERVERS)),
            Self::Scenario(Scenario::Scan(FEW_SERVERS)),
            Self::Scenario(Scenario::Crawler(MANY_SERVERS)),
            Self::Scenario(Scenario::Scan(MANY_SERVERS)),
            Self::Kept(Kept::LinesOfServer),
            Self::Kept(Kept::LinesOfClient),
            Self::Kept(Kept::OneMinute),
            Self::Kept(Kept::BesideDefaultFormat),
            Self::Kept(Kept::BesideGateway),
        ]
    }

    /// As the table names it; nothing for the random incidents.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self {
            Self::Random => "",
            Self::Scenario(scenario) => return scenario.name(),
            Self::Kept(Kept::LinesOfServer) => "grep server",
            Self::Kept(Kept::LinesOfClient) => "grep client",
            Self::Kept(Kept::OneMinute) => "one minute, no alarm",
            Self::Kept(Kept::BesideDefaultFormat) => "mixed formats",
            Self::Kept(Kept::BesideGateway) => "two gateways",
        };
        name.to_owned()
    }

    /// The flow logs that it is tried with.
    #[must_use]
    pub fn setups(self) -> Vec<Setup> {
        let names: &[&str] = match self {
            Self::Random => return Setup::all(),
            Self::Scenario(Scenario::Crawler(MANY_SERVERS) | Scenario::Scan(MANY_SERVERS)) => {
                &["v2, VPC", "v11, VPC", "v11, VPC, Insights", "v11, VPC, two stats, no if"]
            }
            Self::Scenario(_) => &[
                "v2, gateway",
                "v2, VPC",
                "v11, VPC",
                "v2, VPC, Insights",
                "v11, VPC, Insights",
                "v2, VPC, two stats, no if",
                "v11, VPC, two stats, no if",
                "v2, VPC, one stats",
                "v11, VPC, one stats",
            ],
            Self::Kept(Kept::BesideDefaultFormat) => &["v3, gateway", "advised, gateway"],
            Self::Kept(_) => &["v2, gateway", "v2, VPC", "v5, VPC", "advised, gateway"],
        };
        Setup::all().into_iter().filter(|setup| names.contains(&setup.name)).collect()
    }

    /// The incident of a seed.
    #[must_use]
    pub fn incident(self, seed: u64, capacity: u32) -> Incident {
        let scale = if capacity == nat_simulator::PORTS_PER_ADDRESS {
            Scale::Full
        } else {
            Scale::Reduced { capacity }
        };
        match self {
            Self::Random => Incident::random(seed, scale),
            Self::Scenario(scenario) => scenario.incident(seed, capacity),
            Self::Kept(kept) => {
                let pattern = Pattern::ALL[(seed % 6) as usize];
                let fits = |incident: &Incident| {
                    let others = incident.gateways.len() > 1;
                    incident.gateways[0].kind == GatewayKind::Zonal && (kept != Kept::BesideGateway || others)
                };
                let of = |nth: u64| Incident::random_of(seed + nth * 1_000, scale, pattern, true);
                (0..).map(of).find(fits).expect("most gateways are zonal")
            }
        }
    }

    /// The seconds whose minutes are the alarm's, if they had errors.
    pub(crate) fn alarmed(self, simulation: &Simulation) -> Range<i64> {
        let incident = simulation.incident();
        let alarmed = match self {
            Self::Scenario(scenario) => scenario.alarmed_s(incident),
            Self::Random | Self::Kept(_) => 0..incident.duration_s,
        };
        incident.start + i64::from(alarmed.start)..incident.start + i64::from(alarmed.end)
    }
}
