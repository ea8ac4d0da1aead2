//! The names that the owners of addresses gave them in the DNS.
//!
//! They are a hint, where nothing tells what clients asked for. The DNS is asked only where the operator wants
//! it, because a name server then learns which addresses matter.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use tokio::time::timeout_at;

use crate::deadline::Deadline;
use crate::gap::Gap;
use crate::network::{HostName, NameSource};

/// How long one address may take; all are asked about at the same time. A resolver near by answers within
/// a fraction of a second, and a hint is not worth more.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most names of one address that are kept: some have hundreds.
const NAMES_OF_EACH: usize = 3;

/// A name server that is asked.
#[derive(Clone, Debug)]
pub struct ReverseDns {
    /// `Err` where the machine names no name server.
    resolver: Result<TokioResolver, String>,
}

impl ReverseDns {
    /// The name servers that the machine uses.
    #[must_use]
    pub fn of_machine() -> Self {
        let built = TokioResolver::builder_tokio().and_then(|mut builder| {
            *builder.options_mut() = options();
            builder.build()
        });
        Self { resolver: built.map_err(|error| error.to_string()) }
    }

    /// The name server at `server`, over UDP, and over TCP where an answer does not fit.
    #[must_use]
    pub fn at(server: SocketAddr) -> Self {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        let server = NameServerConfig::new(server.ip(), true, connections.to_vec());
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options();
        Self { resolver: builder.build().map_err(|error| error.to_string()) }
    }

    /// The names of `addresses`, and what could not be found out. An address without a name is no gap.
    pub async fn names(&self, addresses: &[IpAddr], deadline: Deadline) -> (Vec<HostName>, Option<Gap>) {
        let gap = |why: String| {
            Gap::new(
                "the names that reverse DNS has for the destinations",
                why,
                "check NAT_TRIAGE_REVERSE_DNS and that the function reaches the name server, or unset it",
            )
        };
        let resolver = match &self.resolver {
            Ok(resolver) => resolver,
            Err(error) => return (Vec::new(), Some(gap(format!("no name server can be asked: {error}")))),
        };
        let asked = join_all(addresses.iter().map(async |address| {
            let until = deadline.instant().min(Deadline::after(PATIENCE).instant());
            match timeout_at(until, names_of(resolver, *address)).await {
                Ok(answer) => answer.map_err(|error| error.to_string()),
                Err(_) => Err("no answer in time".to_owned()),
            }
        }))
        .await;
        let (mut names, mut unanswered) = (Vec::new(), None);
        for (address, answer) in addresses.iter().zip(asked) {
            match answer {
                Ok(found) => names.extend(found),
                Err(error) => unanswered = unanswered.or_else(|| Some(gap(format!("{address}: {error}")))),
            }
        }
        (names, unanswered)
    }
}

fn options() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = PATIENCE / 2;
    options.attempts = 1;
    options.cache_size = 0;
    options
}

async fn names_of(resolver: &TokioResolver, address: IpAddr) -> Result<Vec<HostName>, NetError> {
    let answer = match resolver.reverse_lookup(address).await {
        Ok(answer) => answer,
        Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let names = answer.answers().iter().filter_map(|record| match &record.data {
        RData::PTR(name) => Some(name.to_utf8()),
        _ => None,
    });
    let host = |name: String| HostName {
        name: name.trim_end_matches('.').to_owned(),
        addresses: vec![address],
        source: NameSource::ReverseDns,
    };
    Ok(names.map(host).filter(HostName::is_host).take(NAMES_OF_EACH).collect())
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
    use hickory_resolver::proto::rr::rdata::PTR;
    use hickory_resolver::proto::rr::{Name, Record};
    use tokio::net::UdpSocket;
    use tokio::time::Instant;

    use super::*;

    const KNOWN: &str = "203.0.113.10";
    const NAMELESS: &str = "203.0.113.11";
    const HOSTILE: &str = "203.0.113.12";
    const SILENT: &str = "203.0.113.13";

    /// A name server on loopback, until its task ends with the test.
    async fn name_server() -> ReverseDns {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port on loopback is free");
        let server = ReverseDns::at(socket.local_addr().expect("an address"));
        tokio::spawn(async move {
            let mut bytes = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
                let question = Message::from_vec(&bytes[..length]).expect("a question");
                let asked = question.queries[0].name().clone();
                let is = |address: &str| asked == Name::from(address.parse::<IpAddr>().expect("valid"));
                if is(SILENT) {
                    continue;
                }
                let mut answer = question.clone();
                answer.metadata.message_type = MessageType::Response;
                let mut tell = |name: Name| {
                    answer.answers.push(Record::from_rdata(asked.clone(), 60, RData::PTR(PTR(name))));
                };
                if is(KNOWN) {
                    tell("host-10.example.net.".parse().expect("valid"));
                } else if is(HOSTILE) {
                    tell(Name::from_labels([&b"$(reboot)"[..], b"example"]).expect("labels"));
                    for n in 0..9 {
                        tell(format!("n{n}.example.").parse().expect("valid"));
                    }
                } else {
                    answer.metadata.response_code = ResponseCode::NXDomain;
                }
                socket.send_to(&answer.to_vec().expect("an answer"), from).await.expect("sent");
            }
        });
        server
    }

    async fn found(addresses: &[&str]) -> (Vec<String>, Option<Gap>) {
        let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().expect("valid")).collect();
        let deadline = Deadline::after(Duration::from_secs(30));
        let (names, gap) = name_server().await.names(&addresses, deadline).await;
        assert!(names.iter().all(|name| name.source == NameSource::ReverseDns));
        (names.into_iter().map(|name| name.name).collect(), gap)
    }

    #[tokio::test]
    async fn an_address_without_a_name_is_no_gap() {
        assert_eq!(found(&[KNOWN, NAMELESS]).await, (vec!["host-10.example.net".to_owned()], None));
    }

    #[tokio::test]
    async fn what_is_no_host_name_and_what_is_too_much_is_left_out() {
        let (names, _) = found(&[HOSTILE]).await;
        assert_eq!(names, ["n0.example", "n1.example", "n2.example"]);
    }

    #[tokio::test]
    async fn a_silent_name_server_costs_two_seconds_and_leaves_a_gap() {
        let began = Instant::now();
        let (names, gap) = found(&[SILENT, KNOWN]).await;
        assert_eq!(names, ["host-10.example.net"]);
        assert!(gap.expect("a gap").why.starts_with(SILENT));
        assert!(began.elapsed() < PATIENCE * 5, "{:?}", began.elapsed());
    }
}
