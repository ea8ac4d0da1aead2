//! The EventBridge bus that gets each message as an event, besides the topic.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use super::Clients;
use super::errors::{Failure, Kind, within};
use crate::deadline::Deadline;
use crate::report::{BusEvent, EVENT_SOURCE};

const PUT: &str = "events:PutEvents";

/// Longest that the call may take: the message itself has gone out by then.
const MAX_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// Puts an event on the bus of this name or ARN.
///
/// # Errors
/// In words, with what to do, when EventBridge did not take it.
pub async fn put_event(
    clients: &Clients,
    bus: &str,
    event: &BusEvent,
    deadline: Deadline,
) -> Result<(), String> {
    let entry = PutEventsRequestEntry::builder()
        .event_bus_name(bus)
        .source(EVENT_SOURCE)
        .detail_type(event.detail_type)
        .detail(&event.detail)
        .build();
    let call = clients.events.put_events().entries(entry);
    let put = within(deadline.for_one_thing(MAX_TIME), PUT, async {
        let output = call.send().await.map_err(|error| Failure::of(PUT, &error))?;
        // An entry can be refused in an answer that is none.
        let refused = output.entries().iter().find(|entry| entry.error_code().is_some());
        match refused {
            None => Ok(()),
            Some(entry) => Err(Failure {
                action: PUT,
                kind: Kind::Refused,
                code: entry.error_code().map(str::to_owned),
                message: entry.error_message().unwrap_or_default().to_owned(),
                request_id: None,
            }),
        }
    });
    put.await.map_err(|failure| format!("{failure}; {}", failure.fix(bus)))
}
