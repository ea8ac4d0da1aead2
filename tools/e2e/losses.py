"""What is lost without each action of the policy, and how that is seen."""

import json
import urllib.error
import urllib.parse
import urllib.request

import alarms
from stack import STACK

# The calls without which nothing can be decided.
DECIDING = {"ec2:DescribeNatGateways", "ec2:DescribeFlowLogs", "logs:StartQuery", "logs:GetQueryResults"}

NO_ATHENA = "the stack names no table for Athena, and the statement is there only with one"

# What no run here can show, and why.
NOT_SHOWN = {
    "athena:GetQueryExecution": NO_ATHENA,
    "athena:GetQueryResults": NO_ATHENA,
    "athena:ListTableMetadata": NO_ATHENA,
    "athena:StartQueryExecution": NO_ATHENA,
    "athena:StopQueryExecution": NO_ATHENA,
    "events:PutEvents": "the stack has no event bus, and the statement is there only with one",
    "glue:GetDatabase": NO_ATHENA,
    "glue:GetPartitions": NO_ATHENA,
    "glue:GetTable": NO_ATHENA,
    "glue:GetTables": NO_ATHENA,
    "kms:Decrypt": "the stack has no key, and the statement is there only with one",
    "kms:GenerateDataKey*": "the stack has no key, and the statement is there only with one",
    "logs:CreateLogStream": "ministack writes the function's log by itself, and asks no policy",
    "logs:PutLogEvents": "ministack writes the function's log by itself, and asks no policy",
    "s3:AbortMultipartUpload": NO_ATHENA,
    "s3:GetBucketLocation": NO_ATHENA,
    "s3:ListMultipartUploadParts": NO_ATHENA,
    "s3:ListBucket": "ministack says of an object that is not there NoSuchKey, with and without it",
    "sqs:SendMessage": "ministack keeps no EventInvokeConfig, so that no failed invocation goes to the queue",
}


def same(what, one, other):
    return [] if one == other else [f"{what}: {json.dumps(one)[:200]} and {json.dumps(other)[:200]}"]


def whole(scene, outcome):
    """What is wrong with a run under the whole policy, the message read by every protocol that can be read here."""
    if outcome.failed or not outcome.envelopes:
        return [f"no message went out: {json.dumps(outcome.answer)[:400]}"]
    problems = [f"{action} was refused" for action in sorted(outcome.refused)]
    (by_queue,) = outcome.envelopes
    answer, message = outcome.answer, outcome.message()
    problems += same("the answer and what SQS got", answer, message)
    by_http, by_https = (scene.by(protocol, by_queue["MessageId"]) for protocol in ("http", "https"))
    problems += same("what SQS and HTTP got", by_queue["Message"], by_http["Message"])
    for envelope in (by_http, by_https):
        problems += same("the subjects", by_queue["Subject"], envelope["Subject"])
    problems += same("the id in chat", json.loads(by_https["Message"])["id"], answer["id"])
    problems += same("the verdict", answer["verdict"], "confirmed")
    first = answer["destinations"][0]
    problems += same("the destination", first["address"], scene.traffic["exhausted"])
    problems += same("its name", first["name"], scene.traffic["asked"])
    problems += same("the client's name", first["clients"][0]["name"].split(" ")[-1], "worker")
    # moto says of every flow log that it fails, and the log group holds the minutes of the leak and no hour before it.
    expected = ("failed to deliver", "held ports an hour earlier")
    gaps = [gap["what"] for gap in answer["gaps"] if not any(what in gap["what"] for what in expected)]
    return problems + same("the gaps", gaps, [])


class Gap:
    """The message still goes out, and one more gap names the action and how to allow it."""

    def __init__(self, action):
        self.action = action

    def run(self, scene, policies):
        return scene.run(policies)

    def seen(self, scene, outcome, full):
        """What the reader sees, and what is wrong with that."""
        if outcome.failed or not outcome.envelopes:
            return "", [f"no message went out: {json.dumps(outcome.answer)[:400]}"]
        message = outcome.message()
        before = [gap["what"] for gap in full.answer["gaps"]]
        gaps = [gap for gap in message["gaps"] if gap["what"] not in before and self.action in gap["why"] + gap["fix"]]
        problems = [] if gaps else [f"no gap names it: {json.dumps(message['gaps'])[:800]}"]
        for gap in gaps:
            if f"allow {self.action}" not in gap["fix"] and self.action not in gap["why"]:
                problems.append(f"the gap does not say what to allow: {gap}")
        verdict = "cannot-tell" if self.action in DECIDING else full.answer["verdict"]
        problems += same("the verdict", message["verdict"], verdict)
        return "gap: " + "; ".join(gap["what"] for gap in gaps), problems


class NoMessage(Gap):
    """Nobody is told; Lambda gets an error that says why, and would keep the event."""

    def seen(self, scene, outcome, full):
        problems = [f"{len(outcome.envelopes)} messages came"] if outcome.envelopes else []
        problems += [] if outcome.failed else ["the function says that all is well"]
        problems += same("the error", outcome.answer.get("errorType"), "NotPublished")
        if f"allow {self.action}" not in outcome.answer.get("errorMessage", ""):
            problems.append(f"the error does not say what to allow: {outcome.answer}")
        return "no message; Lambda gets NotPublished, which says what to allow", problems


class AgainAndNoPage(Gap):
    """Nothing is kept: no page, so no link to it; and the next process reports the same alarm once more."""

    def run(self, scene, policies):
        self.again = None
        outcome = scene.run(policies)
        if not outcome.failed:
            self.again = scene.repeat()
        return outcome

    def seen(self, scene, outcome, full):
        if outcome.failed or not self.again:
            return "", [f"no message went out: {json.dumps(outcome.answer)[:400]}"]
        problems = same("the verdict", outcome.answer["verdict"], full.answer["verdict"])
        kept = scene.kept_of(outcome.answer["id"])
        problems += same("what is kept", kept, [])
        link = scene.link(outcome)
        problems += [f"there is a link: {link}"] if link else []
        problems += [] if self.again.envelopes else [f"no second report: {json.dumps(self.again.answer)[:300]}"]
        gaps = [gap["what"] for gap in outcome.message()["gaps"] if self.action in gap["why"]]
        problems += [] if gaps else [f"no gap names it: {json.dumps(outcome.message()['gaps'])[:800]}"]
        told = f"gap: {'; '.join(gaps)}; no page, no link; delivered again, it is reported again"
        return told, problems


class LinkDoesNotOpen(Gap):
    """The gap, and a link that the reader can't open."""

    def seen(self, scene, outcome, full):
        told, problems = super().seen(scene, outcome, full)
        if problems:
            return told, problems
        status = fetched(scene.link(outcome))
        return f"{told}; the link gives {status}", same("the page's status", status, 403)


class Composite(Gap):
    """A composite alarm can't be followed to a gateway: a person is told which alarm the function may be an action of."""

    def run(self, scene, policies):
        return scene.run(policies, alarms.composite(scene.event, scene.child))

    def seen(self, scene, outcome, full):
        message = outcome.message() or {}
        problems = same("the message", message.get("schema"), "nat-triage.trouble.v1")
        if "describe-alarms" not in str(message.get("fix")):
            problems.append(f"it does not say which command shows the alarm: {json.dumps(message)[:800]}")
        return "of a composite alarm: trouble, with the command that shows which alarm is beneath", problems


class Doctor(Gap):
    """Only the doctor makes this call."""

    def run(self, scene, policies):
        return scene.run(policies, {"doctor": True})

    def seen(self, scene, outcome, full):
        rows = [row for row in outcome.answer.get("rows", []) if self.action in row["says"]]
        problems = [] if len(rows) == 1 else [f"not one row names it: {json.dumps(outcome.answer)[:800]}"]
        for row in rows:
            problems += same("the row", row["tonight"], "partial")
            problems += [] if f"allow {self.action}" in row["fix"] else [f"the row says {row['fix']}"]
        return f"doctor: {'; '.join(row['check'] for row in rows)}", problems


class NeverStarts(Gap):
    """A query that does not start is given up: without this it can't be stopped."""

    def run(self, scene, policies):
        scene.tell_leak("never starts")
        try:
            return scene.run(policies, timeout=30)
        finally:
            scene.tell_leak("answers")

    def seen(self, scene, outcome, full):
        gaps = [gap for gap in (outcome.message() or {"gaps": []})["gaps"] if self.action in gap["why"]]
        problems = [] if gaps else [f"no gap names it: {json.dumps(outcome.answer)[:800]}"]
        return "of a query that never starts: it may go on scanning, which costs", problems


class Late(Gap):
    """Records that are not there when the time is over: nobody goes on, and the last word goes out without them. The
    doctor says so before."""

    def run(self, scene, policies):
        self.check_up = Doctor.run(self, scene, policies)
        return scene.run(policies, scene.event_of_now(), timeout=30)

    def seen(self, scene, outcome, full):
        message = outcome.message() or {"gaps": []}
        problems = same("the stage", message.get("stage"), "final")
        problems += same("the verdict", message.get("verdict"), "cannot-tell")
        if not any("run again" in gap["fix"] for gap in message["gaps"]):
            problems.append(f"no gap says when to ask again: {json.dumps(message)[:800]}")
        told, of_doctor = Doctor.seen(self, scene, self.check_up, full)
        told = f"of records that are late: the last word, without them, which says when to ask again; {told}"
        return told, problems + of_doctor


OTHERS = {
    "lambda:InvokeFunction": Late,
    "lambda:GetPolicy": Doctor,
    "sns:Publish": NoMessage,
    "s3:PutObject": AgainAndNoPage,
    "s3:GetObject": LinkDoesNotOpen,
    "cloudwatch:DescribeAlarms": Composite,
    "sns:GetTopicAttributes": Doctor,
    "logs:StopQuery": NeverStarts,
}


def loss(action):
    return OTHERS.get(action, Gap)(action)


def elsewhere(action, stack):
    """Resources that the function does not use, of the kind that the action is on."""
    arn = f"arn:aws:{{}}:{stack.region}:{stack.account}:{{}}"
    return {
        "logs:StartQuery": [arn.format("logs", "log-group:/elsewhere"), arn.format("logs", "log-group:/elsewhere:*")],
        "sns:Publish": [arn.format("sns", f"{STACK}-elsewhere")],
        "s3:PutObject": [f"arn:aws:s3:::{stack.outputs['ReportBucket']}/elsewhere/*"],
    }.get(action)


def fetched(link):
    """The status that a link of ours leads to."""
    if urllib.parse.urlparse(link).hostname != "127.0.0.1":
        return "no link on loopback"
    try:
        with urllib.request.urlopen(link, timeout=20) as page:
            return page.status
    except urllib.error.HTTPError as error:
        return error.code
