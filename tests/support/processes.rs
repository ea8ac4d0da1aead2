//! Programs that a test starts, and stops by their id when it ends.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::checkout;

/// A child process that does not outlive the test.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("failed to start {command:?}: {error}")))
    }

    /// The most memory that it has had, in KiB: what Linux calls its high water mark.
    #[allow(dead_code, reason = "only a benchmark asks")]
    pub(crate) fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An emulator of AWS services, listening on loopback.
pub(crate) struct Emulator {
    _process: Running,
    url: String,
}

impl Emulator {
    /// Starts `ministack` or `moto`, and waits until it takes connections.
    pub(crate) fn start(name: &str) -> Self {
        Self::start_trusting(name, None)
    }

    /// The same, trusting nobody by TLS but who has this certificate.
    pub(crate) fn start_trusting(name: &str, certificate: Option<&Path>) -> Self {
        let port = free_port();
        let mut command = Command::new(checkout().join("tools/emulators/run"));
        command.args([name, &port.to_string()]).env("NAT_TRIAGE_TEST_EMULATORS", environment());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.envs(certificate.map(|path| ("SSL_CERT_FILE", path)));
        let process = Running::start(&mut command);
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "{name} did not start within a minute");
            thread::sleep(Duration::from_millis(100));
        }
        Self { _process: process, url: format!("http://127.0.0.1:{port}") }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// The Python environment that the emulators are installed in.
pub(crate) fn environment() -> PathBuf {
    let path = std::env::var_os("NAT_TRIAGE_TEST_EMULATORS")
        .map_or_else(|| checkout().join(".venv/emulators"), PathBuf::from);
    assert!(
        path.join("bin/python3").exists(),
        "{} holds no emulators: run `make test`, which installs them",
        path.display()
    );
    path
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback is free");
    listener.local_addr().expect("an address").port()
}
