//! Which metrics an alarm watches: the one that it is on, or those that its expression or its query reads.
//!
//! Three spellings of the same fields: `metricStat.metric.name` with a map of dimensions (Lambda, EventBridge),
//! `MetricStat.Metric.MetricName` with a list of `name` and `value` (SNS), and the list with `Name` and
//! `Value` of `DescribeAlarms`.

use serde_json::{Map, Value};

use super::query::Query;
use super::shapes::{get, named, seconds};

/// What an alarm is on.
#[derive(Clone, Debug)]
pub(super) enum Series {
    /// Metrics, some of which may be ours.
    Metrics(Vec<Metric>),
    /// Our metric, of whichever gateways a query finds: each of them tells of itself.
    Contributors,
    /// Our metric, of which neither query nor event names the gateway.
    Unnamed,
    /// Alarms beneath it, by name.
    Children(Vec<String>),
    /// Something else: what, in words.
    None(&'static str),
}

/// One metric of an alarm.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Metric {
    pub(super) namespace: String,
    pub(super) name: String,
    /// Sorted by name.
    pub(super) dimensions: Vec<(String, String)>,
    /// The account that has the metric, where the alarm names one.
    pub(super) account: Option<String>,
    /// Seconds of one datapoint.
    pub(super) period: Option<u32>,
    /// What a datapoint is of its samples, such as `Sum`.
    pub(super) stat: Option<String>,
    /// Whether the alarm watches the metric itself: not so for the inputs of an expression.
    pub(super) returned: bool,
}

impl Metric {
    /// Whether it is the one of the alarms that we answer.
    pub(super) fn is_ours(&self) -> bool {
        self.namespace == super::NAMESPACE && self.name == super::METRIC
    }

    /// The value of a dimension.
    pub(super) fn dimension(&self, name: &str) -> Option<&str> {
        self.dimensions.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }
}

/// An entry of the list of metrics.
struct Entry {
    id: String,
    expression: Option<String>,
    query: Option<Query>,
    metric: Option<Metric>,
    period: Option<u32>,
    account: Option<String>,
    returned: bool,
}

impl Entry {
    fn read(entry: &Value) -> Option<Self> {
        let object = entry.as_object()?;
        let text = |key: &str| get(object, key).and_then(Value::as_str).map(named);
        let returned = get(object, "ReturnData").and_then(Value::as_bool).unwrap_or(true);
        let account = text("AccountId");
        let expression = get(object, "Expression").and_then(Value::as_str).map(str::to_owned);
        let metric = get(object, "MetricStat").and_then(Value::as_object).and_then(|stat| {
            let metric = get(stat, "Metric")?.as_object()?;
            let name = get(metric, "MetricName").or_else(|| get(metric, "Name"))?;
            read_metric(metric, name, stat, returned, account.clone())
        });
        Some(Self {
            id: text("Id").unwrap_or_default(),
            query: expression.as_deref().and_then(Query::read),
            expression,
            metric,
            period: seconds(get(object, "Period")),
            account,
            returned,
        })
    }

    /// Our metric as its query asks for it, one for each gateway that it names.
    fn metrics_of_query(&self) -> Vec<Metric> {
        let Some(query) = self.query.as_ref().filter(|query| query.ours) else { return Vec::new() };
        let of_gateway = |gateway: &String| {
            let zone = query.zone.iter().map(|zone| ("AvailabilityZone", zone));
            let told = zone.chain([("NatGatewayId", gateway)]);
            self.metric_of_query(query, told.map(|(name, value)| (name.to_owned(), value.clone())).collect())
        };
        query.gateways.iter().map(of_gateway).collect()
    }

    fn metric_of_query(&self, query: &Query, mut dimensions: Vec<(String, String)>) -> Metric {
        dimensions.sort_unstable();
        dimensions.dedup_by(|a, b| a.0 == b.0);
        Metric {
            namespace: super::NAMESPACE.to_owned(),
            name: super::METRIC.to_owned(),
            dimensions,
            account: query.account.clone().or_else(|| self.account.clone()),
            period: self.period,
            stat: query.sums.then(|| "Sum".to_owned()),
            returned: self.returned,
        }
    }
}

/// The metric that has these fields beside its name, with the period and statistic of `stat`.
fn read_metric(
    metric: &Map<String, Value>,
    name: &Value,
    stat: &Map<String, Value>,
    returned: bool,
    account: Option<String>,
) -> Option<Metric> {
    let pair = |pair: &Value| {
        let pair = pair.as_object()?;
        Some((named(get(pair, "Name")?.as_str()?), named(get(pair, "Value")?.as_str()?)))
    };
    let mut dimensions: Vec<(String, String)> = match get(metric, "Dimensions") {
        Some(Value::Array(list)) => list.iter().filter_map(pair).collect(),
        Some(Value::Object(map)) => {
            map.iter().filter_map(|(name, value)| Some((named(name), named(value.as_str()?)))).collect()
        }
        _ => Vec::new(),
    };
    dimensions.sort_unstable();
    let statistic = get(stat, "Stat").or_else(|| get(stat, "Statistic"));
    Some(Metric {
        namespace: get(metric, "Namespace")?.as_str().map(named)?,
        name: name.as_str().map(named)?,
        dimensions,
        account,
        period: seconds(get(stat, "Period")),
        stat: statistic.and_then(Value::as_str).map(named),
        returned,
    })
}

/// What an alarm is on that has its metric's fields beside its own, as SNS and `DescribeAlarms` have them.
pub(super) fn of_one_metric(trigger: &Map<String, Value>) -> Series {
    let metric = get(trigger, "MetricName").and_then(|name| read_metric(trigger, name, trigger, true, None));
    Series::Metrics(metric.into_iter().collect())
}

/// What an alarm on these metrics is on.
pub(super) fn of_metrics(list: &[Value]) -> Series {
    let entries: Vec<Entry> = list.iter().filter_map(Entry::read).collect();
    let watched = watched(&entries);
    let asks = |entry: &&&Entry| entry.query.as_ref().is_some_and(|query| query.ours);
    let queries: Vec<&&Entry> = watched.iter().filter(asks).collect();
    if queries.iter().any(|entry| entry.returned && entry.query.as_ref().is_some_and(|query| query.grouped)) {
        return Series::Contributors;
    }
    let plain = |entries: &[&Entry]| -> Vec<Metric> {
        entries.iter().filter_map(|entry| entry.metric.clone()).collect()
    };
    let mut metrics = plain(&watched);
    metrics.extend(queries.iter().flat_map(|entry| entry.metrics_of_query()));
    if queries.is_empty() || metrics.iter().any(Metric::is_ours) {
        return Series::Metrics(metrics);
    }
    // A metric beside the query, though the alarm does not watch it, says of which gateway people think.
    let mut beside = plain(&entries.iter().collect::<Vec<_>>());
    beside.retain(Metric::is_ours);
    if beside.is_empty() { Series::Unnamed } else { Series::Metrics(beside) }
}

/// What one contributor of an alarm is: the query says which metric it is of, the attributes of which gateway,
/// and the query's condition what all contributors have in common.
pub(super) fn of_contributor(attributes: Option<&Value>, list: &[Value]) -> Series {
    let entries: Vec<Entry> = list.iter().filter_map(Entry::read).collect();
    let asks = |entry: &'_ Entry| entry.query.clone().filter(|query| query.ours);
    let Some((entry, query)) = entries.iter().find_map(|entry| Some((entry, asks(entry)?))) else {
        return Series::None("a contributor of an alarm on other metrics");
    };
    let told = attributes.and_then(Value::as_object).into_iter().flatten();
    let mut dimensions: Vec<(String, String)> =
        told.filter_map(|(name, value)| Some((named(name), named(value.as_str()?)))).collect();
    let account = dimensions.iter().find(|(name, _)| name == "AWS.AccountId").map(|(_, value)| value.clone());
    for (name, value) in query.conditions() {
        if dimensions.iter().all(|(other, _)| other != name) {
            dimensions.push((name.to_owned(), value.to_owned()));
        }
    }
    let metric = entry.metric_of_query(&query, dimensions);
    if metric.dimension("NatGatewayId").is_none() {
        return Series::Unnamed;
    }
    Series::Metrics(vec![Metric { account: account.or(metric.account.clone()), ..metric }])
}

/// The entries that the alarm's value is made of: those that it returns, and what their expressions read.
fn watched(entries: &[Entry]) -> Vec<&Entry> {
    let mut reached: Vec<bool> = entries.iter().map(|entry| entry.returned).collect();
    if !reached.contains(&true) {
        return entries.iter().collect();
    }
    let mut next: Vec<usize> = (0..entries.len()).filter(|place| reached[*place]).collect();
    while let Some(place) = next.pop() {
        let Entry { expression: Some(expression), query: None, .. } = &entries[place] else { continue };
        let words: Vec<&str> = expression.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        let all = words.iter().any(|word| word.eq_ignore_ascii_case("metrics"));
        for (other, entry) in entries.iter().enumerate() {
            if !reached[other] && (all || words.contains(&entry.id.as_str())) {
                reached[other] = true;
                next.push(other);
            }
        }
    }
    entries.iter().zip(reached).filter(|(_, reached)| *reached).map(|(entry, _)| entry).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain(id: &str, gateway: &str, returned: bool) -> Value {
        json!({ "id": id, "returnData": returned, "metricStat": { "period": 60, "stat": "Sum", "metric": {
            "namespace": "AWS/NATGateway", "name": "ErrorPortAllocation", "dimensions": { "NatGatewayId": gateway },
        } } })
    }

    fn math(id: &str, expression: &str, returned: bool) -> Value {
        json!({ "id": id, "expression": expression, "period": 60, "returnData": returned })
    }

    fn told(list: &[Value]) -> String {
        match of_metrics(list) {
            Series::Metrics(metrics) => {
                let gateways: Vec<&str> =
                    metrics.iter().filter_map(|m| m.dimension("NatGatewayId")).collect();
                gateways.join(" ")
            }
            other => format!("{other:?}"),
        }
    }

    const ALL: &str = r#"SELECT SUM(ErrorPortAllocation) FROM "AWS/NATGateway""#;

    #[test]
    fn an_expression_is_only_on_what_it_reads() {
        let list = [
            math("sum", "IF(both > 5, both)", true),
            math("both", "a + b", false),
            plain("a", "nat-a", false),
            plain("b", "nat-b", false),
            plain("ab", "nat-unread", false),
        ];
        assert_eq!(told(&list), "nat-a nat-b");
        let all =
            [math("sum", "SUM(METRICS())", true), plain("a", "nat-a", false), plain("b", "nat-b", false)];
        assert_eq!(told(&all), "nat-a nat-b");
        let round = [math("x", "y + a", true), math("y", "x + b", false), plain("a", "nat-a", false)];
        assert_eq!(told(&round), "nat-a");
        assert_eq!(told(&[plain("a", "nat-a", false)]), "nat-a");
        let band = [plain("m1", "nat-a", true), math("ad1", "ANOMALY_DETECTION_BAND(m1, 2)", true)];
        assert_eq!(told(&band), "nat-a");
    }

    #[test]
    fn a_query_is_on_the_gateways_that_are_named_with_it() {
        let of_one = format!("{ALL} WHERE NatGatewayId = 'nat-a'");
        assert_eq!(told(&[math("q1", &of_one, true)]), "nat-a");
        assert_eq!(told(&[math("m", "MAX(q1)", true), math("q1", &of_one, false)]), "nat-a");
        assert_eq!(told(&[math("q1", ALL, false), plain("m1", "nat-a", true)]), "nat-a");
        assert_eq!(told(&[math("q1", ALL, true), plain("m1", "nat-a", false)]), "nat-a");
        assert_eq!(told(&[math("q1", ALL, true)]), "Unnamed");
        let grouped = format!("{ALL} GROUP BY NatGatewayId");
        assert_eq!(told(&[math("q1", &grouped, true)]), "Contributors");
        assert_eq!(told(&[math("m", "MAX(q1)", true), math("q1", &grouped, false)]), "Unnamed");
        assert_eq!(told(&[math("q1", "SELECT SUM(PacketsDropCount) FROM \"AWS/NATGateway\"", true)]), "");
    }
}
