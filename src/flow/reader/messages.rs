//! Single messages, from whatever shape they come: header lines, what stands before a record on its line,
//! rows of tables, records, and what is none of these.

use super::cells::{cells, names, value};
use super::error::FileError;
use super::unpack::Room;
use super::{FailedFile, PassedOver, Reading, RejectReason, Rejected, Sink, json};
use crate::flow::groups::{GroupParser, Groups, Varying};
use crate::flow::record::Line;
use crate::flow::{Field, FlowRecord, FormatError, LineError, LineParser, LogFormat};

/// A longer line is no flow-log record.
pub(super) const MOST_LINE: usize = 64 * 1024;

/// More formats than this come from damaged or hostile input.
const MOST_FORMATS: usize = 64;

/// So many reasons are told apart in one file.
const MOST_REASONS: usize = 32;

/// Of fewer records, to read them ahead costs more than it saves.
pub(super) const MANY: u64 = 20_000;

/// How long a sample of a rejected line is.
const SAMPLE: usize = 80;

/// So deep JSON may stand in texts within JSON.
const MOST_DEPTH: u8 = 4;

/// How much of one source is wanted.
#[derive(Clone, Copy)]
pub(super) struct Quota {
    records: u64,
    lines: u64,
}

impl Quota {
    pub(super) const ALL: Self = Self { records: u64::MAX, lines: u64::MAX };

    /// So many records; lines too are bounded, so that a foreign file is not read to its end.
    pub(super) fn sample(records: u64) -> Self {
        Self { records, lines: records.saturating_mul(16).saturating_add(10_000) }
    }
}

/// Which parser the lines of a source go to.
enum Current {
    /// Nothing said what the format is: lines of the default format are read.
    Guessed(LineParser),
    /// The header line, or the caller, said it.
    Told(LineParser),
    /// The header line cannot be used, so neither can the lines after it.
    Unusable(RejectReason),
}

/// How a record stands on its line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is all of the line, with one space between two fields.
    Bare,
    /// Behind a time stamp: as a log-group export has it, and `aws logs tail --format short`.
    BehindTime,
    /// Behind a time stamp and a stream's name, as `aws logs tail` has it.
    BehindTimeAndStream,
    /// It is some words of the line: with several spaces or tabs between them, behind what `grep` or syslog
    /// puts before a line, or before what something else puts behind it.
    Words,
    /// It is a cell of a row, in which this stands between the cells.
    Cell(u8),
    /// Its fields are the cells of a row, in which this stands between the cells.
    Row(u8),
}

/// What stands between the cells of rows, as the tools at hand write them.
const BETWEEN_CELLS: [u8; 4] = [b'\t', b',', b';', b'|'];

impl Place {
    /// The places in which a line's end is the record's.
    const AT_THE_END: [Self; 3] = [Self::Bare, Self::BehindTime, Self::BehindTimeAndStream];

    /// The line behind what stands there before a record; `None` when the line has none.
    fn strip(self, line: &[u8]) -> Option<&[u8]> {
        match self {
            Self::BehindTime => begins_with_time(line).then(|| behind_word(line))?,
            Self::BehindTimeAndStream => Self::BehindTime.strip(line).and_then(behind_word),
            _ => Some(line),
        }
    }
}

/// How far a source has been read, to tell whether anything was found since.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    number: u64,
    headers: u64,
    announced: u64,
}

/// Reads the lines that are records, each all of its line.
pub(super) struct BareParser {
    groups: GroupParser,
    parser: LineParser,
    guessed: bool,
    /// Whether a record may also be read as a header line, by the words that stand in it.
    may_name_fields: bool,
}

impl BareParser {
    /// The group among `groups` of the record that a line is, and the rest of the record; `None` of whatever else the
    /// line is, of which [`Messages::line`] finds out what.
    #[inline]
    pub(super) fn parse<'l>(&self, line: &'l [u8], groups: &mut Groups<'l>) -> Option<(usize, Varying)> {
        let message = line.trim_ascii();
        if message.len() > MOST_LINE || (self.guessed && !message.starts_with(b"2 ")) {
            return None;
        }
        groups.record(&self.groups, message)
    }

    /// The group, and the rest, of the record that the text of an event is; `None` where [`Messages::line_if_any`] may
    /// take it for something else: it first looks for names of fields, and for the cells of a row.
    pub(super) fn parse_event<'l>(
        &self,
        text: &'l [u8],
        groups: &mut Groups<'l>,
    ) -> Option<(usize, Varying)> {
        let of_row = |byte: &u8| BETWEEN_CELLS.contains(byte);
        if text.iter().fold(false, |any, byte| any | of_row(byte))
            || (self.may_name_fields && header_in(text.trim_ascii()).is_some())
        {
            return None;
        }
        self.parse(text, groups)
    }
}

/// Whether the words of a record may be such that [`header_in`] takes it for a header line.
fn may_name_fields(parser: &LineParser) -> bool {
    (0..parser.columns()).any(|first| {
        let words = (first..parser.columns()).filter(|column| parser.may_hold_words(*column)).count();
        words >= 3 && words > parser.columns() - first - words
    })
}

/// Turns the messages of one source into records.
pub(super) struct Messages<'r> {
    name: &'r str,
    room: Room,
    reading: &'r mut Reading,
    sink: &'r mut dyn Sink,
    quota: Quota,
    current: Current,
    /// The format of the current parser, until a line of it is met.
    unnoted: Option<LogFormat>,
    /// What rows of fields that come one by one are read with, and which fields these are.
    row_parser: Option<(Vec<Field>, LineParser)>,
    place: Place,
    number: u64,
    /// Messages that were not empty.
    seen: Seen,
    /// Lines that were of a flow log.
    found: u64,
    /// Whether a line that was passed over may have been one.
    perhaps: bool,
    /// Whether the frame of a table came before any record.
    framed: bool,
    /// How deep in JSON within texts.
    depth: u8,
    /// Of the text that the command line of AWS prints of a query's results: the fields of one row.
    results: Vec<(Field, String)>,
    /// The status of the query whose results these are, where more were to come.
    unfinished: Option<&'static str>,
    rejected: Vec<Rejected>,
}

impl<'r> Messages<'r> {
    pub(super) fn new(
        name: &'r str,
        room: Room,
        format: Option<&LogFormat>,
        quota: Quota,
        reading: &'r mut Reading,
        sink: &'r mut dyn Sink,
    ) -> Self {
        let (current, format) = match format {
            Some(format) => (Current::Told(LineParser::new(format)), format.clone()),
            None => {
                let format = LogFormat::version_2();
                (Current::Guessed(LineParser::new(&format)), format)
            }
        };
        Self {
            name,
            room,
            reading,
            sink,
            quota,
            current,
            unnoted: Some(format),
            row_parser: None,
            place: Place::Bare,
            number: 0,
            seen: Seen { number: 0, headers: 0, announced: 0 },
            found: 0,
            perhaps: false,
            framed: false,
            depth: 0,
            results: Vec::new(),
            unfinished: None,
            rejected: Vec::new(),
        }
    }

    /// What the source may still unpack to.
    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    /// The number of the line, or in JSON of the event, that came last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Notes the status of the query whose results these are.
    pub(super) fn note_query_status(&mut self, status: &[u8]) {
        self.unfinished = unfinished_status(status).or(self.unfinished);
    }

    /// Whether the quota is used up.
    #[inline]
    pub(super) fn enough(&self) -> bool {
        self.quota.records == 0 || self.quota.lines == 0
    }

    /// What has been met until now.
    pub(super) fn seen(&self) -> Seen {
        self.seen
    }

    /// Notes that log events were announced, though there may be none.
    pub(super) fn expect_events(&mut self) {
        self.seen.announced += 1;
    }

    /// An error when nothing but header lines and empty lines came since `before`.
    pub(super) fn something_since(&self, before: Seen) -> Result<(), FileError> {
        if self.seen.number > before.number {
            Ok(())
        } else if self.seen.headers > before.headers {
            Err(FileError::NoRecords)
        } else {
            Err(FileError::Empty)
        }
    }

    /// What another thread can parse the next lines with, as [`Messages::line`] would; `None` where a record is not all
    /// of its line, or none was met yet.
    pub(super) fn bare_parser(&self) -> Option<BareParser> {
        let (parser, guessed) = self.parser().filter(|_| self.found > 0 && self.place == Place::Bare)?;
        Some(BareParser {
            groups: GroupParser::new(parser)?,
            parser: parser.clone(),
            guessed,
            may_name_fields: may_name_fields(parser),
        })
    }

    /// Whether a line of a flow log was met.
    pub(super) fn has_found(&self) -> bool {
        self.found > 0
    }

    /// Whether so many records are wanted that other threads are worth it.
    pub(super) fn wants_many(&self) -> bool {
        self.quota.records >= MANY
    }

    /// Whether the next lines can still be parsed with it.
    pub(super) fn is_read_by(&self, bare: &BareParser) -> bool {
        self.place == Place::Bare && self.parser() == Some((&bare.parser, bare.guessed))
    }

    /// Takes a line that [`BareParser::parse`] has read, with the parser that is still the right one.
    #[inline]
    pub(super) fn parsed(&mut self, record: &FlowRecord<'_>, group: usize) {
        self.count_message();
        self.note_found();
        self.count_record();
        self.sink.record_of_group(record, group);
    }

    /// The groups of the records before are no more.
    pub(super) fn end_groups(&mut self) {
        self.sink.end_groups();
    }

    /// Counts a message that is not empty.
    #[inline]
    fn count_message(&mut self) {
        self.number += 1;
        self.seen.number += 1;
        self.quota.lines = self.quota.lines.saturating_sub(1);
    }

    /// One line, or the text of one log event.
    #[inline]
    pub(super) fn line(&mut self, line: &[u8]) {
        self.number += 1;
        let message = self.trimmed(line);
        if message.is_empty() {
            return;
        }
        self.seen.number += 1;
        self.quota.lines = self.quota.lines.saturating_sub(1);
        if message.len() > MOST_LINE {
            self.reject(RejectReason::TooLong { most: MOST_LINE }, message);
            return;
        }
        // Nearly all lines are like the line before; a header line is never a record.
        let read = match self.place {
            Place::Bare => self.parse(message).ok(),
            _ => self.parse_at_place(message),
        };
        if let Some(read) = read {
            self.accept(read);
        } else if let Err(reason) = self.unlike_the_last(message) {
            self.reject(reason, message);
        }
    }

    /// A text that may be a message and need not be; whether it was one.
    pub(super) fn line_if_any(&mut self, text: &[u8]) -> bool {
        let message = text.trim_ascii();
        if message.is_empty() || message.len() > MOST_LINE || self.unlike_the_last(message).is_err() {
            return false;
        }
        self.count_message();
        true
    }

    /// Whether a text begins with two messages between which there is a tab, and no line's end.
    pub(super) fn are_in_one_line(&self, text: &[u8]) -> bool {
        let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
        let mut cells = line.split(|b| *b == b'\t').map(<[u8]>::trim_ascii);
        let is_record = |cell: Option<&[u8]>| cell.is_some_and(|cell| self.parse(cell).is_ok());
        is_record(cells.next()) && is_record(cells.next())
    }

    /// The values of one record, with what each is called.
    pub(super) fn row(&mut self, row: &[(Field, String)]) {
        self.count_message();
        // Rows of one source have the same columns, or nearly so.
        let same = |(parser_fields, _): &&(Vec<Field>, LineParser)| {
            parser_fields.len() == row.len()
                && parser_fields.iter().zip(row).all(|(known, (field, _))| known == field)
        };
        let values = || row.iter().map(|(_, text)| value(text.trim().as_bytes()));
        let read = match self.row_parser.as_ref().filter(same) {
            Some((_, parser)) => parser.parse_values(values()).map_err(RejectReason::from),
            None => LogFormat::from_names(row.iter().map(|(field, _)| field.name()))
                .map_err(RejectReason::from)
                .and_then(|format| {
                    let parser = LineParser::new(&format);
                    let line = parser.parse_values(values())?;
                    self.row_parser = Some((row.iter().map(|(field, _)| *field).collect(), parser));
                    self.unnoted = Some(format);
                    Ok(line)
                }),
        };
        match read {
            Ok(line) => self.accept(line),
            Err(reason) => {
                let shown = row.iter().filter(|(_, text)| !text.is_empty());
                let text: Vec<String> = shown.map(|(field, text)| format!("{field}={text}")).collect();
                self.reject(reason, text.join(" ").as_bytes());
            }
        }
    }

    /// A line without what does not count at its ends. An empty cell at the end of a row counts.
    #[inline]
    fn trimmed<'l>(&self, line: &'l [u8]) -> &'l [u8] {
        match self.place {
            Place::Row(b'\t') => line.strip_suffix(b"\r").unwrap_or(line),
            _ => line.trim_ascii(),
        }
    }

    #[inline]
    fn parse<'l>(&self, message: &'l [u8]) -> Result<Line<'l>, RejectReason> {
        match &self.current {
            Current::Told(parser) => Ok(parser.parse(message)?),
            // The version is that of the newest field: any other than 2 means other fields.
            Current::Guessed(parser) if message.starts_with(b"2 ") => match parser.parse(message) {
                Err(LineError::Length { found, .. }) => Err(RejectReason::NoFormat { found }),
                read => Ok(read?),
            },
            Current::Guessed(_) => {
                Err(RejectReason::NoFormat { found: memchr::memchr_iter(b' ', message).count() + 1 })
            }
            Current::Unusable(reason) => Err(reason.clone()),
        }
    }

    /// A record that stands on its line as the one before did.
    fn parse_at_place<'l>(&self, message: &'l [u8]) -> Option<Line<'l>> {
        match self.place {
            Place::Words => self.parse_words(message),
            Place::Row(between) => self.parse_row(message, between)?.ok(),
            Place::Cell(between) => self.parse_cell(message, between),
            place => self.parse(place.strip(message)?).ok(),
        }
    }

    /// A record whose fields are words of the line.
    fn parse_words<'l>(&self, message: &'l [u8]) -> Option<Line<'l>> {
        let (parser, guessed) = self.parser()?;
        let words = || message.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        if !guessed || words().next() == Some(b"2") {
            let read = parser.parse_values(words());
            if let Ok(line) = read {
                return Some(line);
            }
        }
        let words: Vec<&[u8]> = words().collect();
        let first = if guessed {
            // Version and account stand before the interface.
            let interface = words.iter().position(|word| word.starts_with(b"eni-"))?;
            interface.checked_sub(2)?
        } else {
            words.len().checked_sub(parser.columns())?
        };
        let mut record: Vec<&[u8]> = words.get(first..first + parser.columns())?.to_vec();
        if let Some(last) = record.last_mut() {
            *last = last.trim_suffix_of(b"\"',;)]}\\");
        }
        // `grep` puts a file's name and a colon there, others a quotation mark.
        let whole = *record.first()?;
        let glued = whole.iter().rposition(|b| matches!(b, b':' | b'"' | b'\'' | b'=' | b'(' | b'['));
        for start in [Some(whole), glued.map(|at| &whole[at + 1..])].into_iter().flatten() {
            if guessed && start != b"2" {
                continue;
            }
            *record.first_mut()? = start;
            if let Ok(line) = parser.parse_values(record.iter().copied()) {
                return Some(line);
            }
        }
        None
    }

    /// A record that is a cell of the row.
    fn parse_cell<'l>(&self, message: &'l [u8], between: u8) -> Option<Line<'l>> {
        cells(message, between).find_map(|cell| {
            let bare = self.parse(cell).ok();
            bare.or_else(|| if cell.len() < message.len() { self.parse_words(cell) } else { None })
        })
    }

    /// A record whose fields are the cells of the row; `None` where nothing says which they are.
    fn parse_row<'l>(&self, message: &'l [u8], between: u8) -> Option<Result<Line<'l>, LineError>> {
        let (parser, guessed) = self.parser()?;
        let row = names(message, between);
        let version = cells(row, between).next()?;
        (!guessed || version == b"2").then(|| parser.parse_values(cells(row, between).map(value)))
    }

    fn parser(&self) -> Option<(&LineParser, bool)> {
        match &self.current {
            Current::Told(parser) => Some((parser, false)),
            Current::Guessed(parser) => Some((parser, true)),
            Current::Unusable(_) => None,
        }
    }

    #[inline]
    fn accept(&mut self, line: Line<'_>) {
        self.note_found();
        match line {
            Line::Record(record) => {
                self.count_record();
                self.sink.record(&record);
            }
            Line::NoData(interval) => {
                self.reading.nodata += 1;
                self.sink.no_data(&interval);
            }
            Line::SkipData(interval) => {
                self.reading.skipdata += 1;
                self.sink.skip_data(&interval);
            }
        }
    }

    /// Notes a line that is of a flow log, and its format with the first of them.
    #[inline]
    fn note_found(&mut self) {
        if let Some(format) = self.unnoted.take() {
            self.note(format);
        }
        self.found += 1;
    }

    #[cold]
    fn note(&mut self, format: LogFormat) {
        self.sink.format(&format);
        if !self.reading.formats.contains(&format) && self.reading.formats.len() < MOST_FORMATS {
            self.reading.formats.push(format);
        }
    }

    #[inline]
    fn count_record(&mut self) {
        self.quota.records = self.quota.records.saturating_sub(1);
        self.reading.records += 1;
    }

    /// A header line, a line on which the record stands elsewhere than on those before, or no record: then
    /// the reason.
    #[cold]
    fn unlike_the_last(&mut self, message: &[u8]) -> Result<(), RejectReason> {
        let mut reason = None;
        if self.table_header(message) {
            return Ok(());
        }
        for place in Place::AT_THE_END {
            let Some(rest) = place.strip(message) else { break };
            if let Some(header) = header_in(rest) {
                self.change_format(
                    place,
                    std::str::from_utf8(header).map_or(Err(FormatError::Empty), str::parse),
                    message,
                );
                return Ok(());
            }
            match self.parse(rest) {
                Ok(read) => {
                    self.place = place;
                    self.accept(read);
                    return Ok(());
                }
                // With a time stamp, what is wrong is what is wrong behind it.
                Err(why) if place != Place::BehindTimeAndStream => reason = Some(why),
                Err(_) => {}
            }
        }
        let mut reason = reason.expect("a line without anything before it is tried first");
        if is_transit_gateways(message) {
            return Err(RejectReason::TransitGateway);
        }
        let between = BETWEEN_CELLS.into_iter().filter(|between| message.contains(between));
        let others = between.flat_map(|between| [Place::Cell(between), Place::Row(between)]);
        let before = self.place;
        for place in others.chain([Place::Words]) {
            self.place = place;
            if let Some(read) = self.parse_at_place(message) {
                self.accept(read);
                return Ok(());
            }
        }
        self.place = before;
        if let Place::Row(between) = before
            && let Some(Err(why)) = self.parse_row(message, between)
        {
            reason = why.into();
        }
        if let Some(result) = message.strip_prefix(b"RESULTS\t") {
            self.result(result);
            return Ok(());
        }
        if message.starts_with(b"{") && self.depth < MOST_DEPTH {
            return self.json(message);
        }
        if let Some(status) = message.rsplit(|b| *b == b'\t').next().and_then(unfinished_status) {
            self.unfinished = Some(status);
            return Ok(());
        }
        self.framed |= self.found == 0 && message.iter().all(|b| b"+-|=".contains(b));
        let of_frame = self.framed && message.starts_with(b"|") && !perhaps_of_flow_log(message);
        if of_frame || is_decoration(message, before) { Ok(()) } else { Err(reason) }
    }

    /// A value of a query's results, behind its name. A name that comes again begins a row.
    fn result(&mut self, pair: &[u8]) {
        let mut cells = cells(pair, b'\t').map(|cell| String::from_utf8_lossy(cell).into_owned());
        let (Some(name), Some(text)) = (cells.next(), cells.next()) else { return };
        let Some(field) = Field::from_any_name(&name) else { return };
        if self.results.iter().any(|(known, _)| *known == field) {
            self.end_results();
        }
        self.results.push((field, text));
    }

    fn end_results(&mut self) {
        let row = std::mem::take(&mut self.results);
        if !row.is_empty() {
            self.row(&row);
        }
    }

    /// JSON that is a line of text, or the text of an event.
    fn json(&mut self, text: &[u8]) -> Result<(), RejectReason> {
        let number = self.number;
        self.depth += 1;
        let read = json::read_text(text, self, MOST_DEPTH);
        self.depth -= 1;
        self.number = number;
        read.map_err(|error| match error {
            FileError::NoEvents => RejectReason::NoMessage,
            _ => RejectReason::Json,
        })
    }

    /// Whether the line is the first of a table, which names its columns.
    fn table_header(&mut self, message: &[u8]) -> bool {
        for between in BETWEEN_CELLS {
            if !message.contains(&between) {
                continue;
            }
            let Some(columns) = columns(names(message, between), between) else { continue };
            let known = columns.iter().filter(|name| Field::from_any_name(name).is_some()).count();
            if columns.iter().any(|name| holds_messages(name)) {
                self.place = Place::Cell(between);
                self.seen.headers += 1;
                self.seen.number = self.seen.number.saturating_sub(1);
                return true;
            }
            if known >= 3 {
                let format = LogFormat::from_names(columns.iter().copied());
                if known * 2 > columns.len() || format.is_ok() {
                    self.change_format(Place::Row(between), format, message);
                    return true;
                }
            }
        }
        false
    }

    fn change_format(&mut self, place: Place, format: Result<LogFormat, FormatError>, header: &[u8]) {
        self.place = place;
        self.seen.headers += 1;
        self.seen.number = self.seen.number.saturating_sub(1);
        let format = format.map_err(RejectReason::from).and_then(|format| {
            let known = &self.reading.formats;
            if known.len() < MOST_FORMATS || known.contains(&format) {
                Ok(format)
            } else {
                Err(RejectReason::TooManyFormats { most: MOST_FORMATS })
            }
        });
        match format {
            Ok(format) => {
                self.current = Current::Told(LineParser::new(&format));
                self.unnoted = Some(format);
            }
            Err(reason) => {
                self.seen.number += 1;
                self.reject(reason.clone(), header);
                self.current = Current::Unusable(reason);
                self.unnoted = None;
            }
        }
    }

    /// Counts a damaged JSON document as one event.
    pub(super) fn damaged(&mut self, from: &[u8]) {
        self.number += 1;
        self.seen.number += 1;
        self.reject(RejectReason::Json, from);
    }

    /// Counts what was passed over, at the present line or event.
    pub(super) fn reject(&mut self, reason: RejectReason, line: &[u8]) {
        self.sink.rejected(line);
        self.perhaps |= perhaps_of_flow_log(line);
        let full = self.rejected.len() >= MOST_REASONS;
        let like = self.rejected.iter().position(|group| group.reason.is_like(&reason));
        let group = like.or(full.then_some(MOST_REASONS - 1));
        if let Some(group) = group.and_then(|group| self.rejected.get_mut(group)) {
            group.count += 1;
            return;
        }
        let reason = if self.rejected.len() == MOST_REASONS - 1 { RejectReason::Further } else { reason };
        self.rejected.push(Rejected {
            file: self.name.to_owned(),
            reason,
            count: 1,
            line: self.number,
            sample: harmless(line),
        });
    }

    /// Hands over what was passed over; whether the source was left before its end.
    pub(super) fn finish(mut self, outcome: Result<(), FileError>) -> bool {
        let left_early = self.enough();
        if !left_early {
            self.end_results();
        }
        let pass_over = |reading: &mut Reading, what: String, line| {
            reading.passed_over.push(PassedOver { name: self.name.to_owned(), what, line });
        };
        // A file of which not one line is a flow log's, nor perhaps is, is something else.
        let of_others = self.rejected.iter().find(|rejected| rejected.reason.is_of_transit_gateway());
        let foreign = self.found == 0 && (!self.perhaps || of_others.is_some());
        let foreign = foreign && !self.rejected.is_empty();
        if let Some(first) = of_others.or(self.rejected.first()).filter(|_| foreign) {
            let what = match &first.reason {
                reason if reason.is_of_transit_gateway() => reason.to_string(),
                _ => format!("no flow log: {:?}", first.sample),
            };
            let line = format!("line {}: {:?} ({})", first.line, first.sample, first.reason);
            pass_over(self.reading, what, Some(line));
        } else {
            self.reading.rejected.append(&mut self.rejected);
        }
        let outcome = match (outcome, self.unfinished) {
            (Ok(()), Some(status)) if !left_early => Err(FileError::Unfinished(status.to_owned())),
            (outcome, _) => outcome,
        };
        match outcome {
            Ok(()) => {}
            Err(_) if foreign => {}
            Err(error) if error.holds_nothing() => pass_over(self.reading, error.chain(), None),
            Err(error) => self.reading.failed.push(FailedFile::new(self.name, &error)),
        }
        left_early
    }
}

impl Seen {
    /// Whether messages, or the place where they would be, came since `before`.
    pub(super) fn events_since(self, before: Self) -> bool {
        self.number > before.number || self.announced > before.announced
    }
}

trait TrimSuffix {
    /// Without what it ends with of `these`.
    fn trim_suffix_of(&self, these: &[u8]) -> &Self;
}

impl TrimSuffix for [u8] {
    fn trim_suffix_of(&self, these: &[u8]) -> &[u8] {
        let end = self.iter().rposition(|b| !these.contains(b)).map_or(0, |last| last + 1);
        &self[..end]
    }
}

/// The part of the line that names fields: at least three that are known, and more known than not. What stands
/// before it is a file's name, or a time.
fn header_in(line: &[u8]) -> Option<&[u8]> {
    let name = |word: &[u8]| -> Option<Field> {
        std::str::from_utf8(word).ok().and_then(|word| Field::from_any_name(without_braces(word)))
    };
    let mut header = line;
    loop {
        let end = header.iter().position(u8::is_ascii_whitespace)?;
        let word = &header[..end];
        let glued = word.iter().rposition(|b| *b == b':').map_or(0, |colon| colon + 1);
        if name(&word[glued..]).is_some() {
            header = &header[glued..];
            break;
        }
        header = header[end..].trim_ascii_start();
    }
    let allowed = |b: &u8| {
        b.is_ascii_alphanumeric()
            || b.is_ascii_whitespace()
            || matches!(b, b'-' | b'_' | b'.' | b'$' | b'{' | b'}')
    };
    if !header.iter().all(allowed) {
        return None;
    }
    let (mut known, mut words) = (0, 0);
    for word in header.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        words += 1;
        known += usize::from(name(word).is_some());
    }
    (known >= 3 && known * 2 > words).then_some(header)
}

/// The names of a table's columns; `None` where the line holds something else than names.
fn columns(line: &[u8], between: u8) -> Option<Vec<&str>> {
    let names: Vec<&str> = cells(line, between).map(std::str::from_utf8).collect::<Result<_, _>>().ok()?;
    let is_name = |name: &&str| {
        name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-@.${} ".contains(&b))
            && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    (names.len() >= 2 && names.iter().all(is_name)).then(|| names.into_iter().map(without_braces).collect())
}

/// A field's name without the `${}` that it has in a format string.
fn without_braces(name: &str) -> &str {
    name.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or(name)
}

/// Whether a column, or a key, that is called so holds the messages themselves: as CloudWatch, Splunk and
/// others call it.
pub(super) fn holds_messages(name: &str) -> bool {
    let name = name.trim_start_matches(['@', '_']);
    ["message", "raw", "msg", "log", "line", "event", "original", "body"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether the line is of a transit gateway's flow log.
fn is_transit_gateways(line: &[u8]) -> bool {
    memchr::memmem::find(line, b" TransitGateway ").is_some()
        || memchr::memmem::find(line, b" tgw-attach-").is_some()
}

/// The status of a query of which more results are to come.
fn unfinished_status(status: &[u8]) -> Option<&'static str> {
    ["Running", "Scheduled"].into_iter().find(|unfinished| status == unfinished.as_bytes())
}

/// What the command line of AWS prints around records: frames of tables, statistics and tokens.
fn is_decoration(line: &[u8], place: Place) -> bool {
    const AROUND: [&[u8]; 2] = [b"STATISTICS", b"SEARCHEDLOGSTREAMS"];
    let is_token = |cell: &[u8]| cell.starts_with(b"b/") || cell.starts_with(b"f/");
    let rest_of_cell = matches!(place, Place::Cell(_)) && line.iter().all(|b| b"\",; ".contains(b));
    rest_of_cell
        || AROUND.iter().any(|word| line.strip_prefix(*word).is_some_and(|rest| rest.starts_with(b"\t")))
        || line == b"Complete"
        || line.ends_with(b"\tComplete")
        || (line.contains(&b'\t') && cells(line, b'\t').all(is_token))
        || (line.len() > 2 && line.iter().all(|b| b"+-|=".contains(b)))
}

/// Whether a line that was not read may be a flow log's: it names an interface, or has two addresses and the
/// second at which something was.
fn perhaps_of_flow_log(line: &[u8]) -> bool {
    let head = &line[..line.len().min(1024)];
    if memchr::memmem::find(head, b"eni-").is_some() {
        return true;
    }
    let (mut addresses, mut seconds) = (0, 0);
    for word in head.split(|b| b.is_ascii_whitespace() || b",;|\"".contains(b)) {
        let text = std::str::from_utf8(word).unwrap_or_default();
        addresses += usize::from(text.parse::<std::net::IpAddr>().is_ok());
        seconds += usize::from(word.len() == 10 && word.iter().all(u8::is_ascii_digit));
    }
    addresses >= 2 && seconds >= 1
}

/// Whether the line begins like `2026-11-18T02:14`.
#[inline]
fn begins_with_time(line: &[u8]) -> bool {
    let Some(time) = line.first_chunk::<16>() else { return false };
    time.iter()
        .zip(b"dddd-dd-ddTdd:dd")
        .all(|(b, like)| if *like == b'd' { b.is_ascii_digit() } else { b == like })
}

/// What comes after the first word and the spaces behind it.
#[inline]
fn behind_word(line: &[u8]) -> Option<&[u8]> {
    let space = memchr::memchr2(b' ', b'\t', line)?;
    Some(line[space..].trim_ascii_start())
}

/// The beginning of a line as it may be shown anywhere.
pub(super) fn harmless(line: &[u8]) -> String {
    let shown = |b: &u8| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '?' };
    if line.len() <= SAMPLE {
        return line.iter().map(shown).collect();
    }
    line.iter().take(SAMPLE - 3).map(shown).chain("...".chars()).collect()
}
