//! A flow log's format: which fields a line holds, in which order.

use std::fmt;
use std::str::FromStr;

use super::Field;

/// One column of a format. A field that a later version brings is kept as a column that is passed
/// over, so that the fields behind it are still found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// A field that this program knows.
    Known(Field),
    /// A field that it does not know; the name holds only lower-case letters, digits and hyphens.
    Unknown(Box<str>),
}

impl Column {
    /// The column that is called so; `None` where nothing can be.
    fn named(name: &str) -> Option<Self> {
        if let Some(field) = Field::from_any_name(name) {
            return Some(Self::Known(field));
        }
        let name = name.trim_start_matches('@').replace('_', "-").to_ascii_lowercase();
        let plausible = name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        plausible.then(|| Self::Unknown(name.into()))
    }

    /// The name in a format string, without `${}`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Known(field) => field.name(),
            Self::Unknown(name) => name,
        }
    }
}

/// Why a text is not a format that port use can be read from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// No field at all.
    #[error("the flow-log format is empty: give the fields as in the flow log's own format string")]
    Empty,
    /// A word that cannot be a field name.
    #[error(
        "{0:?} is not a flow-log field: expected names such as srcaddr or ${{pkt-srcaddr}}, separated by spaces"
    )]
    NotAField(String),
    /// One field twice.
    #[error("the flow-log format names {0} twice")]
    Repeated(Field),
    /// A transit gateway's: no NAT gateway's traffic is in it.
    #[error(
        "the fields are those of a transit gateway flow log ({0}), which shows no NAT gateway's ports: give the \
         flow log of the NAT gateway's own interface or VPC"
    )]
    TransitGateway(String),
    /// Fields without which held ports cannot be told.
    #[error(
        "the flow-log format lacks {missing}: ports cannot be counted without; create a second flow log that has it"
    )]
    Lacks {
        /// The missing fields, in words.
        missing: String,
    },
}

/// The columns of a flow log, in order. Holds every field that counting ports needs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LogFormat {
    columns: Vec<Column>,
}

impl LogFormat {
    /// The default format: the fourteen fields of version 2.
    #[must_use]
    pub fn version_2() -> Self {
        Self { columns: Field::DEFAULT.iter().copied().map(Column::Known).collect() }
    }

    /// The columns, in order; at least six.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether the format carries `field`.
    #[must_use]
    pub fn has(&self, field: Field) -> bool {
        self.position(field).is_some()
    }

    /// The position of `field` in a line, counted from 0.
    #[must_use]
    pub fn position(&self, field: Field) -> Option<usize> {
        self.columns.iter().position(|column| *column == Column::Known(field))
    }

    /// Whether the addresses of the packets themselves are there, which join client and destination.
    #[must_use]
    pub fn has_packet_addresses(&self) -> bool {
        self.has(Field::PktSrcaddr) && self.has(Field::PktDstaddr)
    }

    /// The format of a table whose columns are called so, in order. A column without a usable name is one to
    /// pass over, and so is one that only resembles a field which another is, such as a time made of `start`.
    ///
    /// # Errors
    /// When it holds a field twice, or lacks what counting ports needs.
    pub fn from_names<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, FormatError> {
        let names: Vec<&str> = names.into_iter().collect();
        let is_own = |name: &str, field: Field| name.replace('_', "-").eq_ignore_ascii_case(field.name());
        let column = |(index, name): (usize, &&str)| {
            let unknown = || Column::Unknown(format!("column-{}", index + 1).into());
            match Column::named(name) {
                Some(Column::Known(field)) if !is_own(name, field) => {
                    let another = names.iter().any(|other| is_own(other, field));
                    if another { unknown() } else { Column::Known(field) }
                }
                named => named.unwrap_or_else(unknown),
            }
        };
        Self::new(names.iter().enumerate().map(column).collect())
    }

    fn new(columns: Vec<Column>) -> Result<Self, FormatError> {
        let format = Self { columns };
        // Only they have a field of that name. Source: "Transit Gateway Flow Log records" in the AWS Transit
        // Gateway guide.
        if let Some(column) = format.columns.iter().find(|column| column.name().starts_with("tgw-")) {
            return Err(FormatError::TransitGateway(column.name().to_owned()));
        }
        for &field in Field::ALL {
            let times = format.columns.iter().filter(|c| **c == Column::Known(field)).count();
            if times > 1 {
                return Err(FormatError::Repeated(field));
            }
        }
        let lacks = |field: Field, instead: Field| {
            (!format.has(field) && !format.has(instead)).then(|| field.name().to_owned())
        };
        let missing: Vec<String> = [
            lacks(Field::Srcaddr, Field::PktSrcaddr),
            lacks(Field::Dstaddr, Field::PktDstaddr),
            lacks(Field::Srcport, Field::Srcport),
            lacks(Field::Dstport, Field::Dstport),
            lacks(Field::Protocol, Field::Protocol),
            lacks(Field::Start, Field::Start),
            lacks(Field::End, Field::End),
        ]
        .into_iter()
        .flatten()
        .collect();
        if missing.is_empty() { Ok(format) } else { Err(FormatError::Lacks { missing: missing.join(", ") }) }
    }
}

impl FromStr for LogFormat {
    type Err = FormatError;

    /// Reads a format string, `${srcaddr} ${dstaddr} …`, also as Terraform writes it, `$${srcaddr} …`; a header
    /// line, `srcaddr dstaddr …`; or the names with commas, quotes or line ends between them.
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let between = |c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@'));
        let mut columns = Vec::new();
        for word in text.split(between).filter(|word| !word.is_empty()) {
            let column = Column::named(word);
            columns.push(column.ok_or_else(|| FormatError::NotAField(word.chars().take(64).collect()))?);
        }
        if columns.is_empty() {
            return Err(FormatError::Empty);
        }
        if let (false, Some(first)) =
            (columns.iter().any(|column| matches!(column, Column::Known(_))), columns.first())
        {
            return Err(FormatError::NotAField(first.name().to_owned()));
        }
        Self::new(columns)
    }
}

impl fmt::Display for LogFormat {
    /// As the flow log's own format string has it: `${version} ${account-id} …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, column) in self.columns.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}${{{}}}", column.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_string_and_a_header_line_say_the_same() {
        let from_aws: LogFormat = LogFormat::version_2().to_string().parse().expect("valid");
        let header = Field::DEFAULT.iter().map(|f| f.name()).collect::<Vec<_>>().join(" ");
        assert_eq!(from_aws, header.parse().expect("valid"));
    }

    #[test]
    fn a_format_reads_as_terraform_the_console_and_people_write_it() {
        let right = LogFormat::version_2();
        let names: Vec<&str> = right.columns().iter().map(Column::name).collect();
        for written in [
            right.to_string().replace('$', "$$"),
            format!("\"{right}\""),
            names.join(","),
            names.join(", "),
            names.join("\n"),
            format!("['{}']", names.join("', '")),
            right.to_string().replace("} $", "}$"),
            right.to_string().replace('-', "_").to_uppercase(),
        ] {
            assert_eq!(written.parse::<LogFormat>().as_ref(), Ok(&right), "{written}");
        }
    }

    #[test]
    fn a_column_that_only_resembles_a_field_gives_way_to_it() {
        let names = "start_time,srcaddr,dstaddr,srcport,dstport,protocol,start,end,,log_status".split(',');
        let format = LogFormat::from_names(names).expect("valid");
        assert_eq!((format.position(Field::Start), format.position(Field::LogStatus)), (Some(6), Some(9)));
    }

    #[test]
    fn a_transit_gateways_fields_are_refused_by_name() {
        let fields = "version tgw-id tgw-attachment-id srcaddr dstaddr srcport dstport protocol start end";
        let refused = fields.parse::<LogFormat>().expect_err("refused");
        assert!(refused.to_string().contains("transit gateway flow log (tgw-id)"), "{refused}");
    }

    #[test]
    fn a_field_of_a_later_version_is_kept_as_a_column_to_pass_over() {
        let text = "srcaddr from-the-future dstaddr srcport dstport protocol start end";
        let format: LogFormat = text.parse().expect("valid");
        assert_eq!(format.position(Field::Dstaddr), Some(2));
    }

    #[test]
    fn a_format_without_ports_or_with_a_field_twice_is_refused() {
        let lacking = "srcaddr dstaddr protocol start end".parse::<LogFormat>().expect_err("refused");
        assert!(lacking.to_string().contains("srcport, dstport"), "{lacking}");
        let twice = "srcaddr srcaddr dstaddr".parse::<LogFormat>().expect_err("refused");
        assert_eq!(twice, FormatError::Repeated(Field::Srcaddr));
        assert!(matches!("ERROR something".parse::<LogFormat>(), Err(FormatError::NotAField(_))));
    }
}
