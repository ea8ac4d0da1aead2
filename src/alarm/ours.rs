//! What concerns us at all: on a shared topic or rule the alarms of a NAT gateway are few among others, and
//! what we publish there comes back.

use serde_json::{Map, Value};

use crate::incident::NatGatewayId;

/// Whether an object is one of our own messages: a diagnosis, what went wrong, or either for a chat.
pub(super) fn is_our_message(object: &Map<String, Value>) -> bool {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let custom = text("source") == "custom" && object.contains_key("content");
    text("schema").starts_with("nat-triage.") || custom && is_our_id(text("id"))
}

/// Whether a text is one of our mails, which end with the id of their report.
pub(super) fn is_our_mail(text: &str) -> bool {
    text.rsplit("Report id: ").next().is_some_and(|id| id.len() < text.len() && is_our_id(id))
}

fn is_our_id(text: &str) -> bool {
    text.starts_with("nt-") || text == "nat-triage"
}

/// Whether a text names the metric, its namespace or dimension, or a NAT gateway.
pub(super) fn names_ours(text: &str) -> bool {
    [super::METRIC, super::NAMESPACE, "NatGatewayId"].iter().any(|name| text.contains(name))
        || text.to_ascii_lowercase().contains("nat gateway")
        || names_gateway(text)
}

/// Whether the id of a NAT gateway stands in a text.
fn names_gateway(text: &str) -> bool {
    text.match_indices("nat-").any(|(place, prefix)| {
        let digits = text[place + prefix.len()..].bytes().take_while(u8::is_ascii_hexdigit).count();
        text[place..place + prefix.len() + digits].parse::<NatGatewayId>().is_ok()
    })
}

/// Whether the name or the rule of an alarm speaks of NAT, as people name such alarms: `nat-any`, `NAT ports`.
pub(super) fn speaks_of_nat(text: &str) -> bool {
    let text = text.to_ascii_lowercase().replace("nat-triage", "");
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    names_ours(&text)
        || ["errorportallocation", "natgateway", "portallocation", "port-allocation", "port_allocation"]
            .iter()
            .any(|name| text.contains(name))
        || words.any(|word| ["nat", "natgw", "snat"].contains(&word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_we_publish_is_known_again_in_every_form() {
        let ours = |value: Value| is_our_message(value.as_object().expect("an object"));
        assert!(ours(json!({ "schema": "nat-triage.diagnosis.v1", "id": "nt-0000000000000000" })));
        assert!(ours(json!({ "schema": "nat-triage.trouble.v1" })));
        assert!(ours(json!({ "version": "1.0", "source": "custom", "id": "nt-1", "content": {} })));
        assert!(ours(crate::report::chat::note("x").clone()));
        assert!(!ours(json!({ "version": "1.0", "source": "custom", "id": "x", "content": {} })));
        assert!(!ours(json!({ "schema": "another" })));
        assert!(is_our_mail("203.0.113.10:443 is full.\n\nReport id: nt-0123456789abcdef\n"));
        assert!(!is_our_mail("Report id: 7") && !is_our_mail("nt-0") && !is_our_mail(""));
    }

    #[test]
    fn a_text_that_names_a_gateway_or_the_metric_is_told() {
        for text in ["nat-0a1b2c3d4e5f60718 is full", "ErrorPortAllocation > 0", "the NAT gateway"] {
            assert!(names_ours(text), "{text}");
        }
        for text in ["Your budget has been exceeded.", "nat-", "nat-triage-alarms", "nat-shop", "natural"] {
            assert!(!names_ours(text), "{text}");
        }
        for text in
            ["nat-any", "NAT ports", "ALARM(\"prod_nat\")", "ErrorPortAllocation", "NatGateway-errors"]
        {
            assert!(speaks_of_nat(text), "{text}");
        }
        for text in ["shop", "shop-errors", "signature", "nat-triage-failures", "coordinates"] {
            assert!(!speaks_of_nat(text), "{text}");
        }
    }
}
