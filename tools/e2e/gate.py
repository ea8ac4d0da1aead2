"""What stands between the function and the emulators: each call is authorised first, and then answered.

ministack checks the signature of each request and holds it against the role's policy, before it looks at what is
asked. moto and the stand-in for Logs Insights check nothing. So the gate sends every request, as it was signed, to
ministack first. Where ministack refuses it, that refusal is the answer. Where it does not, the service that really
answers is asked.

Some calls ministack lets through unjudged. It does not know two of the services; it cannot tell an action from
CloudWatch's protocol; and of StartQuery it does not see the log groups where more than one may be named. For these the
gate asks ministack's simulator of policies about the role, and the refusal is the gate's own.
"""

import http.client
import json
import re
import threading
import urllib.parse
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cbor2

SECONDS = 60
BY_MINISTACK = "ministack"
BY_SIMULATOR = "the gate, by ministack's simulator of policies"
# By the name in the scope of a signature: the namespace of actions, who answers, who authorises.
SERVICES = {
    "cloudtrail": ("cloudtrail", "ministack", BY_MINISTACK),
    "ec2": ("ec2", "moto", BY_MINISTACK),
    "logs": ("logs", "insights", BY_MINISTACK),
    "monitoring": ("cloudwatch", "ministack", BY_SIMULATOR),
    "lambda": ("lambda", "ministack", BY_MINISTACK),
    "sns": ("sns", "ministack", BY_MINISTACK),
    "s3": ("s3", "ministack", BY_MINISTACK),
    "servicequotas": ("servicequotas", "moto", BY_SIMULATOR),
    "route53resolver": ("route53resolver", "moto", BY_SIMULATOR),
}
# What ministack answers to a request whose service it does not know means nothing.
UNKNOWN_TO_MINISTACK = {"servicequotas", "route53resolver"}
WITH_LOG_GROUPS = "logs:StartQuery"
DENIED = re.compile(rb"AccessDenied|UnauthorizedOperation|AuthorizationError|is not authorized to perform")


class Unknown(Exception):
    """A request that no rule of the gate covers."""


def service_of(headers, path):
    query = urllib.parse.parse_qs(urllib.parse.urlparse(path).query)
    scope = (query.get("X-Amz-Credential") or [headers.get("Authorization", "")])[0]
    found = re.search(r"[A-Z0-9]+/\d{8}/[a-z0-9-]+/([a-z0-9]+)/aws4_request", scope)
    if not found or found[1] not in SERVICES:
        raise Unknown(f"{path}: {scope[:80]!r} names no service that this run knows")
    return found[1]


def action_of(namespace, method, path, headers, body):
    """The action as a policy names it."""
    target = headers.get("X-Amz-Target", "")
    operation = re.search(r"/operation/(\w+)$", path)
    if namespace == "s3":
        key = urllib.parse.urlparse(path).path.strip("/").partition("/")[2]
        verb = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "DELETE": "Delete"}.get(method, method)
        return f"s3:{verb}Object" if key else "s3:ListBucket"
    if namespace == "lambda":
        last = urllib.parse.urlparse(path).path.rsplit("/", 1)[-1]
        name = {"invocations": "InvokeFunction", "policy": "GetPolicy"}.get(last, last)
    elif target:
        name = target.rsplit(".", 1)[-1]
    elif operation:
        name = operation[1]
    else:
        name = (urllib.parse.parse_qs(body.decode("utf-8", "replace")).get("Action") or ["?"])[0]
    return f"{namespace}:{name}"


def authoriser(action, of_service):
    return BY_SIMULATOR if action == WITH_LOG_GROUPS else of_service


def resources(action, body, log_groups):
    """The ARNs that the call is about, where it can be narrowed to some."""
    if action != WITH_LOG_GROUPS:
        return ["*"]
    asked = json.loads(body)
    names = asked.get("logGroupNames") or asked.get("logGroupIdentifiers") or [asked.get("logGroupName", "")]
    return [name if name.startswith("arn:") else log_groups + name for name in names]


def sent(url, method, path, headers, body):
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection(urllib.parse.urlparse(url).netloc, timeout=SECONDS)
    try:
        # Host is a part of what was signed, so it is kept.
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name.lower() not in ("connection", "transfer-encoding"):
                connection.putheader(name, value)
        # The gate stands where TLS ends: the report bucket's policy takes nothing else.
        connection.putheader("X-Forwarded-Proto", "https")
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
    finally:
        connection.close()


class Gate:
    """The gate on a free port of loopback. `calls` and `refused` count actions since `forget`."""

    def __init__(self, backends, simulated, log_groups):
        """`simulated` tells whether the role may do an action on ARNs; `log_groups` begins those of log groups."""
        self.backends, self.simulated, self.log_groups = backends, simulated, log_groups
        self.lock = threading.Lock()
        self.forget()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def forget(self):
        with self.lock:
            self.calls, self.refused, self.unknown = Counter(), Counter(), []

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def refusal(self, action, headers):
        """A refusal in the protocol of the request."""
        text = f"User is not authorized to perform: {action} because no identity-based policy allows it"
        if headers.get("Smithy-Protocol") == "rpc-v2-cbor":
            error = cbor2.dumps({"__type": "AccessDeniedException", "message": text})
            return 403, [("Content-Type", "application/cbor"), ("Smithy-Protocol", "rpc-v2-cbor")], error
        error = json.dumps({"__type": "AccessDeniedException", "Message": text}).encode()
        return 400, [("Content-Type", "application/x-amz-json-1.1")], error

    def judged(self, action, service, method, path, headers, body):
        """What ministack answers to the request, and the refusal where it is one."""
        namespace, _, authorises = SERVICES[service]
        first = None
        if namespace not in UNKNOWN_TO_MINISTACK:
            first = sent(self.backends["ministack"], method, path, headers, body)
            denied = first[0] in (400, 403) and DENIED.search(first[2])
            if first[0] == 403 and not denied:
                raise Unknown(f"{action}: ministack does not take the request itself: {first[2][:300]!r}")
            if denied and authoriser(action, authorises) == BY_MINISTACK:
                return first, first
        if authoriser(action, authorises) == BY_SIMULATOR:
            if not self.simulated(action, resources(action, body, self.log_groups)):
                return first, self.refusal(action, headers)
        return first, None

    def answer(self, method, path, headers, body):
        service = service_of(headers, path)
        namespace, answers, _ = SERVICES[service]
        action = action_of(namespace, method, path, headers, body)
        first, refusal = self.judged(action, service, method, path, headers, body)
        with self.lock:
            self.calls[action] += 1
            if refusal:
                self.refused[action] += 1
        if refusal:
            return refusal
        return first if answers == "ministack" else sent(self.backends[answers], method, path, headers, body)

    def handler(gate):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    status, headers, answer = gate.answer(self.command, self.path, self.headers, body)
                except (Unknown, OSError, http.client.HTTPException) as problem:
                    with gate.lock:
                        gate.unknown.append(str(problem))
                    status, headers, answer = 500, [], str(problem).encode()
                try:
                    self.give(status, headers, answer)
                except ConnectionError:
                    # The function did not wait for it: a process of the run before, or a call given up.
                    self.close_connection = True

            def give(self, status, headers, answer):
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        return Handler
