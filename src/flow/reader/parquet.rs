//! Parquet, as flow logs can be delivered to S3: a column for each field, underscores for hyphens in its name, and
//! nothing where text has `-`.

mod columns;

use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field as Value;
use parquet::schema::types::Type;

use self::columns::Columns;
use super::error::FileError;
use super::messages::Messages;
use super::window::Window;
use crate::flow::{Field, LineParser};

/// A file is held in memory, as its columns are spread over it. Flow logs begin a new one at 75 MB.
///
/// Source: "Flow log files" in "Publish flow logs to Amazon S3", Amazon VPC user guide.
const MOST_BYTES: u64 = 512 * 1024 * 1024;

/// Reads rows to the end, or until the messages have enough.
pub(super) fn read(window: &mut Window<'_>, messages: &mut Messages<'_>) -> Result<(), FileError> {
    let mut bytes = Vec::new();
    let read = window.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|source| FileError::DamagedHead { source })?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(FileError::ParquetTooLarge { most: MOST_BYTES });
    }
    let before = messages.number();
    // The decoder takes some damaged files for a fault of its own program.
    let rows = catch_unwind(AssertUnwindSafe(|| rows(bytes.into(), messages)));
    let rows = rows.unwrap_or_else(|_| Err(ParquetError::General("the decoder gave up".to_owned())));
    match rows {
        Ok(()) if messages.number() > before || messages.enough() => Ok(()),
        Ok(()) => Err(FileError::NoRecords),
        Err(source) => Err(FileError::ParquetDamaged { rows: messages.number() - before, source }),
    }
}

/// Reads the columns of which something is made. The others are as if nothing stood there.
fn rows(bytes: Bytes, messages: &mut Messages<'_>) -> Result<(), ParquetError> {
    let reader = SerializedFileReader::new(bytes)?;
    let schema = reader.metadata().file_metadata().schema();
    let columns = schema.get_fields().iter().enumerate();
    let columns: Vec<(usize, Field)> =
        columns.filter_map(|(place, column)| Some((place, Field::from_any_name(column.name())?))).collect();
    match Columns::of(&reader, &columns) {
        Some(columns) => columns::read(&reader, &columns, messages),
        None => row_by_row(&reader, &columns, messages),
    }
}

/// Reads columns of whichever kind.
fn row_by_row(
    reader: &SerializedFileReader<Bytes>,
    columns: &[(usize, Field)],
    messages: &mut Messages<'_>,
) -> Result<(), ParquetError> {
    let schema = reader.metadata().file_metadata().schema();
    let is_read = |(_, (_, field)): &(usize, &(usize, Field))| LineParser::is_decoded(*field);
    let (places, read): (Vec<usize>, Vec<_>) = columns
        .iter()
        .enumerate()
        .filter(is_read)
        .map(|(place, (column, _))| (place, schema.get_fields()[*column].clone()))
        .unzip();
    let mut row: Vec<(Field, String)> = columns.iter().map(|(_, field)| (*field, String::new())).collect();
    let read = Type::group_type_builder(schema.name()).with_fields(read).build()?;
    for values in reader.get_row_iter(Some(read))? {
        for (place, (_, value)) in places.iter().zip(values?.get_column_iter()) {
            row[*place].1 = text(value);
        }
        messages.row(&row);
        if messages.enough() {
            break;
        }
    }
    Ok(())
}

/// A value as text has it. Other tools than AWS may have made times of `start` and `end`.
fn text(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into_owned(),
        Value::Byte(number) => number.to_string(),
        Value::Short(number) => number.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Long(number) => number.to_string(),
        Value::UByte(number) => number.to_string(),
        Value::UShort(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::ULong(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::TimestampMillis(milliseconds) => (milliseconds / 1_000).to_string(),
        Value::TimestampMicros(microseconds) => (microseconds / 1_000_000).to_string(),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::super::Reading;
    use super::super::messages::Quota;
    use super::super::unpack::Room;
    use super::*;
    use crate::flow::reader::Sink;
    use crate::flow::record::FlowRecord;

    #[derive(Default)]
    struct Met(Vec<String>);

    impl Sink for Met {
        fn record(&mut self, record: &FlowRecord<'_>) {
            self.0.push(format!("{record:?}"));
        }

        fn rejected(&mut self, line: &[u8]) {
            self.0.push(String::from_utf8_lossy(line).into_owned());
        }
    }

    /// A file of three row groups, in which some rows are no records and some lack values.
    fn file() -> Bytes {
        let schema = "message flow { optional binary interface_id (UTF8); optional binary srcaddr (UTF8);
            optional binary dstaddr (UTF8); optional int32 srcport; required int32 dstport; optional int32 protocol;
            optional int64 packets; optional int64 start; optional int64 end; optional binary action (UTF8);
            optional binary log_status (UTF8); optional binary vpc_id (UTF8); }";
        let schema = Arc::new(parse_message_type(schema).expect("valid"));
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).expect("a schema");
        for rows in [0..5_000_i64, 5_000..5_001, 5_001..11_000] {
            let mut group = writer.next_row_group().expect("room");
            let mut column = 0;
            while let Some(mut into) = group.next_column().expect("a column") {
                let is_there = |row: &i64| column == 4 || row % 97 != column * 7;
                let levels: Vec<i16> = rows.clone().map(|row| i16::from(is_there(&row))).collect();
                let levels = (column != 4).then_some(&levels[..]);
                let there = rows.clone().filter(is_there);
                let number = |row: i64| match column {
                    3 if row % 501 == 0 => -1,
                    3 => 1_024 + row % 60_000,
                    4 => 443,
                    5 => 6,
                    8 if row % 777 == 0 => 1,
                    _ => 1_795_000_000 + row / 100,
                };
                let text = |row: i64| match column {
                    0 => format!("eni-0a0a0a0a0a0a0a0a{}", row % 3),
                    1 if row % 311 == 0 => "nowhere".to_owned(),
                    1 => format!("10.0.0.{}", row % 7),
                    2 => format!("203.0.113.{}", row % 5),
                    9 => if row % 13 == 0 { "REJECT" } else { "ACCEPT" }.to_owned(),
                    10 => if row % 401 == 0 { "NODATA" } else { "OK" }.to_owned(),
                    _ => "vpc-1".to_owned(),
                };
                let wrote = match column {
                    3..=5 => {
                        let values: Vec<i32> = there.map(|row| number(row) as i32).collect();
                        into.typed::<Int32Type>().write_batch(&values, levels, None)
                    }
                    6..=8 => {
                        let values: Vec<i64> = there.map(number).collect();
                        into.typed::<Int64Type>().write_batch(&values, levels, None)
                    }
                    _ => {
                        let values: Vec<ByteArray> =
                            there.map(|row| ByteArray::from(text(row).into_bytes())).collect();
                        into.typed::<ByteArrayType>().write_batch(&values, levels, None)
                    }
                };
                wrote.expect("room");
                into.close().expect("whole");
                column += 1;
            }
            group.close().expect("whole");
        }
        writer.into_inner().expect("whole").into()
    }

    /// What a file comes to, read by column or row by row.
    fn met(bytes: Bytes, by_column: bool) -> (Reading, Vec<String>) {
        let (mut reading, mut met) = (Reading::default(), Met::default());
        let room = Room::of(bytes.len() as u64);
        let mut messages = Messages::new("a", room, None, Quota::ALL, &mut reading, &mut met);
        let reader = SerializedFileReader::new(bytes).expect("whole");
        let fields = reader.metadata().file_metadata().schema().get_fields();
        let named: Vec<(usize, Field)> = (0..)
            .zip(fields)
            .map(|(place, column)| (place, Field::from_any_name(column.name()).expect("a field")))
            .collect();
        if by_column {
            let columns = Columns::of(&reader, &named).expect("all plain");
            columns::read(&reader, &columns, &mut messages).expect("whole");
        } else {
            row_by_row(&reader, &named, &mut messages).expect("whole");
        }
        messages.finish(Ok(()));
        (reading, met.0)
    }

    #[test]
    fn rows_read_by_column_are_those_read_one_by_one() {
        let (reading, by_column) = met(file(), true);
        let (expected, one_by_one) = met(file(), false);
        assert_eq!(reading, expected);
        assert!(by_column == one_by_one);
        assert!(
            reading.records > 9_000 && reading.nodata > 10 && reading.lines_rejected() > 30,
            "{reading:?}"
        );
    }
}
