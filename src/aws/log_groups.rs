//! What CloudWatch Logs says of the log groups that hold the flow logs: how far back they reach, and
//! whether Logs Insights can ask them cheaply, or at all.

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::{LogGroup as Described, LogGroupClass};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::errors::{Failure, within};
use crate::deadline::Deadline;
use crate::gap::Gap;
use crate::network::{FlowLog, LogClass};

const DESCRIBE: &str = "logs:DescribeLogGroups";

/// Most log groups that are asked after, as one query may name no more.
///
/// Source: `StartQuery` in the CloudWatch Logs API.
const MOST_GROUPS: usize = 50;

/// Completes `logs` with what is known of their log groups. What could not be found out is one gap: the
/// queries run all the same.
pub(super) async fn look_up(
    client: &Client,
    logs: &mut [FlowLog],
    now: Timestamp,
    deadline: Deadline,
) -> Option<Gap> {
    let mut names: Vec<String> = logs.iter().filter_map(|log| log.log_group.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(MOST_GROUPS);
    let answers = join_all(names.iter().map(|name| described(client, name, deadline))).await;
    let mut failed = None;
    for (name, answer) in names.iter().zip(answers) {
        match answer {
            Ok(Some(group)) => {
                for log in logs.iter_mut().filter(|log| log.log_group.as_ref() == Some(name)) {
                    log.log_class = class(&group);
                    log.kept_from = kept_from(&group, now);
                    log.stored_bytes = group.stored_bytes().and_then(|bytes| u64::try_from(bytes).ok());
                }
            }
            // The query says so itself, and what to do.
            Ok(None) => {}
            Err(failure) => failed = Some(failure),
        }
    }
    Some(failed?.gap("how far back the flow logs' log groups reach", "*"))
}

/// One log group by its name, or by its ARN where it is another account's.
async fn described(client: &Client, group: &str, deadline: Deadline) -> Result<Option<Described>, Failure> {
    let arn = group.starts_with("arn:").then(|| group.trim_end_matches(":*"));
    let request = match arn {
        Some(arn) => client.describe_log_groups().log_group_identifiers(arn),
        None => client.describe_log_groups().log_group_name_prefix(group),
    };
    let answer = within(deadline, DESCRIBE, async {
        request.send().await.map_err(|error| Failure::of(DESCRIBE, &error))
    });
    // Names sort by character, so that a name comes before every longer one that begins with it.
    let same = |described: &Described| match arn {
        Some(arn) => described.log_group_arn() == Some(arn),
        None => described.log_group_name() == Some(group),
    };
    Ok(answer.await?.log_groups.unwrap_or_default().into_iter().find(same))
}

fn class(group: &Described) -> Option<LogClass> {
    match group.log_group_class()? {
        LogGroupClass::Standard => Some(LogClass::Standard),
        LogGroupClass::InfrequentAccess => Some(LogClass::InfrequentAccess),
        LogGroupClass::Delivery => Some(LogClass::Delivery),
        _ => Some(LogClass::Other),
    }
}

/// The earliest record that can be there: none is older than its group, or than what that keeps.
fn kept_from(group: &Described, now: Timestamp) -> Option<Timestamp> {
    let created = group.creation_time().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let days = group.retention_in_days().filter(|days| *days > 0);
    let retained =
        days.and_then(|days| now.checked_sub(SignedDuration::from_hours(i64::from(days) * 24)).ok());
    created.max(retained)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATED: i64 = 1_760_000_000_000;

    fn time(text: &str) -> Timestamp {
        text.parse().expect("valid")
    }

    #[test]
    fn a_group_reaches_back_to_its_creation_or_to_what_it_keeps() {
        let now = time("2026-11-20T00:00:00Z");
        let group = Described::builder().creation_time(CREATED);
        let created = Timestamp::from_millisecond(CREATED).ok();
        assert_eq!(kept_from(&group.clone().build(), now), created);
        assert_eq!(
            kept_from(&group.clone().retention_in_days(7).build(), now),
            Some(time("2026-11-13T00:00:00Z"))
        );
        assert_eq!(kept_from(&group.retention_in_days(3653).build(), now), created);
        assert_eq!(kept_from(&Described::builder().build(), now), None);
    }

    #[test]
    fn a_class_of_a_later_api_is_not_known() {
        let of = |class| class_of(LogGroupClass::from(class));
        assert_eq!(of("INFREQUENT_ACCESS"), Some(LogClass::InfrequentAccess));
        assert_eq!(of("DELIVERY"), Some(LogClass::Delivery));
        assert_eq!(of("ESSENTIALS"), Some(LogClass::Other));
    }

    fn class_of(of: LogGroupClass) -> Option<LogClass> {
        class(&Described::builder().log_group_class(of).build())
    }
}
