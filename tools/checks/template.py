"""What the linters can't know about template.yaml: it expands, and it keeps to this repository's rules.

    python tools/checks/template.py EXPANDED

Writes the template as the SAM transform leaves it to EXPANDED (JSON, for a linter), then checks the
expanded one: the function's environment against src/config.rs, its policy, and the alarms' wiring.
Needs the environment .venv/templates. Asks nothing of the network.
"""

import json
import os
import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import parliament
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]

# The calls that the function makes, and those that AWS makes in its name, as src/permissions.rs has them.
PERMISSIONS = json.loads((ROOT / "docs/permissions.json").read_text())
CALLS = {permission["action"] for permission in PERMISSIONS}
# Those of them that AWS can't narrow to a resource.
ON_ANY_RESOURCE = {permission["action"] for permission in PERMISSIONS if permission["resource"] == "any"}

problems = []


def check(holds, problem):
    if not holds:
        problems.append(problem)


def expanded(source):
    """The template after the SAM transform, the code standing in a bucket as after a deployment."""

    class NoManagedPolicies:
        def load(self):
            return {}

    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    template = yaml_parse(source)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/function.zip"
    return transform(template, {}, NoManagedPolicies())


def listed(value):
    return value if isinstance(value, list) else [value]


def of_type(resources, kind):
    return {name: body for name, body in resources.items() if body["Type"] == kind}


def resolved(value, variables):
    """`value` with its intrinsic functions replaced by something that looks like what they give."""
    if isinstance(value, list):
        values = (resolved(item, variables) for item in value)
        return [item for item in values if item is not None]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (function, argument), = value.items()
        if function == "Ref":
            return None if argument == "AWS::NoValue" else variables.get(argument, argument)
        if function == "Fn::GetAtt":
            name = argument if isinstance(argument, str) else ".".join(argument)
            return variables.get(name, name)
        if function == "Fn::If":
            return resolved(argument[1], variables)
        if function == "Fn::Select":
            return resolved(argument[1], variables)[int(argument[0])]
        if function == "Fn::Split":
            return resolved(argument[1], variables).split(argument[0])
        if function == "Fn::Join":
            return argument[0].join(resolved(argument[1], variables))
        if function == "Fn::Sub" and isinstance(argument, list):
            text, more = argument
            return resolved({"Fn::Sub": text}, variables | resolved(more, variables))
        if function == "Fn::Sub":
            return re.sub(r"\$\{([^}]+)\}", lambda m: variables.get(m[1], m[1]), argument)
    return {key: resolved(item, variables) for key, item in value.items()}


def check_environment(function):
    config = ROOT / "src/config.rs"
    if not config.exists():
        problems.append("src/config.rs is missing: there is nothing to compare the environment with")
        return
    declared = set(re.findall(r'"(NAT_TRIAGE_[A-Z_]+)"', config.read_text()))
    check(declared, "src/config.rs declares no NAT_TRIAGE_ name as a string")
    given = function["Properties"]["Environment"]["Variables"]
    for name in given:
        check(name in declared, f"the function is given {name}, which src/config.rs does not declare")
    check("NAT_TRIAGE_TOPIC_ARN" in given, "the function is not told where to publish")


def check_policy(role, others, variables):
    statements = []
    for policy in role["Properties"].get("Policies", []) + [other["Properties"] for other in others]:
        document = resolved(policy["PolicyDocument"], variables)
        statements += listed(document["Statement"])
        for finding in parliament.analyze_policy_string(json.dumps(document)).findings:
            # Its data of 2025 wants a log group for the two calls that take a query id.
            if finding.issue == "RESOURCE_STAR":
                continue
            problems.append(f"policy {policy['PolicyName']}: {finding}")
    check(not role["Properties"].get("ManagedPolicyArns"), "the role takes a managed policy")

    allowed = {action for statement in statements for action in listed(statement["Action"])}
    for action in sorted(allowed - CALLS):
        problems.append(f"the policy allows {action}, which the function does not call (src/permissions.rs)")
    for action in sorted(CALLS - allowed):
        problems.append(f"the policy lacks {action}, which the function calls")
    for statement in statements:
        narrow = set(listed(statement["Action"])) - ON_ANY_RESOURCE
        if narrow and "*" in listed(statement["Resource"]):
            problems.append(f"{', '.join(sorted(narrow))} is allowed on any resource")
        if "logs:StartQuery" in listed(statement["Action"]):
            arns = listed(statement["Resource"])
            for arn in arns:
                partner = arn.removesuffix(":*") if arn.endswith(":*") else arn + ":*"
                check(partner in arns, f"logs:StartQuery is allowed on {arn}, not on {partner}")


def described(alarm, variables):
    """What an alarm watches: the dimensions of its metric, or of the series of its query."""
    properties = alarm["Properties"]
    if "Metrics" not in properties:
        return "plain", [dimension["Name"] for dimension in resolved(properties["Dimensions"], variables)]
    (metric,) = properties["Metrics"]
    query = re.fullmatch(
        r'SELECT SUM\(ErrorPortAllocation\) FROM SCHEMA\("AWS/NATGateway", ([\w, ]+)\) GROUP BY ([\w, ]+)',
        metric["Expression"],
    )
    if not query:
        return "unreadable", metric["Expression"]
    schema, groups = (sorted(part.split(", ")) for part in query.groups())
    check(schema == groups, f"a query groups by {groups}, and its series have {schema}")
    return "query", schema


def check_alarms(resources, function_name, variables):
    ours = {"Fn::GetAtt": [function_name, "Arn"]}
    watching = {
        name: alarm
        for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items()
        if ours in alarm["Properties"].get("AlarmActions", [])
    }
    both = ["AvailabilityZone", "NatGatewayId"]
    kinds = sorted(described(alarm, variables) for alarm in watching.values())
    wanted = [("plain", sorted(both, reverse=True)), ("query", both), ("query", ["NatGatewayId"])]
    check(kinds == wanted, f"these alarms should invoke the function: {wanted}, but these do: {kinds}")
    permissions = of_type(resources, "AWS::Lambda::Permission")
    for name, alarm in watching.items():
        properties = alarm["Properties"]
        for key in ("DatapointsToAlarm", "TreatMissingData", "AlarmName"):
            check(key in properties, f"{name} does not say {key}")
        arn = f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{resolved(properties['AlarmName'], variables)}"
        fitting = {
            key: permission["Properties"]
            for key, permission in permissions.items()
            if permission["Properties"]["Principal"] == "lambda.alarms.cloudwatch.amazonaws.com"
            and permission["Properties"]["FunctionName"] == ours
            and fnmatchcase(arn, resolved(permission["Properties"].get("SourceArn"), variables))
        }
        check(fitting, f"no permission lets {arn} invoke the function")
        for key, permission in fitting.items():
            check("SourceAccount" in permission, f"the permission of {name} names no SourceAccount")
            check(key in listed(alarm.get("DependsOn", [])), f"{name} does not wait for {key}")


def check_failure_path(resources, function_name):
    """What tells of a failure depends on nothing that can have failed."""
    role = json.dumps(of_type(resources, "AWS::IAM::Role"))
    queue = {"Fn::GetAtt": ["FailedInvocations", "QueueName"]}
    alarms = [
        alarm["Properties"]
        for alarm in of_type(resources, "AWS::CloudWatch::Alarm").values()
        if {"Name": "QueueName", "Value": queue} in alarm["Properties"].get("Dimensions", [])
    ]
    check(len(alarms) == 1, "one alarm should watch the queue of failed invocations")
    for alarm in alarms:
        for action in alarm["AlarmActions"]:
            topic = action.get("Ref")
            check(topic in of_type(resources, "AWS::SNS::Topic"), f"{topic} is no topic of the stack")
            check(topic not in role, f"the function itself publishes to {topic}, which tells of its failures")
            check("Condition" not in resources[topic], f"{topic} is not always made")
            check("KmsMasterKeyId" not in resources[topic]["Properties"], f"{topic} depends on a key")


def check_parameters(template):
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in groups["ParameterGroups"] for name in group["Parameters"]]
    parameters = set(template["Parameters"])
    check(sorted(grouped) == sorted(parameters), f"in groups, not once each: {parameters ^ set(grouped)}")
    check(set(groups["ParameterLabels"]) == parameters, "not every parameter has a label")
    for name, parameter in template["Parameters"].items():
        check("Default" in parameter, f"{name} has no default: one parameter, where to send, is enough")


def main():
    target = Path(sys.argv[1])
    template = expanded((ROOT / "template.yaml").read_text())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(template, indent=2))

    resources = template["Resources"]
    variables = {
        "AWS::Partition": "aws",
        "AWS::Region": "eu-west-1",
        "AWS::AccountId": "123456789012",
        "AWS::StackName": "stack",
        "LogGroups": "flow-logs*",
        "MoreLogGroups": "dns-queries",
        "FlowLogGroup": "shared-flow-logs",
        "EventBus": "default",
        "LinkedLogGroups": "arn:aws:logs:eu-west-1:111122223333:log-group:flow-logs",
        "FlowLogBuckets": "arn:aws:s3:::flow-logs,arn:aws:s3:::central-flow-logs",
        "AthenaTable": "logs.vpc_flow_logs",
        "AthenaWorkgroup": "primary",
        "AthenaResults": "results/athena",
        "AthenaDatabase": "nat_triage_0a1b2c3d",
        "AthenaGroup": "nat-triage-stack",
        "QueryResults.Arn": "arn:aws:s3:::query-results",
        "NatGatewayId": "nat-0123456789abcdef0",
        "Reports": "reports",
        "Reports.Arn": "arn:aws:s3:::reports",
        "TopicKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/topic",
        "BucketKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/bucket",
        "ReportTopic": "arn:aws:sns:eu-west-1:123456789012:topic",
        "TriageFunction.Arn": "arn:aws:lambda:eu-west-1:123456789012:function:stack",
        "FailedInvocations.Arn": "arn:aws:sqs:eu-west-1:123456789012:queue",
        "TriageLog.Arn": "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/stack:*",
    }
    (function_name, function), = of_type(resources, "AWS::Lambda::Function").items()
    (_, role), = of_type(resources, "AWS::IAM::Role").items()
    check_environment(function)
    check_policy(role, of_type(resources, "AWS::IAM::Policy").values(), variables)
    check_alarms(resources, function_name, variables)
    check_failure_path(resources, function_name)
    check_parameters(template)

    if problems:
        for problem in problems:
            print(f"template.yaml: {problem}", file=sys.stderr)
        sys.exit(1)
    print(f"template.yaml: {len(resources)} resources, {len(CALLS)} calls allowed, all rules kept")


if __name__ == "__main__":
    main()
