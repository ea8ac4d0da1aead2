//! What a person asks of the function without an alarm: `{"nat_gateway_id": "nat-…", "window": "START/END"}`.

use serde_json::Value;

use super::AlarmError;
use crate::incident::{NatGatewayId, TimeWindow};

const GATEWAY: &str = "nat_gateway_id";
const WINDOW: &str = "window";

/// What somebody asks about; what is left out is for the function to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The gateway; left out, the only one of the Region.
    pub gateway: Option<NatGatewayId>,
    /// The minutes; left out, the latest.
    pub window: Option<TimeWindow>,
}

/// The request that an event is; `None` where it has anything else in it, or nothing.
#[must_use]
pub fn request(event: &Value) -> Option<Result<Request, AlarmError>> {
    let object = event.as_object()?;
    let ours = |name: &String| name == GATEWAY || name == WINDOW;
    if object.is_empty() || !object.keys().all(ours) {
        return None;
    }
    Some(read(event))
}

fn read(event: &Value) -> Result<Request, AlarmError> {
    let text = |name: &'static str| match &event[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(AlarmError::Lacks { field: name }),
    };
    let gateway = text(GATEWAY)?.map(|text| text.parse()).transpose().map_err(AlarmError::Request)?;
    let window = text(WINDOW)?.map(|text| text.parse().and_then(TimeWindow::to_ask_about));
    let window = window.transpose().map_err(AlarmError::Request)?;
    Ok(Request { gateway, window })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_by_hand_names_only_a_gateway_or_minutes() {
        let id = "nat-0123456789abcdef0";
        let minutes = "2026-11-18T02:00:00Z/2026-11-18T02:10:00Z";
        let asked = |event: Value| request(&event).map(|asked| asked.expect("usable"));
        let whole = asked(json!({ GATEWAY: id, WINDOW: minutes })).expect("a request");
        assert_eq!((whole.gateway, whole.window), (id.parse().ok(), minutes.parse().ok()));
        assert_eq!(asked(json!({ WINDOW: null })), Some(Request { gateway: None, window: None }));
        assert_eq!(asked(json!({})), None);
        assert_eq!(asked(json!({ GATEWAY: id, "source": "aws.cloudwatch" })), None);
        for wrong in [
            json!({ GATEWAY: "nat-x; rm" }),
            json!({ WINDOW: "now" }),
            json!({ WINDOW: "2026-11-01T00:00:00Z/2026-11-13T00:00:00Z" }),
            json!({ WINDOW: 5 }),
        ] {
            assert!(request(&wrong).is_some_and(|asked| asked.is_err()), "{wrong}");
        }
    }
}
