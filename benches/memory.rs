//! The most memory that the function takes: at rest, for a diagnosis with few rows, and for one whose answer has as
//! many rows as Logs Insights gives, with the bundle kept as for a report bucket. `MemorySize` in the template rests
//! on the last.
//!
//! `cargo bench --bench memory`; `make bench` installs the emulators that it needs.

#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod support;

use std::time::Duration;

use insights_server::InsightsServer;
use nat_simulator::LogFormat;

use support::runtime_api::{Answered, RuntimeApi};
use support::scene::{endpoints, event, later, staged, started, stored};

/// More than the 10,000 rows that an answer has.
const MANY_SERVERS: u32 = 14_000;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    let format = LogFormat::v3_pkt();
    let (scene, simulation) = staged(&format);
    let mut crawled = simulation.incident().clone();
    crawled.add_crawler(MANY_SERVERS);
    let crawled = crawled.simulate();
    let cases = [("few rows", &simulation), ("as many rows as there can be", &crawled)];
    for (nth, (name, simulation)) in (0..).zip(cases) {
        let insights = InsightsServer::start(stored(simulation, format.clone()));
        let url = insights.endpoint();
        let settings =
            [("NAT_TRIAGE_TOPIC_ARN", scene.id("topic")), ("NAT_TRIAGE_REPORT_BUCKET", scene.id("bucket"))];
        let api = RuntimeApi::start();
        let function = started(&api, &endpoints(&scene, &url), &settings);
        std::thread::sleep(Duration::from_secs(2));
        let rest = function.peak_kib();
        // Another transition: what was reported before is not diagnosed again.
        let alarm = later(&event(simulation, scene.id("gateway")), nth);
        let Answered::Response(diagnosis) = api.invoke(&alarm, Duration::from_secs(600)) else {
            panic!("{name}: no diagnosis")
        };
        assert_eq!(diagnosis["verdict"], "confirmed", "{name}");
        let peak = function.peak_kib();
        let mib = |kib: u64| kib as f64 / 1024.0;
        let records = &diagnosis["coverage"]["records_read"];
        println!("{name}, {records} records: {:.0} MiB at rest, {:.0} MiB at the most", mib(rest), mib(peak));
    }
}
