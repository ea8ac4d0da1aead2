"""Whether deploy/terraform says what template.yaml says, and grants what docs/permissions.json lists.

    python tools/checks/terraform.py

Both are read with parsers: nothing here asks the network, and neither Terraform nor a provider is needed.
Needs the environment .venv/terraform.
"""

import json
import re
import sys
from pathlib import Path

import hcl2
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "deploy/terraform"

problems = []
VARIABLES = []


def check(holds, problem):
    if not holds:
        problems.append(problem)


def plain(value):
    """Text without the quotation marks that the parser keeps, and blocks without its own notes on them."""
    if isinstance(value, str):
        is_text = re.fullmatch(r'"(?:[^"\\]|\\.)*"', value, re.S)
        return json.loads(value) if is_text else value
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items() if not key.startswith("__")}
    return value


class Template(yaml.SafeLoader):
    """YAML in which a short intrinsic function is what stands behind it."""


def untagged(loader, _, node):
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


Template.add_multi_constructor("!", untagged)


def by_name(blocks):
    """Blocks with two labels, such as resources, by `type.name`."""
    return {
        f"{kind}.{name}": body
        for block in blocks
        for kind, named in block.items()
        for name, body in named.items()
    }


def actions_of(document):
    statements = list(document["statement"])
    for dynamic in document.get("dynamic", []):
        statements += dynamic["statement"]["content"]
    return {action for statement in statements for action in statement["actions"]}


def read_module():
    """The blocks of all files of the module, by kind."""
    blocks = {}
    for path in sorted(MODULE.glob("*.tf")):
        for kind, found in plain(hcl2.loads(path.read_text())).items():
            blocks.setdefault(kind, []).extend(found)
    return blocks


def chosen(template, value, conditions):
    """What a value of the template is where these conditions hold and no other: `!If` has become a list."""
    if isinstance(value, list) and isinstance(value[0], str) and value[0] in template["Conditions"]:
        return chosen(template, value[1 if value[0] in conditions else 2], conditions)
    return value


def check_table(whole, values, resources):
    """The table that is made has the columns, partitions and files of template.yaml's."""
    theirs = whole["Resources"]["AthenaFlowLogs"]["Properties"]["TableInput"]
    table = resources["aws_glue_catalog_table.flow_logs"]
    (descriptor,) = table["storage_descriptor"]
    (serde,) = descriptor["ser_de_info"]
    columns = [(column["name"], column["type"]) for column in values["columns"]]
    for kind, conditions, own in [("text", {"MakesTextTable"}, columns[:14]), ("Parquet", set(), columns)]:
        described = chosen(whole, theirs["StorageDescriptor"]["Columns"], conditions)
        there = [(column["Name"], column["Type"]) for column in described]
        check(own == there, f"the columns of {kind}: {own} here, {there} in template.yaml")
        for name, key, text in [
            ("input format", "InputFormat", descriptor["input_format"]),
            ("output format", "OutputFormat", descriptor["output_format"]),
            ("library", "SerdeInfo", serde["serialization_library"]),
        ]:
            there = theirs["StorageDescriptor"][key]
            there = there["SerializationLibrary"] if key == "SerdeInfo" else there
            there = chosen(whole, there, conditions)
            # The text after the question mark, or the one after the colon.
            mine = re.findall(r'"([^"]+)"', text)[0 if conditions else 1]
            check(mine == there, f"the {name} of {kind}: {mine} here, {there} in template.yaml")
    check("? 14 :" in str(descriptor["dynamic"]), "a table over text has not the first fourteen columns")
    for hours in (set(), {"HasHourFolders"}):
        parts = values["partitions"][: 4 if hours else 3]
        keys = [key["Name"] for key in chosen(whole, theirs["PartitionKeys"], hours)]
        check([part["name"] for part in parts] == keys, f"other partitions than {keys} of template.yaml")
        for part in parts:
            for of in ("range", "digits"):
                there = chosen(whole, theirs["Parameters"][f"projection.{part['name']}.{of}"], hours)
                check(part[of] == there, f"{of} of {part['name']}: {part[of]} here, {there} in template.yaml")
    # Variables have other names; what stands between them is the same.
    literal = lambda text: re.sub(r"\$\{[^}]*\}", "$", text.replace("$${", "${").replace("${!", "${"))
    day, hour = (theirs["Parameters"]["storage.location.template"][1][part] for part in ("Day", "Hour"))
    there = [literal(text) for text in day[1:] + hour[1][1:]]
    texts = [text for name in ("day_folder", "hour_folder") for text in re.findall(r'"([^"]*)"', values[name])]
    here = [literal(text) for text in texts if text]
    check(here == there, f"the folders are {here} here, {there} in template.yaml")
    limit = next(block["athena_limit_bytes"] for block in VARIABLES if "athena_limit_bytes" in block)
    there = whole["Parameters"]["AthenaLimitBytes"]["Default"]
    check(limit["default"] == there, f"athena_limit_bytes: {limit['default']} here, {there} in template.yaml")
    (forget,) = whole["Resources"]["QueryResults"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (rule,) = resources["aws_s3_bucket_lifecycle_configuration.query_results"]["rule"]
    days = rule["expiration"][0]["days"]
    check(days == forget["ExpirationInDays"], f"results are kept for {days} days, not as in template.yaml")


def main():
    module = read_module()
    resources, data = by_name(module["resource"]), by_name(module["data"])
    values = {name: value for block in module["locals"] for name, value in block.items()}
    VARIABLES.extend(module["variable"])
    whole = yaml.load((ROOT / "template.yaml").read_text(), Template)
    template = whole["Resources"]
    function = template["TriageFunction"]["Properties"]

    listed = {permission["action"] for permission in json.loads((ROOT / "docs/permissions.json").read_text())}
    granted = actions_of(data["aws_iam_policy_document.triage"])
    for action in sorted(granted - listed):
        problems.append(f"the policy allows {action}, which docs/permissions.json does not list")
    for action in sorted(listed - granted):
        problems.append(f"the policy lacks {action}, which docs/permissions.json lists")

    check(
        set(values["environment"]) == set(function["Environment"]["Variables"]),
        "the function is given other variables than by template.yaml",
    )
    queries = {
        alarm["Properties"]["Metrics"][0]["Expression"]
        for alarm in template.values()
        if "Metrics" in alarm.get("Properties", {})
    }
    check(set(values["queries"].values()) == queries, "the alarms watch other series than template.yaml's")

    ours, invocations = resources["aws_lambda_function.triage"], function["EventInvokeConfig"]
    retried = resources["aws_lambda_function_event_invoke_config.triage"]
    alarm, theirs = resources["aws_cloudwatch_metric_alarm.gateways"], template["ZonalGatewaysAlarm"]["Properties"]
    same = {
        "timeout": (ours["timeout"], function["Timeout"]),
        "memory": (ours["memory_size"], function["MemorySize"]),
        "runtime": (ours["runtime"], function["Runtime"]),
        "handler": (ours["handler"], function["Handler"]),
        "retries": (retried["maximum_retry_attempts"], invocations["MaximumRetryAttempts"]),
        "age of events": (retried["maximum_event_age_in_seconds"], invocations["MaximumEventAgeInSeconds"]),
        "threshold": (alarm["threshold"], theirs["Threshold"]),
        "comparison": (alarm["comparison_operator"], theirs["ComparisonOperator"]),
        "evaluated periods": (alarm["evaluation_periods"], theirs["EvaluationPeriods"]),
        "datapoints to alarm": (alarm["datapoints_to_alarm"], theirs["DatapointsToAlarm"]),
        "missing data": (alarm["treat_missing_data"], theirs["TreatMissingData"]),
        "retention of failed invocations": (
            resources["aws_sqs_queue.failed"]["message_retention_seconds"],
            template["FailedInvocations"]["Properties"]["MessageRetentionPeriod"],
        ),
        "principal of alarms": (
            resources["aws_lambda_permission.alarms"]["principal"],
            template["AlarmsMayInvoke"]["Properties"]["Principal"],
        ),
    }
    schedules = {"check-up": "CheckUpEveryWeek", "watch": "WatchEveryFiveMinutes", "fleet": "FleetEveryWeek"}
    check(set(values["schedules"]) == set(schedules), "other schedules than template.yaml's")
    for mine, name in schedules.items():
        schedule, rule = values["schedules"][mine], template[name]["Properties"]
        (target,) = rule["Targets"]
        event = schedule["event"].replace('\\"', '"')
        age = target.get("RetryPolicy", {}).get("MaximumEventAgeInSeconds", 0)
        same[f"schedule of {mine}"] = (schedule["expression"], rule["ScheduleExpression"])
        same[f"event of {mine}"] = (json.loads(event), json.loads(target["Input"]))
        same[f"age of events of {mine}"] = (int(schedule["seconds"]), int(age))
        same[f"description of {mine}"] = (schedule["description"], rule["Description"])
    for name, (here, there) in same.items():
        check(here == there, f"{name}: {here} here, {there} in template.yaml")

    check_table(whole, values, resources)

    body = template["Overview"]["Properties"]["DashboardBody"]
    body = body.replace("${AWS::Region}", "${region}").replace("${TriageFunction}", "${function}")
    widgets = json.loads((MODULE / "dashboard.json").read_text())
    check(json.loads(body) == widgets, "dashboard.json has other widgets than template.yaml")

    # What is named exists, and what is declared is used.
    text = "".join(path.read_text() for path in sorted(MODULE.glob("*.tf")))
    declared = {name for block in hcl2.loads((MODULE / "variables.tf").read_text())["variable"] for name in plain(block)}
    named = set(re.findall(r"\bvar\.(\w+)", text))
    check(declared == named, f"variables declared or used, not both: {sorted(declared ^ named)}")
    used = set(re.findall(r"\blocal\.(\w+)", text))
    check(set(values) == used, f"locals declared or used, not both: {sorted(set(values) ^ used)}")
    for kind, name in re.findall(r"(?<!data\.)\b(aws_\w+)\.(\w+)", text):
        reference = f"{kind}.{name}"
        check(reference in resources or reference in data, f"{reference} is named and not declared")

    if problems:
        for problem in problems:
            print(f"deploy/terraform: {problem}", file=sys.stderr)
        sys.exit(1)
    print(f"deploy/terraform: {len(resources)} resources, {len(granted)} actions granted, as template.yaml")


if __name__ == "__main__":
    main()
