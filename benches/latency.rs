//! From event to publish on a slow AWS: every call takes 100 ms, every query 5 s. What it costs beyond the
//! longest chain of calls that depend on one another is printed as a ratio.
//!
//! `cargo bench --bench latency`; `make bench` installs the emulators that it needs.

#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod support;

use std::time::{Duration, Instant};

use insights_server::InsightsServer;
use nat_simulator::LogFormat;

use support::between::{Between, Beyond, Pace};
use support::runtime_api::RuntimeApi;
use support::scene::{REGION, event, later, staged, started, stored};

const PACE: Pace = Pace { call: Duration::from_millis(100), query: Duration::from_secs(5) };

/// Calls each of which needs what the one before it said. The others run beside them.
const CHAIN: [&str; 10] = [
    "ec2:DescribeNatGateways",
    "ec2:DescribeFlowLogs",
    "logs:DescribeLogGroups",
    // Who holds the ports, then by what names the fullest destinations were asked for, and what was held an hour
    // earlier.
    "logs:StartQuery",
    "logs:GetQueryResults",
    "logs:StartQuery",
    "logs:GetQueryResults",
    "logs:StartQuery",
    "logs:GetQueryResults",
    "sns:Publish",
];

const RUNS: i64 = 5;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    let (scene, simulation) = staged(&LogFormat::v3_pkt());
    let insights = InsightsServer::start(stored(&simulation, LogFormat::v3_pkt()));
    let beyond = Beyond::new(scene.ec2.url(), &insights.endpoint(), scene.rest.url());
    let alarm = event(&simulation, scene.id("gateway"));
    let topic = format!("arn:aws:sns:{REGION}:123456789012:nat-triage");

    // Every answer at hand, so that the emulators' own time does not count.
    let api = RuntimeApi::start();
    let quick = Between::start(&beyond, None);
    let recording = started(&api, &[("AWS_ENDPOINT_URL", &quick.url())], &[("NAT_TRIAGE_TOPIC_ARN", &topic)]);
    api.invoke(&alarm, Duration::from_secs(120));
    let calls = quick.calls();
    for call in CHAIN {
        assert!(calls.contains_key(call), "{call} is not called any more: {calls:?}");
    }
    drop(recording);

    let api = RuntimeApi::start();
    let slow = Between::start_paced(&beyond, None, PACE);
    let _function = started(&api, &[("AWS_ENDPOINT_URL", &slow.url())], &[("NAT_TRIAGE_TOPIC_ARN", &topic)]);
    let queries = CHAIN.iter().filter(|call| **call == "logs:StartQuery").count();
    let whole = |calls: usize| u32::try_from(calls).expect("few");
    let chain = PACE.call * whole(CHAIN.len()) + PACE.query * whole(queries);
    let mut ratios: Vec<f64> = (0..RUNS)
        .map(|nth| {
            let began = Instant::now();
            api.invoke(&later(&alarm, nth), Duration::from_secs(120));
            began.elapsed().as_secs_f64() / chain.as_secs_f64()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!("calls: {}; longest chain: {} calls and {queries} queries, {chain:?}", calls.len(), CHAIN.len());
    println!(
        "event to answer, as a part of the chain: {:.3} (median of {RUNS}; least {:.3}, most {:.3})",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1]
    );
}
