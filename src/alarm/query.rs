//! What a query of Metrics Insights asks for, as far as an alarm on it concerns us: which metric, of which
//! gateways, and whether it gives one series or one for each group.
//!
//! Source of the language: "Query components and syntax" in the Amazon CloudWatch user guide.

/// A query, read as far as we need.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Query {
    /// Whether it is on the metric of the alarms that we answer.
    pub(crate) ours: bool,
    /// Whether it adds the metric's values up.
    pub(super) sums: bool,
    /// Whether it gives one series for each group.
    pub(crate) grouped: bool,
    /// The gateways that its condition names.
    pub(crate) gateways: Vec<String>,
    /// The one zone that its condition names.
    pub(crate) zone: Option<String>,
    /// Whether it reads series that have a zone; `None` where its source does not say which dimensions they have.
    pub(crate) by_zone: Option<bool>,
    /// The one account that its condition names.
    pub(super) account: Option<String>,
}

impl Query {
    /// Reads an expression of an alarm; `None` where it is no query but metric math.
    pub(crate) fn read(expression: &str) -> Option<Self> {
        let words = words(expression);
        let is = |word: &Word, text: &str| !word.literal && word.text.eq_ignore_ascii_case(text);
        if !words.first().is_some_and(|word| is(word, "select")) {
            return None;
        }
        let named = |text: &str| words.iter().any(|word| word.text == text);
        let place = |text: &str| words.iter().position(|word| is(word, text));
        let condition = place("where").map_or(&[][..], |place| &words[place + 1..]);
        let schema = place("schema").map(|place| &words[place + 1..]);
        let schema =
            schema.map(|rest| rest.split(|word| !word.literal && word.text == ")").next().unwrap_or(rest));
        let end =
            condition.iter().position(|word| ["group", "order", "limit"].iter().any(|end| is(word, end)));
        let condition = &condition[..end.unwrap_or(condition.len())];
        let one = |mut values: Vec<String>| if values.len() == 1 { values.pop() } else { None };
        Some(Self {
            ours: named(super::METRIC) && named(super::NAMESPACE),
            sums: words.get(1).is_some_and(|word| is(word, "sum")),
            grouped: place("group").is_some(),
            gateways: values(condition, "NatGatewayId"),
            zone: one(values(condition, "AvailabilityZone")),
            by_zone: schema.map(|schema| schema.iter().any(|word| word.text == "AvailabilityZone")),
            account: one(values(condition, "AWS.AccountId")),
        })
    }

    /// The dimensions of which its condition allows one value.
    pub(super) fn conditions(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let gateway = self.gateways.first().filter(|_| self.gateways.len() == 1);
        let told = [("NatGatewayId", gateway), ("AvailabilityZone", self.zone.as_ref())];
        told.into_iter().filter_map(|(name, value)| Some((name, value?.as_str())))
    }
}

/// The values that a condition allows for a dimension: `name = 'value'`, `name IN ('value', …)`.
fn values(condition: &[Word], dimension: &str) -> Vec<String> {
    let mut values = Vec::new();
    for (place, word) in condition.iter().enumerate() {
        if word.text != dimension {
            continue;
        }
        let rest = &condition[place + 1..];
        match rest {
            [equals, value, ..] if equals.text == "=" && value.literal => values.push(value.text.clone()),
            [within, opened, ..] if within.text.eq_ignore_ascii_case("in") && opened.text == "(" => {
                let list = rest[2..].iter().take_while(|word| word.text != ")" || word.literal);
                values.extend(list.filter(|word| word.literal).map(|word| word.text.clone()));
            }
            _ => {}
        }
    }
    values.dedup();
    values
}

/// A word, an operator, or something in quotation marks.
struct Word {
    text: String,
    /// In quotation marks of either kind: names are written in double ones, values in single ones, but
    /// people mix them up.
    literal: bool,
}

fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.trim_start().chars().next() {
        rest = rest.trim_start();
        let (text, after, literal) = match first {
            '\'' | '"' => {
                let inner = &rest[1..];
                let end = inner.find(first).unwrap_or(inner.len());
                (&inner[..end], inner.get(end + 1..).unwrap_or_default(), true)
            }
            '!' | '<' | '>' => {
                let length = if rest[1..].starts_with(['=', '>']) { 2 } else { 1 };
                (&rest[..length], &rest[length..], false)
            }
            c if is_of_word(c) => {
                let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
                (&rest[..end], &rest[end..], false)
            }
            other => (&rest[..other.len_utf8()], &rest[other.len_utf8()..], false),
        };
        words.push(Word { text: text.to_owned(), literal });
        rest = after;
    }
    words
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || "_-./:".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_tells_its_gateways_where_its_condition_names_them() {
        let all = r#"SELECT SUM(ErrorPortAllocation) FROM "AWS/NATGateway""#;
        for (condition, gateways, zone) in [
            ("WHERE NatGatewayId = 'nat-0a1b2c3d4e5f60718'", "nat-0a1b2c3d4e5f60718", None),
            (
                r#"where "NatGatewayId"="nat-0a1b2c3d4e5f60718" order by SUM() desc"#,
                "nat-0a1b2c3d4e5f60718",
                None,
            ),
            (
                "WHERE NatGatewayId = 'nat-0a1b2c3d4e5f60718' AND AvailabilityZone = 'eu-west-1a'",
                "nat-0a1b2c3d4e5f60718",
                Some("eu-west-1a"),
            ),
            ("WHERE NatGatewayId IN ('nat-1', 'nat-2') LIMIT 5", "nat-1 nat-2", None),
            ("WHERE NatGatewayId = 'nat-1' OR NatGatewayId = 'nat-2'", "nat-1 nat-2", None),
            ("WHERE NatGatewayId != 'nat-1'", "", None),
            ("", "", None),
        ] {
            let query = Query::read(&format!("{all} {condition}")).expect("a query");
            assert_eq!(
                (query.gateways.join(" ").as_str(), query.zone.as_deref()),
                (gateways, zone),
                "{condition}"
            );
            assert!(query.ours && query.sums && !query.grouped, "{condition}");
        }
    }

    #[test]
    fn a_query_on_another_metric_and_one_that_groups_are_told_apart() {
        let read = |text: &str| Query::read(text).expect("a query");
        let schema = read(
            r#"SELECT MAX(ErrorPortAllocation) FROM SCHEMA("AWS/NATGateway", NatGatewayId) GROUP BY NatGatewayId"#,
        );
        assert!(schema.ours && schema.grouped && !schema.sums);
        assert_eq!(schema.by_zone, Some(false));
        let zones = r#"SELECT SUM(ErrorPortAllocation) FROM SCHEMA("AWS/NATGateway", AvailabilityZone, NatGatewayId) GROUP BY NatGatewayId"#;
        assert_eq!(read(zones).by_zone, Some(true));
        assert_eq!(read(r#"SELECT SUM(PacketsDropCount) FROM "AWS/NATGateway""#).by_zone, None);
        assert!(!read(r#"SELECT SUM(PacketsDropCount) FROM "AWS/NATGateway""#).ours);
        assert!(!read(r#"SELECT SUM(ErrorPortAllocation) FROM "Custom""#).ours);
        assert_eq!(Query::read("SUM(METRICS())"), None);
        assert_eq!(Query::read("selected + 1"), None);
        assert_eq!(Query::read(""), None);
        assert!(!read("SELECT 'open").ours);
    }
}
