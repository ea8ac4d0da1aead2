//! The log groups a query can be asked about, and which of their events it would see.

use std::sync::{Arc, PoisonError, RwLock};

use crate::dialect::Dialect;
use crate::faults::Faults;
use crate::query::{Statistics, Window};
use crate::run::StreamOfEvents;

/// Log groups with their events, shared between a test and the server. Clones are the same store.
#[derive(Clone, Default)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    shelf: RwLock<Shelf>,
    clock: RwLock<Option<Clock>>,
    faults: Faults,
}

type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What a log group is, apart from its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    /// Its name.
    pub name: String,
    /// Decides whether fields are discovered and `@logStream` is indexed.
    pub class: LogGroupClass,
    /// When it was created, in milliseconds since 1970. Older events are never seen.
    pub created_ms: i64,
    /// Its messages are default-format flow logs, whose fields Insights discovers.
    pub default_flow_logs: bool,
}

/// The class of a log group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogGroupClass {
    /// Fields are discovered, and `@logStream` is indexed.
    Standard,
    /// Neither.
    InfrequentAccess,
}

/// One event of a log stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// What `@timestamp` says, in milliseconds since 1970. For a flow log: the record's start.
    pub timestamp_ms: i64,
    /// When it arrived. Until then no query sees it.
    pub ingestion_ms: i64,
    /// The text.
    pub message: String,
}

impl LogGroup {
    /// A group of the Standard class, created at the beginning of time, without discovered fields.
    pub fn new(name: impl Into<String>) -> LogGroup {
        LogGroup {
            name: name.into(),
            class: LogGroupClass::Standard,
            created_ms: 0,
            default_flow_logs: false,
        }
    }
}

impl LogEvent {
    /// An event that arrives the moment it happens.
    pub fn new(timestamp_ms: i64, message: impl Into<String>) -> LogEvent {
        LogEvent { timestamp_ms, ingestion_ms: timestamp_ms, message: message.into() }
    }
}

impl Store {
    /// An empty store in us-east-1 and account 123456789012, in which every event is visible.
    #[must_use]
    pub fn new() -> Store {
        Store::default()
    }

    /// Says where the log groups are, for their ARNs and for `@log`.
    pub fn set_location(&self, region: impl Into<String>, account: impl Into<String>) {
        self.write(|shelf| {
            (shelf.region, shelf.account) = (region.into(), account.into());
            for group in &mut shelf.groups {
                group.log = format!("{}:{}", shelf.account, group.settings.name);
            }
        });
    }

    /// Says what the service takes from now on.
    pub fn set_dialect(&self, dialect: Dialect) {
        self.write(|shelf| shelf.dialect = dialect);
    }

    /// Says what time it is, in milliseconds since 1970: an event is visible once it has arrived.
    pub fn set_clock(&self, clock: impl Fn() -> i64 + Send + Sync + 'static) {
        *self.shared.clock.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(clock));
    }

    /// Adds a log group, or changes the settings of one that is there.
    pub fn add_group(&self, group: LogGroup) {
        self.write(|shelf| shelf.group_mut(&group.name).settings = group.clone());
    }

    /// Adds events to a stream. A group that is not there yet is created as `LogGroup::new` makes it.
    pub fn add_events(&self, group: &str, stream: &str, events: impl IntoIterator<Item = LogEvent>) {
        self.write(|shelf| shelf.group_mut(group).stream_mut(stream).extend(events));
    }

    /// Adds flow-log lines, each with its record's start in seconds, as events that are visible at once.
    pub fn add_flow_log_lines<L: Into<String>>(
        &self,
        group: &str,
        stream: &str,
        lines: impl IntoIterator<Item = (i64, L)>,
    ) {
        let events = lines.into_iter().map(|(start, line)| LogEvent::new(start.saturating_mul(1000), line));
        self.add_events(group, stream, events);
    }

    /// What goes wrong when the store is asked over HTTP.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    pub(crate) fn read<T>(&self, reader: impl FnOnce(&Shelf, i64) -> T) -> T {
        let clock = self.shared.clock.read().unwrap_or_else(PoisonError::into_inner).clone();
        let now_ms = clock.map_or(i64::MAX, |clock| clock());
        reader(&self.shared.shelf.read().unwrap_or_else(PoisonError::into_inner), now_ms)
    }

    fn write(&self, writer: impl FnOnce(&mut Shelf)) {
        writer(&mut self.shared.shelf.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// All log groups, as one lock guards them.
pub(crate) struct Shelf {
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) groups: Vec<Group>,
    pub(crate) dialect: Dialect,
}

impl Default for Shelf {
    fn default() -> Self {
        Shelf {
            region: "us-east-1".into(),
            account: "123456789012".into(),
            groups: Vec::new(),
            dialect: Dialect::default(),
        }
    }
}

pub(crate) struct Group {
    pub(crate) settings: LogGroup,
    /// The name `@log` has for it: `account:group`.
    log: String,
    streams: Vec<(String, Vec<LogEvent>)>,
}

impl Group {
    fn stream_mut(&mut self, name: &str) -> &mut Vec<LogEvent> {
        let at = self.streams.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.streams.push((name.to_owned(), Vec::new()));
            self.streams.len() - 1
        });
        &mut self.streams[at].1
    }
}

impl Shelf {
    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.settings.name == name)
    }

    fn group_mut(&mut self, name: &str) -> &mut Group {
        let at = self.groups.iter().position(|group| group.settings.name == name).unwrap_or_else(|| {
            let log = format!("{}:{name}", self.account);
            self.groups.push(Group { settings: LogGroup::new(name), log, streams: Vec::new() });
            self.groups.len() - 1
        });
        &mut self.groups[at]
    }

    /// Without the `:*` that IAM wants and the API refuses.
    pub(crate) fn arn(&self, group: &str) -> String {
        format!("arn:aws:logs:{}:{}:log-group:{group}", self.region, self.account)
    }

    /// The events a query reads, and the bill for them. `streams` are those the query's filters name:
    /// the default index on `@logStream` spares the others, in the Standard class.
    pub(crate) fn select<'a>(
        &'a self,
        groups: &[&str],
        window: Window,
        now_ms: i64,
        streams: Option<&[String]>,
    ) -> (Vec<StreamOfEvents<'a>>, Statistics) {
        let mut statistics = Statistics { log_groups_scanned: groups.len() as u64, ..Statistics::default() };
        let mut read = Vec::new();
        for group in groups.iter().filter_map(|name| self.group(name)) {
            let settings = &group.settings;
            let indexed = settings.class == LogGroupClass::Standard;
            for (stream, events) in &group.streams {
                let in_window = events.iter().filter(|event| {
                    (window.start_ms()..=window.end_ms()).contains(&event.timestamp_ms)
                        && event.timestamp_ms >= settings.created_ms
                        && event.ingestion_ms <= now_ms
                });
                let spared = indexed && streams.is_some_and(|named| !named.contains(stream));
                if spared {
                    for event in in_window {
                        statistics.estimated_records_skipped += 1;
                        statistics.estimated_bytes_skipped += event.message.len() as u64;
                    }
                    continue;
                }
                let events: Vec<_> = in_window.collect();
                statistics.records_scanned += events.len() as u64;
                statistics.bytes_scanned +=
                    events.iter().map(|event| event.message.len() as u64).sum::<u64>();
                let is_default_flow_log = indexed && settings.default_flow_logs;
                read.push(StreamOfEvents { log: &group.log, stream, is_default_flow_log, events });
            }
        }
        (read, statistics)
    }
}
