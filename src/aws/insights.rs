//! The life of one Logs Insights query: started, followed through every status, paged, and stopped
//! where it is given up. Knows nothing of what is asked or what rows mean.

use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::operation::get_query_results::GetQueryResultsOutput;
use aws_sdk_cloudwatchlogs::operation::start_query::StartQueryError;
use tokio::time::{Instant, sleep};

use super::errors::{Failure, Kind, cleaned, milliseconds, within};
use super::{Clients, whole};
use crate::deadline::Deadline;
use crate::evidence::insights::{Answer, LogsQueries, MOST_ROWS, Query, Row, Unanswered};
use crate::gap::ASK_AGAIN;
use crate::words;

/// What a gigabyte scanned costs, in US dollars, at the list price of us-east-1.
///
/// Other Regions differ (ap-northeast-1: 0.0076). AWS does not say whether it means 10^9 or 2^30
/// bytes; 10^9 is taken here, so that a cost is rather overstated, by 7 percent at most. Source:
/// "Amazon CloudWatch pricing", Logs, "Analyze (Logs Insights queries)".
pub const LIST_PRICE_USD_PER_GB: f64 = 0.005;

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
const MOST_PAGES: usize = 50;

const START: &str = "logs:StartQuery";
const RESULTS: &str = "logs:GetQueryResults";
const STOP: &str = "logs:StopQuery";

/// Logs Insights, for one invocation.
///
/// A query that was started is stopped on every way out of [`LogsQueries::run`] but one: where the
/// future is dropped before it is done. Let it end by its deadline instead.
#[derive(Clone, Debug)]
pub struct InsightsQueries {
    client: Client,
    deadline: Deadline,
    most_bytes: Option<u64>,
}

impl InsightsQueries {
    /// Queries that have to be done by `deadline`, the stopping of unfinished ones included.
    #[must_use]
    pub fn new(clients: &Clients, deadline: Deadline) -> Self {
        Self { client: clients.logs.clone(), deadline, most_bytes: None }
    }

    /// The same, for queries that scan no more than so many GiB each: what one would scan is estimated
    /// first, which costs nothing, and one that would scan more is not run.
    #[must_use]
    pub fn scanning_at_most(mut self, gib: Option<f64>) -> Self {
        self.most_bytes = gib.map(|gib| whole(gib * GIB));
        self
    }
}

impl LogsQueries for InsightsQueries {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        if let Some(most) = self.most_bytes {
            affordable(&self.client, query, most, self.deadline).await?;
        }
        run(&self.client, query, self.deadline).await
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
    async fn results(&self, id: &str, token: Option<&str>) -> Result<Page, Failure>;
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

    async fn results(&self, id: &str, token: Option<&str>) -> Result<Page, Failure> {
        let request = self.get_query_results().query_id(id).set_next_token(token.map(str::to_owned));
        request.send().await.map(page).map_err(|error| Failure::of(RESULTS, &error))
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
    fn running(why: String, fix: impl Into<String>) -> Self {
        Self { unanswered: Unanswered { why, fix: fix.into() }, running: true }
    }

    fn ended(why: String, fix: impl Into<String>) -> Self {
        Self { unanswered: Unanswered { why, fix: fix.into() }, running: false }
    }
}

const GIB: f64 = 1_073_741_824.0;

/// Refuses a query that would scan more than `most` bytes. Where the estimate can't be had the query is
/// run: the person who waits for the answer is worth more than its price.
async fn affordable(
    calls: &impl Calls,
    query: &Query,
    most: u64,
    deadline: Deadline,
) -> Result<(), Unanswered> {
    let estimate = Query { text: format!("{}\n| estimate", query.text), ..query.clone() };
    let answer = match once(calls, &estimate, deadline).await {
        Ok(answer) => answer,
        Err(unanswered) => {
            tracing::warn!(query.purpose = query.purpose, "could not be estimated: {unanswered}");
            return Ok(());
        }
    };
    // The reference does not say what its one column is called.
    let bytes = answer.rows.iter().flat_map(|row| row.values()).find_map(|value| value.parse::<f64>().ok());
    let Some(bytes) = bytes.map(whole) else {
        tracing::warn!(query.purpose = query.purpose, "the estimate holds no number");
        return Ok(());
    };
    tracing::info!(query.purpose = query.purpose, query.bytes_estimated = bytes, "estimated");
    if bytes <= most {
        return Ok(());
    }
    Err(Unanswered {
        why: format!(
            "it would scan about {}, and NAT_TRIAGE_MAX_SCAN_GIB allows {}: it was not run",
            words::bytes(bytes),
            words::bytes(most)
        ),
        fix: "raise NAT_TRIAGE_MAX_SCAN_GIB, or create a flow log of the gateway's own interface in a log group of its own, which is a small part of it".into(),
    })
}

/// Runs a query, and once more where the service fails to.
async fn run(calls: &impl Calls, query: &Query, deadline: Deadline) -> Result<Answer, Unanswered> {
    let mut runs = 1;
    loop {
        match once(calls, query, deadline).await {
            Err(unanswered) if unanswered.why == FAILED && runs < RUNS && !deadline.remaining().is_zero() => {
                runs += 1;
            }
            done => return done,
        }
    }
}

const FAILED: &str = "Logs Insights started the query and then failed to run it";

async fn once(calls: &impl Calls, query: &Query, deadline: Deadline) -> Result<Answer, Unanswered> {
    check(query)?;
    let began = Instant::now();
    let remaining = deadline.remaining();
    let give_up = Deadline::after(remaining - STOPPING.min(remaining / 3));
    let id = start(calls, query, give_up).await.map_err(|failure| not_started(&failure, query))?;
    tracing::debug!(query.id = id, query.purpose = query.purpose, "Logs Insights query started");
    let outcome = follow(calls, &id, began, give_up).await;
    let duration_ms = milliseconds(began.elapsed());
    match outcome {
        Ok(answer) => {
            tracing::info!(
                query.id = id,
                query.purpose = query.purpose,
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
                query.purpose = query.purpose,
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
        });
    }
    if groups > MOST_GROUPS {
        return Err(Unanswered {
            why: format!("{groups} log groups hold the flow logs, and one query may ask {MOST_GROUPS}"),
            fix: "name those of the gateway in NAT_TRIAGE_LOG_GROUPS".into(),
        });
    }
    Ok(())
}

/// Makes a call until it succeeds: again and again while there is no room for it, a few times where
/// what went wrong may pass, and never past the deadline.
async fn insistently<T, Attempt: Future<Output = Result<T, Failure>>>(
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

/// Waits for a started query and reads its rows.
async fn follow(
    calls: &impl Calls,
    id: &str,
    began: Instant,
    deadline: Deadline,
) -> Result<Answer, Abandoned> {
    let mut status: Option<String> = None;
    let started = Instant::now();
    let first = loop {
        let pause = (started.elapsed() / PART_WAITED).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        sleep(pause.min(deadline.remaining())).await;
        if deadline.remaining().is_zero() {
            return Err(out_of_time(began, status.as_deref()));
        }
        let page = results(calls, id, None, deadline)
            .await
            .map_err(|failure| unread(&failure, began, status.as_deref(), deadline))?;
        match page.status.as_str() {
            "Scheduled" | "Running" => {}
            "Complete" => break page,
            ended => return Err(unsuccessful(ended)),
        }
        status = Some(page.status);
    };
    let Page { mut answer, mut next, .. } = first;
    let mut pages = 1;
    while answer.rows.len() < MOST_ROWS
        && let Some(token) = next.take()
    {
        let cut = |rows: usize, why: &str, fix: String| {
            Abandoned::ended(format!("only {rows} rows of the answer could be read: {why}"), fix)
        };
        if pages == MOST_PAGES {
            let fix = "ask about fewer minutes with --window".to_owned();
            return Err(cut(answer.rows.len(), &format!("they fill more than {MOST_PAGES} pages"), fix));
        }
        let page = results(calls, id, Some(&token), deadline)
            .await
            .map_err(|failure| cut(answer.rows.len(), &failure.to_string(), fix_results(&failure)))?;
        answer.rows.extend(page.answer.rows);
        next = page.next;
        pages += 1;
    }
    answer.rows.truncate(MOST_ROWS);
    Ok(answer)
}

/// One look at a query, tried again where that may help.
async fn results(
    calls: &impl Calls,
    id: &str,
    token: Option<&str>,
    deadline: Deadline,
) -> Result<Page, Failure> {
    insistently(deadline, RESULTS, || calls.results(id, token)).await
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
        format!(
            "the query timed out after {} s{}, and was given up",
            began.elapsed().as_secs(),
            status.map_or(String::new(), |status| format!(", still {status}"))
        ),
        format!("give the function a longer timeout, or ask about fewer minutes with --window: {ASK_AGAIN}"),
    )
}

fn unread(failure: &Failure, began: Instant, status: Option<&str>, deadline: Deadline) -> Abandoned {
    // A query that was seen to run ran out of time; of one that never was, nobody knows.
    if status.is_some() && failure.kind == Kind::TimedOut && deadline.remaining().is_zero() {
        return out_of_time(began, status);
    }
    Abandoned::running(format!("the answer could not be read: {failure}"), fix_results(failure))
}

fn fix_results(failure: &Failure) -> String {
    match failure.kind {
        // A query has no ARN: the permission can't be narrowed.
        Kind::NotFound | Kind::Refused => again(),
        _ => failure.fix("*"),
    }
}

/// What to do where the same query may well be answered another time.
fn again() -> String {
    format!("run again: {ASK_AGAIN}")
}

/// A status that a query does not come back from, or that means nothing to us.
fn unsuccessful(status: &str) -> Abandoned {
    match status {
        "Failed" => Abandoned::ended(
            FAILED.into(),
            format!(
                "run the query of this report in the console, which shows the cause if it fails again; or ask again: {ASK_AGAIN}"
            ),
        ),
        "Cancelled" => Abandoned::ended("somebody stopped the query before it was complete".into(), again()),
        "Timeout" => Abandoned::ended(
            "the query ran into the 60 minutes that Logs Insights gives each".into(),
            "ask about fewer minutes with --window",
        ),
        "" => Abandoned::running("Logs Insights gave no status for the query".into(), again()),
        other => Abandoned::running(
            format!(
                "Logs Insights gave the status {:?}, which says neither that the query runs nor how it ended",
                cleaned(other)
            ),
            format!("a newer nat-triage may know that status; or ask again: {ASK_AGAIN}"),
        ),
    }
}

fn not_started(failure: &Failure, query: &Query) -> Unanswered {
    let groups = query.log_groups.join(", ");
    let message = failure.message.to_lowercase();
    let of_window = message.contains("log groups creation time") || message.contains("retention settings");
    let (why, fix) = match (failure.kind, failure.code.as_deref()) {
        (_, Some("MalformedQueryException")) if of_window => (
            format!("log group {groups} was made after these minutes, or keeps its records for less time than has passed since"),
            "ask about minutes that it still holds, as creationTime and retentionInDays tell: aws logs describe-log-groups".to_owned(),
        ),
        (_, Some("MalformedQueryException")) => (
            format!("Logs Insights does not understand the query: {failure}"),
            "report this as a bug of nat-triage, with the query as this report shows it".to_owned(),
        ),
        (_, Some("LimitExceededException")) => (
            format!("no room for the query in time, as 100 queries at once is all that an account may have in a Region: {failure}"),
            "close dashboards with Logs Insights widgets, which count as well, and run again".to_owned(),
        ),
        (Kind::NotFound, _) => (
            format!("log group {groups} is gone, or has had no record yet: {failure}"),
            "point the flow log at a log group that exists, or name the right one in NAT_TRIAGE_LOG_GROUPS".to_owned(),
        ),
        (Kind::Denied, _) => {
            let both = query.log_groups.iter().map(|group| format!("log-group:{group} and log-group:{group}:*"));
            (failure.to_string(), failure.fix(&both.collect::<Vec<_>>().join(", ")))
        }
        (Kind::TimedOut, _) => {
            let why = format!("{failure}; if it was started all the same, it scans to its end, as nobody knows its id");
            (why, failure.fix(&groups))
        }
        _ => (failure.to_string(), failure.fix(&format!("log group {groups}"))),
    };
    Unanswered { why, fix }
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

    /// Logs Insights that starts after `refusals`, then goes through `pages`, the last of which
    /// stays; an empty list never answers.
    #[derive(Default)]
    struct Service {
        refusals: RefCell<VecDeque<Failure>>,
        pages: RefCell<VecDeque<Result<Page, Failure>>>,
        asked: RefCell<Vec<Option<String>>>,
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

        async fn results(&self, id: &str, token: Option<&str>) -> Result<Page, Failure> {
            assert_eq!(id, "q-1");
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
            purpose: "test",
            text: "limit 1".into(),
            log_groups: vec!["/vpc/flow".into()],
            from: 0,
            to: 1,
        }
    }

    async fn asked(service: &Service, seconds: u64) -> Result<Answer, Unanswered> {
        run(service, &query(), Deadline::after(Duration::from_secs(seconds))).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_that_would_scan_more_than_is_allowed_is_not_run() {
        let estimated = |bytes: &str| {
            let rows = vec![Row::from([("any name".into(), bytes.into())])];
            Page { answer: Answer { rows, ..Answer::default() }, ..status("Complete") }
        };
        let soon = || Deadline::after(Duration::from_secs(60));
        let most = whole(2.0 * GIB);
        let dear = Service::with([Ok(estimated("3.5e9"))]);
        let refused = affordable(&dear, &query(), most, soon()).await.expect_err("too much");
        assert!(refused.why.contains("3.3 GiB") && refused.why.contains("2.0 GiB"), "{refused}");
        for unlimited in [Ok(estimated("1000")), Ok(estimated("none")), Ok(status("Failed"))] {
            assert_eq!(affordable(&Service::with([unlimited]), &query(), most, soon()).await, Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_that_the_service_fails_to_run_is_run_once_more() {
        let service = Service::with([Ok(status("Running")), Ok(status("Failed")), Ok(complete("a"))]);
        assert_eq!(asked(&service, 60).await.expect("answered").rows.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn at_most_a_thirtieth_of_a_querys_time_is_lost_between_two_looks() {
        for seconds in [5, 20, 55] {
            let service = Slow { from: Instant::now(), takes: Duration::from_secs(seconds) };
            assert!(run(&service, &query(), Deadline::after(Duration::from_secs(90))).await.is_ok());
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

        async fn results(&self, _: &str, _: Option<&str>) -> Result<Page, Failure> {
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
    async fn a_status_that_nobody_knows_is_an_error_that_names_it_and_stops_the_query() {
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
    async fn a_service_that_hangs_is_left_in_time_and_the_query_said_to_run_on() {
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
        assert!(unanswered.fix.contains("allow logs:GetQueryResults on *"), "{}", unanswered.fix);
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
            denied.fix.contains("logs:StartQuery on log-group:/vpc/flow and log-group:/vpc/flow:*"),
            "{}",
            denied.fix
        );
        let window = start("MalformedQueryException", "Query's end date and time is either before the log groups creation time or exceeds the log groups log retention settings ([0,79])").await;
        assert!(window.fix.contains("retentionInDays"), "{}", window.fix);
        let malformed = start("MalformedQueryException", "unexpected symbol found ,").await;
        assert!(malformed.fix.contains("bug"), "{}", malformed.fix);
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
        let service =
            Service::with([next(complete("a"), "t1"), next(complete("b"), "t2"), Ok(complete("c"))]);
        let answer = asked(&service, 60).await.expect("answered");
        let sides: Vec<&str> = answer.rows.iter().map(|row| row["side"].as_str()).collect();
        assert_eq!(sides, ["a", "b", "c"]);
        assert_eq!(*service.asked.borrow(), [None, Some("t1".to_owned()), Some("t2".to_owned())]);

        let sparse = Service::with([next(complete("a"), "t")]);
        assert!(asked(&sparse, 60).await.expect_err("cut").why.starts_with("only 50 rows"));

        let mut endless = complete("a");
        endless.answer.rows = vec![Row::new(); 6000];
        let service = Service::with([next(endless, "t")]);
        assert_eq!(asked(&service, 60).await.expect("answered").rows.len(), MOST_ROWS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_about_no_group_or_too_many_is_not_sent() {
        let service = Service::with([]);
        for groups in [0, MOST_GROUPS + 1] {
            let query = Query { log_groups: vec!["g".into(); groups], ..query() };
            assert!(run(&service, &query, Deadline::after(Duration::from_secs(9))).await.is_err());
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
