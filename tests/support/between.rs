//! Stands between the function and the emulators: lets calls through, remembers their answers, and does
//! wrong what it is told to.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// One way for a call to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// No permission.
    Denied,
    /// Throttled twice, then answered.
    ThrottledForAWhile,
    /// Throttled whenever it is tried.
    ThrottledForEver,
    /// Status 500.
    ServerError,
    /// The connection ends without an answer.
    Reset,
    /// No answer before the invocation is over.
    Slow,
    /// Status 200, and a body of no protocol.
    Malformed,
    /// An answer that holds nothing.
    Empty,
    /// The query has come to this status, or never leaves it.
    Status(&'static str),
    /// The query has ten times the rows that one page of an answer holds.
    ManyRows,
    /// The service's own error of this code.
    Code(&'static str),
}

/// What was published.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) subject: String,
    /// Per protocol.
    pub(crate) body: Value,
    /// What the filters of subscriptions see, by name.
    pub(crate) attributes: BTreeMap<String, String>,
}

/// Where calls go that nothing is wrong with, and what they were answered.
#[derive(Clone)]
pub(crate) struct Beyond {
    pub(crate) ec2: String,
    pub(crate) logs: String,
    pub(crate) rest: String,
    answers: Arc<Mutex<Answers>>,
}

/// By action and body of the request.
type Answers = HashMap<(String, Vec<u8>), Vec<u8>>;

impl Beyond {
    pub(crate) fn new(ec2: &str, logs: &str, rest: &str) -> Self {
        let host = |url: &str| {
            let host = url.strip_prefix("http://").expect("plain HTTP");
            assert!(host.starts_with("127.0.0.1:"), "{url} is not on loopback");
            host.to_owned()
        };
        Self { ec2: host(ec2), logs: host(logs), rest: host(rest), answers: Arc::default() }
    }
}

/// How slow everything is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Each call.
    pub(crate) call: Duration,
    /// Each query, from its start on.
    pub(crate) query: Duration,
}

#[derive(Default)]
struct Seen {
    started: Option<Instant>,
    calls: BTreeMap<String, u32>,
    published: Vec<Published>,
}

/// A stand-in for every service at once.
pub(crate) struct Between {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Between {
    /// Lets everything through but `wrong`.
    pub(crate) fn start(beyond: &Beyond, wrong: Option<(String, Wrong)>) -> Self {
        Self::start_paced(beyond, wrong, Pace::default())
    }

    /// The same, slowly.
    pub(crate) fn start_paced(beyond: &Beyond, wrong: Option<(String, Wrong)>, pace: Pace) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback is free");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::<Mutex<Seen>>::default();
        let (beyond, keep) = (beyond.clone(), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (beyond, seen, wrong) = (beyond.clone(), Arc::clone(&keep), wrong.clone());
                thread::spawn(move || serve(stream, &beyond, &seen, wrong.as_ref(), pace));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often each action was called.
    pub(crate) fn calls(&self) -> BTreeMap<String, u32> {
        locked(&self.seen).calls.clone()
    }

    pub(crate) fn published(&self) -> Vec<Published> {
        locked(&self.seen).published.clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request: its head as it came, and its body.
struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    fn read(reader: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let mut request = Self { head, body: Vec::new() };
        let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// A parameter of the query protocol.
    fn parameter(&self, name: &str) -> Option<String> {
        let text = std::str::from_utf8(&self.body).ok()?;
        let pair = text.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(unescaped(pair))
    }

    /// The message attributes of a request to SNS.
    fn attributes(&self) -> BTreeMap<String, String> {
        let entry = |number: usize| {
            let of = |part: &str| self.parameter(&format!("MessageAttributes.entry.{number}.{part}"));
            Some((of("Name")?, of("Value.StringValue")?))
        };
        (1..).map_while(entry).collect()
    }

    /// What is asked for.
    fn path(&self) -> &str {
        self.head.split_whitespace().nth(1).expect("a path")
    }

    /// Only S3 is asked by plain GET.
    fn is_of_s3(&self) -> bool {
        self.head.starts_with("GET ")
    }

    /// The action as a policy names it.
    fn action(&self) -> String {
        if let Some(target) = self.header("x-amz-target") {
            let (service, operation) = target.split_once('.').expect("a target");
            let service = match service {
                "CloudTrail_20131101" => "cloudtrail",
                "Logs_20140328" => "logs",
                "Route53Resolver" => "route53resolver",
                _ => "servicequotas",
            };
            return format!("{service}:{operation}");
        }
        if self.is_of_s3() {
            let lists = self.path().contains("list-type=2");
            return if lists { "s3:ListBucket" } else { "s3:GetObject" }.to_owned();
        }
        if let Some((_, operation)) = self.head.split_once("/operation/") {
            return format!("cloudwatch:{}", operation.split_whitespace().next().expect("a path"));
        }
        let action = self.parameter("Action").unwrap_or_else(|| panic!("an unknown request: {}", self.head));
        format!("{}:{action}", if action == "Publish" { "sns" } else { "ec2" })
    }
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, tail @ ..]) => {
                let digits = [*high, *low];
                let hex = std::str::from_utf8(&digits).expect("ASCII");
                bytes.push(u8::from_str_radix(hex, 16).expect("hexadecimal"));
                rest = tail;
            }
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

fn serve(
    stream: TcpStream,
    beyond: &Beyond,
    seen: &Mutex<Seen>,
    wrong: Option<&(String, Wrong)>,
    pace: Pace,
) {
    let mut out = stream.try_clone().expect("a second handle");
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader) {
        let action = request.action();
        let times = {
            let mut seen = locked(seen);
            let times = seen.calls.entry(action.clone()).or_default();
            *times += 1;
            *times
        };
        let wrong = wrong.filter(|(of, _)| *of == action).map(|(_, wrong)| *wrong);
        let answer = match wrong {
            Some(Wrong::ThrottledForAWhile) if times > 2 => None,
            Some(Wrong::Reset) => return,
            Some(Wrong::Slow) => {
                thread::sleep(Duration::from_secs(60));
                return;
            }
            Some(Wrong::ManyRows) => Some(full_page(&healthy(&action, &request, beyond))),
            Some(wrong) => Some(wrongly(&action, wrong)),
            None => None,
        };
        if answer.is_none() && action == "sns:Publish" {
            let text = |name: &str| request.parameter(name).expect("given");
            let body = serde_json::from_str(&text("Message")).expect("JSON");
            locked(seen).published.push(Published {
                subject: text("Subject"),
                body,
                attributes: request.attributes(),
            });
        }
        thread::sleep(pace.call);
        let answer = answer.unwrap_or_else(|| {
            if running(&action, seen, pace) {
                return response(200, JSON, br#"{"status":"Running","results":[]}"#);
            }
            healthy(&action, &request, beyond)
        });
        if out.write_all(&answer).is_err() {
            return;
        }
    }
}

/// Whether the query that this call asks after has not run for long enough.
fn running(action: &str, seen: &Mutex<Seen>, pace: Pace) -> bool {
    let mut seen = locked(seen);
    if action == "logs:StartQuery" {
        seen.started = Some(Instant::now());
    }
    action == "logs:GetQueryResults" && seen.started.is_some_and(|started| started.elapsed() < pace.query)
}

/// The answer of the service itself, the same for the same question.
fn healthy(action: &str, request: &Request, beyond: &Beyond) -> Vec<u8> {
    if action == "sns:Publish" {
        let body = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>";
        return response(200, "text/xml", body.as_bytes());
    }
    if action == "cloudtrail:LookupEvents" {
        return response(200, JSON, events(&request.body).to_string().as_bytes());
    }
    // What S3 is asked for stands in the path.
    let of_path = if request.is_of_s3() { request.path() } else { "" };
    let key = (format!("{action}{of_path}"), request.body.clone());
    if let Some(answer) = locked(&beyond.answers).get(&key) {
        return answer.clone();
    }
    let host = match action.split_once(':').map(|(service, _)| service) {
        Some("ec2" | "servicequotas" | "route53resolver") => &beyond.ec2,
        Some("logs") => &beyond.logs,
        _ => &beyond.rest,
    };
    let mut stream = TcpStream::connect(host).expect("the emulator is up");
    let mut head: Vec<&str> = request
        .head
        .trim_end()
        .lines()
        .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"))
        .collect();
    head.push("connection: close");
    stream.write_all(format!("{}\r\n\r\n", head.join("\r\n")).as_bytes()).expect("sent");
    stream.write_all(&request.body).expect("sent");
    let (kind, status, body) = answered(stream, action);
    let answer = response(status, &kind, &body);
    let unfinished =
        action == "logs:GetQueryResults" && !body.windows(10).any(|part| part == b"\"Complete\"");
    if status == 200 && !unfinished {
        locked(&beyond.answers).insert(key, answer.clone());
    }
    answer
}

/// What CloudTrail's event history holds: that a route was led to the gateway by whose name it is asked for, ten
/// minutes before the end of the time that is asked about.
///
/// Source: `LookupEvents` in the AWS CloudTrail API reference; "CloudTrail record contents" in its user guide.
fn events(request: &[u8]) -> Value {
    let asked: Value = serde_json::from_slice(request).expect("JSON");
    let [from, until] = ["StartTime", "EndTime"].map(|name| asked[name].as_f64().expect("a time"));
    let filters = asked["LookupAttributes"].as_array().expect("a list");
    let [filter] = &filters[..] else { panic!("CloudTrail takes one filter: {filters:?}") };
    if filter["AttributeKey"] != "ResourceName" {
        return json!({ "Events": [] });
    }
    let at = until - 600.0;
    assert!(from < at, "{asked}");
    let record = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "sessionContext": { "sessionIssuer": { "type": "Role", "userName": "deploy" } },
        },
        "eventSource": "ec2.amazonaws.com",
        "eventName": "ReplaceRoute",
        "requestParameters": {
            "routeTableId": "rtb-0a1b2c3d4e5f60718",
            "destinationCidrBlock": "0.0.0.0/0",
            "natGatewayId": filter["AttributeValue"],
        },
        "responseElements": { "_return": true },
        "readOnly": false,
    });
    json!({ "Events": [{
        "EventId": "a6e1634d-4fa3-4b99-be61-9524e513b911",
        "EventName": "ReplaceRoute",
        "EventSource": "ec2.amazonaws.com",
        "EventTime": at,
        "ReadOnly": "false",
        "Username": "jane",
        "AccessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "Resources": [{ "ResourceType": "AWS::EC2::RouteTable", "ResourceName": "rtb-0a1b2c3d4e5f60718" }],
        "CloudTrailEvent": record.to_string(),
    }] })
}

/// Content type, status and body of an answer after which the connection ends.
fn answered(stream: TcpStream, action: &str) -> (String, u16, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).expect("an answer") > 0, "half an answer to {action}: {head}");
    }
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let mut body = Vec::new();
    if header("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).expect("a chunk");
            let size = usize::from_str_radix(size.trim(), 16).expect("a size");
            let start = body.len();
            body.resize(start + size + 2, 0);
            reader.read_exact(&mut body[start..]).expect("a chunk");
            body.truncate(start + size);
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = header("content-length") {
        body.resize(length.parse().expect("a length"), 0);
        reader.read_exact(&mut body).expect("a body");
    } else {
        reader.read_to_end(&mut body).expect("a body");
    }
    (header("content-type").unwrap_or_default(), status, body)
}

fn response(status: u16, kind: &str, body: &[u8]) -> Vec<u8> {
    let cbor = if kind == CBOR { "smithy-protocol: rpc-v2-cbor\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{cbor}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

const CBOR: &str = "application/cbor";
const JSON: &str = "application/x-amz-json-1.1";
const XML: &str = "text/xml";

/// The rows of an answer again and again, until they fill a page, with more to come.
fn full_page(answer: &[u8]) -> Vec<u8> {
    const PAGE: usize = 10_000;

    let start = answer.windows(4).position(|part| part == b"\r\n\r\n").expect("a head") + 4;
    let mut page: Value = serde_json::from_slice(&answer[start..]).expect("JSON");
    let rows = page["results"].as_array().expect("rows").clone();
    if rows.is_empty() {
        return answer.to_vec();
    }
    page["results"] = rows.iter().cycle().take(PAGE).cloned().collect();
    page["nextToken"] = "more".into();
    response(200, JSON, page.to_string().as_bytes())
}

/// What the services say in each case, in the protocol of each.
fn wrongly(action: &str, wrong: Wrong) -> Vec<u8> {
    let (service, operation) = action.split_once(':').expect("an action");
    if wrong == Wrong::Malformed {
        return response(200, XML, b"<<< not what anybody expects");
    }
    if wrong == Wrong::Empty {
        return match service {
            "cloudwatch" => response(200, CBOR, &[0xa0]),
            "s3" if operation == "GetObject" => response(200, XML, b""),
            "s3" => response(200, XML, b"<ListBucketResult></ListBucketResult>"),
            "cloudtrail" | "logs" | "servicequotas" | "route53resolver" => response(200, JSON, b"{}"),
            _ => response(
                200,
                XML,
                format!("<{operation}Response><requestId>r-1</requestId></{operation}Response>").as_bytes(),
            ),
        };
    }
    if let Wrong::Status(status) = wrong {
        return response(200, JSON, format!(r#"{{"status":"{status}","results":[]}}"#).as_bytes());
    }
    let (status, code) = match (wrong, service) {
        (Wrong::Denied, "ec2") => (403, "UnauthorizedOperation"),
        (Wrong::Denied, "sns") => (403, "AuthorizationError"),
        (Wrong::Denied, "cloudwatch" | "s3") => (403, "AccessDenied"),
        (Wrong::Denied, _) => (400, "AccessDeniedException"),
        (Wrong::ThrottledForAWhile | Wrong::ThrottledForEver, "ec2") => (503, "RequestLimitExceeded"),
        (Wrong::ThrottledForAWhile | Wrong::ThrottledForEver, "s3") => (503, "SlowDown"),
        (Wrong::ThrottledForAWhile | Wrong::ThrottledForEver, "sns") => (429, "Throttled"),
        (Wrong::ThrottledForAWhile | Wrong::ThrottledForEver, _) => (400, "ThrottlingException"),
        (Wrong::Code(code), _) => (400, code),
        (_, "ec2" | "s3" | "sns") => (500, "InternalError"),
        _ => (500, "InternalFailure"),
    };
    let message = "no, says the service";
    match service {
        "cloudwatch" => {
            let text = |text: &str| {
                let length = u8::try_from(text.len()).expect("short");
                [&[0x78, length], text.as_bytes()].concat()
            };
            let body = [vec![0xa2], text("__type"), text(code), text("message"), text(message)].concat();
            response(status, CBOR, &body)
        }
        "cloudtrail" | "logs" | "servicequotas" | "route53resolver" => {
            response(status, JSON, format!(r#"{{"__type":"{code}","message":"{message}"}}"#).as_bytes())
        }
        "s3" => response(status, XML, format!("<Error><Code>{code}</Code><Message>{message}</Message><RequestId>r-1</RequestId></Error>").as_bytes()),
        "ec2" => response(status, XML, format!("<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>r-1</RequestID></Response>").as_bytes()),
        _ => response(status, XML, format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>").as_bytes()),
    }
}
