//! The life of one Logs Insights query: started, followed through every status, paged, and stopped
//! where it is given up. Knows nothing of what is asked or what rows mean.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::timeout::TimeoutConfig;
use aws_sdk_cloudwatchlogs::operation::get_query_results::GetQueryResultsOutput;
use aws_sdk_cloudwatchlogs::operation::start_query::StartQueryError;
use tokio::time::{Instant, sleep, timeout};

use super::errors::{Failure, Kind, cleaned, milliseconds, within};
use super::{Clients, whole};
use crate::config::{MAX_SCAN_GIB, WATCH_GIB_PER_DAY};
use crate::deadline::Deadline;
use crate::evidence::insights::{Answer, Cause, ESTIMATE, LogsQueries, MAX_ROWS, Query, Row, Unanswered};
use crate::gap::Fix;
use crate::words;

/// What a gigabyte scanned costs, in US dollars, at the list price of us-east-1.
///
/// Other Regions differ (ap-northeast-1: 0.0076). AWS does not say whether it means 10^9 or 2^30
/// bytes; 10^9 is taken here, so that a cost is rather overstated, by 7 percent at most. Source:
/// "Amazon CloudWatch pricing", Logs, "Analyze (Logs Insights queries)".
pub const LIST_PRICE_USD_PER_GB: f64 = 0.005;

/// Bytes of a GiB, in which the limit of what may be scanned is set.
pub const BYTES_OF_GIB: f64 = 1_073_741_824.0;

/// Most log groups that one query may name (`StartQuery` in the CloudWatch Logs API).
const MOST_GROUPS: usize = 50;

/// How long to wait between two looks at a query, at least and at most. Each account has ten
/// `GetQueryResults` a second for everybody ("CloudWatch Logs quotas").
const SHORTEST_WAIT: Duration = Duration::from_millis(150);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The part of a query's time that is waited between two looks at it: so much of it is lost at most.
const PART_WAITED: u32 = 32;

/// How often a query is started that the service then fails to run.
const RUNS: u32 = 2;

/// How long to wait before starting again what was throttled, at first and at most. A query ends
/// and frees its place within seconds, mostly.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(16);

/// How often to try what fails for other passing reasons. The SDK has tried three times each time.
const TRIES: u32 = 3;

/// Kept back for stopping a query: an abandoned one goes on scanning, which costs.
const STOPPING: Duration = Duration::from_secs(2);

/// Most pages of rows that are read, should they be nearly empty.
const MAX_PAGES: usize = 50;

/// Rows of a page: 10,000 rows of 60 fields are 14 to 27 MB of JSON, and the function is small.
const ROWS_OF_PAGE: usize = 1_000;

/// The rows of a page of which one field is a line of a log: as many as the service gives.
const LINES_OF_PAGE: usize = 10_000;

/// Longest that reading one page may take, its body included.
const MAX_PAGE_TIME: Duration = Duration::from_secs(30);

/// Longest that an estimate may take. The query runs beside it meanwhile.
const MAX_ESTIMATE_TIME: Duration = Duration::from_secs(20);

/// A query that takes longer has a simpler one asked beside it.
const LONG: Duration = Duration::from_secs(90);

/// So many times smaller than its records a log group's stored bytes may be. CloudWatch Logs compresses what it
/// keeps; its pricing page takes 0.15 of each byte for an example.
///
/// Source: "Amazon CloudWatch pricing", Logs, "Store (Archival)".
const COMPRESSED: u64 = 10;

/// Longest that a question may take which a diagnosis can do without: the report waits for it.
const MAX_SPARE_TIME: Duration = Duration::from_secs(30);

const START: &str = "logs:StartQuery";
const RESULTS: &str = "logs:GetQueryResults";
const STOP: &str = "logs:StopQuery";

/// Logs Insights, for one invocation.
///
/// A query that was started is stopped on every way out of [`LogsQueries::run`] but one: where the
/// future is dropped before it is done. Let it end by its deadline instead.
#[derive(Debug)]
pub struct InsightsQueries {
    client: Client,
    deadline: Deadline,
    budget: Budget,
    started: Started,
}

/// The queries that were started and have not ended.
type Started = RefCell<BTreeSet<String>>;

/// How many bytes the queries that share it may scan together, and how many they have scanned.
#[derive(Clone, Debug)]
pub struct Budget(Rc<Account>);

#[derive(Debug)]
struct Account {
    most: u64,
    spent: Rc<Cell<u64>>,
    /// Which setting says how many.
    limit: &'static str,
    /// Whether there was something to scan for which not enough was left.
    ran_short: Cell<bool>,
}

impl Budget {
    /// What one event may scan, of which nothing is spent, by [`MAX_SCAN_GIB`].
    #[must_use]
    pub fn of_event(gib: f64) -> Self {
        Self::new(whole(gib * BYTES_OF_GIB), MAX_SCAN_GIB)
    }

    /// What is left in bytes of what watching may scan in a day, by [`WATCH_GIB_PER_DAY`].
    #[must_use]
    pub fn of_day(bytes_left: u64) -> Self {
        Self::new(bytes_left, WATCH_GIB_PER_DAY)
    }

    fn new(most: u64, limit: &'static str) -> Self {
        Self(Rc::new(Account { most, spent: Rc::default(), limit, ran_short: Cell::default() }))
    }

    /// Half of what is left, for a question that a diagnosis can do without: what it scans counts all the same.
    #[must_use]
    pub fn spare(&self) -> Self {
        let most = self.spent().saturating_add(self.left() / 2);
        Self(Rc::new(Account {
            most,
            spent: Rc::clone(&self.0.spent),
            limit: self.0.limit,
            ran_short: Cell::default(),
        }))
    }

    /// The same, where so many bytes were scanned before.
    #[must_use]
    pub fn having_spent(self, bytes: u64) -> Self {
        self.spend(bytes);
        self
    }

    fn most(&self) -> u64 {
        self.0.most
    }

    /// What was scanned so far, in bytes.
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.0.spent.get()
    }

    /// What may still be scanned, in bytes.
    pub(crate) fn left(&self) -> u64 {
        self.most().saturating_sub(self.spent())
    }

    /// The setting that says how many bytes it has.
    #[must_use]
    pub fn limit(&self) -> &'static str {
        self.0.limit
    }

    /// Notes that there was something to scan for which not enough was left.
    pub(super) fn run_short(&self) {
        self.0.ran_short.set(true);
    }

    /// Whether something was not scanned since this was asked last, because not enough was left.
    pub(crate) fn take_shortage(&self) -> bool {
        self.0.ran_short.take()
    }

    pub(super) fn spend(&self, bytes: u64) {
        self.0.spent.set(self.spent().saturating_add(bytes));
    }
}

impl InsightsQueries {
    /// Queries that have to be done by `deadline`, the stopping of unfinished ones included, and that scan no more
    /// than is left of `budget`: what one would scan is estimated, which costs nothing, and one that would scan more
    /// is stopped.
    #[must_use]
    pub fn new(clients: &Clients, budget: Budget, deadline: Deadline) -> Self {
        Self { client: clients.logs.clone(), deadline, budget, started: Started::default() }
    }
}

impl LogsQueries for InsightsQueries {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        within_budget(&self.client, query, &self.budget, &self.started, self.deadline).await
    }

    async fn run_spare(&self, query: &Query) -> Result<Answer, Unanswered> {
        let deadline = self.deadline.for_one_thing(MAX_SPARE_TIME);
        within_budget(&self.client, query, &self.budget.spare(), &self.started, deadline).await
    }

    async fn wait_before(&self, _: &Query) {
        sleep(LONG).await;
    }

    async fn stop_abandoned(&self, _: &Query) {
        stop_all(&self.client, &self.started).await;
    }
}

/// What one look at a query showed.
#[derive(Clone, Debug, Default, PartialEq)]
struct Page {
    /// The status as the API spells it.
    status: String,
    /// What there is of the answer: final once the status is `Complete`.
    answer: Answer,
    /// Where the next rows are.
    next: Option<String>,
}

/// The three calls that make up a query's life; apart, so that the life can be tested without them.
trait Calls {
    async fn start(&self, query: &Query) -> Result<String, Failure>;
    /// At most so many rows, from the token on.
    async fn results(&self, id: &str, token: Option<&str>, rows: usize) -> Result<Page, Failure>;
    async fn stop(&self, id: &str) -> Result<(), Failure>;
}

impl Calls for Client {
    async fn start(&self, query: &Query) -> Result<String, Failure> {
        let request = self.start_query().start_time(query.from).end_time(query.to).query_string(&query.text);
        let groups = Some(identifiers(&query.log_groups));
        // Names go as names: not every stand-in for the service knows the newer parameter.
        let request = if query.log_groups.iter().any(|group| is_arn(group)) {
            request.set_log_group_identifiers(groups)
        } else {
            request.set_log_group_names(groups)
        };
        let output = request.send().await.map_err(|error| {
            let mut failure = Failure::of(START, &error);
            if let Some(position) = error.as_service_error().and_then(position) {
                failure.message.push_str(&position);
            }
            failure
        })?;
        output.query_id.ok_or_else(|| Failure {
            action: START,
            kind: Kind::Unreadable,
            code: None,
            message: "no query id in the answer".into(),
            request_id: None,
        })
    }

    async fn results(&self, id: &str, token: Option<&str>, rows: usize) -> Result<Page, Failure> {
        let request = self
            .get_query_results()
            .query_id(id)
            .set_next_token(token.map(str::to_owned))
            .max_items(i32::try_from(rows).unwrap_or(i32::MAX));
        let sent = if rows > 1 {
            let patience = TimeoutConfig::builder()
                .operation_attempt_timeout(MAX_PAGE_TIME)
                .operation_timeout(2 * MAX_PAGE_TIME)
                .build();
            let config = aws_sdk_cloudwatchlogs::Config::builder().timeout_config(patience);
            request.customize().config_override(config).send().await
        } else {
            request.send().await
        };
        sent.map(page).map_err(|error| Failure::of(RESULTS, &error))
    }

    async fn stop(&self, id: &str) -> Result<(), Failure> {
        self.stop_query().query_id(id).send().await.map(drop).map_err(|error| Failure::of(STOP, &error))
    }
}

fn is_arn(group: &str) -> bool {
    group.starts_with("arn:")
}

/// Log groups as `StartQuery` takes them: an ARN without the `:*` that policies and the console end
/// it with.
fn identifiers(groups: &[String]) -> Vec<String> {
    groups
        .iter()
        .map(|group| if is_arn(group) { group.trim_end_matches(":*") } else { group }.to_owned())
        .collect()
}

/// Where in its text a query was found to be wrong.
fn position(error: &StartQueryError) -> Option<String> {
    let StartQueryError::MalformedQueryException(error) = error else { return None };
    let compile = error.query_compile_error()?;
    let location = compile.location()?;
    let new = compile.message().filter(|message| Some(*message) != error.message());
    let message = new.map_or_else(String::new, |message| format!(": {}", cleaned(message)));
    Some(format!(
        " (characters {} to {} of the query{message})",
        location.start_char_offset().unwrap_or_default(),
        location.end_char_offset().unwrap_or_default(),
    ))
}

fn page(output: GetQueryResultsOutput) -> Page {
    let statistics = output.statistics.as_ref();
    let bytes = statistics.map(|s| s.bytes_scanned);
    Page {
        status: output.status.as_ref().map_or_else(String::new, |status| status.as_str().to_owned()),
        next: output.next_token,
        answer: Answer {
            rows: output.results.unwrap_or_default().into_iter().map(row).collect(),
            bytes_scanned: bytes.map(whole),
            records_scanned: statistics.map(|s| whole(s.records_scanned)),
            records_matched: statistics.map(|s| whole(s.records_matched)),
            cost_usd: bytes.map(|bytes| bytes.max(0.0) / 1e9 * LIST_PRICE_USD_PER_GB),
        },
    }
}

fn row(fields: Vec<aws_sdk_cloudwatchlogs::types::ResultField>) -> Row {
    fields.into_iter().filter_map(|field| Some((field.field?, field.value?))).collect()
}

/// A query that will not be answered, and whether it may still be running.
struct Abandoned {
    unanswered: Unanswered,
    running: bool,
}

impl Abandoned {
    fn running(cause: Cause, why: String, fix: impl Into<Fix>) -> Self {
        Self { unanswered: Unanswered { why, fix: fix.into(), cause }, running: true }
    }

    fn ended(cause: Cause, why: String, fix: impl Into<Fix>) -> Self {
        Self { unanswered: Unanswered { why, fix: fix.into(), cause }, running: false }
    }
}

/// What a running query has scanned, as the looks at it tell.
struct Meter<'a> {
    budget: &'a Budget,
    /// Whether it was seen to run.
    runs: Cell<bool>,
    /// What was taken from the budget for it; `None` while no look has told.
    scanned: Cell<Option<u64>>,
}

impl<'a> Meter<'a> {
    fn of(budget: &'a Budget) -> Self {
        Self { budget, runs: Cell::new(false), scanned: Cell::new(None) }
    }

    /// Takes what it has scanned by now from the budget, which queries beside it share.
    fn count(&self, bytes: u64) {
        let before = self.scanned.get().unwrap_or(0);
        self.budget.spend(bytes.saturating_sub(before));
        self.scanned.set(Some(bytes.max(before)));
    }

    /// Reads it from a look, and says whether nothing is left.
    fn read(&self, page: &Page) -> Result<(), Abandoned> {
        if page.status == "Running" {
            self.runs.set(true);
            page.answer.bytes_scanned.into_iter().for_each(|bytes| self.count(bytes));
        }
        match self.scanned.get().filter(|_| self.budget.spent() > self.budget.most()) {
            Some(bytes) => {
                let before = self.budget.spent().saturating_sub(bytes);
                Err(Abandoned {
                    unanswered: too_large("it had scanned", bytes, self.budget, before),
                    running: true,
                })
            }
            None => Ok(()),
        }
    }

    /// Whether it runs, and no look tells what it scans.
    fn is_blind(&self) -> bool {
        self.runs.get() && self.scanned.get().is_none()
    }
}

/// Runs a query, and beside it the estimate of what it would scan, unless all that its log groups hold is less than
/// what is left.
///
/// Whatever the estimate says, the query is stopped once nothing is left. Where neither the estimate nor the looks at
/// the query tell what it scans, it is stopped too: the service gives the statistics of a query that runs, as the
/// console shows them, so that is rare.
async fn within_budget(
    calls: &impl Calls,
    query: &Query,
    budget: &Budget,
    started: &Started,
    deadline: Deadline,
) -> Result<Answer, Unanswered> {
    let meter = Meter::of(budget);
    let spend = |answer: Result<Answer, Unanswered>| {
        answer.iter().filter_map(|answer| answer.bytes_scanned).for_each(|bytes| meter.count(bytes));
        answer
    };
    let small = |stored: u64| stored.saturating_mul(COMPRESSED) <= budget.left();
    if query.stored_bytes.is_some_and(small) {
        return spend(run(calls, query, started, Some(&meter), deadline).await);
    }
    let of_this = Started::default();
    let refused = {
        let mut running = std::pin::pin!(run(calls, query, &of_this, Some(&meter), deadline));
        let estimated = timeout(MAX_ESTIMATE_TIME, estimate(calls, query, deadline));
        let estimated = tokio::select! {
            biased;
            answer = &mut running => return spend(answer),
            estimated = estimated => estimated.ok().flatten(),
        };
        match estimated {
            Some(bytes) if bytes > budget.left() => {
                too_large("it would scan about", bytes, budget, budget.spent())
            }
            Some(bytes) => {
                let answer = spend(running.await);
                if meter.scanned.get().is_none() {
                    meter.count(bytes);
                }
                return answer;
            }
            None => loop {
                tokio::select! {
                    biased;
                    answer = &mut running => return spend(answer),
                    () = sleep(LONGEST_WAIT) => {}
                }
                if meter.is_blind() {
                    break unknown(budget);
                }
            },
        }
    };
    stop_all(calls, &of_this).await;
    Err(refused)
}

fn unknown(budget: &Budget) -> Unanswered {
    Unanswered {
        why: format!(
            "what it would scan could not be found out, and {} allows {}: it was not run to its end",
            budget.limit(),
            words::bytes(budget.most())
        ),
        fix: scan_less(budget),
        cause: Cause::TooLarge,
    }
}

fn scan_less(budget: &Budget) -> Fix {
    format!(
        "raise {}, or create a flow log of the gateway's own interface in a log group of its own, which is a small part of it",
        budget.limit()
    )
    .into()
}

/// `spent` is what others scanned.
fn too_large(scan: &str, bytes: u64, budget: &Budget, spent: u64) -> Unanswered {
    budget.run_short();
    let spent = match spent {
        0 => String::new(),
        spent => format!(", of which {} are spent", words::bytes(spent)),
    };
    Unanswered {
        why: format!(
            "{scan} {}, and {} allows {}{spent}: it was not run to its end",
            words::bytes(bytes),
            budget.limit(),
            words::bytes(budget.most())
        ),
        fix: scan_less(budget),
        cause: Cause::TooLarge,
    }
}

/// How many bytes a query would scan, about; `None` where that can't be had.
async fn estimate(calls: &impl Calls, query: &Query, deadline: Deadline) -> Option<u64> {
    let asked = Query { text: format!("{}{ESTIMATE}", query.text), ..query.clone() };
    let answer = once(calls, &asked, &Started::default(), None, deadline).await;
    let answer = answer
        .inspect_err(|unanswered| {
            tracing::warn!(query.purpose = query.purpose.as_str(), "could not be estimated: {unanswered}");
        })
        .ok()?;
    // The reference does not say what its column is called: one that speaks of bytes.
    let fields = answer.rows.iter().flatten();
    let mut of_bytes = fields.filter(|(name, _)| name.to_lowercase().contains("byte"));
    let plain = |text: &String| text.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0);
    let bytes = of_bytes.find_map(|(_, value)| plain(value)).map(whole);
    tracing::info!(query.purpose = query.purpose.as_str(), query.bytes_estimated = bytes, "estimated");
    bytes
}

/// Stops what was started and given up.
async fn stop_all(calls: &impl Calls, started: &Started) {
    for id in started.take() {
        if let Err(failure) = stop(calls, &id).await {
            tracing::warn!(query.id = id, "could not be stopped and may go on scanning: {failure}");
        }
    }
}

/// Runs a query, and once more where the service fails to.
async fn run(
    calls: &impl Calls,
    query: &Query,
    started: &Started,
    meter: Option<&Meter<'_>>,
    deadline: Deadline,
) -> Result<Answer, Unanswered> {
    let mut runs = 1;
    loop {
        match once(calls, query, started, meter, deadline).await {
            Err(unanswered)
                if unanswered.cause == Cause::Failed && runs < RUNS && !deadline.remaining().is_zero() =>
            {
                runs += 1;
            }
            done => return done,
        }
    }
}

async fn once(
    calls: &impl Calls,
    query: &Query,
    started: &Started,
    meter: Option<&Meter<'_>>,
    deadline: Deadline,
) -> Result<Answer, Unanswered> {
    check(query)?;
    let began = Instant::now();
    let remaining = deadline.remaining();
    let give_up = Deadline::after(remaining - STOPPING.min(remaining / 3));
    let id = start(calls, query, give_up).await.map_err(|failure| not_started(&failure, query))?;
    started.borrow_mut().insert(id.clone());
    tracing::debug!(query.id = id, query.purpose = query.purpose.as_str(), "Logs Insights query started");
    let outcome = follow(calls, &id, query.max_rows, meter, began, give_up).await;
    started.borrow_mut().remove(&id);
    let duration_ms = milliseconds(began.elapsed());
    match outcome {
        Ok(answer) => {
            tracing::info!(
                query.id = id,
                query.purpose = query.purpose.as_str(),
                query.rows = answer.rows.len(),
                query.bytes_scanned = answer.bytes_scanned,
                query.cost_usd = answer.cost_usd,
                duration_ms,
                "Logs Insights query complete"
            );
            Ok(answer)
        }
        Err(Abandoned { mut unanswered, running }) => {
            tracing::warn!(
                query.id = id,
                query.purpose = query.purpose.as_str(),
                duration_ms,
                "Logs Insights query unanswered: {unanswered}"
            );
            if running && let Err(failure) = stop(calls, &id).await {
                unanswered.why.push_str("; it could not be stopped and may go on scanning, which costs: ");
                unanswered.why.push_str(&failure.to_string());
            }
            Err(unanswered)
        }
    }
}

/// Refuses what `StartQuery` would refuse with fewer words.
fn check(query: &Query) -> Result<(), Unanswered> {
    let groups = query.log_groups.len();
    if groups == 0 {
        return Err(Unanswered {
            why: "no log group is known to ask".into(),
            fix: "name it in NAT_TRIAGE_LOG_GROUPS".into(),
            cause: Cause::Other,
        });
    }
    if groups > MOST_GROUPS {
        return Err(Unanswered {
            why: format!("{groups} log groups hold the flow logs, and one query may ask {MOST_GROUPS}"),
            fix: "name those of the gateway in NAT_TRIAGE_LOG_GROUPS".into(),
            cause: Cause::Other,
        });
    }
    Ok(())
}

/// Makes a call until it succeeds: again and again while there is no room for it, a few times where
/// what went wrong may pass, and never past the deadline.
pub(super) async fn insistently<T, Attempt: Future<Output = Result<T, Failure>>>(
    deadline: Deadline,
    action: &'static str,
    call: impl Fn() -> Attempt,
) -> Result<T, Failure> {
    let mut pause = FIRST_BACK_OFF;
    let mut tries = 0;
    let mut before: Option<Failure> = None;
    loop {
        let failure = match within(deadline, action, call()).await {
            Ok(answer) => return Ok(answer),
            // What the service said says more than that our time was up.
            Err(failure) if failure.kind == Kind::TimedOut && deadline.remaining().is_zero() => {
                return Err(before.unwrap_or(failure));
            }
            Err(failure) => failure,
        };
        tries += 1;
        let again = failure.kind == Kind::Throttled || (failure.kind.is_transient() && tries < TRIES);
        if !again || deadline.remaining() <= pause {
            return Err(failure);
        }
        before = Some(failure);
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_BACK_OFF);
    }
}

/// Starts a query, once there is room for it.
async fn start(calls: &impl Calls, query: &Query, deadline: Deadline) -> Result<String, Failure> {
    insistently(deadline, START, || calls.start(query)).await
}

/// Waits for a started query and reads its rows, of which there are so many at most.
async fn follow(
    calls: &impl Calls,
    id: &str,
    max_rows: usize,
    meter: Option<&Meter<'_>>,
    began: Instant,
    deadline: Deadline,
) -> Result<Answer, Abandoned> {
    let mut status: Option<String> = None;
    let started = Instant::now();
    loop {
        let pause = (started.elapsed() / PART_WAITED).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        sleep(pause.min(deadline.remaining())).await;
        if deadline.remaining().is_zero() {
            return Err(out_of_time(began, status.as_deref()));
        }
        // A query that runs may answer with the rows that it has so far, which nobody wants.
        let page = results(calls, id, None, 1, deadline)
            .await
            .map_err(|failure| unread(&failure, began, status.as_deref(), deadline))?;
        match page.status.as_str() {
            "Scheduled" | "Running" => meter.map_or(Ok(()), |meter| meter.read(&page))?,
            // The rows of a short answer are there already.
            "Complete" if page.next.is_none() => return Ok(page.answer),
            "Complete" => break,
            ended => return Err(unsuccessful(ended)),
        }
        status = Some(page.status);
    }
    let rows_of_page = if max_rows > MAX_ROWS { LINES_OF_PAGE } else { ROWS_OF_PAGE };
    let mut answer = Answer::default();
    let (mut next, mut pages) = (None, 0);
    loop {
        let cut = |rows: usize, why: &str, fix: Fix| {
            Abandoned::ended(
                Cause::Other,
                format!("only {rows} rows of the answer could be read: {why}"),
                fix,
            )
        };
        if pages == MAX_PAGES {
            let fix = "ask about fewer minutes with --window".into();
            return Err(cut(answer.rows.len(), &format!("they fill more than {MAX_PAGES} pages"), fix));
        }
        let page = results(calls, id, next.as_deref(), rows_of_page, deadline)
            .await
            .map_err(|failure| cut(answer.rows.len(), &failure.to_string(), fix_results(&failure)))?;
        let mut rows = std::mem::take(&mut answer.rows);
        rows.extend(page.answer.rows);
        answer = Answer { rows, ..page.answer };
        (next, pages) = (page.next, pages + 1);
        if next.is_none() || answer.rows.len() >= max_rows {
            break;
        }
    }
    answer.rows.truncate(max_rows);
    Ok(answer)
}

/// One look at a query, tried again where that may help.
async fn results(
    calls: &impl Calls,
    id: &str,
    token: Option<&str>,
    rows: usize,
    deadline: Deadline,
) -> Result<Page, Failure> {
    insistently(deadline, RESULTS, || calls.results(id, token, rows)).await
}

/// Stops a query, as far as that can be done in a moment. One that ended by itself meanwhile is
/// refused by the service, and is as good as stopped.
async fn stop(calls: &impl Calls, id: &str) -> Result<(), Failure> {
    match within(Deadline::after(STOPPING), STOP, calls.stop(id)).await {
        Err(failure) if !matches!(failure.kind, Kind::NotFound | Kind::Refused) => Err(failure),
        _ => Ok(()),
    }
}

fn out_of_time(began: Instant, status: Option<&str>) -> Abandoned {
    Abandoned::running(
        Cause::OutOfTime,
        format!(
            "the query timed out after {} s{}, and was given up",
            began.elapsed().as_secs(),
            status.map_or(String::new(), |status| format!(", still {status}"))
        ),
        Fix::ask_again("give the function a longer timeout, or ask about fewer minutes with --window"),
    )
}

fn unread(failure: &Failure, began: Instant, status: Option<&str>, deadline: Deadline) -> Abandoned {
    // A query that was seen to run ran out of time; of one that never was, nobody knows.
    if status.is_some() && failure.kind == Kind::TimedOut && deadline.remaining().is_zero() {
        return out_of_time(began, status);
    }
    let why = format!("the answer could not be read: {failure}");
    Abandoned::running(Cause::Other, why, fix_results(failure))
}

fn fix_results(failure: &Failure) -> Fix {
    match failure.kind {
        // A query has no ARN: the permission can't be narrowed.
        Kind::NotFound | Kind::Refused => again(),
        _ => failure.fix("*").into(),
    }
}

/// What to do where the same query may well be answered another time.
fn again() -> Fix {
    Fix::ask_again("run again")
}

/// A status that a query does not come back from, or that means nothing to us.
fn unsuccessful(status: &str) -> Abandoned {
    match status {
        "Failed" => Abandoned::ended(
            Cause::Failed,
            "Logs Insights started the query and then failed to run it".into(),
            Fix::ask_again(
                "run the query of this report in the console, which shows the cause if it fails again; or ask again",
            ),
        ),
        "Cancelled" => Abandoned::ended(
            Cause::Ended,
            "somebody stopped the query before it was complete".into(),
            again(),
        ),
        "Timeout" => Abandoned::ended(
            Cause::Ended,
            "the query ran into the 60 minutes that Logs Insights gives each".into(),
            "ask about fewer minutes with --window",
        ),
        "" => Abandoned::running(Cause::Ended, "Logs Insights gave no status for the query".into(), again()),
        other => Abandoned::running(
            Cause::Ended,
            format!(
                "Logs Insights gave the status {:?}, which says neither that the query runs nor how it ended",
                cleaned(other)
            ),
            Fix::ask_again("a newer nat-triage may know that status; or ask again"),
        ),
    }
}

fn not_started(failure: &Failure, query: &Query) -> Unanswered {
    let groups = query.log_groups.join(", ");
    let message = failure.message.to_lowercase();
    let of_window = message.contains("log groups creation time") || message.contains("retention settings");
    let (cause, why, fix) = match (failure.kind, failure.code.as_deref()) {
        (_, Some("MalformedQueryException")) if of_window => (
            Cause::OutsideRetention,
            format!(
                "log group {groups} was made after these minutes, or keeps its records for less time than has passed since"
            ),
            Fix::run_to(
                "ask about minutes that it still holds, as creationTime and retentionInDays tell",
                "aws logs describe-log-groups",
            ),
        ),
        (_, Some("MalformedQueryException" | "InvalidParameterException")) => (
            Cause::Refused,
            format!("Logs Insights does not take the query: {failure}"),
            "report this as a bug of nat-triage, with the query as this report shows it".into(),
        ),
        (_, Some("LimitExceededException")) => (
            Cause::Other,
            format!(
                "no room for the query in time, as 100 queries at once is all that an account may have in a Region: {failure}"
            ),
            "close dashboards with Logs Insights widgets, which count as well, and run again".into(),
        ),
        (Kind::NotFound, _) => (
            Cause::NoLogGroup(query.log_groups.iter().find(|group| names(&failure.message, group)).cloned()),
            format!("log group {groups} is gone, or has had no record yet: {failure}"),
            "point the flow log at a log group that exists, or name the right one in NAT_TRIAGE_LOG_GROUPS"
                .into(),
        ),
        (Kind::Denied, _) => {
            let both =
                query.log_groups.iter().map(|group| format!("log-group:{group} and log-group:{group}:*"));
            (Cause::Other, failure.to_string(), failure.fix(&both.collect::<Vec<_>>().join(", ")).into())
        }
        (Kind::TimedOut, _) => {
            let why = format!(
                "{failure}; if it was started all the same, it scans to its end, as nobody knows its id"
            );
            (Cause::Other, why, failure.fix(&groups).into())
        }
        _ => (Cause::Other, failure.to_string(), failure.fix(&format!("log group {groups}")).into()),
    };
    Unanswered { why, fix, cause }
}

/// Whether a message names this log group, and not only one whose name begins or ends like it.
fn names(message: &str, group: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_-/.#".contains(c);
    message.match_indices(group).any(|(at, _)| {
        !message[..at].ends_with(is_of_name) && !message[at + group.len()..].starts_with(is_of_name)
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use aws_sdk_cloudwatchlogs::types::error::MalformedQueryException;
    use aws_sdk_cloudwatchlogs::types::{
        QueryCompileError, QueryCompileErrorLocation, QueryStatistics, QueryStatus, ResultField,
    };

    use super::super::errors::tests::refused;
    use super::*;
    use crate::evidence::insights::Purpose;

    /// Logs Insights that starts after `refusals`, then goes through `pages`, the last of which
    /// stays; an empty list never answers.
    #[derive(Default)]
    struct Service {
        refusals: RefCell<VecDeque<Failure>>,
        pages: RefCell<VecDeque<Result<Page, Failure>>>,
        asked: RefCell<Vec<Option<String>>>,
        rows_asked: RefCell<Vec<usize>>,
        stopped: RefCell<Vec<String>>,
        unstoppable: bool,
    }

    impl Service {
        fn with(pages: impl IntoIterator<Item = Result<Page, Failure>>) -> Self {
            Self { pages: RefCell::new(pages.into_iter().collect()), ..Self::default() }
        }

        fn refusing(failures: impl IntoIterator<Item = Failure>) -> Self {
            let refusals = RefCell::new(failures.into_iter().collect());
            Self { refusals, ..Self::with([Ok(complete("a"))]) }
        }
    }

    impl Calls for Service {
        async fn start(&self, _: &Query) -> Result<String, Failure> {
            self.refusals.borrow_mut().pop_front().map_or_else(|| Ok("q-1".into()), Err)
        }

        async fn results(&self, id: &str, token: Option<&str>, rows: usize) -> Result<Page, Failure> {
            assert_eq!(id, "q-1");
            self.rows_asked.borrow_mut().push(rows);
            self.asked.borrow_mut().push(token.map(str::to_owned));
            let next = {
                let mut pages = self.pages.borrow_mut();
                if pages.len() > 1 { pages.pop_front() } else { pages.front().cloned() }
            };
            match next {
                Some(page) => page,
                None => std::future::pending().await,
            }
        }

        async fn stop(&self, id: &str) -> Result<(), Failure> {
            self.stopped.borrow_mut().push(id.to_owned());
            if self.unstoppable { std::future::pending().await } else { Ok(()) }
        }
    }

    fn status(status: &str) -> Page {
        Page { status: status.into(), ..Page::default() }
    }

    fn complete(name: &str) -> Page {
        let rows = vec![Row::from([("side".into(), name.into())])];
        Page { answer: Answer { rows, ..Answer::default() }, ..status("Complete") }
    }

    fn query() -> Query {
        Query {
            purpose: Purpose::HeldPorts,
            text: "limit 1".into(),
            log_groups: vec!["/vpc/flow".into()],
            from: 0,
            to: 1,
            max_rows: MAX_ROWS,
            stored_bytes: None,
        }
    }

    async fn asked(service: &Service, seconds: u64) -> Result<Answer, Unanswered> {
        run(service, &query(), &Started::default(), None, Deadline::after(Duration::from_secs(seconds))).await
    }

    /// A service that estimates, or does not, and whose query takes a minute and scans a gigabyte.
    struct Estimating {
        estimate: Option<Page>,
        /// Whether it tells what a running query has scanned.
        tells: bool,
        from: Instant,
        stopped: RefCell<Vec<String>>,
    }

    impl Estimating {
        fn as_bytes(column: &str, value: &str) -> Self {
            let rows = vec![Row::from([("of".into(), "x".into()), (column.into(), value.into())])];
            let page = Page { answer: Answer { rows, ..Answer::default() }, ..status("Complete") };
            Self { estimate: Some(page), ..Self::silent() }
        }

        fn silent() -> Self {
            Self { estimate: None, tells: true, from: Instant::now(), stopped: RefCell::default() }
        }

        async fn asked(&self, budget: &Budget, query: &Query) -> Result<Answer, Unanswered> {
            let deadline = Deadline::after(Duration::from_secs(600));
            within_budget(self, query, budget, &Started::default(), deadline).await
        }
    }

    impl Calls for Estimating {
        async fn start(&self, query: &Query) -> Result<String, Failure> {
            Ok(if query.text.ends_with(ESTIMATE) { "estimate" } else { "query" }.into())
        }

        async fn results(&self, id: &str, _: Option<&str>, _: usize) -> Result<Page, Failure> {
            match (id, &self.estimate) {
                ("estimate", Some(page)) => Ok(page.clone()),
                ("estimate", None) => std::future::pending().await,
                _ if self.from.elapsed() < Duration::from_secs(60) => {
                    let mut page = status("Running");
                    let part = self.from.elapsed().as_secs_f64() / 60.0;
                    page.answer.bytes_scanned = self.tells.then(|| whole(part * BYTES_OF_GIB));
                    Ok(page)
                }
                _ => {
                    let mut page = complete("a");
                    page.answer.bytes_scanned = Some(whole(BYTES_OF_GIB));
                    Ok(page)
                }
            }
        }

        async fn stop(&self, id: &str) -> Result<(), Failure> {
            self.stopped.borrow_mut().push(id.to_owned());
            Ok(())
        }
    }

    fn budget(gib: f64) -> Budget {
        Budget::of_event(gib)
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_that_would_scan_too_much_is_stopped() {
        let dear = Estimating::as_bytes("scannedBytes", "3.5e9");
        let refused = dear.asked(&budget(2.0), &query()).await.expect_err("too much");
        assert!(refused.why.contains("3.3 GiB") && refused.why.contains("2.0 GiB"), "{refused}");
        assert_eq!(refused.cause, Cause::TooLarge);
        assert_eq!(*dear.stopped.borrow(), ["query"]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_estimate_a_query_runs_while_it_tells_its_scan() {
        for service in [
            Estimating::as_bytes("bytes", "1000"),
            Estimating::as_bytes("bytes", "none"),
            Estimating::silent(),
        ] {
            assert!(service.asked(&budget(2.0), &query()).await.is_ok());
            assert!(service.stopped.borrow().iter().all(|id| id == "estimate"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_that_scans_too_much_is_stopped() {
        for service in [Estimating::as_bytes("bytes", "1000"), Estimating::silent()] {
            let (budget, began) = (budget(0.5), Instant::now());
            let refused = service.asked(&budget, &query()).await.expect_err("too much");
            assert_eq!(refused.cause, Cause::TooLarge);
            assert!(
                refused.why.starts_with("it had scanned 0.5 GiB") || refused.why.contains("MiB"),
                "{refused}"
            );
            assert!(began.elapsed() < Duration::from_secs(35), "{:?}", began.elapsed());
            assert!(service.stopped.borrow().contains(&"query".to_owned()));
            assert_eq!(budget.left(), 0, "what a stopped query scanned is spent");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_of_which_nothing_tells_the_price_is_stopped() {
        let estimates = [Estimating::silent()].into_iter().chain(
            ["", "NaN", "-1", "inf", "1e999", "about 5", "5 GiB", "none"]
                .map(|value| Estimating::as_bytes("bytes", value))
                .into_iter()
                .chain([Estimating::as_bytes("records", "5")]),
        );
        for service in estimates {
            let service = Estimating { tells: false, ..service };
            let refused = service.asked(&budget(2.0), &query()).await.expect_err("no bound");
            assert!(refused.why.contains("could not be found out"), "{refused}");
            assert!(service.stopped.borrow().contains(&"query".to_owned()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn queries_side_by_side_share_what_may_be_scanned() {
        let budget = budget(1.5);
        let (one, other) = (Estimating::silent(), Estimating::silent());
        let query = query();
        let (one, other) = tokio::join!(one.asked(&budget, &query), other.asked(&budget, &query));
        let refused: Vec<_> = [one, other].into_iter().filter_map(Result::err).collect();
        assert!(!refused.is_empty(), "each scans a GiB");
        assert!(refused[0].why.contains("are spent"), "{}", refused[0]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_is_that_of_all_queries_together() {
        let budget = budget(2.5);
        let cheap = || Estimating::as_bytes("estimatedBytes", "1.1e9");
        assert!(cheap().asked(&budget, &query()).await.is_ok());
        assert!(cheap().asked(&budget, &query()).await.is_ok());
        let refused = cheap().asked(&budget, &query()).await.expect_err("2 of 2.5 GiB are spent");
        assert!(refused.why.contains("of which 2.0 GiB are spent"), "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_log_group_needs_no_estimate() {
        let small = Query { stored_bytes: Some(1_000_000), ..query() };
        let dear = Estimating::as_bytes("bytes", "3.5e12");
        assert!(dear.asked(&budget(2.0), &small).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_that_the_service_fails_to_run_is_run_once_more() {
        let service = Service::with([Ok(status("Running")), Ok(status("Failed")), Ok(complete("a"))]);
        assert_eq!(asked(&service, 60).await.expect("answered").rows.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn looks_lose_at_most_a_thirtieth_of_a_querys_time() {
        for seconds in [5, 20, 55] {
            let service = Slow { from: Instant::now(), takes: Duration::from_secs(seconds) };
            let deadline = Deadline::after(Duration::from_secs(90));
            assert!(run(&service, &query(), &Started::default(), None, deadline).await.is_ok());
            let lost = service.from.elapsed() - service.takes;
            assert!(lost <= service.takes / 30, "{lost:?} of {seconds} s");
        }
    }

    /// A query that takes a while, on a service that answers at once.
    struct Slow {
        from: Instant,
        takes: Duration,
    }

    impl Calls for Slow {
        async fn start(&self, _: &Query) -> Result<String, Failure> {
            Ok("q-1".into())
        }

        async fn results(&self, _: &str, _: Option<&str>, _: usize) -> Result<Page, Failure> {
            Ok(if self.from.elapsed() < self.takes { status("Running") } else { complete("a") })
        }

        async fn stop(&self, _: &str) -> Result<(), Failure> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn scheduled_and_running_are_waited_for() {
        let service = Service::with([Ok(status("Scheduled")), Ok(status("Running")), Ok(complete("a"))]);
        assert_eq!(asked(&service, 60).await.expect("answered").rows.len(), 1);
        assert!(service.stopped.borrow().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn statuses_that_end_a_query_are_told_and_not_stopped() {
        for (name, why) in
            [("Failed", "failed to run"), ("Cancelled", "somebody stopped"), ("Timeout", "60 minutes")]
        {
            let service = Service::with([Ok(status("Running")), Ok(status(name))]);
            let unanswered = asked(&service, 60).await.expect_err("unanswered");
            assert!(unanswered.why.contains(why), "{unanswered}");
            assert!(service.stopped.borrow().is_empty(), "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_status_is_named_and_stops_the_query() {
        for name in ["Unknown", "Paused"] {
            let service = Service::with([Ok(status(name))]);
            let unanswered = asked(&service, 60).await.expect_err("unanswered");
            assert!(unanswered.why.contains(name), "{unanswered}");
            assert_eq!(*service.stopped.borrow(), ["q-1"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_that_never_ends_is_stopped_before_the_deadline() {
        let service = Service::with([Ok(status("Running"))]);
        let began = Instant::now();
        let unanswered = asked(&service, 40).await.expect_err("unanswered");
        assert_eq!(unanswered.why, "the query timed out after 38 s, still Running, and was given up");
        assert_eq!(*service.stopped.borrow(), ["q-1"]);
        assert!(began.elapsed() <= Duration::from_secs(40));
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_hangs_is_left_in_time() {
        let service = Service { unstoppable: true, ..Service::default() };
        let began = Instant::now();
        let unanswered = asked(&service, 40).await.expect_err("unanswered");
        assert!(unanswered.why.contains("logs:GetQueryResults timed out"), "{unanswered}");
        assert!(unanswered.why.contains("could not be stopped"), "{unanswered}");
        assert!(began.elapsed() <= Duration::from_secs(40));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_while_following_stops_the_query() {
        let denied = refused(RESULTS, "AccessDeniedException", "not authorized");
        let service = Service::with([Ok(status("Running")), Err(denied)]);
        let unanswered = asked(&service, 60).await.expect_err("unanswered");
        assert!(unanswered.fix.words().contains("allow logs:GetQueryResults on *"), "{}", unanswered.fix);
        assert_eq!(*service.stopped.borrow(), ["q-1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn throttled_looks_are_repeated() {
        let throttled = refused(RESULTS, "ThrottlingException", "Rate exceeded");
        let service = Service::with([Err(throttled.clone()), Err(throttled), Ok(complete("a"))]);
        assert_eq!(asked(&service, 60).await.expect("answered").rows.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_waits_for_room_for_as_long_as_there_is_time() {
        let full = refused(START, "LimitExceededException", "too many");
        let service = Service::refusing(vec![full.clone(); 5]);
        let began = Instant::now();
        asked(&service, 60).await.expect("answered");
        assert_eq!(began.elapsed(), Duration::from_millis(1000 + 2000 + 4000 + 8000 + 16_000 + 150));

        let service = Service::refusing(vec![full; 100]);
        let began = Instant::now();
        let unanswered = asked(&service, 60).await.expect_err("unanswered");
        assert!(unanswered.why.contains("100 queries at once"), "{unanswered}");
        assert!(began.elapsed() <= Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn what_keeps_a_query_from_starting_says_what_to_do() {
        let start = async |code, message| {
            asked(&Service::refusing([refused(START, code, message)]), 60).await.expect_err("unanswered")
        };
        let gone = start("ResourceNotFoundException", "Log group '/vpc/flow' does not exist").await;
        assert!(gone.why.contains("log group /vpc/flow is gone"), "{gone}");
        let denied = start("AccessDeniedException", "not authorized").await;
        assert!(
            denied.fix.words().contains("logs:StartQuery on log-group:/vpc/flow and log-group:/vpc/flow:*"),
            "{}",
            denied.fix
        );
        let window = start("MalformedQueryException", "Query's end date and time is either before the log groups creation time or exceeds the log groups log retention settings ([0,79])").await;
        assert!(window.fix.words().contains("retentionInDays"), "{}", window.fix);
        let malformed = start("MalformedQueryException", "unexpected symbol found ,").await;
        assert!(malformed.fix.words().contains("bug"), "{}", malformed.fix);
        assert_eq!(malformed.cause, Cause::Refused);
        let gone = start("ResourceNotFoundException", "Log group '/vpc/flow' does not exist").await;
        assert_eq!(gone.cause, Cause::NoLogGroup(Some("/vpc/flow".into())));
        let longer = start("ResourceNotFoundException", "Log group '/vpc/flow-logs' does not exist").await;
        assert_eq!(longer.cause, Cause::NoLogGroup(None), "another one's name begins like it");
    }

    #[tokio::test(start_paused = true)]
    async fn other_passing_failures_are_tried_three_times() {
        let down = refused(START, "ServiceUnavailableException", "down");
        assert!(asked(&Service::refusing(vec![down.clone(); 2]), 60).await.is_ok());
        assert!(asked(&Service::refusing(vec![down; 3]), 60).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn pages_are_read_one_after_the_other_up_to_the_most_rows() {
        let next = |page: Page, token: &str| Ok(Page { next: Some(token.into()), ..page });
        let service = Service::with([
            next(complete("a"), "first look"),
            next(complete("a"), "t1"),
            next(complete("b"), "t2"),
            Ok(complete("c")),
        ]);
        let answer = asked(&service, 60).await.expect("answered");
        let sides: Vec<&str> = answer.rows.iter().map(|row| row["side"].as_str()).collect();
        assert_eq!(sides, ["a", "b", "c"]);
        let tokens = [None, None, Some("t1".to_owned()), Some("t2".to_owned())];
        assert_eq!(*service.asked.borrow(), tokens);
        assert_eq!(*service.rows_asked.borrow(), [1, 1_000, 1_000, 1_000], "polls bring one row");

        let sparse = Service::with([next(complete("a"), "t")]);
        assert!(asked(&sparse, 60).await.expect_err("cut").why.starts_with("only 50 rows"));

        let mut endless = complete("a");
        endless.answer.rows = vec![Row::new(); 6000];
        let service = Service::with([next(endless, "t")]);
        assert_eq!(asked(&service, 60).await.expect("answered").rows.len(), MAX_ROWS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_about_no_group_or_too_many_is_not_sent() {
        let service = Service::with([]);
        for groups in [0, MOST_GROUPS + 1] {
            let query = Query { log_groups: vec!["g".into(); groups], ..query() };
            let deadline = Deadline::after(Duration::from_secs(9));
            assert!(run(&service, &query, &Started::default(), None, deadline).await.is_err());
        }
    }

    #[test]
    fn an_answer_is_read_with_its_cost() {
        let field = |name: &str, value: &str| ResultField::builder().field(name).value(value).build();
        let output = GetQueryResultsOutput::builder()
            .status(QueryStatus::Complete)
            .results(vec![
                field("side", "gateway"),
                field("ports", "55000"),
                ResultField::builder().field("none").build(),
            ])
            .statistics(QueryStatistics::builder().bytes_scanned(2e9).records_scanned(7.0).build())
            .next_token("t")
            .build();
        let page = page(output);
        assert_eq!((page.status.as_str(), page.next.as_deref()), ("Complete", Some("t")));
        assert_eq!(
            page.answer.rows,
            [Row::from([("side".into(), "gateway".into()), ("ports".into(), "55000".into())])]
        );
        assert_eq!((page.answer.bytes_scanned, page.answer.records_scanned), (Some(2_000_000_000), Some(7)));
        assert!((page.answer.cost_usd.expect("known") - 0.01).abs() < 1e-12);
    }

    #[test]
    fn a_status_of_a_later_api_keeps_its_name() {
        let output = GetQueryResultsOutput::builder().status(QueryStatus::from("Paused")).build();
        assert_eq!(page(output).status, "Paused");
    }

    #[test]
    fn a_query_that_is_not_understood_says_where() {
        let location = QueryCompileErrorLocation::builder().start_char_offset(12).end_char_offset(20).build();
        let compile = QueryCompileError::builder().location(location).message("unexpected symbol").build();
        let error = MalformedQueryException::builder().query_compile_error(compile).build();
        assert_eq!(
            position(&StartQueryError::MalformedQueryException(error)).as_deref(),
            Some(" (characters 12 to 20 of the query: unexpected symbol)")
        );
    }

    #[test]
    fn an_arn_goes_without_its_star() {
        let groups =
            ["arn:aws:logs:eu-west-1:123456789012:log-group:/vpc/flow:*".to_owned(), "/vpc/flow".to_owned()];
        assert_eq!(
            identifiers(&groups),
            ["arn:aws:logs:eu-west-1:123456789012:log-group:/vpc/flow", "/vpc/flow"]
        );
    }
}
