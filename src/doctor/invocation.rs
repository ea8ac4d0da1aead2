//! Whether the alarms may invoke the function that they name: what its resource-based policy says.

use serde_json::Value;

use crate::gap::Gap;
use crate::words;

use super::{Check, Row, Tonight};

/// Who CloudWatch alarms are to Lambda.
///
/// Source: "Invoke a Lambda function from an alarm" in the Amazon CloudWatch user guide.
const ALARMS: &str = "lambda.alarms.cloudwatch.amazonaws.com";

/// A function, and the alarms on gateways that invoke it.
#[derive(Clone, Debug, PartialEq)]
pub struct Invoked {
    /// Its ARN, as the alarms name it.
    pub function: String,
    /// The ARNs of these alarms.
    pub alarms: Vec<String>,
    /// Its policy, as Lambda gives it; `None` where it has none, or does not exist.
    pub policy: Result<Option<String>, Gap>,
}

/// What a policy says of one alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    Allowed,
    /// A statement has a condition that is not understood here.
    Unclear,
    Denied,
}

/// The row of a function.
pub(super) fn row(invoked: &Invoked, region: Option<&str>) -> Row {
    let Invoked { function, alarms, policy } = invoked;
    let policy = match policy {
        Ok(policy) => policy.as_deref(),
        Err(gap) => return Row::of_gap("alarms", Check::Invocation, Tonight::Partial, gap),
    };
    let statements = policy.map(statements).unwrap_or_default();
    let first = |wanted: Says| alarms.iter().find(|alarm| judge(&statements, alarm) == wanted);
    let bad = |alarm: &str, tonight, why: String| {
        Row::bad("alarms", Check::Invocation, tonight, why, permit(function, alarm, region))
    };
    if let Some(alarm) = first(Says::Denied) {
        let why = match policy {
            None => format!("{function} lets nobody invoke it, or does not exist"),
            Some(_) => format!("the policy of {function} does not let {} invoke it", name_of(alarm)),
        };
        return bad(alarm, Tonight::None, why);
    }
    if let Some(alarm) = first(Says::Unclear) {
        let why = format!(
            "whether {} may invoke {function} depends on a condition that nat-triage does not know",
            name_of(alarm)
        );
        return bad(alarm, Tonight::Partial, why);
    }
    let names: Vec<&str> = alarms.iter().map(|arn| name_of(arn)).collect();
    Row::good("alarms", Check::Invocation, format!("{} may invoke {function}", words::list(&names)))
}

/// An alarm's name, of its ARN.
fn name_of(arn: &str) -> &str {
    arn.split_once(":alarm:").map_or(arn, |(_, name)| name)
}

/// The command that lets an alarm invoke a function.
fn permit(function: &str, alarm: &str, region: Option<&str>) -> String {
    format!(
        "aws lambda add-permission --function-name {} --statement-id nat-triage-alarm --action lambda:InvokeFunction --principal {ALARMS} --source-arn {}{}",
        words::argument(function),
        words::argument(alarm),
        crate::diagnosis::region_option(region)
    )
}

fn statements(policy: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    listed(&policy["Statement"]).cloned().collect()
}

/// A list, or the one value that stands instead of it.
fn listed(value: &Value) -> impl Iterator<Item = &Value> {
    let (one, many) = match value {
        Value::Null => (None, &[][..]),
        Value::Array(many) => (None, &many[..]),
        one => (Some(one), &[][..]),
    };
    one.into_iter().chain(many)
}

/// A denial counts more than anything that allows.
fn judge(statements: &[Value], alarm: &str) -> Says {
    let applies = |statement: &&Value| is_of_alarms(&statement["Principal"]) && invokes(&statement["Action"]);
    let mut verdict = Says::Denied;
    for statement in statements.iter().filter(applies) {
        let holds = holds(&statement["Condition"], alarm);
        match (statement["Effect"].as_str(), holds) {
            (Some("Deny"), Some(false)) | (Some("Allow"), Some(false)) => {}
            (Some("Deny"), Some(true)) => return Says::Denied,
            (Some("Deny"), None) => return Says::Unclear,
            (Some("Allow"), Some(true)) => verdict = Says::Allowed,
            _ => verdict = verdict.min(Says::Unclear),
        }
    }
    verdict
}

fn is_of_alarms(principal: &Value) -> bool {
    principal == "*" || listed(&principal["Service"]).any(|service| service == ALARMS)
}

fn invokes(action: &Value) -> bool {
    let mut actions = listed(action).filter_map(Value::as_str);
    actions.any(|action| matches_pattern(&action.to_ascii_lowercase(), "lambda:invokefunction"))
}

/// Whether a statement's conditions hold for an alarm; `None` where one is not understood here.
fn holds(condition: &Value, alarm: &str) -> Option<bool> {
    let account = alarm.split(':').nth(4).unwrap_or_default();
    let mut all = true;
    for (operator, keys) in condition.as_object().into_iter().flatten() {
        for (key, values) in keys.as_object()? {
            let found = match key.to_ascii_lowercase().as_str() {
                "aws:sourcearn" => alarm,
                "aws:sourceaccount" => account,
                _ => return None,
            };
            let matches: fn(&str, &str) -> bool = match operator.as_str() {
                "ArnLike" | "ArnEquals" => matches_arn,
                "StringLike" => matches_pattern,
                "StringEquals" => |wanted, found| wanted == found,
                _ => return None,
            };
            all &= listed(values).filter_map(Value::as_str).any(|wanted| matches(wanted, found));
        }
    }
    Some(all)
}

/// Each of the six parts of an ARN is compared with its own pattern.
///
/// Source: "IAM JSON policy elements: Condition operators", ARN condition operators, in the IAM user guide.
fn matches_arn(pattern: &str, arn: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    pattern.splitn(6, ':').all(|pattern| parts.next().is_some_and(|part| matches_pattern(pattern, part)))
        && parts.next().is_none()
}

/// `*` stands for any characters, `?` for one.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:nat-triage";
    const ALARM: &str = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:nat-triage-zonal-gateways";

    fn statement(effect: &str, service: &str, condition: Value) -> Value {
        json!({
            "Effect": effect,
            "Principal": { "Service": service },
            "Action": "lambda:InvokeFunction",
            "Resource": FUNCTION,
            "Condition": condition,
        })
    }

    fn of(statements: &[Value]) -> Row {
        let policy = json!({ "Version": "2012-10-17", "Statement": statements });
        let policy = Ok(Some(policy.to_string()));
        row(&Invoked { function: FUNCTION.into(), alarms: vec![ALARM.into()], policy }, Some("eu-west-1"))
    }

    /// As the template's permission stands in the policy.
    fn of_stack() -> Value {
        json!({
            "StringEquals": { "AWS:SourceAccount": "123456789012" },
            "ArnLike": { "AWS:SourceArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:nat-triage-*" },
        })
    }

    #[test]
    fn the_permission_of_the_stack_lets_its_alarms_in() {
        let row = of(&[statement("Allow", ALARMS, of_stack())]);
        assert_eq!(row.tonight, Tonight::Full, "{}", row.says);
        assert!(row.says.starts_with("nat-triage-zonal-gateways may invoke arn:"), "{}", row.says);
    }

    #[test]
    fn a_policy_that_leaves_the_alarm_out_means_no_report() {
        let other = json!({ "ArnLike": { "AWS:SourceArn": ALARM.replace("nat-triage", "other") } });
        let account = json!({ "StringEquals": { "aws:sourceaccount": "210987654321" } });
        for statements in [
            vec![],
            vec![statement("Allow", "events.amazonaws.com", json!({}))],
            vec![statement("Allow", ALARMS, other)],
            vec![statement("Allow", ALARMS, account)],
            vec![statement("Allow", ALARMS, of_stack()), statement("Deny", ALARMS, json!({}))],
        ] {
            let row = of(&statements);
            assert_eq!(row.tonight, Tonight::None, "{statements:?}");
            let fix = row.fix.expect("a command");
            assert!(fix.contains(ALARM) && fix.contains(FUNCTION) && fix.ends_with("eu-west-1"), "{fix}");
        }
    }

    #[test]
    fn a_condition_that_is_not_known_is_no_verdict() {
        let odd = json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } });
        assert_eq!(of(&[statement("Allow", ALARMS, odd)]).tonight, Tonight::Partial);
    }

    #[test]
    fn a_function_without_a_policy_lets_no_alarm_in() {
        let invoked = Invoked { function: FUNCTION.into(), alarms: vec![ALARM.into()], policy: Ok(None) };
        let row = row(&invoked, None);
        assert_eq!(row.tonight, Tonight::None);
        assert!(row.says.contains("or does not exist"), "{}", row.says);
    }

    #[test]
    fn stars_and_question_marks_match_as_in_policies() {
        for (pattern, text, matches) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*b", "abcb", true),
            ("", "a", false),
        ] {
            assert_eq!(matches_pattern(pattern, text), matches, "{pattern} {text}");
        }
        assert!(!matches_arn("arn:*", ALARM), "a star does not reach over a colon of the first six parts");
    }
}
