//! Names that stand in SQL: nothing becomes one that could be more than a name.

use std::fmt;
use std::str::FromStr;

/// Most characters of a name in the Glue Data Catalog.
///
/// Source: `NameString` in the AWS Glue API reference.
const MAX_NAME: usize = 255;

/// The name of a database, a table or a column, which needs nothing but quotation marks around it.
///
/// Athena takes letters, digits and underscores; the columns of Hive-style folders have hyphens, as AWS's own example
/// does. Sources: "Name databases, tables, and columns" and "Create tables for flow logs in Apache Parquet format" in
/// the Amazon Athena user guide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identifier(String);

impl Identifier {
    /// The name as it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected letters, digits, underscores and hyphens")]
pub struct NotAName;

impl FromStr for Identifier {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let named = !text.is_empty() && text.len() <= MAX_NAME && text.chars().all(allowed);
        // Athena keeps names in lower case.
        if named { Ok(Self(text.to_ascii_lowercase())) } else { Err(NotAName) }
    }
}

impl fmt::Display for Identifier {
    /// As SQL has it: `"name"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// Which table is asked: `DATABASE.TABLE`, or one of a database that is found by its location in S3: `DATABASE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// The database.
    pub database: Identifier,
    /// The table, where it is named.
    pub table: Option<Identifier>,
}

/// Why a text names no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("each takes letters, digits, underscores and hyphens")]
pub struct NotATable;

impl FromStr for TableName {
    type Err = NotATable;

    fn from_str(text: &str) -> Result<Self, NotATable> {
        let name = |text: &str| text.parse().map_err(|NotAName| NotATable);
        Ok(match text.split_once('.') {
            Some((database, table)) => Self { database: name(database)?, table: Some(name(table)?) },
            None => Self { database: name(text)?, table: None },
        })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.database.as_str())?;
        self.table.as_ref().map_or(Ok(()), |table| write!(f, ".{}", table.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_sql_acts_on_is_a_name() {
        for (text, shown) in
            [("logs.vpc_flow", "logs.vpc_flow"), ("Logs", "logs"), ("a.fl-1-daily", "a.fl-1-daily")]
        {
            assert_eq!(text.parse::<TableName>().expect("a table").to_string(), shown);
        }
        for text in ["", ".", "a.", ".b", "a.b.c", "a b", "a\"b", "a;b", "a'b", "logs.x/*", "é"] {
            assert_eq!(text.parse::<TableName>(), Err(NotATable), "{text}");
        }
    }
}
