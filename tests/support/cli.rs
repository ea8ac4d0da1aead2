//! Runs the real command line.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::checkout;

/// One run of `nat-triage` in a folder of its own.
pub(crate) struct Cli {
    folder: TempDir,
    args: Vec<String>,
    input: Vec<u8>,
}

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Cli {
    pub(crate) fn new<const N: usize>(args: [&str; N]) -> Self {
        Self::of(args)
    }

    /// The same with however many arguments.
    pub(crate) fn of(args: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Self { folder: tempfile::tempdir().expect("a folder"), args, input: Vec::new() }
    }

    /// Diagnoses the sample of the README, with these arguments besides.
    pub(crate) fn on_sample<const N: usize>(more: [&str; N]) -> Self {
        let of_checkout = |path: &str| checkout().join(path).to_str().expect("UTF-8").to_owned();
        let mut cli = Self::new(["analyze", "--event", "", "--flow-logs", ""]);
        cli.args[2] = of_checkout("events/alarm.json");
        cli.args[4] = of_checkout("samples/leak.log.zst");
        cli.args.extend(more.into_iter().map(str::to_owned));
        cli
    }

    /// Puts a file into the run's folder.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.folder.path().join(name), content).expect("written");
        self
    }

    /// Gives it something on standard input.
    pub(crate) fn input(mut self, content: impl AsRef<[u8]>) -> Self {
        self.input = content.as_ref().to_vec();
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nat-triage"));
        command.args(&self.args).current_dir(self.folder.path()).env_clear();
        command
    }

    /// What a terminal gets, where the environment holds these variables besides its type. Lines end as a
    /// terminal has them end.
    #[cfg(unix)]
    pub(crate) fn on_terminal(&self, variables: &[(&str, &str)]) -> String {
        use std::io::Read as _;

        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&terminal).expect("ours");
        unlockpt(&terminal).expect("ours");
        let name = ptsname(&terminal, Vec::new()).expect("a name").into_string().expect("UTF-8");
        let inner = std::fs::File::options().read(true).write(true).open(name).expect("its other end");
        let mut command = self.command();
        command.env("TERM", "xterm-256color").envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(inner).stderr(Stdio::null());
        let mut child = command.spawn().expect("nat-triage starts");
        // Its own copy of the other end would keep the terminal open.
        drop(command);
        let (mut shown, mut piece) = (Vec::new(), [0; 4096]);
        let mut terminal = std::fs::File::from(terminal);
        // Where nobody has the other end any more, reading fails.
        while let Ok(length @ 1..) = terminal.read(&mut piece) {
            shown.extend_from_slice(&piece[..length]);
        }
        child.wait().expect("nat-triage ends");
        String::from_utf8(shown).expect("UTF-8")
    }

    pub(crate) fn run(&self) -> Ran {
        use std::io::Write as _;
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nat-triage starts");
        // A run that does not read its input may be gone before it is written.
        let _ = child.stdin.take().expect("piped").write_all(&self.input);
        let output = child.wait_with_output().expect("nat-triage ends");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ran {
            status: output.status.code().expect("not ended by a signal"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}
