//! Whatever a flow-log file holds, each record that is handed on is counted, and each line that is not is too.
//! The length chooses whether the format of bare messages is named.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nat_triage::flow::reader::{Inputs, Options, Sink};
use nat_triage::flow::{FlowRecord, Interval, LogFormat};

#[derive(Default)]
struct Counter {
    records: u64,
    empty: u64,
    skipped: u64,
}

impl Sink for Counter {
    fn record(&mut self, _record: &FlowRecord<'_>) {
        self.records += 1;
    }

    fn no_data(&mut self, _interval: &Interval<'_>) {
        self.empty += 1;
    }

    fn skip_data(&mut self, _interval: &Interval<'_>) {
        self.skipped += 1;
    }
}

fuzz_target!(|bytes: &[u8]| {
    let format = (bytes.len() % 2 == 1).then(|| {
        "pkt-srcaddr pkt-dstaddr interface-id srcaddr dstaddr srcport dstport protocol start end tcp-flags"
            .parse::<LogFormat>()
            .expect("these are fields")
    });
    let options = Options { format, ..Options::default() };
    let inputs = Inputs::from_memory([("input".to_owned(), bytes.to_vec())]);
    let mut counter = Counter::default();
    if let Ok(reading) = inputs.read(&options, &|_| {}, &mut counter) {
        assert_eq!(reading.records, counter.records, "each record is counted once");
    }
    let mut sampled = Counter::default();
    if let Ok(sample) = inputs.sample(&options, 8, &mut sampled) {
        assert_eq!(sample.records, sampled.records, "each record of the sample is counted once");
        assert!(sampled.records <= counter.records, "a sample is a part of the whole");
    }
});
