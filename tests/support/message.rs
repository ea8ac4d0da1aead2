//! A message as those read it who are subscribed.

use nat_triage::report::Message;
use serde_json::Value;

/// What people get: subject, attributes, mail, SMS and chat. What machines get goes to `check_json`.
pub(crate) fn people_get(message: &Message, check_json: impl FnOnce(&Value)) -> String {
    let body: Value = serde_json::from_str(&message.body).expect("JSON");
    let text = |key: &str| body[key].as_str().expect("text");
    check_json(&serde_json::from_str(text("default")).expect("JSON"));
    assert!(message.subject.len() <= 99 && message.subject.is_ascii(), "{}", message.subject);
    let chat: Value = serde_json::from_str(text("https")).expect("JSON");
    format!(
        "Subject: {}\n{:?}\n\n{}\n--- sms\n{}\n--- chat, in the thread {}\n{}\n",
        message.subject,
        message.attributes,
        text("email"),
        text("sms"),
        chat["metadata"]["threadId"].as_str().expect("text"),
        chat["content"]["description"].as_str().expect("text")
    )
}
