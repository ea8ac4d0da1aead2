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
