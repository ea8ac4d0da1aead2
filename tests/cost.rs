//! What a diagnosis scans, which is what it costs.

use std::cell::RefCell;

use insights_server::{Query as Parsed, Store, Window};
use nat_simulator::{Incident, LogFormat, Pattern, Scale, View};
use nat_triage::contract::Verdict;
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::insights::{Answer, LogsInsights, LogsQueries, Query, Unanswered};
use nat_triage::network::Known;
use nat_triage::triage::triage;

use crate::support::evaluator::Evaluator;
use crate::support::incidents::{LOG_GROUP, incident, network, store};

/// Streams as busy as the gateway's beside it: it is 2 % of the group.
const OTHERS: usize = 49;

/// Counts what queries scan.
struct Metered {
    evaluator: Evaluator,
    scanned: RefCell<Vec<u64>>,
    windows: RefCell<Vec<(i64, i64)>>,
}

impl LogsQueries for &Metered {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        let answer = self.evaluator.run(query).await?;
        self.scanned.borrow_mut().push(answer.bytes_scanned.expect("counted"));
        self.windows.borrow_mut().push((query.from, query.to));
        Ok(answer)
    }
}

/// Bytes that the two queries of AWS's article scan, which look at every record of the group.
fn article(store: &Store, (from, to): (i64, i64), gateway: &str) -> u64 {
    let queries = [
        format!("filter @message like \"{gateway}\" | stats count(*) as records by @logStream | limit 10"),
        format!(
            "filter @message like \"{gateway}\" | stats sum(strlen(@message)) as size by @logStream | limit 10"
        ),
    ];
    store.set_dialect(insights_server::Dialect::default());
    let scanned = queries.iter().map(|text| {
        let window = Window { start_seconds: from, end_seconds: to };
        let parsed = Parsed::parse(text).expect("a query");
        parsed.run(store, &[LOG_GROUP], window).expect("run").statistics.bytes_scanned
    });
    scanned.sum()
}

#[tokio::test]
async fn a_diagnosis_scans_a_tenth_of_what_awss_queries_do() {
    let simulated = Incident::random_of(11, Scale::Reduced { capacity: 400 }, Pattern::Leak, true);
    let simulation = simulated.simulate();
    let facts = simulation.facts();
    let format = LogFormat::v3_pkt();
    let records = simulation.records(&View::of_gateway(&simulated, format.clone()));
    let store = store(&records);
    for other in 0..OTHERS {
        let lines = records.iter().map(|record| (record.timestamp, record.line.as_str()));
        store.add_flow_log_lines(LOG_GROUP, &format!("eni-{other:017x}-all"), lines);
    }
    let metered = Metered {
        evaluator: Evaluator::new(store.clone()),
        scanned: RefCell::default(),
        windows: RefCell::default(),
    };
    let known = Known(network(&facts, &format.header(), &facts.vpc_id, 60));
    let limits = Limits { ports_per_address: facts.ports_per_address };
    let source = LogsInsights::new(&metered);
    let diagnosis = triage(incident(&facts), &known, &source, limits).await.expect("never fails").diagnosis;
    assert_eq!(diagnosis.verdict, Verdict::Confirmed);

    let scanned = metered.scanned.borrow();
    assert_eq!(scanned.len(), 1, "one scan");
    let ours: u64 = scanned.iter().sum();
    let address = facts.addresses[0].private.clone().expect("zonal");
    let theirs = article(&store, metered.windows.borrow()[0], &address);
    assert!(ours > 0 && ours * 10 <= theirs, "{ours} of {theirs} bytes");
    assert_eq!(diagnosis.queries[0].bytes_scanned, Some(ours), "and the report says so");
}
