"""The emulators, the stack in them, and the function of the stack."""

import copy
import datetime
import json
import os
import platform
import socket
import subprocess
import sys
import time
import urllib.parse
import zipfile
from pathlib import Path

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-west-1"
# Of ministack, unless a key says otherwise.
ACCOUNT = "000000000000"
LOG_GROUPS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"
STACK = "nat-triage"
CODE_BUCKET = "nat-triage-code"
ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]


class Failed(Exception):
    """What a person is told when the run cannot go on."""


class Processes:
    """Programs that this run starts, and stops by their id when it ends."""

    def __init__(self, kept):
        self.kept, self.started = kept, []

    def start(self, name, command, stdout=None, **options):
        log = (self.kept / f"{name}.log").open("wb")
        process = subprocess.Popen(command, stdout=stdout or log, stderr=log, **options)
        self.started.append(process)
        return process

    def stop(self):
        for process in reversed(self.started):
            process.terminate()
        for process in reversed(self.started):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def awaited(what, find, seconds=60):
    until = time.monotonic() + seconds
    while True:
        found = find()
        if found:
            return found
        if time.monotonic() > until:
            raise Failed(f"{what} did not come within {seconds} s")
        time.sleep(0.1)


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def emulator(processes, name, **environment):
    port = free_port()
    command = [str(ROOT / "tools/emulators/run"), name, str(port)]
    process = processes.start(name, command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL)
    awaited(name, lambda: process.poll() is not None or listening(port))
    if process.poll() is not None:
        raise Failed(f"{name} ended by itself: {processes.kept / name}.log")
    return f"http://127.0.0.1:{port}"


def client(service, url):
    if urllib.parse.urlparse(url).hostname != "127.0.0.1":
        raise Failed(f"{url} is not on loopback")
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(connect_timeout=5, read_timeout=300, retries={"max_attempts": 1}),
    )


def zipped(binary, target):
    """The program as Lambda takes it, without its debug information: ministack keeps it in memory."""
    bare = target.with_suffix(".bootstrap")
    subprocess.run(["strip", "-o", str(bare), str(binary)], check=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
        entry.external_attr, entry.compress_type = 0o100755 << 16, zipfile.ZIP_DEFLATED
        made.writestr(entry, bare.read_bytes())
    bare.unlink()
    return target


class Stack:
    """The deployed stack, asked as an administrator of the account."""

    region, account, architecture = REGION, ACCOUNT, ARCHITECTURE

    def __init__(self, ministack, kept):
        self.url, self.kept = ministack, kept
        names = ["cloudformation", "cloudwatch", "iam", "lambda", "s3", "sns", "sqs"]
        self.aws = {name: client(name, ministack) for name in names}
        self.times = 0

    def deploy(self, template, code, gateway):
        """Uploads the zip, and deploys the template as a person would.

        ministack takes no alarm on a query of Metrics Insights, so that the stack watches one gateway.
        """
        location = {"LocationConstraint": REGION}
        self.aws["s3"].create_bucket(Bucket=CODE_BUCKET, CreateBucketConfiguration=location)
        self.aws["s3"].upload_file(str(code), CODE_BUCKET, code.name)
        given = {
            "Email": "reader@example.com",
            "WatchAll": "false",
            "NatGatewayId": gateway,
            "Architecture": ARCHITECTURE,
            "CodeBucket": CODE_BUCKET,
            "CodeKey": code.name,
        }
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
        }
        command = [str(ROOT / ".venv/sam/bin/sam"), "deploy", "--template-file", str(template)]
        command += ["--stack-name", STACK, "--region", REGION, "--s3-bucket", CODE_BUCKET]
        command += ["--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar"]
        command += ["--parameter-overrides", *(f"{name}={value}" for name, value in given.items())]
        log = self.kept / "sam.log"
        with log.open("wb") as out:
            done = subprocess.run(
                command, env=environment, cwd=self.kept, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=300
            )
        if done.returncode:
            raise Failed(f"sam deploy failed:\n{log.read_text(errors='replace')[-2000:]}")
        described = self.aws["cloudformation"].describe_stacks(StackName=STACK)["Stacks"][0]
        if described["StackStatus"] != "CREATE_COMPLETE":
            raise Failed(f"the stack is {described['StackStatus']}")
        listed = self.aws["cloudformation"].list_stack_resources(StackName=STACK)
        self.resources = len(listed["StackResourceSummaries"])
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in described["Outputs"]}
        function = self.aws["lambda"].get_function_configuration(FunctionName=self.outputs["FunctionName"])
        self.environment = function["Environment"]["Variables"]
        self.role_arn = function["Role"]
        self.role = function["Role"].rsplit("/", 1)[-1]
        attached = self.aws["iam"].list_attached_role_policies(RoleName=self.role)["AttachedPolicies"]
        if attached:
            raise Failed(f"the role has policies that are not its own: {attached}")
        # By name: CloudFormation can't write in one what depends on the function itself.
        self.policies = {
            name: self.aws["iam"].get_role_policy(RoleName=self.role, PolicyName=name)["PolicyDocument"]
            for name in self.aws["iam"].list_role_policies(RoleName=self.role)["PolicyNames"]
        }

    def without(self, action):
        """The deployed policies without one action; a statement that allowed nothing else goes."""
        policies = copy.deepcopy(self.policies)
        for policy in policies.values():
            kept = []
            for statement in policy["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                statement["Action"] = [one for one in actions if one != action]
                if statement["Action"]:
                    kept.append(statement)
            policy["Statement"] = kept
        return policies

    def elsewhere(self, action, resources):
        """The deployed policies, which allow this one action on other resources only."""
        policies = self.without(action)
        statement = {"Effect": "Allow", "Action": action, "Resource": resources}
        next(iter(policies.values()))["Statement"].append(statement)
        return policies

    def put_policies(self, policies):
        for name, policy in policies.items():
            if policy["Statement"]:
                document = json.dumps(policy)
                self.aws["iam"].put_role_policy(RoleName=self.role, PolicyName=name, PolicyDocument=document)
            elif name in self.aws["iam"].list_role_policies(RoleName=self.role)["PolicyNames"]:
                self.aws["iam"].delete_role_policy(RoleName=self.role, PolicyName=name)

    def allows(self, action, resources):
        """What ministack's simulator of policies says of the role."""
        answer = self.aws["iam"].simulate_principal_policy(
            PolicySourceArn=self.role_arn, ActionNames=[action], ResourceArns=resources
        )
        return all(one["EvalDecision"] == "allowed" for one in answer["EvaluationResults"])

    def restart(self, endpoints, timeout=900):
        """The function in a new process, its calls led to loopback."""
        self.times += 1
        variables = {**self.environment, **endpoints, "NAT_TRIAGE_E2E_RUN": str(self.times)}
        name = self.outputs["FunctionName"]
        self.aws["lambda"].update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}, Timeout=timeout
        )
        current = lambda: self.aws["lambda"].get_function_configuration(FunctionName=name)  # noqa: E731
        awaited("the function's update", lambda: current()["LastUpdateStatus"] == "Successful")

    def invoke(self, event):
        """What the function answers, and whether that is an error."""
        answer = self.aws["lambda"].invoke(FunctionName=self.outputs["FunctionName"], Payload=json.dumps(event))
        return json.loads(answer["Payload"].read()), "FunctionError" in answer

    def queue(self, topic):
        """A queue that gets what the topic sends."""
        url = self.aws["sqs"].create_queue(QueueName="reports")["QueueUrl"]
        wanted = ["QueueArn"]
        arn = self.aws["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.aws["sqs"].set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        self.aws["sns"].subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        return url

    def leave_topic_to_roles(self, topic):
        """A policy of the topic by which nobody of the account may publish who has no policy that says so.

        The policy that ministack gives a new topic lets everybody publish: the role's would not matter.
        """
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.aws["sns"].set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)

    def received(self, queue, seconds):
        """SNS's envelopes that the queue holds: all that come until one has come and no other follows."""
        envelopes, until = [], time.monotonic() + seconds
        while True:
            answer = self.aws["sqs"].receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                self.aws["sqs"].delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                envelopes.append(json.loads(message["Body"]))
            if not answer.get("Messages") and (envelopes or time.monotonic() > until):
                return envelopes

    def subscribe(self, topic, protocol, url):
        self.aws["sns"].subscribe(TopicArn=topic, Protocol=protocol, Endpoint=url, ReturnSubscriptionArn=True)

        def confirmed():
            found = self.aws["sns"].list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
            return [one for one in found if one["Endpoint"] == url and one["SubscriptionArn"].startswith("arn:")]

        awaited(f"the confirmation by {protocol}", confirmed, 20)

    def count_errors(self, gateway, errors):
        """What CloudWatch would have counted."""
        data = [
            {
                "MetricName": "ErrorPortAllocation",
                "Dimensions": [{"Name": "NatGatewayId", "Value": gateway}],
                "Timestamp": datetime.datetime.fromtimestamp(minute, datetime.timezone.utc),
                "Value": float(value),
                "Unit": "Count",
            }
            for minute, value in errors
        ]
        self.aws["cloudwatch"].put_metric_data(Namespace="AWS/NATGateway", MetricData=data)


def network(moto, log_format):
    """A VPC with a NAT gateway, its flow log and its resolver's query log; the gateway's ids."""
    ec2 = client("ec2", moto)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
    # The client that holds most ports is an instance, so that it has a name.
    clients = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    ec2.run_instances(
        ImageId="ami-0123456789abcdef0",
        MinCount=1,
        MaxCount=1,
        SubnetId=clients,
        PrivateIpAddress="10.0.1.47",
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "worker"}]}],
    )
    gateway = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation)["NatGateway"]["NatGatewayId"]
    address = ec2.describe_nat_gateways(NatGatewayIds=[gateway])["NatGateways"][0]["NatGatewayAddresses"][0]
    ec2.create_flow_logs(
        ResourceIds=[vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        LogGroupName="/vpc/flow-logs",
        DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flow-logs",
        LogFormat=" ".join(f"${{{field}}}" for field in log_format.split(" ")),
        MaxAggregationInterval=60,
    )
    resolver = client("route53resolver", moto)
    made = resolver.create_resolver_query_log_config(
        Name="queries",
        DestinationArn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/dns/queries:*",
        CreatorRequestId="e2e",
    )
    config = made["ResolverQueryLogConfig"]["Id"]
    resolver.associate_resolver_query_log_config(ResolverQueryLogConfigId=config, ResourceId=vpc)
    return {"gateway": gateway, "interface": address["NetworkInterfaceId"], "address": address["PrivateIp"]}


