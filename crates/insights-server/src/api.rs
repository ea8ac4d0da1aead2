//! The calls of the API: what they accept, what they answer and how they refuse, in the shapes of
//! AWS JSON 1.1. It knows nothing of sockets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::faults::{Fault, Operation, QueryEnd};
use crate::life::{Fate, Life, Pacing, Status};
use crate::malformed::MalformedQuery;
use crate::parser::LARGEST_LIMIT;
use crate::query::{Output, Query, RunError, Statistics, Window};
use crate::store::{LogGroupClass, Shelf, Store};

/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>
const MOST_CONCURRENT_QUERIES: usize = 100;
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html>
const MOST_GROUPS: usize = 50;
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetQueryResults.html>
const LARGEST_PAGE: usize = 10_000;
const LARGEST_GROUP_PAGE: usize = 50;
/// A number of seconds that no sane query has: it is the year 5138, or milliseconds.
const SURELY_MILLISECONDS: i64 = 100_000_000_000;

pub(crate) enum Reply {
    Json(u16, Value),
    NotJson,
    Reset,
}

/// An exception of the API.
struct Exception {
    status: u16,
    kind: &'static str,
    message: String,
    compile_error: Option<MalformedQuery>,
}

impl Exception {
    fn new(kind: &'static str, message: impl Into<String>) -> Exception {
        Exception { status: 400, kind, message: message.into(), compile_error: None }
    }

    fn invalid(message: impl Into<String>) -> Exception {
        Exception::new("InvalidParameterException", message)
    }

    fn unknown_query(id: &str) -> Exception {
        Exception::new("ResourceNotFoundException", format!("The query {id} does not exist"))
    }

    fn reply(self) -> Reply {
        let mut body = json!({ "__type": self.kind, "message": self.message });
        if let Some(problem) = self.compile_error {
            body["queryCompileError"] = json!({
                "location": { "startCharOffset": problem.start, "endCharOffset": problem.end },
                "message": problem.message,
            });
        }
        Reply::Json(self.status, body)
    }
}

impl From<MalformedQuery> for Exception {
    fn from(problem: MalformedQuery) -> Self {
        let message = problem.message.clone();
        Exception { compile_error: Some(problem), ..Exception::new("MalformedQueryException", message) }
    }
}

impl From<RunError> for Exception {
    fn from(error: RunError) -> Self {
        match error {
            RunError::UnknownGroup(_) => Exception::new("ResourceNotFoundException", error.to_string()),
            RunError::Malformed(problem) => problem.into(),
            RunError::TimedOut => unreachable!("a query times out after it has started"),
            RunError::OutsideRetention { .. } => Exception::new("MalformedQueryException", error.to_string()),
        }
    }
}

pub(crate) struct Api {
    store: Store,
    pacing: Pacing,
    /// In the order in which they were started.
    queries: Mutex<BTreeMap<String, Life>>,
    stopped: Mutex<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StartQuery {
    query_language: Option<String>,
    log_group_name: Option<String>,
    log_group_names: Option<Vec<String>>,
    log_group_identifiers: Option<Vec<String>>,
    start_time: i64,
    end_time: i64,
    query_string: String,
    limit: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GetQueryResults {
    query_id: String,
    max_items: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StopQuery {
    query_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DescribeLogGroups {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    log_group_identifiers: Option<Vec<String>>,
    next_token: Option<String>,
    limit: Option<i64>,
}

impl Api {
    pub(crate) fn new(store: Store, pacing: Pacing) -> Api {
        Api { store, pacing, queries: Mutex::default(), stopped: Mutex::default() }
    }

    pub(crate) fn stopped(&self) -> Vec<String> {
        lock(&self.stopped).clone()
    }

    pub(crate) async fn answer(&self, target: &str, body: &[u8]) -> Reply {
        let operation = match target.strip_prefix("Logs_20140328.") {
            Some("StartQuery") => Operation::StartQuery,
            Some("GetQueryResults") => Operation::GetQueryResults,
            Some("StopQuery") => Operation::StopQuery,
            Some("DescribeLogGroups") => Operation::DescribeLogGroups,
            _ => {
                return Exception::new("UnknownOperationException", format!("no operation {target:?} here"))
                    .reply();
            }
        };
        let (delay, fault) = self.store.faults().strike(operation);
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        let exception = match fault {
            Some(Fault::Throttle) => Exception::new("ThrottlingException", "Rate exceeded"),
            Some(Fault::LimitExceeded) => too_many_queries(),
            Some(Fault::AccessDenied) => Exception::new(
                "AccessDeniedException",
                format!("User is not authorized to perform: logs:{operation:?}"),
            ),
            Some(Fault::ServerError) => Exception {
                status: 500,
                ..Exception::new("ServiceUnavailableException", "The service cannot complete the request")
            },
            Some(Fault::MalformedBody) => return Reply::NotJson,
            Some(Fault::ConnectionReset) => return Reply::Reset,
            Some(Fault::EndAs(_) | Fault::NeverStarts | Fault::Delay(_)) | None => {
                let result = match operation {
                    Operation::StartQuery => self.start_query(body, fault),
                    Operation::GetQueryResults => self.get_query_results(body).await,
                    Operation::StopQuery => self.stop_query(body),
                    Operation::DescribeLogGroups => self.describe_log_groups(body),
                };
                match result {
                    Ok(answer) => return Reply::Json(200, answer),
                    Err(exception) => exception,
                }
            }
        };
        exception.reply()
    }

    fn start_query(&self, body: &[u8], fault: Option<Fault>) -> Result<Value, Exception> {
        let request: StartQuery = read(body)?;
        let window = window_of(&request)?;
        let query = query_of(&request)?;
        let (groups, times_out) = self.store.read(|shelf, _| {
            let groups = groups_of(&request, shelf)?;
            let names: Vec<_> = groups.iter().map(String::as_str).collect();
            query.check(shelf, &names, window)?;
            Ok::<_, Exception>((groups, query.is_too_long_in(&shelf.dialect, window)))
        })?;

        let mut queries = lock(&self.queries);
        if queries.values().filter(|life| !life.has_ended()).count() >= MOST_CONCURRENT_QUERIES {
            return Err(too_many_queries());
        }
        let fate = match fault {
            Some(Fault::EndAs(end)) => Fate::EndsAs(end),
            Some(Fault::NeverStarts) => Fate::NeverStarts,
            _ if times_out => Fate::EndsAs(QueryEnd::Timeout),
            _ => Fate::Evaluated(evaluate(self.store.clone(), query, groups, window)),
        };
        let id = format!("5ad0cafe-0000-4000-8000-{:012}", queries.len() + 1);
        queries.insert(id.clone(), Life::new(self.pacing, fate));
        Ok(json!({ "queryId": id }))
    }

    async fn get_query_results(&self, body: &[u8]) -> Result<Value, Exception> {
        let request: GetQueryResults = read(body)?;
        let page = match request.max_items {
            None => LARGEST_PAGE,
            Some(items) => usize::try_from(items)
                .ok()
                .filter(|items| (1..=LARGEST_PAGE).contains(items))
                .ok_or_else(|| Exception::invalid(format!("maxItems must be from 1 to {LARGEST_PAGE}")))?,
        };
        let from = match &request.next_token {
            None => 0,
            Some(token) => token
                .strip_prefix(&format!("{}/", request.query_id))
                .and_then(|from| from.parse().ok())
                .ok_or_else(|| Exception::invalid("The specified nextToken is not valid for this query"))?,
        };
        let (mut status, evaluation) = {
            let mut queries = lock(&self.queries);
            let life = queries
                .get_mut(&request.query_id)
                .ok_or_else(|| Exception::unknown_query(&request.query_id))?;
            life.poll()
        };
        let output = match evaluation {
            None => Arc::default(),
            // The evaluation is waited for here, so that the statuses depend on nothing but the polls.
            Some(mut evaluation) => match evaluation.wait_for(Option::is_some).await {
                Ok(output) => output.clone().unwrap_or_default(),
                Err(_) => {
                    status = Status::Ended(crate::QueryEnd::Failed);
                    Arc::default()
                }
            },
        };
        Ok(results(&request.query_id, status, &output, from, page))
    }

    fn stop_query(&self, body: &[u8]) -> Result<Value, Exception> {
        let request: StopQuery = read(body)?;
        let mut queries = lock(&self.queries);
        let life =
            queries.get_mut(&request.query_id).ok_or_else(|| Exception::unknown_query(&request.query_id))?;
        if !life.stop() {
            return Err(Exception::invalid(format!(
                "Query {} is not running or scheduled",
                request.query_id
            )));
        }
        lock(&self.stopped).push(request.query_id);
        Ok(json!({ "success": true }))
    }

    fn describe_log_groups(&self, body: &[u8]) -> Result<Value, Exception> {
        let request: DescribeLogGroups = read(body)?;
        if request.log_group_name_prefix.is_some() && request.log_group_name_pattern.is_some() {
            return Err(Exception::invalid("logGroupNamePrefix and logGroupNamePattern exclude each other"));
        }
        // Source: `DescribeLogGroups` in the CloudWatch Logs API: up to 50 names or ARNs, and only a limit beside them.
        let named = request.log_group_identifiers.as_ref();
        if named.is_some()
            && (request.log_group_name_prefix.is_some() || request.log_group_name_pattern.is_some())
        {
            return Err(Exception::invalid("logGroupIdentifiers excludes a prefix and a pattern"));
        }
        let limit = match request.limit {
            None => LARGEST_GROUP_PAGE,
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|limit| (1..=LARGEST_GROUP_PAGE).contains(limit))
                .ok_or_else(|| Exception::invalid(format!("limit must be from 1 to {LARGEST_GROUP_PAGE}")))?,
        };
        self.store.read(|shelf, _| {
            let mut found: Vec<_> = shelf
                .groups
                .iter()
                .map(|group| &group.settings)
                .filter(|group| {
                    let prefix = request.log_group_name_prefix.as_deref().unwrap_or_default();
                    let pattern = request.log_group_name_pattern.as_deref().unwrap_or_default();
                    let is_named = |names: &Vec<String>| {
                        names.iter().any(|name| *name == group.name || *name == shelf.arn(&group.name))
                    };
                    named.is_none_or(is_named)
                        && group.name.starts_with(prefix)
                        && group.name.to_lowercase().contains(&pattern.to_lowercase())
                        && request.next_token.as_ref().is_none_or(|after| group.name > *after)
                })
                .collect();
            found.sort_by(|left, right| left.name.cmp(&right.name));
            let next = (found.len() > limit).then(|| found[limit - 1].name.clone());
            found.truncate(limit);
            let described: Vec<_> = found
                .into_iter()
                .map(|group| {
                    let arn = shelf.arn(&group.name);
                    let class = match group.class {
                        LogGroupClass::Standard => "STANDARD",
                        LogGroupClass::InfrequentAccess => "INFREQUENT_ACCESS",
                    };
                    json!({
                        "logGroupName": group.name,
                        "creationTime": group.created_ms,
                        "arn": format!("{arn}:*"),
                        "logGroupArn": arn,
                        "logGroupClass": class,
                    })
                })
                .collect();
            let mut answer = json!({ "logGroups": described });
            if let Some(next) = next {
                answer["nextToken"] = next.into();
            }
            Ok(answer)
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Exception> {
    serde_json::from_slice(body)
        .map_err(|problem| Exception::new("SerializationException", problem.to_string()))
}

fn too_many_queries() -> Exception {
    Exception::new(
        "LimitExceededException",
        format!("Account maximum query concurrency limit of [{MOST_CONCURRENT_QUERIES}] reached."),
    )
}

fn window_of(request: &StartQuery) -> Result<Window, Exception> {
    for (name, seconds) in [("startTime", request.start_time), ("endTime", request.end_time)] {
        if seconds < 0 {
            return Err(Exception::invalid(format!("{name} is negative")));
        }
        if seconds >= SURELY_MILLISECONDS {
            return Err(Exception::invalid(format!(
                "{name} is {seconds}: the unit is seconds, not milliseconds"
            )));
        }
    }
    if request.start_time > request.end_time {
        return Err(Exception::invalid("startTime is after endTime"));
    }
    Ok(Window { start_seconds: request.start_time, end_seconds: request.end_time })
}

fn query_of(request: &StartQuery) -> Result<Query, Exception> {
    if let Some(other) = request.query_language.as_ref().filter(|language| *language != "CWLI") {
        return Err(Exception::invalid(format!("queryLanguage {other} is not known here; CWLI is")));
    }
    let query = Query::parse(&request.query_string)?;
    match request.limit {
        None => Ok(query),
        Some(_) if query.has_limit() => Err(Exception::invalid(
            "limit is given twice, in the request and in the query: which one counts is not documented",
        )),
        Some(limit) => match usize::try_from(limit) {
            Ok(limit) if (1..=LARGEST_LIMIT).contains(&limit) => Ok(query.limited_to(limit)),
            _ => Err(Exception::invalid(format!("limit must be from 1 to {LARGEST_LIMIT}"))),
        },
    }
}

/// The names of the groups asked about, whichever of the three ways they were given in.
fn groups_of(request: &StartQuery, shelf: &Shelf) -> Result<Vec<String>, Exception> {
    let groups = match (&request.log_group_name, &request.log_group_names, &request.log_group_identifiers) {
        (Some(name), None, None) => vec![name.clone()],
        (None, Some(names), None) => names.clone(),
        (None, None, Some(identifiers)) => {
            identifiers.iter().map(|identifier| group_of(identifier, shelf)).collect::<Result<_, _>>()?
        }
        _ => {
            return Err(Exception::invalid(
                "exactly one of logGroupName, logGroupNames and logGroupIdentifiers is needed",
            ));
        }
    };
    if groups.is_empty() || groups.len() > MOST_GROUPS {
        return Err(Exception::invalid(format!(
            "from 1 to {MOST_GROUPS} log groups can be queried, not {}",
            groups.len()
        )));
    }
    Ok(groups)
}

fn group_of(identifier: &str, shelf: &Shelf) -> Result<String, Exception> {
    if identifier.ends_with(":*") {
        return Err(Exception::invalid(format!(
            "{identifier}: an ARN that identifies a log group here does not end with :*"
        )));
    }
    if !identifier.starts_with("arn:") {
        return Ok(identifier.to_owned());
    }
    let prefix = shelf.arn("");
    identifier.strip_prefix(&prefix).map(str::to_owned).ok_or_else(|| {
        Exception::new("ResourceNotFoundException", format!("{identifier} is not a log group below {prefix}"))
    })
}

/// Evaluates on a thread of its own, with what is visible by now.
fn evaluate(
    store: Store,
    query: Query,
    groups: Vec<String>,
    window: Window,
) -> watch::Receiver<Option<Arc<Output>>> {
    let (sender, receiver) = watch::channel(None);
    let now_ms = store.read(|_, now_ms| now_ms);
    tokio::task::spawn_blocking(move || {
        let names: Vec<_> = groups.iter().map(String::as_str).collect();
        // A group cannot go away after the check, so an error here would be ours: the sender is
        // dropped and the query ends as Failed.
        if let Ok(output) = store.read(|shelf, _| query.run_on(shelf, now_ms, &names, window)) {
            sender.send_replace(Some(Arc::new(output)));
        }
    });
    receiver
}

fn results(id: &str, status: Status, output: &Output, from: usize, page: usize) -> Value {
    let rows = match status {
        // Partial: a client that takes this for the answer loses rows.
        Status::Running => &output.rows[..output.rows.len() / 2],
        _ => &output.rows[..],
    };
    let from = from.min(rows.len());
    let to = rows.len().min(from + page);
    let printed: Vec<Vec<Value>> = rows[from..to]
        .iter()
        .map(|row| row.iter().map(|(field, value)| json!({ "field": field, "value": value })).collect())
        .collect();
    let mut answer = json!({
        "queryLanguage": "CWLI",
        "status": status.name(),
        "results": printed,
        "statistics": statistics(&output.statistics, rows.len(), status),
    });
    if status == Status::Complete && to < rows.len() {
        answer["nextToken"] = format!("{id}/{to}").into();
    }
    answer
}

/// All of them are doubles on the wire.
fn statistics(statistics: &Statistics, rows: usize, status: Status) -> Value {
    let so_far = |number: u64| if status == Status::Running { number as f64 / 2.0 } else { number as f64 };
    json!({
        "recordsMatched": so_far(statistics.records_matched),
        "recordsScanned": so_far(statistics.records_scanned),
        "estimatedRecordsSkipped": so_far(statistics.estimated_records_skipped),
        "bytesScanned": so_far(statistics.bytes_scanned),
        "estimatedBytesSkipped": so_far(statistics.estimated_bytes_skipped),
        "logGroupsScanned": statistics.log_groups_scanned as f64,
        "resultCount": rows as f64,
    })
}
