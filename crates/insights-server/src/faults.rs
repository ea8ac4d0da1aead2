//! What can be made to go wrong, on which call and how often. Shared with the running server, so a
//! test can change its mind between two calls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The faults waiting to happen. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    waiting: Arc<Mutex<Vec<Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    operation: Operation,
    fault: Fault,
    times: Times,
}

/// A call of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `Logs_20140328.StartQuery`
    StartQuery,
    /// `Logs_20140328.GetQueryResults`
    GetQueryResults,
    /// `Logs_20140328.StopQuery`
    StopQuery,
    /// `Logs_20140328.DescribeLogGroups`
    DescribeLogGroups,
}

/// One way to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `ThrottlingException`, which the SDK retries by itself.
    Throttle,
    /// `LimitExceededException`, as with too many concurrent queries.
    LimitExceeded,
    /// `AccessDeniedException`.
    AccessDenied,
    /// Status 500 with `ServiceUnavailableException`.
    ServerError,
    /// Status 200 with a body that is not JSON.
    MalformedBody,
    /// The connection is reset instead of answered.
    ConnectionReset,
    /// The call is answered this much later. It adds to whatever else happens to the call.
    Delay(Duration),
    /// On `StartQuery`: the query is accepted, runs, and ends like this.
    EndAs(QueryEnd),
    /// On `StartQuery`: the query is accepted and stays `Scheduled`.
    NeverStarts,
}

/// How a query can end other than `Complete`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryEnd {
    /// The service gave up on it.
    Failed,
    /// Someone stopped it.
    Cancelled,
    /// It took more than 60 minutes.
    Timeout,
    /// The service does not know.
    Unknown,
}

/// How often a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// On this many of the next calls.
    Next(u32),
    /// Until `Faults::clear`.
    Always,
}

impl Faults {
    /// Lets a fault happen to the next calls of an operation. Faults of the same operation happen one
    /// after the other, in the order in which they were injected.
    ///
    /// # Panics
    /// When a fault that only `StartQuery` can have is meant for another operation: it would never
    /// show, and the test would prove nothing.
    pub fn inject(&self, operation: Operation, fault: Fault, times: Times) {
        let only_on_start = matches!(fault, Fault::EndAs(_) | Fault::NeverStarts);
        assert!(
            !only_on_start || operation == Operation::StartQuery,
            "{fault:?} happens on StartQuery alone"
        );
        self.waiting().push(Waiting { operation, fault, times });
    }

    /// Nothing goes wrong from here on.
    pub fn clear(&self) {
        self.waiting().clear();
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The delay and the fault of the call that is being answered, which are thereby used up.
    pub(crate) fn strike(&self, operation: Operation) -> (Option<Duration>, Option<Fault>) {
        let (mut delay, mut fault) = (None, None);
        self.waiting().retain_mut(|waiting| {
            if waiting.operation != operation || waiting.times == Times::Next(0) {
                return waiting.times != Times::Next(0);
            }
            match waiting.fault {
                Fault::Delay(by) if delay.is_none() => delay = Some(by),
                other if !matches!(other, Fault::Delay(_)) && fault.is_none() => fault = Some(other),
                _ => return true,
            }
            if let Times::Next(left) = &mut waiting.times {
                *left -= 1;
            }
            true
        });
        (delay, fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_one_operation_happen_in_turn_and_then_no_more() {
        let faults = Faults::default();
        faults.inject(Operation::StartQuery, Fault::Throttle, Times::Next(2));
        faults.inject(Operation::StartQuery, Fault::LimitExceeded, Times::Next(1));
        let struck: Vec<_> = (0..4).map(|_| faults.strike(Operation::StartQuery).1).collect();
        let expected = [Some(Fault::Throttle), Some(Fault::Throttle), Some(Fault::LimitExceeded), None];
        assert_eq!(struck, expected);
        assert_eq!(faults.strike(Operation::StopQuery), (None, None));
    }

    #[test]
    #[should_panic(expected = "StartQuery alone")]
    fn a_fault_that_could_never_show_is_not_taken() {
        Faults::default().inject(Operation::GetQueryResults, Fault::NeverStarts, Times::Always);
    }

    #[test]
    fn a_delay_adds_to_another_fault() {
        let faults = Faults::default();
        let second = Duration::from_secs(1);
        faults.inject(Operation::StopQuery, Fault::Delay(second), Times::Always);
        faults.inject(Operation::StopQuery, Fault::ServerError, Times::Next(1));
        assert_eq!(faults.strike(Operation::StopQuery), (Some(second), Some(Fault::ServerError)));
        assert_eq!(faults.strike(Operation::StopQuery), (Some(second), None));
        faults.clear();
        assert_eq!(faults.strike(Operation::StopQuery), (None, None));
    }
}
