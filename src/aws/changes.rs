//! What was changed before an alarm, as CloudTrail's event history has it.
//!
//! One request takes one filter. "Not read-only" finds everything, of whatever, but in an account in which much happens
//! two pages of it reach back a few minutes only. So the gateway is asked after by its name as well, and so is what
//! holds most ports, once that is known and where the pages do not reach back far enough. The latter is the only one that
//! a report waits for; the others are asked beside the flow logs.

use std::time::Duration;

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use super::errors::{Failure, cleaned, within};
use crate::deadline::Deadline;
use crate::gap::Gap;
use crate::incident::Incident;
use crate::network::{Change, Changes, Handles};

const LOOK_UP: &str = "cloudtrail:LookupEvents";

const WHAT: &str = "what was changed before";

/// Most pages of changes of whatever. Each request counts against what the whole account may ask.
const MAX_PAGES: usize = 2;

/// Events of one page (`MaxResults` of `LookupEvents` in the AWS CloudTrail API reference: 50 at most).
const PAGE: i32 = 50;

/// Most names of the greatest holder that are asked after.
const MAX_HOLDER_NAMES: usize = 2;

/// Most names that are kept of one change.
const MAX_NAMES: usize = 20;

/// Longest that all of it may take. In large Regions an answer takes seconds.
const MAX_TIME: Duration = Duration::from_secs(8);

/// The same of what is asked after the greatest holder: a report waits for it.
const MAX_HOLDER_TIME: Duration = Duration::from_secs(5);

/// Two requests begin at once; a third one waits for so long. "Two per second, per account, per Region".
///
/// Source: `LookupEvents` in the AWS CloudTrail API reference.
const BETWEEN: Duration = Duration::from_secs(1);

/// How long CloudTrail keeps events that can be looked up.
///
/// Source: as above.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What was changed before an incident, by whatever was changed and by its gateway's name.
pub(super) async fn before(
    client: &Client,
    incident: &Incident,
    now: Timestamp,
    deadline: Deadline,
) -> (Option<Changes>, Option<Gap>) {
    let Some(mut changes) = Changes::before(incident, now) else { return (None, None) };
    if now.checked_sub(KEPT).is_ok_and(|kept| changes.from < kept) {
        let gap = Gap::new(
            WHAT,
            "CloudTrail's event history holds 90 days",
            "look for it in the files of a trail, where there is one",
        );
        return (None, Some(gap));
    }
    let deadline = deadline.for_one_thing(MAX_TIME);
    let gateway = incident.gateway.as_ref().map(ToString::to_string);
    let (everything, of_gateway) =
        tokio::join!(pages(client, &changes, deadline), of_names(client, &changes, gateway, deadline));
    let failure = match everything {
        Ok(Pages { events, read_from, stopped }) => {
            changes.read_from = read_from;
            changes.add(events.iter().filter_map(change));
            stopped
        }
        Err(refused) => Some(refused),
    };
    let failure = failure.or(take_in(&mut changes, of_gateway));
    let nothing_read = changes.read_from >= changes.until && changes.asked_after.is_empty();
    (Some(changes).filter(|_| !nothing_read), failure.map(|failure| failure.gap(WHAT, "*")))
}

/// Adds what was changed of the greatest holder, where the changes of whatever do not reach back far enough.
pub(super) async fn of_holder(
    client: &Client,
    changes: &mut Changes,
    holder: &Handles,
    deadline: Deadline,
) -> Option<Gap> {
    if changes.is_whole() {
        return None;
    }
    let names = [
        &holder.scaling_group,
        &holder.ecs_service,
        &holder.lambda_function,
        &holder.eks_cluster,
        &holder.instance_id,
    ];
    let names: Vec<String> = names.into_iter().flatten().take(MAX_HOLDER_NAMES).cloned().collect();
    let found = of_names(client, changes, names, deadline.for_one_thing(MAX_HOLDER_TIME)).await;
    take_in(changes, found).map(|failure| failure.gap(WHAT, "*"))
}

/// The events of each of some names, or why there are none.
type ByName = Vec<(String, Result<Page, Failure>)>;

async fn of_names(
    client: &Client,
    changes: &Changes,
    names: impl IntoIterator<Item = String>,
    deadline: Deadline,
) -> ByName {
    let asked = names.into_iter().map(|name| async move {
        let page = page(client, changes, LookupAttributeKey::ResourceName, &name, None, deadline).await;
        (name, page)
    });
    join_all(asked).await
}

/// Adds what names brought, and gives back the first refusal.
fn take_in(changes: &mut Changes, found: ByName) -> Option<Failure> {
    let mut failure = None;
    for (name, page) in found {
        match page {
            Ok(page) => {
                changes.add(page.events.iter().filter_map(change));
                // With more than one page it is not known what the others hold.
                if page.next.is_none() {
                    changes.asked_after.push(name);
                }
            }
            Err(refused) => failure = failure.or(Some(refused)),
        }
    }
    failure
}

/// Pages of changes of whatever, and how far back they reach.
struct Pages {
    events: Vec<Event>,
    read_from: Timestamp,
    /// Why a page after the first one is missing.
    stopped: Option<Failure>,
}

async fn pages(client: &Client, changes: &Changes, deadline: Deadline) -> Result<Pages, Failure> {
    let again = Instant::now() + BETWEEN;
    let ask = |token| page(client, changes, LookupAttributeKey::ReadOnly, "false", token, deadline);
    let Page { mut events, mut next } = ask(None).await?;
    let mut stopped = None;
    for _ in 1..MAX_PAGES {
        if next.is_none() {
            break;
        }
        sleep_until(again).await;
        match ask(next.take()).await {
            Ok(page) => {
                events.extend(page.events);
                next = page.next;
            }
            // What was read stays.
            Err(refused) => {
                stopped = Some(refused);
                break;
            }
        }
    }
    let whole = next.is_none() && stopped.is_none();
    let earliest = events.iter().filter_map(time).min();
    let read_from = if whole { changes.from } else { earliest.unwrap_or(changes.until) };
    Ok(Pages { events, read_from, stopped })
}

/// The latest events first.
struct Page {
    events: Vec<Event>,
    next: Option<String>,
}

async fn page(
    client: &Client,
    changes: &Changes,
    key: LookupAttributeKey,
    value: &str,
    token: Option<String>,
    deadline: Deadline,
) -> Result<Page, Failure> {
    let filter = LookupAttribute::builder().attribute_key(key).attribute_value(value).build();
    let filter = filter.expect("both parts are given");
    let request = client
        .lookup_events()
        .lookup_attributes(filter)
        .start_time(DateTime::from_secs(changes.from.as_second()))
        .end_time(DateTime::from_secs(changes.until.as_second()))
        .max_results(PAGE)
        .set_next_token(token);
    let answer = within(deadline, LOOK_UP, async {
        request.send().await.map_err(|error| Failure::of(LOOK_UP, &error))
    });
    let answer = answer.await?;
    Ok(Page { next: answer.next_token, events: answer.events.unwrap_or_default() })
}

fn time(event: &Event) -> Option<Timestamp> {
    Timestamp::from_second(event.event_time()?.secs()).ok()
}

/// What an event says was changed; `None` where the call failed, and so changed nothing. Access keys and whatever else
/// stands in it are left out.
fn change(event: &Event) -> Option<Change> {
    let record: Value =
        event.cloud_trail_event().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    if record["errorCode"].is_string() {
        return None;
    }
    let mut on: Vec<String> = Vec::new();
    let mut keep = |name: &str| {
        let name = cleaned(name);
        if on.len() < MAX_NAMES && !name.is_empty() && !on.contains(&name) {
            on.push(name);
        }
    };
    named(&record["requestParameters"], &mut keep);
    named(&record["responseElements"], &mut keep);
    event
        .resources()
        .iter()
        .filter_map(|resource| resource.resource_name())
        .filter(|name| !is_access_key(name))
        .for_each(&mut keep);
    let identity = &record["userIdentity"];
    let service = identity["invokedBy"].as_str();
    Some(Change {
        at: time(event)?,
        event_id: event.event_id().map(cleaned),
        source: cleaned(event.event_source()?),
        name: cleaned(event.event_name()?),
        user: event.username().or(service).map(cleaned),
        role: identity["sessionContext"]["sessionIssuer"]["userName"].as_str().map(cleaned),
        on,
    })
}

/// Of the parameters of a call those that name what it changes. No others are kept: they may hold secrets, such as the
/// environment of a container. Newer calls of EC2 begin theirs with a capital letter.
///
/// Sources: the parameters of the calls in the API references that `network::changes` names.
const NAMING: [&str; 28] = [
    "allocationId",
    "associationId",
    "autoScalingGroupName",
    "cluster",
    "clusterName",
    "destinationCidrBlock",
    "destinationPrefixListId",
    "functionName",
    "groupId",
    "instanceId",
    "instanceIds",
    "natGatewayId",
    "networkAclId",
    "networkInterfaceId",
    "nodegroupName",
    "publicIp",
    "resourceId",
    "routeTableId",
    "securityGroupIds",
    "securityGroups",
    "service",
    "serviceName",
    "subnetId",
    "subnetIds",
    "subnets",
    "transitGatewayId",
    "vpcEndpointId",
    "vpcId",
];

/// Levels of parameters that are looked into.
const MAX_DEPTH: usize = 8;

/// Hands on the names in the parameters of a call.
fn named(parameters: &Value, keep: &mut impl FnMut(&str)) {
    // What EKS calls a cluster. Deeper ones are names of variables and the like.
    if let Some(name) = parameters["name"].as_str() {
        keep(name);
    }
    named_within(parameters, MAX_DEPTH, keep);
}

fn named_within(value: &Value, depth: usize, keep: &mut impl FnMut(&str)) {
    if depth == 0 {
        return;
    }
    let is_naming = |key: &str| NAMING.iter().any(|naming| key.eq_ignore_ascii_case(naming));
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if is_naming(key) => keep(text),
                    Value::Array(items) if is_naming(key) => {
                        items.iter().filter_map(Value::as_str).for_each(&mut *keep);
                    }
                    _ => named_within(value, depth - 1, keep),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| named_within(item, depth - 1, keep)),
        _ => {}
    }
}

/// Whether a name is the id of an access key, which CloudTrail lists among resources.
///
/// Source: "IAM identifiers" in the IAM user guide.
fn is_access_key(name: &str) -> bool {
    ["AKIA", "ASIA"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudtrail::types::Resource;
    use serde_json::json;

    use super::*;

    fn event(name: &str, record: &Value) -> Event {
        Event::builder()
            .event_id("a6e1634d-4fa3-4b99-be61-9524e513b911")
            .event_name(name)
            .event_source("ec2.amazonaws.com")
            .event_time(DateTime::from_secs(1_795_000_000))
            .access_key_id("AKIAIOSFODNN7EXAMPLE")
            .username("jane")
            .resources(
                Resource::builder().resource_name("rtb-1").resource_type("AWS::EC2::RouteTable").build(),
            )
            .resources(Resource::builder().resource_name("ASIAIOSFODNN7EXAMPLE").build())
            .cloud_trail_event(record.to_string())
            .build()
    }

    #[test]
    fn a_change_keeps_names_and_nothing_else_of_a_call() {
        let record = json!({
            "userIdentity": {
                "type": "AssumedRole",
                "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
                "sessionContext": { "sessionIssuer": { "userName": "deploy" } },
            },
            "requestParameters": {
                "CreateNatGatewayRequest": { "AllocationId": "eipalloc-1", "SubnetId": "subnet-1" },
                "environment": { "variables": { "PASSWORD": "secret" } },
                "vpcConfig": { "subnetIds": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-1"] },
                "instancesSet": { "items": [{ "instanceId": "i-1" }, { "instanceId": "i-2" }] },
            },
            "responseElements": { "CreateNatGatewayResponse": { "natGateway": { "natGatewayId": "nat-1" } } },
        });
        let change = change(&event("CreateNatGateway", &record)).expect("a change");
        assert_eq!(change.on, ["eipalloc-1", "subnet-1", "i-1", "i-2", "sg-1", "subnet-2", "nat-1", "rtb-1"]);
        assert_eq!((change.user.as_deref(), change.role.as_deref()), (Some("jane"), Some("deploy")));
        let kept = serde_json::to_string(&change).expect("JSON");
        assert!(!kept.contains("secret") && !kept.contains("EXAMPLE"), "{kept}");
    }

    #[test]
    fn a_call_that_failed_changed_nothing() {
        let record = json!({ "errorCode": "Client.DryRunOperation", "requestParameters": { "routeTableId": "rtb-1" } });
        assert_eq!(change(&event("ReplaceRoute", &record)), None);
    }

    #[test]
    fn an_event_without_its_record_is_still_a_change() {
        let bare = Event::builder()
            .event_name("ReplaceRoute")
            .event_source("ec2.amazonaws.com")
            .event_time(DateTime::from_secs(1_795_000_000))
            .cloud_trail_event("not JSON")
            .build();
        let change = change(&bare).expect("a change");
        assert_eq!((change.user, change.on), (None, Vec::new()));
    }

    const GATEWAY: &str = "nat-0a1b2c3d4e5f60718";
    const GROUP: &str = "checkout-blue";

    fn incident() -> Incident {
        let window = "2026-11-18T02:11:00Z/2026-11-18T02:14:00Z".parse().expect("a window");
        Incident { window: Some(window), gateway: GATEWAY.parse().ok(), ..Incident::default() }
    }

    fn now() -> Timestamp {
        "2026-11-18T02:20:00Z".parse().expect("a time")
    }

    /// An account in which so much happens that every page of all changes has a next one. What was asked, and when.
    fn busy_account() -> (Client, std::sync::mpsc::Receiver<(String, std::time::Instant)>) {
        use aws_sdk_cloudtrail::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};

        let server = tiny_http::Server::http("127.0.0.1:0").expect("a port is free");
        let url = format!("http://{}", server.server_addr());
        let (told, asked) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for mut request in server.incoming_requests() {
                let body: Value = serde_json::from_reader(request.as_reader()).expect("JSON");
                let value =
                    body["LookupAttributes"][0]["AttributeValue"].as_str().expect("a filter").to_owned();
                let until = body["EndTime"].as_f64().expect("a time");
                let pages = if body["NextToken"].is_null() { 1.0 } else { 2.0 };
                let event = |before: f64, name: &str, source: &str, on: &str| {
                    json!({
                        "EventId": "a6e1634d-4fa3-4b99-be61-9524e513b911",
                        "EventName": name,
                        "EventSource": source,
                        "EventTime": until - before,
                        "Resources": [{ "ResourceName": on }],
                    })
                };
                let answer = match value.as_str() {
                    "false" => json!({
                        "Events": [event(pages * 60.0, "RunInstances", "ec2.amazonaws.com", "i-1")],
                        "NextToken": "more",
                    }),
                    GROUP => json!({ "Events": [
                        event(3600.0, "SetDesiredCapacity", "autoscaling.amazonaws.com", GROUP)
                    ] }),
                    _ => json!({ "Events": [] }),
                };
                told.send((value, std::time::Instant::now())).expect("somebody listens");
                request.respond(tiny_http::Response::from_string(answer.to_string())).expect("answered");
            }
        });
        let keys = Credentials::new("test", "test", None, None, "test");
        let config = aws_sdk_cloudtrail::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .endpoint_url(url)
            .build();
        (Client::from_conf(config), asked)
    }

    #[tokio::test]
    async fn where_too_much_happens_names_are_asked_after() {
        let (client, asked) = busy_account();
        let deadline = Deadline::after(Duration::from_secs(60));
        let (changes, gap) = before(&client, &incident(), now(), deadline).await;
        let mut changes = changes.expect("answered");
        assert_eq!((gap, changes.found.len()), (None, 2));
        assert_eq!(changes.read_from, changes.until - SignedDuration::from_secs(120));
        let holder = Handles {
            scaling_group: Some(GROUP.into()),
            instance_id: Some("i-1".into()),
            eks_cluster: Some("prod".into()),
            ..Handles::default()
        };
        assert_eq!(of_holder(&client, &mut changes, &holder, deadline).await, None);
        assert_eq!(changes.found.last().expect("found").name, "SetDesiredCapacity");
        assert_eq!(changes.asked_after, [GATEWAY, GROUP, "prod"]);
        let asked: Vec<(String, std::time::Instant)> = asked.try_iter().collect();
        let pages: Vec<_> = asked.iter().filter(|(value, _)| value == "false").map(|(_, at)| *at).collect();
        assert_eq!((asked.len(), pages.len()), (5, MAX_PAGES), "{asked:?}");
        assert!(pages[1] - pages[0] > BETWEEN / 2, "two requests a second");
    }

    #[tokio::test]
    async fn where_all_was_read_nobody_is_asked_after_by_name() {
        let client = crate::aws::Clients::reaching_nobody().cloudtrail;
        let mut changes = Changes::before(&incident(), now()).expect("has minutes");
        changes.read_from = changes.from;
        let holder = Handles { scaling_group: Some(GROUP.into()), ..Handles::default() };
        let deadline = Deadline::after(Duration::from_secs(60));
        assert_eq!(of_holder(&client, &mut changes, &holder, deadline).await, None);
        assert!(changes.asked_after.is_empty());
    }

    #[tokio::test]
    async fn what_is_older_than_90_days_is_not_asked_for() {
        let client = crate::aws::Clients::reaching_nobody().cloudtrail;
        let window = "2026-01-18T02:11:00Z/2026-01-18T02:14:00Z".parse().expect("a window");
        let incident = Incident { window: Some(window), ..Incident::default() };
        let now = "2026-11-18T02:20:00Z".parse().expect("a time");
        let (changes, gap) = before(&client, &incident, now, Deadline::after(MAX_TIME)).await;
        assert_eq!(changes, None);
        assert!(gap.expect("a gap").why.contains("90 days"));
    }
}
