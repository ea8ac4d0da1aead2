//! The fifth rung: AWS's article, mended. Nothing is parsed where Logs Insights discovers the fields; where it
//! does not, a glob takes the place of the regular expression. Equality tests only, ports rather than records,
//! and the destination's port and protocol beside its address.
//!
//! Source of the queries that it mends: "How do I resolve the `ErrorPortAllocation` error on my NAT gateway" in
//! the AWS Knowledge Center.

use super::legs::{Legs, alias};
use super::query::{Question, Scope, Unaskable, is_used};
use super::rung::Rung;
use super::text::Text;
use crate::flow::format::Column;
use crate::flow::{Field, LogFormat};

/// The discovered name of a field of the default format, which is what its alias stands for in other texts.
///
/// Source: "Supported logs and discovered fields" in the Amazon CloudWatch Logs user guide.
fn discovered(field: Field) -> Option<&'static str> {
    Some(match field {
        Field::InterfaceId => "interfaceId",
        Field::Srcaddr => "srcAddr",
        Field::Dstaddr => "dstAddr",
        Field::Srcport => "srcPort",
        Field::Dstport => "dstPort",
        Field::Protocol => "protocol",
        Field::Packets => "packets",
        Field::Bytes => "bytes",
        Field::Start => "startTime",
        Field::End => "endTime",
        Field::Action => "action",
        Field::LogStatus => "logStatus",
        _ => return None,
    })
}

pub(super) fn write(question: &Question<'_>, scope: &Scope, text: &mut Text) -> Result<(), Unaskable> {
    let legs = question.legs(scope);
    let plain = has_discovered_fields(question);
    let name = |field: Field| {
        if plain { discovered(field).map_or_else(|| alias(field), str::to_owned) } else { alias(field) }
    };
    let dialect = text.dialect();
    question.select_streams(scope, text);
    if !plain && question.table.is_none() {
        glob(question.format, text);
    }
    if question.format.has(Field::Action) {
        text.filter(format_args!("{} = {}", name(Field::Action), dialect.quoted("ACCEPT")));
    } else {
        text.filter(dialect.is_present(&name(Field::Start)));
    }
    narrow(question, scope, &name, text)?;
    let to_name = |name: &str| if plain { renamed(name) } else { name.to_owned() };
    // Which leg a row shows is told from its addresses, once the answer is there: what comes back to the gateway
    // has one port each, and so stands last.
    let gateway = dialect.list(&question.viewpoint.addresses);
    let (near, far) = (to_name(question.source()), to_name(question.target()));
    if !matches!(scope, Scope::Gateway) {
        text.filter(format_args!("{near} in {gateway} or {far} in {gateway}"));
    }
    let [ports, records, first, last, sent, octets] =
        ["ports", "records", "first", "last", "sent", "octets"].map(|stem| text.name(stem));
    let volumes: String = [(Field::Packets, sent), (Field::Bytes, octets)]
        .into_iter()
        .filter(|(field, _)| question.format.has(*field))
        .map(|(field, sum)| format!(", sum({}) as {sum}", name(field)))
        .collect();
    let aggregates = format!(
        "{} as {ports}, count(*) as {records}, min({}) as {first}, max({}) as {last}{volumes}",
        dialect.count_distinct(&name(Field::Srcport)),
        name(Field::Start),
        name(Field::End),
    );
    let [source, target] = [legs.source(), legs.target()].map(to_name);
    text.stats(
        aggregates,
        format_args!("{source}, {target}, {}, {}", name(Field::Dstport), name(Field::Protocol)),
    );
    text.put_first(&ports);
    Ok(())
}

/// Takes a record apart by its spaces. A line of more fields puts the rest into the last name.
fn glob(format: &LogFormat, text: &mut Text) {
    let mut stars = Vec::new();
    let mut names = Vec::new();
    for (index, column) in format.columns().iter().enumerate() {
        stars.push("*");
        names.push(match column {
            Column::Known(field) if is_used(*field) => text.name(&alias(*field)),
            _ => text.name(&format!("ntOther{index}")),
        });
    }
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    text.command(format_args!("parse @message \"{}\" as {}", stars.join(" "), names.join(", ")));
}

/// Chooses the gateway's records, where their stream does not.
fn narrow(
    question: &Question<'_>,
    scope: &Scope,
    name: &impl Fn(Field) -> String,
    text: &mut Text,
) -> Result<(), Unaskable> {
    match scope {
        Scope::Interfaces(interfaces) if !interfaces.is_empty() => {
            let interfaces = text.dialect().list(interfaces);
            text.filter(format_args!("{} in {interfaces}", name(Field::InterfaceId)));
        }
        Scope::Gateway => {
            let id = question.viewpoint.gateway.as_ref().filter(|_| question.format.has(Field::ResourceId));
            let id = id.ok_or(Unaskable::NoResourceId)?;
            let id = text.dialect().quoted(id);
            text.filter(format_args!("{} = {id}", name(Field::ResourceId)));
        }
        // The gateway's addresses narrow the rest.
        Scope::Streams(..) | Scope::Interfaces(_) | Scope::Clients(_) => {}
    }
    Ok(())
}

/// The text with the discovered names in the place of ours.
fn renamed(text: &str) -> String {
    LogFormat::version_2().columns().iter().fold(text.to_owned(), |text, column| match column {
        Column::Known(field) => {
            discovered(*field).map_or(text.clone(), |name| text.replace(&alias(*field), name))
        }
        Column::Unknown(_) => text,
    })
}

/// The names under which an answer of one minute holds the near and the far end, the port and the protocol.
pub(super) fn columns(question: &Question<'_>, legs: &Legs<'_>, rung: Rung) -> [String; 4] {
    let plain = rung == Rung::PlainFields && has_discovered_fields(question);
    let ours =
        [legs.source().to_owned(), legs.target().to_owned(), alias(Field::Dstport), alias(Field::Protocol)];
    if plain { ours.map(|name| renamed(&name)) } else { ours }
}

fn has_discovered_fields(question: &Question<'_>) -> bool {
    question.fields_discovered && *question.format == LogFormat::version_2()
}
