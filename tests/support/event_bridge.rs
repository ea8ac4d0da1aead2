//! Rules of EventBridge and their API destinations, as a stack of ours describes them: what matches is sent by HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::checkout;
use super::http::{Answered, post};

/// How long a receiver may take: "API destinations as targets" in the Amazon EventBridge user guide gives it 5 seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// A stack of rules whose parameters have values.
pub(crate) struct Rules {
    resources: Value,
    parameters: BTreeMap<&'static str, String>,
}

impl Rules {
    /// The stack of a template in `deploy/`. Of HTTPS only what it protects is missing: the endpoint is on loopback.
    pub(crate) fn of(template: &str, parameters: &[(&'static str, &str)]) -> Self {
        let text = std::fs::read_to_string(checkout().join("deploy").join(template)).expect("there");
        let template: Value = serde_json::from_str(&text).expect("JSON");
        let parameters = parameters.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { resources: template["Resources"].clone(), parameters }
    }

    /// Hands an event to the rules. What the receiver answered to each that matched, with the rule's name.
    pub(crate) fn put(&self, event: &Value) -> Vec<(String, Answered)> {
        let resources = self.resources.as_object().expect("resources");
        let rules = resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::Events::Rule");
        let matching = rules.filter(|(_, rule)| matches(&rule["Properties"]["EventPattern"], event));
        matching
            .map(|(name, rule)| {
                let [target] = &rule["Properties"]["Targets"].as_array().expect("a list")[..] else {
                    panic!("one target: {rule}")
                };
                (name.clone(), self.invoke(target, input(target, event)))
            })
            .collect()
    }

    /// Calls a target's API destination. Source: "Connections for API targets" in the Amazon EventBridge user guide: the
    /// connection adds its header, and its body parameters to the body.
    fn invoke(&self, target: &Value, mut body: Value) -> Answered {
        let destination = self.attribute_of(&target["Arn"], "AWS::Events::ApiDestination");
        let connection = self.attribute_of(&destination["ConnectionArn"], "AWS::Events::Connection");
        let role = self.attribute_of(&target["RoleArn"], "AWS::IAM::Role");
        let allowed = &role["Policies"][0]["PolicyDocument"]["Statement"][0];
        assert_eq!(
            (&allowed["Action"], &allowed["Resource"]),
            (&Value::from("events:InvokeApiDestination"), &target["Arn"])
        );
        let auth = &connection["AuthParameters"];
        let added = auth["InvocationHttpParameters"]["BodyParameters"].as_array();
        for parameter in added.into_iter().flatten() {
            body[self.text(&parameter["Key"])] = self.text(&parameter["Value"]).into();
        }
        assert_eq!(destination["HttpMethod"], "POST");
        let key = &auth["ApiKeyAuthParameters"];
        let (name, value) = (self.text(&key["ApiKeyName"]), self.text(&key["ApiKeyValue"]));
        let headers = [(&name[..], &value[..]), ("Content-Type", "application/json; charset=utf-8")];
        post(&self.text(&destination["InvocationEndpoint"]), &headers, &body.to_string(), PATIENCE)
    }

    /// The properties of the resource whose ARN is asked for.
    fn attribute_of(&self, arn: &Value, of_type: &str) -> &Value {
        assert_eq!(arn["Fn::GetAtt"][1], "Arn", "{arn}");
        let resource = &self.resources[arn["Fn::GetAtt"][0].as_str().expect("a name")];
        assert_eq!(resource["Type"], of_type, "{arn}");
        &resource["Properties"]
    }

    fn text(&self, value: &Value) -> String {
        match value["Ref"].as_str() {
            Some(name) => self.parameters.get(name).unwrap_or_else(|| panic!("no value of {name}")).clone(),
            None => value.as_str().expect("text").to_owned(),
        }
    }
}

/// Whether a pattern matches. Source: "Amazon EventBridge event patterns" in its user guide, for values and prefixes.
fn matches(pattern: &Value, event: &Value) -> bool {
    let one = |pattern: &Value| match pattern.get("prefix").and_then(Value::as_str) {
        Some(prefix) => event.as_str().is_some_and(|text| text.starts_with(prefix)),
        None => pattern == event,
    };
    match pattern {
        Value::Object(fields) => fields.iter().all(|(name, of_field)| matches(of_field, &event[name])),
        Value::Array(any) => any.iter().any(one),
        other => panic!("no pattern: {other}"),
    }
}

/// What a target gets of an event. Source: `Target` in the Amazon EventBridge API reference: with an `InputPath` that
/// part of it, with an `InputTransformer` what its template makes of it.
fn input(target: &Value, event: &Value) -> Value {
    match (&target["InputPath"], &target["InputTransformer"]) {
        (Value::String(path), Value::Null) => at(path, event).clone(),
        (Value::Null, transformer @ Value::Object(_)) => transformed(transformer, event),
        other => panic!("{other:?}"),
    }
}

/// Source: "Amazon EventBridge input transformation" in its user guide: a variable is its JSON, and within quotes its
/// text.
fn transformed(transformer: &Value, event: &Value) -> Value {
    let mut text = transformer["InputTemplate"].as_str().expect("a template").to_owned();
    for (name, path) in transformer["InputPathsMap"].as_object().expect("paths") {
        let value = at(path.as_str().expect("a path"), event);
        let quoted = format!("<{name}>\"");
        if text.contains(&quoted) {
            text = text.replace(&quoted, &format!("{}\"", value.as_str().expect("text")));
        }
        text = text.replace(&format!("<{name}>"), &value.to_string());
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn at<'a>(path: &str, event: &'a Value) -> &'a Value {
    let path = path.strip_prefix('$').expect("a path").replace('.', "/");
    event.pointer(&path).unwrap_or_else(|| panic!("no {path} in {event}"))
}
