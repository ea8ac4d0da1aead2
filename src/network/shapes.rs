//! The form that AWS gives its ids and names, and what of a network does not have it.
//!
//! Ids and names come from look-ups, but from contexts, bundles and records too, and end up in commands that people
//! paste. The AWS CLI takes a value that begins with a hyphen for an option, and one that begins with `file://` or
//! `http://` for something to load, however well the shell's quotes hold. So what does not have its form is taken
//! out before anything is made of it, and is named.

use ipnet::IpNet;

use super::{Network, Owner, is_id};
use crate::gap::Gap;
use crate::words;

/// The form of an id or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An id of EC2: this prefix, a hyphen, and 8 to 17 hexadecimal digits.
    Id(&'static str),
    /// A Region's code.
    Region,
    /// An Availability Zone's name or id.
    Zone,
    /// A service that endpoints are made for.
    Service,
    /// A log group's name or ARN.
    LogGroup,
    /// What a route matches: an address range or a prefix list.
    RouteDestination,
    /// Where a route leads: an id, an ARN, or `local`.
    RouteTarget,
    /// The name of an Auto Scaling group.
    ScalingGroup,
    /// The name, the id or the ARN of something of ECS or EKS.
    Container,
}

impl Shape {
    /// Whether a text has this form.
    ///
    /// Sources: "Resource IDs" in the Amazon EC2 user guide; `LogGroupName` in the CloudWatch Logs API; `ServiceName`
    /// in `CreateVpcEndpoint`; `AutoScalingGroupName` in the Auto Scaling API; `name` in `CreateCluster` of EKS and
    /// `clusterName` in that of ECS. Where a form allows a hyphen at the beginning, it is not taken all the same.
    pub(crate) fn fits(self, text: &str) -> bool {
        let of = |most: usize, allowed: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || allowed.contains(c);
            (1..=most).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with('-')
        };
        match self {
            Self::Id(prefix) => is_id(text, &format!("{prefix}-")),
            Self::Region => is_region(text),
            Self::Zone => {
                let lower = !text.contains(|c: char| c.is_ascii_uppercase());
                of(40, "-") && lower && text.starts_with(|c: char| c.is_ascii_lowercase())
            }
            Self::Service => of(255, ".-_") && text.contains('.') && text.starts_with(char::is_alphabetic),
            Self::LogGroup => match text.strip_prefix("arn:") {
                Some(_) => of(620, "_/.#-:*") && text.contains(":log-group:"),
                None => of(512, "_/.#-"),
            },
            Self::RouteDestination => text.parse::<IpNet>().is_ok() || is_id(text, "pl-"),
            Self::RouteTarget => {
                let is_any_id = || {
                    let (prefix, _) = text.rsplit_once('-').unwrap_or_default();
                    !prefix.is_empty()
                        && prefix.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
                        && is_id(text, &format!("{prefix}-"))
                };
                text == "local" || is_any_id() || text.starts_with("arn:aws") && of(300, ":/-")
            }
            Self::ScalingGroup => {
                let printable = text.chars().all(|c| (c.is_ascii_graphic() || c == ' ') && c != ':');
                (1..=255).contains(&text.len()) && printable && !text.starts_with('-')
            }
            Self::Container => match text.strip_prefix("arn:aws") {
                Some(_) => of(300, "_-:/"),
                None => of(255, "_-"),
            },
        }
    }
}

/// Whether a text is the code of a Region: words of lower-case letters and a number, with hyphens between.
pub(crate) fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let is_number = (1..=2).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    text.len() <= 30 && words.len() >= 2 && words.iter().all(word) && is_number
}

/// So many misfits are named; the others are counted.
const NAMED: usize = 3;

/// Longest part of a misfit that is shown.
const SHOWN: usize = 60;

/// Takes out what does not fit.
#[derive(Default)]
struct Sieve {
    named: Vec<String>,
    all: u64,
}

impl Sieve {
    fn fits(&mut self, what: &str, text: &str, shape: Shape) -> bool {
        let fits = shape.fits(text);
        if !fits {
            self.all += 1;
            if self.named.len() < NAMED {
                self.named.push(format!("{what}: {:?}", words::outside(text, SHOWN)));
            }
        }
        fits
    }

    fn fact(&mut self, what: &str, fact: &mut Option<String>, shape: Shape) {
        if fact.as_ref().is_some_and(|text| !self.fits(what, text, shape)) {
            *fact = None;
        }
    }

    fn list(&mut self, what: &str, list: &mut Vec<String>, shape: Shape) {
        list.retain(|text| self.fits(what, text, shape));
    }

    fn items<T>(&mut self, items: Option<&mut Vec<T>>, mut fits: impl FnMut(&mut Self, &mut T) -> bool) {
        if let Some(items) = items {
            items.retain_mut(|item| fits(self, item));
        }
    }

    fn owner(&mut self, owner: &mut Owner) {
        self.fact("the zone of an owner", &mut owner.zone, Shape::Zone);
        let of = &mut owner.handles;
        self.fact("the interface of an owner", &mut of.interface_id, Shape::Id("eni"));
        self.fact("the subnet of an owner", &mut of.subnet_id, Shape::Id("subnet"));
        self.fact("the instance of an owner", &mut of.instance_id, Shape::Id("i"));
        self.fact("an Auto Scaling group", &mut of.scaling_group, Shape::ScalingGroup);
        self.fact("an ECS cluster", &mut of.ecs_cluster, Shape::Container);
        self.fact("an ECS service", &mut of.ecs_service, Shape::Container);
        self.fact("an ECS task", &mut of.ecs_task, Shape::Container);
        self.fact("an EKS cluster", &mut of.eks_cluster, Shape::Container);
        self.list("a security group", &mut of.security_groups, Shape::Id("sg"));
    }
}

impl Network {
    /// Takes out the ids and names that do not have the form that AWS gives them, with whatever is known by them
    /// only, and says which they were.
    pub(crate) fn take_out_misfits(&mut self) -> Option<Gap> {
        let mut sieve = Sieve::default();
        sieve.fact("a Region", &mut self.region, Shape::Region);
        sieve.fact("a zone", &mut self.troubled_zone, Shape::Zone);
        let gateway = &mut self.gateway;
        sieve.fact("the VPC", &mut gateway.vpc_id, Shape::Id("vpc"));
        sieve.fact("the gateway's subnet", &mut gateway.subnet_id, Shape::Id("subnet"));
        for address in &mut gateway.addresses {
            sieve.fact("the zone of an address", &mut address.zone, Shape::Zone);
        }
        let zones = gateway.zones.len();
        sieve.list("a zone", &mut gateway.zones, Shape::Zone);
        sieve.list("the id of a zone", &mut gateway.zone_ids, Shape::Zone);
        if gateway.zone_ids.len() != zones || gateway.zones.len() != zones {
            // They stand beside one another, all or none.
            gateway.zone_ids.clear();
        }
        sieve.items(Some(&mut self.flow_logs), |sieve, log| {
            sieve.fact("a log group", &mut log.log_group, Shape::LogGroup);
            log.is_named() || sieve.fits("a flow log", &log.id, Shape::Id("fl"))
        });
        sieve.items(self.subnets.as_mut(), |sieve, subnet| {
            sieve.fact("the zone of a subnet", &mut subnet.zone, Shape::Zone);
            sieve.fits("a subnet", &subnet.id, Shape::Id("subnet"))
        });
        sieve.items(self.route_tables.as_mut(), |sieve, table| {
            sieve.list("the subnet of a route table", &mut table.subnet_ids, Shape::Id("subnet"));
            table.routes.retain(|route| {
                sieve.fits("what a route matches", &route.destination, Shape::RouteDestination)
                    && sieve.fits("the target of a route", &route.target, Shape::RouteTarget)
            });
            sieve.fits("a route table", &table.id, Shape::Id("rtb"))
        });
        sieve.items(self.siblings.as_mut(), |sieve, sibling| {
            sieve.fact("the zone of another gateway", &mut sibling.zone, Shape::Zone);
            sieve.fact("the subnet of another gateway", &mut sibling.subnet_id, Shape::Id("subnet"));
            true
        });
        sieve.items(self.prefix_lists.as_mut(), |sieve, list| {
            // Customers may call theirs anything: only services' names go into commands.
            sieve.fits("a prefix list", &list.id, Shape::Id("pl"))
                && (list.service().is_none() || sieve.fits("a prefix list", &list.name, Shape::Service))
        });
        sieve.items(self.gateway_endpoints.as_mut(), |sieve, endpoint| {
            sieve.list("the route table of an endpoint", &mut endpoint.route_table_ids, Shape::Id("rtb"));
            sieve.fits("an endpoint", &endpoint.id, Shape::Id("vpce"))
                && sieve.fits("the VPC of an endpoint", &endpoint.vpc_id, Shape::Id("vpc"))
                && sieve.fits("the service of an endpoint", &endpoint.service_name, Shape::Service)
        });
        sieve.items(self.interface_endpoints.as_mut(), |sieve, endpoint| {
            sieve.fits("an endpoint", &endpoint.id, Shape::Id("vpce"))
                && sieve.fits("the VPC of an endpoint", &endpoint.vpc_id, Shape::Id("vpc"))
                && sieve.fits("the service of an endpoint", &endpoint.service_name, Shape::Service)
        });
        sieve.items(self.endpoint_services.as_mut(), |sieve, service| {
            sieve.fits("a service", &service.service_name, Shape::Service)
        });
        sieve.items(self.resolver_log_groups.as_mut(), |sieve, group| {
            sieve.fits("a log group", group, Shape::LogGroup)
        });
        self.owners.iter_mut().for_each(|owner| sieve.owner(owner));
        let Sieve { named, all } = sieve;
        (all > 0).then(|| {
            let more = all - named.len() as u64;
            let more = if more > 0 { format!("; and {} more", words::count(more)) } else { String::new() };
            Gap::new(
                format!("{} that do not have the form that AWS gives them", ids(all)),
                format!("left out of commands, links and questions: {}{more}", named.join("; ")),
                "correct where they come from: the context, the bundle or the fields of the records",
            )
        })
    }
}

fn ids(number: u64) -> String {
    if number == 1 { "1 id or name".to_owned() } else { format!("{} ids or names", words::count(number)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{GatewayEndpoint, PrefixList, RouteTable, Subnet};

    #[test]
    fn a_shape_takes_what_aws_gives_and_no_shell() {
        use Shape::{
            Container, Id, LogGroup, Region, RouteDestination, RouteTarget, ScalingGroup, Service, Zone,
        };

        for (shape, fitting) in [
            (Id("vpc"), &["vpc-0a1b2c3d", "vpc-0a1b2c3d4e5f60718"][..]),
            (Region, &["eu-west-1", "us-gov-east-1", "us-isob-east-1", "eusc-de-east-1", "ap-southeast-12"]),
            (Zone, &["eu-west-1a", "use1-az1", "us-west-2-lax-1a", "us-east-1-wl1-bos-wlz-1"]),
            (
                Service,
                &["com.amazonaws.eu-west-1.s3", "cn.com.amazonaws.cn-north-1.ecr.dkr", "aws.api.eu-west-1.x"],
            ),
            (
                LogGroup,
                &["/vpc/flow-logs", "aws#x_y.z", "arn:aws:logs:eu-west-1:123456789012:log-group:/vpc:*"],
            ),
            (RouteDestination, &["0.0.0.0/0", "::/0", "pl-0a1b2c3d"]),
            (
                RouteTarget,
                &[
                    "local",
                    "nat-0a1b2c3d4e5f60718",
                    "eigw-0a1b2c3d",
                    "lgw-vif-0a1b2c3d",
                    "arn:aws:networkmanager::123456789012:core-network/core-network-0a1b",
                ],
            ),
            (ScalingGroup, &["web", "Team A (blue) <1>", "x'y"]),
            (Container, &["prod", "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"]),
        ] {
            for text in fitting {
                assert!(shape.fits(text), "{shape:?} {text}");
            }
            for hostile in [
                "",
                "--endpoint-url=http://127.0.0.1",
                "-x",
                "file:///etc/passwd",
                "fileb://x",
                "http://evil.example",
                "https://evil.example",
                "a\nb",
                "\u{202e}x",
                "arn:aws:x\u{1b}]0;",
            ] {
                assert!(!shape.fits(hostile), "{shape:?} {hostile:?}");
            }
        }
        for injected in ["subnet-0a1b2c3d,Name=x", "subnet-", "vpc-0a1b2c3d"] {
            assert!(!Id("subnet").fits(injected), "{injected}");
        }
        assert!(!Container.fits("$(reboot)") && !Service.fits("com.amazonaws.x; y") && !LogGroup.fits("a b"));
    }

    #[test]
    fn what_does_not_fit_is_taken_out_and_named_and_the_rest_stays() {
        let table = |id: &str, subnets: &[&str]| RouteTable {
            id: id.into(),
            subnet_ids: subnets.iter().map(ToString::to_string).collect(),
            ..RouteTable::default()
        };
        let good = table("rtb-0a1b2c3d", &["subnet-0a1b2c3d"]);
        let mut network = Network {
            route_tables: Some(vec![
                table("--endpoint-url=http://127.0.0.1:18555", &[]),
                table("rtb-0a1b2c3d", &["subnet-0a1b2c3d", "file://x"]),
            ]),
            subnets: Some(vec![Subnet { id: "-x".into(), ..Subnet::default() }]),
            prefix_lists: Some(vec![
                PrefixList { id: "pl-0a1b2c3d".into(), name: "our partners".into(), ..PrefixList::default() },
                PrefixList {
                    id: "pl-0a1b2c3d".into(),
                    name: "-x.amazonaws.y.s3".into(),
                    ..PrefixList::default()
                },
            ]),
            gateway_endpoints: Some(vec![GatewayEndpoint::default()]),
            ..Network::default()
        };
        network.gateway.vpc_id = Some("file:///srv/private.txt".into());
        let gap = network.take_out_misfits().expect("misfits");
        assert_eq!(network.route_tables, Some(vec![good]));
        assert_eq!(network.subnets, Some(Vec::new()));
        assert_eq!(network.prefix_lists.as_ref().map(Vec::len), Some(1));
        assert_eq!(
            (network.gateway.vpc_id.clone(), network.gateway_endpoints.clone()),
            (None, Some(Vec::new()))
        );
        assert!(gap.what.starts_with("6 ids or names"), "{gap:?}");
        assert!(gap.why.contains("the VPC: \"file: ///srv") && gap.why.ends_with("; and 3 more"), "{gap:?}");
        assert_eq!(network.take_out_misfits(), None, "twice is as once");
    }
}
