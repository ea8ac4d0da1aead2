//! The last rung: the gateway's records of the worst minute as they are, for the engine that reads files.

use super::query::{Question, Scope, Unaskable};
use super::text::Text;

/// Most records that are asked for: the most rows that Logs Insights answers with.
///
/// Source: "limit" in the Amazon CloudWatch Logs user guide.
pub(super) const MAX_RECORDS: usize = 100_000;

/// Writes the text: no record is taken apart. A regional gateway's are told by its id, which stands in
/// nothing else than its records.
pub(super) fn write(question: &Question<'_>, scope: &Scope, text: &mut Text) -> Result<(), Unaskable> {
    match scope {
        Scope::Streams(..) => question.select_streams(scope, text),
        Scope::Interfaces(interfaces) if !interfaces.is_empty() => text.command(filter(interfaces)),
        Scope::Gateway => {
            let id = question.viewpoint.gateway.as_ref().ok_or(Unaskable::NoResourceId)?;
            text.command(filter(std::slice::from_ref(id)));
        }
        Scope::Interfaces(_) => text.command(filter(&question.viewpoint.addresses)),
        Scope::Clients(servers) => text.command(filter(servers)),
    }
    text.command("fields @message");
    Ok(())
}

/// Lines that hold one of the texts. The engine that reads them looks at whole fields.
fn filter<T: ToString>(texts: &[T]) -> String {
    let tests: Vec<String> =
        texts.iter().map(|text| format!("@message like \"{}\"", text.to_string())).collect();
    format!("filter {}", tests.join(" or "))
}
