//! The life of one statement in Athena: started, followed through every state, paged, and stopped where it is given up.
//! Knows nothing of what is asked or what rows mean.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use aws_sdk_athena::Client;
use aws_sdk_athena::config::timeout::TimeoutConfig;
use aws_sdk_athena::operation::get_query_results::GetQueryResultsOutput;
use aws_sdk_athena::types::{QueryExecution, QueryExecutionContext, TableMetadata};
use tokio::time::{Instant, sleep};

use super::Clients;
use super::errors::{Failure, Kind, cleaned, milliseconds, within};
use super::insights::{Budget, insistently};
use crate::deadline::Deadline;
use crate::evidence::athena::{Column, SqlQueries, Table, TableName, row};
use crate::evidence::insights::{Answer, Cause, Query, Row, Unanswered};
use crate::gap::Fix;
use crate::words;

/// What a terabyte that was read costs, in US dollars, at the list price of us-east-1. What a statement reads is rounded
/// up to a megabyte, and is ten at the least; one that was cancelled is charged for what it had read, and one that
/// failed for nothing. AWS does not say whether it means powers of ten or of two; ten is taken here, so that a cost is
/// rather overstated.
///
/// Source: "Amazon Athena pricing".
const USD_PER_TB: f64 = 5.0;
const MB: u64 = 1_000_000;
const MIN_CHARGED_MB: u64 = 10;

/// The catalog of the account's own Glue tables.
///
/// Source: "Register and manage data catalogs with Athena" in the Amazon Athena user guide.
const CATALOG: &str = "AwsDataCatalog";

/// How long to wait between two looks at a statement, at least and at most, and which part of its time.
const MIN_WAIT: Duration = Duration::from_millis(250);
const MAX_WAIT: Duration = Duration::from_secs(3);
const PART_WAITED: u32 = 16;

/// Kept back for stopping a statement: an abandoned one goes on reading, which costs.
const STOPPING: Duration = Duration::from_secs(2);

/// Most rows of a page (`MaxResults` of `GetQueryResults` in the Athena API reference).
const MAX_ROWS_OF_PAGE: i32 = 1_000;

/// Longest that reading one page may take, its body included: 1,000 rows of 130 fields are some 3 MB of JSON.
const MAX_PAGE_TIME: Duration = Duration::from_secs(30);

/// Most tables of a database that are looked at.
const MAX_TABLES: usize = 500;

const TABLES: &str = "athena:ListTableMetadata";
const START: &str = "athena:StartQueryExecution";
const LOOK: &str = "athena:GetQueryExecution";
const RESULTS: &str = "athena:GetQueryResults";
const STOP: &str = "athena:StopQueryExecution";

/// Athena, for one invocation.
#[derive(Debug)]
pub struct AthenaQueries {
    client: Client,
    workgroup: String,
    budget: Budget,
    deadline: Deadline,
}

impl AthenaQueries {
    /// Statements of a workgroup that are answered before `deadline`, and read no more than is left of `budget`.
    #[must_use]
    pub fn new(clients: &Clients, workgroup: &str, budget: Budget, deadline: Deadline) -> Self {
        Self { client: clients.athena.clone(), workgroup: workgroup.to_owned(), budget, deadline }
    }
}

impl SqlQueries for AthenaQueries {
    async fn tables(&self, name: &TableName) -> Result<Vec<Table>, Unanswered> {
        let database = name.database.as_str();
        // A name holds nothing that a regular expression acts on but the hyphen, which does so in brackets only.
        let expression = name.table.as_ref().map(|table| table.as_str().to_owned());
        let pages = async {
            let request = self.client.list_table_metadata().catalog_name(CATALOG).database_name(database);
            let request = request.set_expression(expression).work_group(&self.workgroup);
            let mut pages = request.into_paginator().items().send();
            let mut tables = Vec::new();
            while let Some(described) = pages.next().await {
                tables.push(table(described.map_err(|error| Failure::of(TABLES, &error))?));
                if tables.len() >= MAX_TABLES {
                    break;
                }
            }
            Ok(tables)
        };
        let mut tables = within(self.deadline.of_look_ups(), TABLES, pages).await.map_err(|failure| Unanswered {
            why: failure.to_string(),
            fix: match failure.kind {
                Kind::NotFound | Kind::Refused => Fix::run_to(
                    format!("see whether there is a database {database} in the Glue Data Catalog, and whether the role may read it"),
                    format!("aws athena list-databases --catalog-name {CATALOG}"),
                ),
                _ => failure.fix(&format!("the catalog {CATALOG}, with glue:GetTables on the database {database}")).into(),
            },
            cause: Cause::Other,
        })?;
        // The expression is a pattern, which other names may match.
        tables.retain(|table| {
            name.table.as_ref().is_none_or(|named| table.name.eq_ignore_ascii_case(named.as_str()))
        });
        Ok(tables)
    }

    async fn run(&self, statement: &Query, by: Deadline) -> Result<Answer, Unanswered> {
        let calls = OfWorkgroup { client: &self.client, workgroup: &self.workgroup };
        run(&calls, statement, &self.budget, by).await
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }

    fn left(&self) -> u64 {
        self.budget.left()
    }
}

fn table(described: TableMetadata) -> Table {
    let columns = |columns: Option<Vec<aws_sdk_athena::types::Column>>| {
        let column = |column: aws_sdk_athena::types::Column| Column {
            name: column.name,
            kind: column.r#type.unwrap_or_default(),
        };
        columns.unwrap_or_default().into_iter().map(column).collect()
    };
    Table {
        name: described.name,
        columns: columns(described.columns),
        partition_keys: columns(described.partition_keys),
        parameters: described.parameters.unwrap_or_default().into_iter().collect(),
    }
}

/// What one look at a statement showed.
#[derive(Clone, Debug, Default, PartialEq)]
struct Look {
    /// The state as the API spells it.
    state: String,
    /// Why it is that, where the service says so.
    reason: String,
    /// Whether the same statement may succeed another time.
    retryable: bool,
    /// Bytes read by now.
    read: Option<u64>,
}

/// One page of rows.
#[derive(Clone, Debug, Default, PartialEq)]
struct Page {
    rows: Vec<Row>,
    next: Option<String>,
}

/// The four calls that make up a statement's life; apart, so that the life can be tested without them.
trait Calls {
    async fn start(&self, statement: &Query, token: &str) -> Result<String, Failure>;
    async fn look(&self, id: &str) -> Result<Look, Failure>;
    async fn results(&self, id: &str, token: Option<&str>) -> Result<Page, Failure>;
    async fn stop(&self, id: &str) -> Result<(), Failure>;

    /// Where the statements run.
    fn workgroup(&self) -> &str;
}

struct OfWorkgroup<'a> {
    client: &'a Client,
    workgroup: &'a str,
}

impl Calls for OfWorkgroup<'_> {
    async fn start(&self, statement: &Query, token: &str) -> Result<String, Failure> {
        let context = QueryExecutionContext::builder().catalog(CATALOG).build();
        let request =
            self.client.start_query_execution().query_string(&statement.text).work_group(self.workgroup);
        let request = request.query_execution_context(context).client_request_token(token);
        let output = request.send().await.map_err(|error| Failure::of(START, &error))?;
        output.query_execution_id.ok_or_else(|| unreadable(START, "no id in the answer"))
    }

    async fn look(&self, id: &str) -> Result<Look, Failure> {
        let output = self.client.get_query_execution().query_execution_id(id).send().await;
        let output = output.map_err(|error| Failure::of(LOOK, &error))?;
        output.query_execution.map(look).ok_or_else(|| unreadable(LOOK, "no execution in the answer"))
    }

    async fn results(&self, id: &str, token: Option<&str>) -> Result<Page, Failure> {
        let request = self.client.get_query_results().query_execution_id(id).max_results(MAX_ROWS_OF_PAGE);
        let patience = TimeoutConfig::builder()
            .operation_attempt_timeout(MAX_PAGE_TIME)
            .operation_timeout(2 * MAX_PAGE_TIME)
            .build();
        let config = aws_sdk_athena::Config::builder().timeout_config(patience);
        let request = request.set_next_token(token.map(str::to_owned)).customize();
        let output = request.config_override(config).send().await;
        output.map(|output| page(output, token.is_none())).map_err(|error| Failure::of(RESULTS, &error))
    }

    async fn stop(&self, id: &str) -> Result<(), Failure> {
        let stopped = self.client.stop_query_execution().query_execution_id(id).send().await;
        stopped.map(drop).map_err(|error| Failure::of(STOP, &error))
    }

    fn workgroup(&self) -> &str {
        self.workgroup
    }
}

fn unreadable(action: &'static str, message: &str) -> Failure {
    Failure { action, kind: Kind::Unreadable, code: None, message: message.into(), request_id: None }
}

fn look(execution: QueryExecution) -> Look {
    let status = execution.status.as_ref();
    let read = execution.statistics.as_ref().and_then(|statistics| statistics.data_scanned_in_bytes);
    let error = status.and_then(|status| status.athena_error.as_ref());
    let reason = status.and_then(|status| status.state_change_reason.as_deref());
    let reason = reason.or_else(|| error.and_then(|error| error.error_message.as_deref()));
    Look {
        state: status
            .and_then(|status| status.state.as_ref())
            .map_or_else(String::new, |s| s.as_str().to_owned()),
        reason: cleaned(reason.unwrap_or_default()),
        retryable: error.is_some_and(|error| error.retryable),
        read: read.and_then(|bytes| u64::try_from(bytes).ok()),
    }
}

/// Rows by the names of their columns. The first row of the first page holds these names.
///
/// Source: "Work with query results and recent queries" in the Amazon Athena user guide; of `GetQueryResults` the API
/// reference does not say it, so that only a row of exactly these names is left out.
fn page(output: GetQueryResultsOutput, first: bool) -> Page {
    let Some(set) = output.result_set else { return Page { rows: Vec::new(), next: output.next_token } };
    let columns = set.result_set_metadata.and_then(|metadata| metadata.column_info).unwrap_or_default();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let mut rows = Vec::new();
    for (place, described) in set.rows.unwrap_or_default().into_iter().enumerate() {
        let cells: Vec<Option<String>> =
            described.data.unwrap_or_default().into_iter().map(|datum| datum.var_char_value).collect();
        let texts = cells.iter().map(Option::as_deref);
        if first && place == 0 && texts.clone().eq(names.iter().copied().map(Some)) {
            continue;
        }
        rows.push(row(names.iter().copied().zip(texts)));
    }
    Page { rows, next: output.next_token }
}

/// What was read costs, in US dollars, at the list price.
fn cost(read: u64) -> f64 {
    read.div_ceil(MB).max(MIN_CHARGED_MB) as f64 / 1e6 * USD_PER_TB
}

/// A token by which the service knows a start that is repeated: of 32 characters, which is the least that it takes.
fn token() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// Runs a statement, within the bytes and the time there are.
async fn run(
    calls: &impl Calls,
    statement: &Query,
    budget: &Budget,
    deadline: Deadline,
) -> Result<Answer, Unanswered> {
    if let Some(bytes) = statement.stored_bytes.filter(|bytes| *bytes > budget.left()) {
        return Err(too_large("the partitions of these minutes hold", bytes, budget));
    }
    let began = Instant::now();
    let remaining = deadline.remaining();
    let give_up = Deadline::after(remaining - STOPPING.min(remaining / 3));
    let token = token();
    let started = insistently(give_up, START, || calls.start(statement, &token)).await;
    let id = started.map_err(|failure| not_started(&failure, calls.workgroup()))?;
    tracing::debug!(query.id = id, query.purpose = statement.purpose.as_str(), "Athena statement started");
    let followed = follow(calls, &id, statement.max_rows, budget, began, give_up).await;
    let duration_ms = milliseconds(began.elapsed());
    match followed {
        Ok(answer) => {
            tracing::info!(
                query.id = id,
                query.purpose = statement.purpose.as_str(),
                query.rows = answer.rows.len(),
                query.bytes_scanned = answer.bytes_scanned,
                query.cost_usd = answer.cost_usd,
                duration_ms,
                "Athena statement complete"
            );
            Ok(answer)
        }
        Err((mut unanswered, running)) => {
            tracing::warn!(query.id = id, duration_ms, "Athena statement unanswered: {unanswered}");
            if running {
                match within(Deadline::after(STOPPING), STOP, calls.stop(&id)).await {
                    Err(failure) if !matches!(failure.kind, Kind::NotFound | Kind::Refused) => {
                        unanswered
                            .why
                            .push_str("; it could not be stopped and may go on reading, which costs: ");
                        unanswered.why.push_str(&failure.to_string());
                    }
                    _ => {}
                }
            }
            Err(unanswered)
        }
    }
}

/// Waits for a started statement and reads its rows; where there is no answer, says whether it may still run.
async fn follow(
    calls: &impl Calls,
    id: &str,
    max_rows: usize,
    budget: &Budget,
    began: Instant,
    deadline: Deadline,
) -> Result<Answer, (Unanswered, bool)> {
    let mut counted = 0;
    let mut state = String::new();
    let read = loop {
        let pause = (began.elapsed() / PART_WAITED).clamp(MIN_WAIT, MAX_WAIT);
        sleep(pause.min(deadline.remaining())).await;
        if deadline.remaining().is_zero() {
            return Err((out_of_time(began, &state), true));
        }
        let look = match insistently(deadline, LOOK, || calls.look(id)).await {
            Ok(look) => look,
            Err(failure) if failure.kind == Kind::TimedOut && deadline.remaining().is_zero() => {
                return Err((out_of_time(began, &state), true));
            }
            Err(failure) => return Err((unread(&failure), true)),
        };
        let read = look.read.unwrap_or(0);
        budget.spend(read.saturating_sub(counted));
        counted = counted.max(read);
        match look.state.as_str() {
            "QUEUED" | "RUNNING" if budget.left() == 0 => {
                return Err((too_large("it had read", read, budget), true));
            }
            "QUEUED" | "RUNNING" => {}
            "SUCCEEDED" => break look.read,
            _ => return Err((unsuccessful(&look), !matches!(look.state.as_str(), "FAILED" | "CANCELLED"))),
        }
        state = look.state;
    };
    let mut rows = Vec::new();
    let mut next = None;
    loop {
        let page = insistently(deadline, RESULTS, || calls.results(id, next.as_deref())).await;
        let page = page.map_err(|failure| (unread(&failure), false))?;
        rows.extend(page.rows);
        next = page.next;
        if next.is_none() || rows.len() >= max_rows {
            break;
        }
    }
    rows.truncate(max_rows);
    Ok(Answer { rows, bytes_scanned: read, cost_usd: read.map(cost), ..Answer::default() })
}

fn out_of_time(began: Instant, state: &str) -> Unanswered {
    let state = if state.is_empty() { String::new() } else { format!(", still {state}") };
    Unanswered {
        why: format!(
            "the statement timed out after {} s{state}, and was given up",
            began.elapsed().as_secs()
        ),
        fix: Fix::ask_again("give the function a longer timeout, or ask about fewer minutes with --window"),
        cause: Cause::OutOfTime,
    }
}

fn too_large(what: &str, bytes: u64, budget: &Budget) -> Unanswered {
    budget.run_short();
    let limit = budget.limit();
    Unanswered {
        why: format!(
            "{what} {}, and {limit} leaves {} to Athena: the statement was not run to its end",
            words::bytes(bytes),
            words::bytes(budget.left())
        ),
        fix: format!(
            "raise {limit}, or let the flow log write a folder for each hour and make the table's partitions of these"
        )
        .into(),
        cause: Cause::TooLarge,
    }
}

fn not_started(failure: &Failure, workgroup: &str) -> Unanswered {
    let (cause, fix) = match failure.kind {
        // Athena says so of a statement that is wrong, and of a workgroup that has no place for results.
        Kind::Refused if failure.message.to_lowercase().contains("output location") => (
            Cause::Other,
            Fix::run_to(
                "give the workgroup of NAT_TRIAGE_ATHENA_WORKGROUP a location for query results",
                format!(
                    "aws athena update-work-group --work-group {workgroup} --configuration-updates ResultConfigurationUpdates={{OutputLocation=s3://BUCKET/nat-triage/}}"
                ),
            ),
        ),
        Kind::Refused if failure.message.contains("WorkGroup") => (
            Cause::Other,
            Fix::run_to(
                "name a workgroup that exists and is enabled in NAT_TRIAGE_ATHENA_WORKGROUP; these do",
                "aws athena list-work-groups",
            ),
        ),
        Kind::Refused => (
            Cause::Refused,
            Fix::run_to(
                "report this as a bug of nat-triage, with the statement",
                "nat-triage queries --athena-table DATABASE.TABLE --nat-ip ADDRESS --window START/END",
            ),
        ),
        _ => (Cause::Other, failure.fix("the workgroup of NAT_TRIAGE_ATHENA_WORKGROUP").into()),
    };
    Unanswered { why: failure.to_string(), fix, cause }
}

fn unread(failure: &Failure) -> Unanswered {
    let fix = match failure.kind {
        Kind::NotFound | Kind::Refused => Fix::ask_again("run again"),
        Kind::Denied if failure.action == RESULTS => format!(
            "{}, and s3:GetObject on the location of its query results",
            failure.fix("the workgroup of NAT_TRIAGE_ATHENA_WORKGROUP")
        )
        .into(),
        _ => failure.fix("the workgroup of NAT_TRIAGE_ATHENA_WORKGROUP").into(),
    };
    Unanswered { why: format!("the answer could not be read: {failure}"), fix, cause: Cause::Other }
}

/// A state that a statement does not come back from, or that means nothing to us.
fn unsuccessful(look: &Look) -> Unanswered {
    let reason = if look.reason.is_empty() { "it gave no reason" } else { &look.reason };
    let lower = reason.to_lowercase();
    let (cause, why, fix): (Cause, String, Fix) = match look.state.as_str() {
        "CANCELLED" if lower.contains("scanned limit") => (
            Cause::TooLarge,
            format!("the workgroup's limit on what a query reads stopped the statement: {reason}"),
            "raise the limit of the workgroup of NAT_TRIAGE_ATHENA_WORKGROUP (BytesScannedCutoffPerQuery)"
                .into(),
        ),
        "CANCELLED" => {
            (Cause::Ended, format!("somebody stopped the statement: {reason}"), Fix::ask_again("run again"))
        }
        "FAILED" => {
            let why = format!("Athena started the statement and then failed to run it: {reason}");
            match (permission_in(reason), look.retryable) {
                (Some(fix), _) => (Cause::Other, why, fix.into()),
                // Source: "Optimize service use" in the Amazon Athena user guide.
                (None, _) if lower.contains("exhausted resources") => {
                    (Cause::Failed, why, Fix::ask_again("ask about fewer minutes with --window"))
                }
                (None, true) => (Cause::Failed, why, Fix::ask_again("run again")),
                (None, false) => (
                    Cause::Failed,
                    why,
                    "run the statement of this report in the Athena console, and compare the table with the flow log".into(),
                ),
            }
        }
        other => (
            Cause::Ended,
            format!(
                "Athena gave the state {:?}, which says neither that the statement runs nor how it ended",
                cleaned(other)
            ),
            Fix::ask_again("a newer nat-triage may know that state; or ask again"),
        ),
    };
    Unanswered { why, fix, cause }
}

/// What to allow where a reason speaks of a permission that Athena lacked in our name.
fn permission_in(reason: &str) -> Option<String> {
    let role = "to the role or user that nat-triage runs as";
    if let Some((_, rest)) = reason.split_once("not authorized to perform: ") {
        let of_action = |c: char| c.is_ascii_alphanumeric() || c == ':' || c == '-';
        let action: String = rest.chars().take_while(|c| of_action(*c)).collect();
        if action.contains(':') {
            return Some(format!("allow {action} {role}, as Athena uses it in the role's name"));
        }
    }
    let lower = reason.to_lowercase();
    if lower.contains("output") && (lower.contains("denied") || lower.contains("permission")) {
        return Some(format!(
            "allow s3:PutObject, s3:GetObject and s3:GetBucketLocation on the location of the workgroup's query results {role}"
        ));
    }
    if lower.contains("permission denied on s3") || lower.contains("access denied") {
        return Some(format!("allow s3:GetObject and s3:ListBucket on the flow logs' bucket {role}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use aws_sdk_athena::types::{ColumnInfo, Datum, ResultSet, ResultSetMetadata};

    use super::super::errors::tests::refused;
    use super::*;
    use crate::evidence::insights::Purpose;

    const MIB: u64 = 1024 * 1024;

    /// Athena that goes through `looks`, the last of which stays, and then gives its pages.
    #[derive(Default)]
    struct Service {
        refusals: RefCell<VecDeque<Failure>>,
        looks: RefCell<VecDeque<Result<Look, Failure>>>,
        pages: RefCell<VecDeque<Result<Page, Failure>>>,
        tokens: RefCell<Vec<String>>,
        stopped: RefCell<Vec<String>>,
    }

    impl Service {
        fn with(looks: impl IntoIterator<Item = Look>) -> Self {
            let looks = RefCell::new(looks.into_iter().map(Ok).collect());
            Self { looks, pages: RefCell::new([Ok(rows(1))].into()), ..Self::default() }
        }
    }

    impl Calls for Service {
        async fn start(&self, _: &Query, token: &str) -> Result<String, Failure> {
            self.tokens.borrow_mut().push(token.to_owned());
            self.refusals.borrow_mut().pop_front().map_or_else(|| Ok("s-1".into()), Err)
        }

        async fn look(&self, id: &str) -> Result<Look, Failure> {
            assert_eq!(id, "s-1");
            let mut looks = self.looks.borrow_mut();
            let next = if looks.len() > 1 { looks.pop_front() } else { looks.front().cloned() };
            next.expect("a look")
        }

        async fn results(&self, _: &str, _: Option<&str>) -> Result<Page, Failure> {
            self.pages.borrow_mut().pop_front().expect("no more pages than there are")
        }

        async fn stop(&self, id: &str) -> Result<(), Failure> {
            self.stopped.borrow_mut().push(id.to_owned());
            Ok(())
        }

        fn workgroup(&self) -> &str {
            "nat-triage"
        }
    }

    fn look(state: &str, reason: &str, read: u64) -> Look {
        Look { state: state.into(), reason: reason.into(), retryable: false, read: Some(read) }
    }

    fn rows(count: usize) -> Page {
        Page { rows: vec![Row::from([("side".to_owned(), "client".to_owned())]); count], next: None }
    }

    fn statement() -> Query {
        Query {
            purpose: Purpose::HeldPorts,
            text: "SELECT 1".into(),
            log_groups: Vec::new(),
            from: 0,
            to: 1,
            max_rows: 10_000,
            stored_bytes: Some(MIB),
        }
    }

    async fn asked(service: &Service, budget: &Budget) -> Result<Answer, Unanswered> {
        run(service, &statement(), budget, Deadline::after(Duration::from_secs(60))).await
    }

    fn budget() -> Budget {
        Budget::of_event(1.0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_statement_is_followed_paged_and_its_cost_stated() {
        let service = Service::with([
            look("QUEUED", "", 0),
            look("RUNNING", "", MIB),
            look("SUCCEEDED", "", 40_000_001),
        ]);
        let first = Page { next: Some("t".into()), ..rows(1_000) };
        service.pages.replace([Ok(first), Ok(rows(5))].into());
        let budget = budget();
        let answer = asked(&service, &budget).await.expect("an answer");
        assert_eq!(answer.rows.len(), 1_005);
        assert_eq!((answer.bytes_scanned, budget.spent()), (Some(40_000_001), 40_000_001));
        let cost = answer.cost_usd.expect("stated");
        assert!((cost - 0.000_205).abs() < 1e-9, "41 megabytes at $5 for a million: {cost}");
        assert!(service.stopped.borrow().is_empty());
        assert!((super::cost(1) - 0.000_05).abs() < 1e-9, "ten megabytes at the least");
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_read_too_much_is_never_started() {
        let service = Service::with([look("SUCCEEDED", "", 0)]);
        let refused = asked(&service, &Budget::of_event(0.000_5)).await.expect_err("too much");
        assert_eq!(refused.cause, Cause::TooLarge);
        assert!(
            refused.why.contains("1.0 MiB") && refused.why.contains("NAT_TRIAGE_MAX_SCAN_GIB"),
            "{refused}"
        );
        assert!(service.tokens.borrow().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_reads_more_than_was_estimated_is_stopped() {
        let service = Service::with([look("RUNNING", "", 2 * 1024 * MIB)]);
        let refused = asked(&service, &budget()).await.expect_err("too much");
        assert_eq!(refused.cause, Cause::TooLarge);
        assert_eq!(*service.stopped.borrow(), ["s-1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_statement_that_never_ends_is_stopped_in_time() {
        let service = Service::with([look("RUNNING", "", 0)]);
        let began = Instant::now();
        let refused = asked(&service, &budget()).await.expect_err("out of time");
        assert_eq!(refused.cause, Cause::OutOfTime);
        assert!(refused.why.contains("still RUNNING"), "{refused}");
        assert_eq!(*service.stopped.borrow(), ["s-1"]);
        assert!(began.elapsed() <= Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn each_end_without_an_answer_says_what_to_do() {
        for (state, reason, cause, fix) in [
            ("CANCELLED", "Bytes scanned limit was exceeded", Cause::TooLarge, "BytesScannedCutoffPerQuery"),
            ("CANCELLED", "Query cancelled by user", Cause::Ended, "run again"),
            (
                "FAILED",
                "Insufficient permissions to execute the query. User: arn:aws:sts::1:x is not authorized to perform: glue:GetTable on resource: y",
                Cause::Other,
                "allow glue:GetTable",
            ),
            (
                "FAILED",
                "Permission denied on S3 path: s3://flow-logs/AWSLogs/x.log.gz",
                Cause::Other,
                "allow s3:GetObject and s3:ListBucket on the flow logs' bucket",
            ),
            (
                "FAILED",
                "Access denied when writing output to url: s3://r/x.csv",
                Cause::Other,
                "s3:PutObject",
            ),
            ("FAILED", "HIVE_BAD_DATA: Error parsing field value", Cause::Failed, "in the Athena console"),
            ("FAILED", "Query exhausted resources at this scale factor", Cause::Failed, "fewer minutes"),
            ("PAUSED", "", Cause::Ended, "a newer nat-triage"),
        ] {
            let service = Service::with([look(state, reason, 0)]);
            let refused = asked(&service, &budget()).await.expect_err("no answer");
            assert_eq!(refused.cause, cause, "{reason}");
            assert!(refused.fix.to_string().contains(fix), "{reason}: {}", refused.fix);
            assert!(refused.why.contains(reason), "{refused}");
            assert_eq!(service.stopped.borrow().len(), usize::from(state == "PAUSED"), "{state}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_refused_start_says_what_to_do() {
        // Whether a simpler statement may fare better.
        for (code, message, cause, fix) in [
            (
                "AccessDeniedException",
                "You are not authorized to perform: athena:StartQueryExecution",
                Cause::Other,
                "allow athena:StartQueryExecution on the workgroup",
            ),
            (
                "InvalidRequestException",
                "No output location provided",
                Cause::Other,
                "aws athena update-work-group --work-group nat-triage",
            ),
            (
                "InvalidRequestException",
                "WorkGroup nat-triage is not found.",
                Cause::Other,
                "a workgroup that exists",
            ),
            ("InvalidRequestException", "line 1:8: mismatched input", Cause::Refused, "a bug of nat-triage"),
        ] {
            let service = Service::with([look("SUCCEEDED", "", 0)]);
            service.refusals.borrow_mut().push_back(refused(START, code, message));
            let refused = asked(&service, &budget()).await.expect_err("refused");
            assert!(refused.why.contains(message), "{refused}");
            assert_eq!(refused.cause, cause, "{message}");
            assert!(refused.fix.to_string().contains(fix), "{message}: {}", refused.fix);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_that_is_repeated_has_one_token_and_another_none() {
        let service = Service::with([look("SUCCEEDED", "", 0)]);
        service.refusals.borrow_mut().push_back(refused(START, "TooManyRequestsException", "slow down"));
        asked(&service, &budget()).await.expect("the second start");
        service.pages.replace([Ok(rows(1))].into());
        asked(&service, &budget()).await.expect("another run");
        let tokens = service.tokens.borrow();
        assert_eq!(tokens.len(), 3);
        assert!(tokens[0] == tokens[1] && tokens[1] != tokens[2], "{tokens:?}");
        assert!(tokens.iter().all(|token| (32..=128).contains(&token.len())));
    }

    #[test]
    fn the_row_of_names_is_left_out_and_nothing_else() {
        let row = |cells: &[Option<&str>]| {
            let data =
                cells.iter().map(|cell| Datum::builder().set_var_char_value(cell.map(str::to_owned)).build());
            aws_sdk_athena::types::Row::builder().set_data(Some(data.collect())).build()
        };
        let columns = ["side", "serverport"]
            .map(|name| ColumnInfo::builder().name(name).r#type("varchar").build().expect("has both"));
        let metadata = ResultSetMetadata::builder().set_column_info(Some(columns.into())).build();
        let output = |rows: Vec<aws_sdk_athena::types::Row>| {
            let set = ResultSet::builder().set_rows(Some(rows)).result_set_metadata(metadata.clone()).build();
            GetQueryResultsOutput::builder().result_set(set).build()
        };
        let names = row(&[Some("side"), Some("serverport")]);
        let one = row(&[Some("client"), None]);
        let read = page(output(vec![names.clone(), one.clone()]), true);
        assert_eq!(read.rows, [Row::from([("side".to_owned(), "client".to_owned())])]);
        assert_eq!(page(output(vec![one.clone()]), true).rows.len(), 1);
        let later = page(output(vec![names, one]), false).rows;
        assert_eq!(later[0].get("serverPort").map(String::as_str), Some("serverport"));
    }
}
