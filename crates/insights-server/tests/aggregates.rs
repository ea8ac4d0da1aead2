//! The grouping engine against a reference too plain to be wrong, on random records.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use insights_server::{Query, Store, Window};
use proptest::prelude::*;

/// A record's key and value; a value can be no number, a record can lack both.
type Record = Option<(String, String)>;

fn record() -> impl Strategy<Value = Record> {
    let value = prop_oneof![
        6 => (-1000i32..1000).prop_map(|number| number.to_string()),
        2 => (-100i32..100).prop_map(|number| format!("{}.5", number)),
        1 => Just("-".to_owned()),
    ];
    prop_oneof![9 => ("[a-d]", value).prop_map(Some), 1 => Just(None)]
}

#[derive(Default, PartialEq, Debug)]
struct Expected {
    count: usize,
    there: usize,
    distinct: usize,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
}

fn by_hand(records: &[Record]) -> BTreeMap<Option<String>, Expected> {
    let mut groups: BTreeMap<Option<String>, Vec<Option<&String>>> = BTreeMap::new();
    for record in records {
        let (key, value) = record.as_ref().map(|(key, value)| (key.clone(), value)).unzip();
        groups.entry(key).or_default().push(value);
    }
    let expected = |values: Vec<Option<&String>>| {
        let there: Vec<&String> = values.iter().flatten().copied().collect();
        let numbers: Vec<f64> = there.iter().filter_map(|value| value.parse().ok()).collect();
        Expected {
            count: values.len(),
            there: there.len(),
            distinct: there.iter().collect::<BTreeSet<_>>().len(),
            sum: numbers.iter().copied().reduce(|left, right| left + right),
            min: numbers.iter().copied().reduce(f64::min),
            max: numbers.iter().copied().reduce(f64::max),
        }
    };
    groups.into_iter().map(|(key, values)| (key, expected(values))).collect()
}

fn by_query(records: &[Record]) -> BTreeMap<Option<String>, Expected> {
    let store = Store::new();
    let line = |record: &Record| match record {
        Some((key, value)) => format!("{key} {value}"),
        None => "nothing".to_owned(),
    };
    store.add_flow_log_lines("g", "s", records.iter().map(|record| (0, line(record))));
    let query = Query::parse(
        "parse @message '* *' as key, value
         | stats count(*) as count, count(value) as there, countDistinct(value) as distinct,
                 sum(value) as sum, min(value) as min, max(value) as max by key",
    )
    .unwrap();
    let output = query.run(&store, &["g"], Window::ALL).unwrap();
    let expected = |row: Vec<(String, String)>| {
        let mut row: BTreeMap<_, _> = row.into_iter().collect();
        let number = |row: &BTreeMap<String, String>, name: &str| {
            row.get(name).map(|value| value.parse::<f64>().unwrap())
        };
        let whole = |name: &str| number(&row, name).unwrap() as usize;
        let expected = Expected {
            count: whole("count"),
            there: whole("there"),
            distinct: whole("distinct"),
            sum: number(&row, "sum"),
            min: number(&row, "min"),
            max: number(&row, "max"),
        };
        (row.remove("key"), expected)
    };
    output.rows.into_iter().map(expected).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stats_agrees_with_counting_by_hand(records in prop::collection::vec(record(), 0..200)) {
        prop_assert_eq!(by_query(&records), by_hand(&records));
    }

    #[test]
    fn a_stats_of_a_stats_has_the_same_totals(records in prop::collection::vec(record(), 1..200)) {
        let store = Store::new();
        let lines = records.iter().flatten().map(|(key, value)| (0, format!("{key} {value}")));
        store.add_flow_log_lines("g", "s", lines);
        let run = |text: &str| Query::parse(text).unwrap().run(&store, &["g"], Window::ALL).unwrap().rows;
        let parse = "parse @message '* *' as key, value";
        let once = run(&format!("{parse} | stats count(*) as n, sum(value) as s, countDistinct(value) as d"));
        let twice = run(&format!(
            "{parse} | stats count(*) as n, sum(value) as s by key, value
             | stats sum(n) as n2, sum(s) as s2, countDistinct(value) as d2"
        ));
        let values = |rows: Vec<Vec<(String, String)>>| {
            rows.into_iter().map(|row| row.into_iter().map(|(_, value)| value).collect()).collect::<Vec<Vec<_>>>()
        };
        prop_assert_eq!(values(once), values(twice));
    }
}
