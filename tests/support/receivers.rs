//! Tools that take our events by HTTP, on loopback: they refuse what their makers' documents refuse.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

use jsonschema::Validator;
use serde_json::{Value, json};
use tiny_http::{Header, Request, Response, Server};

use super::contract::{assert_kept, assert_trouble, assert_warning};

/// Largest event: "Events API v2 overview" in PagerDuty's developer documentation.
const MAX_PAGERDUTY_EVENT: usize = 512 * 1024;

/// What became of each incident, by its key.
type Incidents = BTreeMap<String, Vec<&'static str>>;

/// PagerDuty's Events API V2.
pub(crate) struct PagerDuty {
    url: String,
    incidents: Arc<Mutex<Incidents>>,
}

impl PagerDuty {
    /// One service, with its integration's key.
    pub(crate) fn start(routing_key: &'static str) -> Self {
        let incidents: Arc<Mutex<Incidents>> = Arc::default();
        let kept = Arc::clone(&incidents);
        let schema = event_of_pagerduty();
        let url = listen("v2/enqueue", move |_, body| {
            let errors = refused(&schema, routing_key, body);
            if !errors.is_empty() {
                let answer = json!({ "status": "invalid event", "message": "Event object is invalid", "errors": errors });
                return (400, answer.to_string());
            }
            let event: Value = serde_json::from_str(body).expect("it was read before");
            let key = event["dedup_key"].as_str().expect("it was checked").to_owned();
            take_in(&mut kept.lock().expect("nobody panics with it"), &key, &event["event_action"]);
            let answer = json!({ "status": "success", "message": "Event processed", "dedup_key": key });
            (202, answer.to_string())
        });
        Self { url, incidents }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What became of each incident, in the order of the events.
    pub(crate) fn incidents(&self) -> Incidents {
        self.incidents.lock().expect("nobody panics with it").clone()
    }
}

/// Source: "Send an Alert Event" in PagerDuty's developer documentation: a trigger for an incident that is open is added
/// to it, and to resolve one that is not open does nothing.
fn take_in(incidents: &mut Incidents, key: &str, action: &Value) {
    let so_far = incidents.entry(key.to_owned()).or_default();
    match (action.as_str(), so_far.last()) {
        (Some("trigger"), None | Some(&"resolved")) => so_far.push("opened"),
        (Some("trigger"), Some(_)) => so_far.push("added to"),
        (Some("resolve"), Some(&"opened" | &"added to")) => so_far.push("resolved"),
        _ => {}
    }
}

/// Why PagerDuty refuses an event.
fn refused(schema: &Validator, routing_key: &str, body: &str) -> Vec<String> {
    let Ok(event) = serde_json::from_str::<Value>(body) else { return vec!["no JSON".into()] };
    let mut errors: Vec<String> = schema.iter_errors(&event).map(|error| error.to_string()).collect();
    if event["routing_key"] != routing_key {
        errors.push("'routing_key' is of no integration".into());
    }
    if body.len() > MAX_PAGERDUTY_EVENT {
        errors.push(format!("{} bytes", body.len()));
    }
    errors
}

/// Source: "Send an Alert Event" in PagerDuty's developer documentation: fields, types, lengths, which are required.
fn event_of_pagerduty() -> Validator {
    let text = |longest: usize| json!({ "type": "string", "minLength": 1, "maxLength": longest });
    let any = json!({ "type": "string" });
    let payload = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["summary", "source", "severity"],
        "properties": {
            "summary": text(1024),
            "source": { "type": "string", "minLength": 1 },
            "severity": { "enum": ["critical", "warning", "error", "info"] },
            "timestamp": { "type": "string", "format": "date-time" },
            "component": any, "group": any, "class": any,
            "custom_details": { "type": "object" },
        },
    });
    let schema = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["routing_key", "event_action"],
        "properties": {
            "routing_key": { "type": "string", "minLength": 32, "maxLength": 32 },
            "event_action": { "enum": ["trigger", "acknowledge", "resolve"] },
            "dedup_key": text(255),
            "payload": payload,
            "images": { "type": "array" },
            "links": { "type": "array" },
            "client": any, "client_url": any,
        },
        "if": { "properties": { "event_action": { "const": "trigger" } } },
        "then": { "required": ["payload"] },
        "else": { "required": ["dedup_key"] },
    });
    jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema")
}

/// A webhook that knows who calls by a header.
pub(crate) struct Webhook {
    url: String,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Webhook {
    pub(crate) fn start(header: &'static str, value: &'static str) -> Self {
        let taken: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = Arc::clone(&taken);
        let url = listen("nat-triage", move |request, body| {
            let is_it = |one: &&Header| one.field.equiv(header) && one.value.as_str() == value;
            if request.headers().iter().find(is_it).is_none() {
                return (401, "who calls?".into());
            }
            match serde_json::from_str::<Value>(body) {
                Ok(event) => kept.lock().expect("nobody panics with it").push(event),
                Err(error) => return (400, error.to_string()),
            }
            (200, String::new())
        });
        Self { url, taken }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it was sent, in JSON.
    pub(crate) fn taken(&self) -> Vec<Value> {
        self.taken.lock().expect("nobody panics with it").clone()
    }

    /// The events, each of which has a report that its schema describes.
    pub(crate) fn events(&self) -> Vec<Value> {
        let events = self.taken();
        for event in &events {
            let report = &event["report"];
            match report["schema"].as_str() {
                Some("nat-triage.diagnosis.v1") => assert_kept(report, "by the webhook"),
                Some("nat-triage.trouble.v1") => assert_trouble(report, "by the webhook"),
                Some("nat-triage.warning.v1") => assert_warning(report, "by the webhook"),
                other => panic!("no schema is {other:?}"),
            }
        }
        events
    }
}

/// Listens for JSON by POST on a path of a port of loopback; its URL.
fn listen(path: &str, answer: impl Fn(&Request, &str) -> (u16, String) + Send + 'static) -> String {
    let server = Server::http("127.0.0.1:0").expect("a port on loopback is free");
    let address = server.server_addr().to_ip().expect("an address on loopback");
    let path = format!("/{path}");
    let url = format!("http://{address}{path}");
    thread::spawn(move || {
        for mut request in server.incoming_requests() {
            let mut body = String::new();
            let read = request.as_reader().read_to_string(&mut body);
            let of_type = |one: &&Header| {
                one.field.equiv("Content-Type") && one.value.as_str().starts_with("application/json")
            };
            let (status, text) = match read {
                Err(error) => (400, error.to_string()),
                Ok(_) if request.url() != path => (404, request.url().to_owned()),
                Ok(_) if request.headers().iter().find(of_type).is_none() => (415, "JSON, please".into()),
                Ok(_) => answer(&request, &body),
            };
            // Whoever asked may have gone.
            let _ = request.respond(Response::from_string(text).with_status_code(status));
        }
    });
    url
}
