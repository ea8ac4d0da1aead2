"""All that one run needs: emulators, traffic, gate, stack, readers of the topic."""

import json
import os
import subprocess
import sys
import time

import alarms
from gate import Gate
from stack import LOG_GROUPS, ROOT, Failed, Processes, Stack, awaited, client, emulator, network, zipped

SUBSCRIBERS = ["http", "https"]
# Where the message of each run is read from, and how long it may take to come.
SECONDS_TO_COME = 20


class Scene:
    def __init__(self, kept, binary, leak, template):
        self.kept, self.processes, self.gate = kept, Processes(kept), None
        self.binary, self.leak_program, self.template = binary, leak, template
        self.transitions = 0

    def __enter__(self):
        try:
            self.set()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.gate:
            self.gate.close()
        self.processes.stop()

    def set(self):
        readers = self.kept / "readers"
        readers.mkdir()
        self.processes.start("subscriber", [sys.executable, str(ROOT / "tools/emulators/subscriber"), str(readers)])
        urls = readers / "urls.json"
        awaited("the subscriber", urls.exists)
        self.readers, self.urls = readers, json.loads(urls.read_text())

        environment = {"NAT_TRIAGE_TEST_EMULATORS": sys.prefix}
        self.moto = emulator(self.processes, "moto", **environment)
        temporary = self.kept / "ministack"
        temporary.mkdir()
        self.ministack = emulator(
            self.processes, "ministack", AUTH="true", TMPDIR=str(temporary), SSL_CERT_FILE=str(readers / "ca.pem"), **environment
        )
        self.set_traffic()
        self.stack = Stack(self.ministack, self.kept)
        is_zip = self.binary.suffix == ".zip"
        self.code = self.binary if is_zip else zipped(self.binary, self.kept / "function.zip")
        self.stack.deploy(self.template, self.code, self.chosen["gateway"])
        self.stack.count_errors(self.chosen["gateway"], self.errors)
        topic = self.stack.outputs["TopicArn"]
        self.stack.leave_topic_to_roles(topic)
        self.queue = self.stack.queue(topic)
        for protocol in SUBSCRIBERS:
            self.stack.subscribe(topic, protocol, self.urls[protocol])

        backends = {"ministack": self.ministack, "moto": self.moto, "insights": self.traffic["url"]}
        self.gate = Gate(backends, self.stack.allows, LOG_GROUPS)
        services = ["CLOUDTRAIL", "EC2", "SERVICE_QUOTAS", "ROUTE53RESOLVER", "CLOUDWATCH_LOGS", "CLOUDWATCH", "LAMBDA", "SNS", "S3"]
        # A service that has been forgotten finds nobody, rather than AWS.
        self.endpoints = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_EC2_METADATA_DISABLED": "true"}
        self.endpoints |= {f"AWS_ENDPOINT_URL_{service}": self.gate.url for service in services}
        self.event = alarms.alarm(self.chosen["gateway"], self.errors, self.end)
        self.child = self.alarm_in_cloudwatch("shop")

    def set_traffic(self):
        """The leak's flow logs in the stand-in for Logs Insights, of a gateway that moto knows."""
        options = {"stdout": subprocess.PIPE, "stdin": subprocess.PIPE, "text": True}
        self.leak = self.processes.start("leak", [str(self.leak_program)], **options)
        facts = json.loads(self.leak.stdout.readline() or "null")
        if not facts:
            raise Failed(f"{self.leak_program} ended by itself")
        self.errors, self.end = facts["errors"], facts["end"]
        self.chosen = network(self.moto, facts["format"])
        self.tell_leak(json.dumps(self.chosen))
        self.traffic = json.loads(self.leak.stdout.readline())

    def tell_leak(self, line):
        self.leak.stdin.write(line + "\n")
        self.leak.stdin.flush()

    def alarm_in_cloudwatch(self, name):
        """An alarm on the gateway, as CloudWatch describes it; its ARN."""
        cloudwatch = client("cloudwatch", self.ministack)
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/NATGateway",
            MetricName="ErrorPortAllocation",
            Dimensions=[{"Name": "NatGatewayId", "Value": self.chosen["gateway"]}],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=3,
            DatapointsToAlarm=1,
            Threshold=0.0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
        )
        state = self.event["alarmData"]["state"]
        cloudwatch.set_alarm_state(
            AlarmName=name, StateValue="ALARM", StateReason=state["reason"], StateReasonData=state["reasonData"]
        )
        return cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["AlarmArn"]

    def event_of_now(self):
        """An alarm on errors of the last minutes, whose flow logs have not arrived."""
        now = int(time.time()) // 60 * 60
        minutes = [now - 180, now - 120, now - 60]
        errors = [(minute, count) for minute, (_, count) in zip(minutes, self.errors[-3:])]
        return alarms.alarm(self.chosen["gateway"], errors, now)

    def by(self, protocol, message):
        """The message of that id that came by HTTP or HTTPS: SNS's envelope."""
        path = self.readers / f"{protocol}.jsonl"

        def found():
            lines = path.read_text().splitlines(keepends=True) if path.exists() else []
            envelopes = [json.loads(line) for line in lines if line.endswith("\n")]
            return next((one for one in envelopes if one["MessageId"] == message), None)

        return awaited(f"message {message} by {protocol}", found, SECONDS_TO_COME)

    def link(self, outcome):
        """The way to the page, which chat gets; None where there is none."""
        chat = json.loads(self.by("https", outcome.envelopes[0]["MessageId"])["Message"])
        words = chat["content"]["description"].split()
        return next((word for word in words if "X-Amz-Signature=" in word), None)

    def kept_of(self, report):
        """The keys of what the bucket holds of a report."""
        bucket = self.stack.outputs["ReportBucket"]
        answer = self.stack.aws["s3"].list_objects_v2(Bucket=bucket, Prefix=f"nat-triage/{report}/")
        return [one["Key"] for one in answer.get("Contents", [])]

    def repeat(self):
        """The last event once more, to another process, as Lambda may deliver it."""
        self.stack.restart(self.endpoints)
        return self.invoked(self.last)

    def run(self, policies, event=None, timeout=900):
        """The function in a new process under these policies, invoked once; what came of it."""
        self.stack.put_policies(policies)
        self.stack.restart(self.endpoints, timeout)
        if event is None:
            event = self.event
        if "alarmData" in event:
            self.transitions += 1
            event = alarms.later(event, self.transitions)
        return self.invoked(event)

    def invoked(self, event):
        self.gate.forget()
        self.last = event
        answer, failed = self.stack.invoke(event)
        # Where the function says that nothing went out there is nothing to wait for.
        silent = failed or "doctor" in event or "ignored" in answer
        envelopes = self.stack.received(self.queue, 2 if silent else SECONDS_TO_COME)
        return Outcome(answer, failed, envelopes, self.gate.calls, self.gate.refused, self.gate.unknown)


class Outcome:
    def __init__(self, answer, failed, envelopes, calls, refused, unknown):
        self.answer, self.failed, self.envelopes = answer, failed, envelopes
        self.calls, self.refused, self.unknown = calls, refused, unknown

    def message(self):
        """The one message that went out, as machines read it; None where none did."""
        if len(self.envelopes) > 1:
            raise Failed(f"{len(self.envelopes)} messages came of one alarm")
        return json.loads(self.envelopes[0]["Message"]) if self.envelopes else None
