//! A subscriber to the topic by HTTP and by HTTPS, on loopback.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::checkout;
use super::processes::{Running, environment};

/// How long to wait for a message, or for the subscriber itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// The running subscriber; it confirms by itself.
pub(crate) struct Subscriber {
    _process: Running,
    folder: TempDir,
    urls: Value,
}

impl Subscriber {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(environment().join("bin/python3"));
        command.arg(checkout().join("tools/emulators/subscriber")).arg(folder.path());
        let process = Running::start(command.stdout(Stdio::null()));
        let urls = folder.path().join("urls.json");
        let text = awaited("the subscriber", || std::fs::read_to_string(&urls).ok());
        Self { _process: process, folder, urls: serde_json::from_str(&text).expect("JSON") }
    }

    /// The certificate that whoever sends to it has to trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Where it listens for this protocol.
    pub(crate) fn url(&self, protocol: &str) -> &str {
        self.urls[protocol].as_str().expect("http or https")
    }

    /// The message of number `nth` that came by this protocol: SNS's envelope.
    pub(crate) fn received(&self, protocol: &str, nth: usize) -> Value {
        let path = self.folder.path().join(format!("{protocol}.jsonl"));
        let line = awaited(&format!("message {nth} by {protocol}"), || {
            let text = std::fs::read_to_string(&path).ok()?;
            // A line that has its end is whole.
            text.split_inclusive('\n').nth(nth).filter(|line| line.ends_with('\n')).map(str::to_owned)
        });
        serde_json::from_str(&line).expect("JSON")
    }
}

fn awaited<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not come within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(50));
    }
}
