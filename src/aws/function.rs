//! The function itself: its next invocation, and whether there may be one.

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;

use super::Clients;
use super::errors::{Failure, within};
use crate::deadline::Deadline;
use crate::gap::Gap;

const INVOKE: &str = "lambda:InvokeFunction";

/// Longest that the call may take: its answer is one line, and the report waits for it.
const MAX_TIME: std::time::Duration = std::time::Duration::from_secs(5);

/// Invokes the function `name` with `event`, and does not wait for what it answers.
///
/// # Errors
/// In words, when Lambda did not take the event.
pub async fn invoke_later(
    clients: &Clients,
    name: &str,
    event: Vec<u8>,
    deadline: Deadline,
) -> Result<(), String> {
    let call = clients.lambda.invoke().function_name(name).invocation_type(InvocationType::Event);
    let taken = within(deadline.for_one_thing(MAX_TIME), INVOKE, async {
        let sent = call.payload(Blob::new(event)).send().await;
        sent.map_err(|error| Failure::of(INVOKE, &error))
    });
    taken.await.map(drop).map_err(|failure| failure.to_string())
}

/// Asks Lambda whether the function `name` may be invoked, and does not run it.
///
/// Source: `InvocationType` of `Invoke` in the AWS Lambda API reference: `DryRun` validates parameter values and verifies
/// that the role has permission to invoke the function.
///
/// # Errors
/// When Lambda says no, or says nothing.
pub(crate) async fn try_invoking(clients: &Clients, name: &str, deadline: Deadline) -> Result<(), Gap> {
    let call = clients.lambda.invoke().function_name(name).invocation_type(InvocationType::DryRun);
    let tried = within(deadline.for_one_thing(MAX_TIME), INVOKE, async {
        call.send().await.map_err(|error| Failure::of(INVOKE, &error))
    });
    let why_it_matters = "whether the function can go on where flow logs are late";
    tried.await.map(drop).map_err(|failure| failure.gap(why_it_matters, name))
}
