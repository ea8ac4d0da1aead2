//! The sample in the repository is what the generator makes, and what its page says.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use nat_simulator::sample;

fn samples() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../samples")
}

#[test]
fn the_sample_is_what_its_seed_makes() {
    let file = File::open(samples().join(sample::LOG_FILE)).expect("the sample is in the repository");
    let mut text = String::new();
    zstd::Decoder::new(file).expect("it is zstd").read_to_string(&mut text).expect("it is whole");
    assert!(text == sample::log_text(), "run `cargo run --release -p nat-simulator -- sample --out samples`");
    assert!(text.lines().count() > 300_000);
}

#[test]
fn the_samples_page_states_the_truth() {
    let page =
        fs::read_to_string(samples().join(sample::README_FILE)).expect("the page is in the repository");
    let simulation = sample::incident().simulate();
    let truth = simulation.truth();
    assert_eq!(truth.destinations[0].peak, 55_000);
    assert_eq!(truth.exhausted, Some(truth.destinations[0].triple));
    let plain = page.replace(',', "");
    for client in &truth.destinations[0].clients {
        assert!(plain.contains(&format!("| `{}` | {} |", client.address, client.held)), "{}", client.address);
    }
    for (_, sum) in simulation.facts().errors {
        assert!(plain.contains(&format!("Z | {sum} |")), "{sum}");
    }
}
