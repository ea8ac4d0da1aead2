//! Rows of plain columns, decoded column by column, and row groups side by side. The rows are taken in their order.

use std::hash::{BuildHasher as _, Hasher as _};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use bytes::Bytes;
use hashbrown::{DefaultHashBuilder, HashTable};
use parquet::basic::ConvertedType;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field as Value;
use parquet::schema::types::ColumnDescPtr;
use self_cell::self_cell;

use super::super::cells::value;
use super::super::messages::Messages;
use super::text;
use crate::flow::groups::Varying;
use crate::flow::record::{Action, Line, TcpFlags};
use crate::flow::{Field, FlowRecord, LineParser, LogFormat};

/// So many rows are decoded at once, as the decoder of single rows does: what is in front of damage counts.
const DECODED_AT_ONCE: usize = 1024;

/// So many are handed over at once.
const BATCH: usize = 4 * DECODED_AT_ONCE;

/// Batches that wait for the thread that takes the rows, of each that decodes.
const MAX_WAITING: usize = 2;

/// More threads than this one taker of rows cannot follow.
const MAX_THREADS: usize = 3;

/// The columns of a file, all of them plain.
pub(super) struct Columns {
    /// What each is called.
    fields: Vec<Field>,
    /// Those of which something is made.
    read: Vec<Column>,
    parser: LineParser,
    /// Where what differs between the records of a group is among those that are read.
    places: Places,
}

struct Column {
    /// Its place among all that have a name.
    place: usize,
    /// Its place in the file.
    leaf: usize,
    described: ColumnDescPtr,
}

struct Places {
    src_port: usize,
    dst_port: usize,
    protocol: usize,
    start: usize,
    end: usize,
    packets: Option<usize>,
    bytes: Option<usize>,
    action: Option<usize>,
    status: Option<usize>,
    tcp_flags: Option<usize>,
    /// The others, which are the same in all records of a group.
    common: Vec<usize>,
}

impl Columns {
    /// The columns of a file; `None` where one is not plain, or the rows are no records.
    pub(super) fn of(reader: &SerializedFileReader<Bytes>, named: &[(usize, Field)]) -> Option<Self> {
        use parquet::basic::Type::{BYTE_ARRAY, INT32, INT64};
        let schema = reader.metadata().file_metadata().schema_descr();
        let is_flat = schema.num_columns() == schema.root_schema().get_fields().len();
        let fields: Vec<Field> = named.iter().map(|(_, field)| *field).collect();
        let format = LogFormat::from_names(fields.iter().map(|field| field.name())).ok()?;
        let read: Vec<Column> = (0..)
            .zip(named)
            .filter(|(_, (_, field))| LineParser::is_decoded(*field))
            .map(|(place, (leaf, _))| Column { place, leaf: *leaf, described: schema.column(*leaf) })
            .collect();
        let is_plain = |Column { described, .. }: &Column| {
            described.max_rep_level() == 0 && matches!(described.physical_type(), BYTE_ARRAY | INT32 | INT64)
        };
        if !is_flat || !read.iter().all(is_plain) {
            return None;
        }
        let places = Places::of(&fields, &read)?;
        Some(Self { fields, read, parser: LineParser::new(&format), places })
    }
}

impl Places {
    fn of(fields: &[Field], read: &[Column]) -> Option<Self> {
        let at = |field: Field| read.iter().position(|column| fields[column.place] == field);
        let is_text = |at: usize| read[at].described.physical_type() == parquet::basic::Type::BYTE_ARRAY;
        let number = |field: Field| at(field).filter(|at| !is_text(*at));
        let varying = [
            Field::Srcport,
            Field::Dstport,
            Field::Protocol,
            Field::Start,
            Field::End,
            Field::Packets,
            Field::Bytes,
            Field::TcpFlags,
            Field::Action,
            Field::LogStatus,
        ];
        let texts = [Field::Action, Field::LogStatus];
        if varying
            .into_iter()
            .filter_map(|field| Some((field, at(field)?)))
            .any(|(field, at)| is_text(at) != texts.contains(&field))
        {
            return None;
        }
        let common: Vec<usize> =
            (0..read.len()).filter(|at| !varying.contains(&fields[read[*at].place])).collect();
        if !common.iter().all(|at| is_text(*at)) {
            return None;
        }
        Some(Self {
            src_port: number(Field::Srcport)?,
            dst_port: number(Field::Dstport)?,
            protocol: number(Field::Protocol)?,
            start: number(Field::Start)?,
            end: number(Field::End)?,
            packets: at(Field::Packets),
            bytes: at(Field::Bytes),
            action: at(Field::Action),
            status: at(Field::LogStatus),
            tcp_flags: at(Field::TcpFlags),
            common,
        })
    }
}

/// The values of a row, with what each is called.
type Row = Vec<(Field, String)>;

/// A row of a batch.
enum Part {
    /// The first of a group that is looked for: the place of its values.
    First(usize),
    /// Another of a group.
    Like(usize, Varying),
}

/// Rows whose groups are told.
struct Rows {
    parts: Vec<Part>,
    /// The values of the first of each group, and of each row that is of none.
    firsts: Vec<Row>,
}

/// A record of each group; nothing where the row is none, or of no group.
type Records<'r> = Vec<Option<FlowRecord<'r>>>;

self_cell!(
    struct Batch {
        owner: Rows,
        #[covariant]
        dependent: Records,
    }
);

/// What comes of one row group, part by part.
enum Decoded {
    Batch(Batch),
    End(Result<(), ParquetError>),
}

/// Reads rows to the end, or until the messages have enough.
pub(super) fn read(
    reader: &SerializedFileReader<Bytes>,
    columns: &Columns,
    messages: &mut Messages<'_>,
) -> Result<(), ParquetError> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let groups = reader.num_row_groups();
    let threads = cores.saturating_sub(1).clamp(1, MAX_THREADS).min(groups.max(1));
    thread::scope(|scope| {
        let decoders: Vec<Receiver<Decoded>> = (0..threads)
            .map(|first| {
                let (done, decoded) = sync_channel(MAX_WAITING);
                scope.spawn(move || {
                    for group in (first..groups).step_by(threads) {
                        // The decoder takes some damaged files for a fault of its own program.
                        let read = catch_unwind(AssertUnwindSafe(|| decode(reader, group, columns, &done)));
                        let read = read
                            .unwrap_or_else(|_| Err(ParquetError::General("the decoder gave up".to_owned())));
                        let failed = read.is_err();
                        if done.send(Decoded::End(read)).is_err() || failed {
                            return;
                        }
                    }
                });
                decoded
            })
            .collect();
        for group in 0..groups {
            loop {
                match decoders[group % threads].recv() {
                    Ok(Decoded::Batch(mut batch)) => take(&mut batch, messages),
                    Ok(Decoded::End(read)) => break read?,
                    Err(_) => return Err(ParquetError::General("the decoder gave up".to_owned())),
                }
                if messages.enough() {
                    return Ok(());
                }
            }
        }
        Ok(())
    })
}

fn take(batch: &mut Batch, messages: &mut Messages<'_>) {
    batch.with_dependent_mut(|rows, records| {
        for part in &rows.parts {
            match part {
                Part::First(row) => messages.row(&rows.firsts[*row]),
                Part::Like(group, varying) => {
                    let record = records[*group].as_mut().expect("only rows like a record are of its group");
                    varying.write_to(record);
                    messages.parsed(record, *group);
                }
            }
            if messages.enough() {
                break;
            }
        }
        messages.end_groups();
    });
}

/// The values of one column, row by row.
enum Cells {
    Numbers(Vec<Option<i64>>),
    Texts(Vec<Option<ByteArray>>),
}

impl Cells {
    /// The value in a row, as a decoder of rows gives it.
    fn value(&self, row: usize, described: &ColumnDescPtr) -> Result<Value, ParquetError> {
        match self {
            Self::Numbers(numbers) => Ok(match numbers[row] {
                None => Value::Null,
                Some(number) => match described.physical_type() {
                    parquet::basic::Type::INT32 => {
                        Value::convert_int32(described, i32::try_from(number).unwrap_or_default())
                    }
                    _ => Value::convert_int64(described, number),
                },
            }),
            Self::Texts(texts) => match &texts[row] {
                None => Ok(Value::Null),
                Some(text) => Value::convert_byte_array(described, text.clone()),
            },
        }
    }

    /// The number in a row, where it is written as such; see [`text`].
    #[inline]
    fn number(&self, row: usize, described: &ColumnDescPtr) -> Option<u64> {
        let Self::Numbers(numbers) = self else { return None };
        let number = numbers[row]?;
        let number = match described.converted_type() {
            ConvertedType::NONE | ConvertedType::INT_32 | ConvertedType::INT_64 => number,
            ConvertedType::TIMESTAMP_MILLIS => number / 1_000,
            ConvertedType::TIMESTAMP_MICROS => number / 1_000_000,
            _ => return None,
        };
        u64::try_from(number).ok()
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Numbers(numbers) => numbers[row].is_none(),
            Self::Texts(texts) => texts[row].is_none(),
        }
    }

    /// The bytes in a row.
    #[inline]
    fn bytes(&self, row: usize) -> Option<&[u8]> {
        match self {
            Self::Texts(texts) => texts[row].as_ref().map(ByteArray::data),
            Self::Numbers(_) => None,
        }
    }
}

/// Decodes one column.
enum Decoder {
    Int32(ColumnReaderImpl<parquet::data_type::Int32Type>),
    Int64(ColumnReaderImpl<parquet::data_type::Int64Type>),
    Texts(ColumnReaderImpl<parquet::data_type::ByteArrayType>),
}

impl Decoder {
    fn new(reader: ColumnReader) -> Result<Self, ParquetError> {
        match reader {
            ColumnReader::Int32ColumnReader(reader) => Ok(Self::Int32(reader)),
            ColumnReader::Int64ColumnReader(reader) => Ok(Self::Int64(reader)),
            ColumnReader::ByteArrayColumnReader(reader) => Ok(Self::Texts(reader)),
            _ => Err(ParquetError::General("a column of another kind than the file says".to_owned())),
        }
    }

    /// Decodes so many rows, or as many as there are.
    fn decode(&mut self, rows: usize, cells: &mut Cells, most_level: i16) -> Result<usize, ParquetError> {
        match (self, cells) {
            (Self::Int32(reader), Cells::Numbers(into)) => values(reader, rows, most_level, into, i64::from),
            (Self::Int64(reader), Cells::Numbers(into)) => values(reader, rows, most_level, into, |v| v),
            (Self::Texts(reader), Cells::Texts(into)) => values(reader, rows, most_level, into, |v| v),
            _ => Ok(0),
        }
    }
}

fn values<T: DataType, V>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    most_level: i16,
    into: &mut Vec<Option<V>>,
    make: impl Fn(T::T) -> V,
) -> Result<usize, ParquetError> {
    let (mut levels, mut found) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let with_levels = (most_level > 0).then_some(&mut levels);
    let (read, ..) = reader.read_records(rows, with_levels, None, &mut found)?;
    let mut found = found.into_iter().map(make);
    if most_level > 0 {
        into.extend(levels.into_iter().map(|level| if level == most_level { found.next() } else { None }));
    } else {
        into.extend(found.map(Some));
    }
    Ok(read)
}

/// Decodes one row group, and hands its rows over in batches.
fn decode(
    reader: &SerializedFileReader<Bytes>,
    group: usize,
    columns: &Columns,
    done: &SyncSender<Decoded>,
) -> Result<(), ParquetError> {
    let group = reader.get_row_group(group)?;
    let mut left = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    let mut decoders = Vec::with_capacity(columns.read.len());
    for column in &columns.read {
        decoders.push(Decoder::new(group.get_column_reader(column.leaf)?)?);
    }
    let hasher = DefaultHashBuilder::default();
    while left > 0 {
        let mut cells: Vec<Cells> = decoders
            .iter()
            .map(|decoder| match decoder {
                Decoder::Texts(_) => Cells::Texts(Vec::with_capacity(BATCH)),
                _ => Cells::Numbers(Vec::with_capacity(BATCH)),
            })
            .collect();
        let (mut rows, mut decoded) = (0, Ok(()));
        while rows < BATCH && rows < left && decoded.is_ok() {
            let wanted = DECODED_AT_ONCE.min(left - rows);
            for ((decoder, cells), column) in decoders.iter_mut().zip(&mut cells).zip(&columns.read) {
                decoded = decoder.decode(wanted, cells, column.described.max_def_level()).and_then(|read| {
                    if read == wanted {
                        return Ok(());
                    }
                    let name = column.described.name();
                    Err(ParquetError::General(format!("column {name} has fewer rows than its row group")))
                });
                if decoded.is_err() {
                    break;
                }
            }
            rows += if decoded.is_ok() { wanted } else { 0 };
        }
        left -= rows;
        let (batch, read) = grouped(&cells, rows, columns, &hasher);
        if done.send(Decoded::Batch(batch)).is_err() {
            return Ok(());
        }
        read.and(decoded)?;
    }
    Ok(())
}

/// Tells the groups of rows, up to the first that holds what no row can.
fn grouped(
    cells: &[Cells],
    rows: usize,
    columns: &Columns,
    hasher: &DefaultHashBuilder,
) -> (Batch, Result<(), ParquetError>) {
    let common = &columns.places.common;
    let mut all = Rows { parts: Vec::with_capacity(rows), firsts: Vec::new() };
    // Of each group its hash, its first row, and where the values of that are.
    let mut groups: HashTable<(u64, usize, usize)> = HashTable::new();
    let hash = |row: usize| {
        let mut hasher = hasher.build_hasher();
        for at in common {
            let bytes = cells[*at].bytes(row);
            hasher.write(bytes.unwrap_or_default());
            hasher.write_u8(u8::from(bytes.is_some()));
        }
        hasher.finish()
    };
    let are_alike =
        |one: usize, other: usize| common.iter().all(|at| cells[*at].bytes(one) == cells[*at].bytes(other));
    let mut outcome = Ok(());
    for row in 0..rows {
        let varying = varying(cells, row, columns);
        let hash = varying.map(|_| hash(row));
        if let Some((hash, varying)) = hash.zip(varying)
            && let Some((_, _, group)) =
                groups.find(hash, |(of, first, _)| *of == hash && are_alike(*first, row))
        {
            all.parts.push(Part::Like(*group, varying));
            continue;
        }
        match values_of(cells, row, columns) {
            Ok(values) => {
                if let Some(hash) = hash
                    && matches!(parsed(&values, columns), Some(Line::Record(_)))
                {
                    groups.insert_unique(hash, (hash, row, all.firsts.len()), |(hash, ..)| *hash);
                }
                all.parts.push(Part::First(all.firsts.len()));
                all.firsts.push(values);
            }
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    let batch = Batch::new(all, |rows| {
        let mut records = Vec::with_capacity(rows.firsts.len());
        for values in &rows.firsts {
            records.push(match parsed(values, columns) {
                Some(Line::Record(record)) => Some(record),
                _ => None,
            });
        }
        records
    });
    (batch, outcome)
}

/// The values of a row as texts.
fn values_of(cells: &[Cells], row: usize, columns: &Columns) -> Result<Row, ParquetError> {
    let mut values: Row = columns.fields.iter().map(|field| (*field, String::new())).collect();
    for (cells, column) in cells.iter().zip(&columns.read) {
        values[column.place].1 = text(&cells.value(row, &column.described)?);
    }
    Ok(values)
}

/// What a row is, as [`Messages::row`] takes it.
fn parsed<'r>(values: &'r Row, columns: &Columns) -> Option<Line<'r>> {
    columns.parser.parse_values(values.iter().map(|(_, text)| value(text.trim().as_bytes()))).ok()
}

/// What an ordinary record has beside its group; `None` of any other row.
#[inline]
fn varying(cells: &[Cells], row: usize, columns: &Columns) -> Option<Varying> {
    let places = &columns.places;
    let number = |at: usize| cells[at].number(row, &columns.read[at].described);
    let tcp_flags = match places.tcp_flags {
        Some(at) if !cells[at].is_null(row) => Some(TcpFlags(u8::try_from(number(at)?).ok()?)),
        _ => None,
    };
    let action = match places.action.map(|at| cells[at].bytes(row)) {
        None | Some(Some(b"ACCEPT")) => Action::Accept,
        Some(Some(b"REJECT")) => Action::Reject,
        Some(_) => return None,
    };
    if places.status.is_some_and(|at| cells[at].bytes(row) != Some(b"OK")) {
        return None;
    }
    Varying {
        packets: places.packets.map_or(Some(1), number)?,
        bytes: places.bytes.map_or(Some(0), number)?,
        start: i64::try_from(number(places.start)?).ok()?,
        end: i64::try_from(number(places.end)?).ok()?,
        src_port: u16::try_from(number(places.src_port)?).ok()?,
        dst_port: u16::try_from(number(places.dst_port)?).ok()?,
        protocol: u8::try_from(number(places.protocol)?).ok()?,
        action,
        tcp_flags,
    }
    .usable()
}
