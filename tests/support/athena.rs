//! Athena without HTTP: statements evaluated by `DuckDB`, in the role that the SDK has in the function.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nat_triage::deadline::Deadline;
use nat_triage::evidence::athena::{Column, SqlQueries, Table, TableName};
use nat_triage::evidence::insights::{Answer, Cause, Query, Unanswered};
use serde_json::{Value, json};

use super::checkout;
use super::processes::environment;

/// A table as `tools/emulators/athena` takes it.
pub(crate) fn described(database: &str, table: &Table) -> Value {
    let pairs = |columns: &[Column]| {
        columns.iter().map(|column| json!([column.name, column.kind])).collect::<Vec<Value>>()
    };
    json!({
        "database": database,
        "name": table.name,
        "columns": pairs(&table.columns),
        "partition_keys": pairs(&table.partition_keys),
        "parameters": table.parameters,
    })
}

/// Tables over objects that are files.
pub(crate) struct Evaluated {
    pub(crate) tables: Vec<Table>,
    pub(crate) folder: tempfile::TempDir,
    /// What was asked, and what was said of it beforehand to be read.
    pub(crate) asked: RefCell<Vec<Query>>,
    /// What the statements read together.
    pub(crate) scanned: Cell<u64>,
    /// What every statement is answered instead, after so many.
    pub(crate) refused_after: Option<(usize, Unanswered)>,
    /// What the first so many statements are answered instead.
    pub(crate) refused_first: Option<(usize, Unanswered)>,
    /// Whether a statement that is refused takes all of the time that it has.
    pub(crate) slow: bool,
    /// By when everything has to be done.
    pub(crate) deadline: Deadline,
}

impl Evaluated {
    /// These tables over the objects of a bucket.
    pub(crate) fn of(tables: Vec<Table>, bucket: &str, objects: &BTreeMap<String, Vec<u8>>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (key, bytes) in objects {
            let path = folder.path().join(bucket).join(key);
            std::fs::create_dir_all(path.parent().expect("below a folder")).expect("made");
            std::fs::write(path, bytes).expect("written");
        }
        Self {
            tables,
            folder,
            asked: RefCell::default(),
            scanned: Cell::new(0),
            refused_after: None,
            refused_first: None,
            slow: false,
            deadline: Deadline::after(Duration::from_secs(120)),
        }
    }
}

fn evaluate(statement: &str, tables: &[Value], folder: &Path) -> Value {
    let mut command = Command::new(environment().join("bin/python3"));
    command.arg(checkout().join("tools/emulators/athena")).arg("evaluate").arg(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("Python runs");
    let asked = json!({ "statement": statement, "tables": tables }).to_string();
    child.stdin.take().expect("piped").write_all(asked.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the evaluator failed on\n{statement}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Why the evaluator does not take a statement.
pub(crate) fn refusal(statement: &str) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    evaluate(statement, &[], folder.path())["refused"].as_str().map(str::to_owned)
}

impl SqlQueries for &Evaluated {
    async fn tables(&self, name: &TableName) -> Result<Vec<Table>, Unanswered> {
        let named = |table: &&Table| name.table.as_ref().is_none_or(|named| named.as_str() == table.name);
        Ok(self.tables.iter().filter(named).cloned().collect())
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }

    fn left(&self) -> u64 {
        u64::MAX
    }

    async fn run(&self, statement: &Query, by: Deadline) -> Result<Answer, Unanswered> {
        self.asked.borrow_mut().push(statement.clone());
        let asked = self.asked.borrow().len();
        let after = self.refused_after.as_ref().filter(|(after, _)| asked > *after);
        let first = self.refused_first.as_ref().filter(|(first, _)| asked <= *first);
        if let Some((_, refused)) = after.or(first) {
            if self.slow {
                tokio::time::sleep(by.remaining()).await;
            }
            return Err(refused.clone());
        }
        let tables: Vec<Value> = self.tables.iter().map(|table| described("logs", table)).collect();
        let answer = evaluate(&statement.text, &tables, self.folder.path());
        if let Some(refused) = answer["refused"].as_str() {
            let why = format!("{refused}\n{}", statement.text);
            return Err(Unanswered { why, fix: "mend the statement".into(), cause: Cause::Refused });
        }
        let columns: Vec<&str> =
            answer["columns"].as_array().expect("names").iter().flat_map(Value::as_str).collect();
        let rows = answer["rows"].as_array().expect("rows").iter().map(|row| {
            let cells = row.as_array().expect("cells").iter().map(Value::as_str);
            nat_triage::evidence::athena::row(columns.iter().copied().zip(cells))
        });
        let scanned = answer["scanned"].as_u64().expect("a number");
        self.scanned.set(self.scanned.get() + scanned);
        Ok(Answer { rows: rows.collect(), bytes_scanned: Some(scanned), ..Answer::default() })
    }
}
