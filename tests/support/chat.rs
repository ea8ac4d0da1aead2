//! What Amazon Q Developer in chat applications accepts of a custom notification.

use serde_json::Value;

/// Checks a notification against the documented fields and limits.
///
/// Source: "Custom notifications" in its administrator guide.
pub(crate) fn assert_shown(chat: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned();
    let length = |value: &Value| text(value).chars().count();
    assert_eq!((text(&chat["version"]), text(&chat["source"])), ("1.0".into(), "custom".into()));
    let content = &chat["content"];
    assert_eq!(text(&content["textType"]), "client-markdown");
    assert!((1..=250).contains(&length(&content["title"])), "{chat:#}");
    assert!((1..=8_000).contains(&length(&content["description"])), "{chat:#}");
    assert!(content["nextSteps"].as_array().expect("a list").iter().all(|step| length(step) <= 350));
    assert!(content["keywords"].as_array().expect("a list").iter().all(|word| length(word) <= 75));
    assert!(length(&chat["metadata"]["threadId"]) > 0);
    let context = chat["metadata"].get("additionalContext").and_then(Value::as_object);
    assert!(context.is_none_or(|context| context.values().all(Value::is_string)), "{chat:#}");
}
