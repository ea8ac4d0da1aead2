//! Lambda's runtime API on loopback: hands out events, takes what the function answers.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tiny_http::{Header, Method, Response, Server};

/// What the function said of one event.
#[derive(Debug)]
pub(crate) enum Answered {
    /// The body that it returned.
    Response(serde_json::Value),
    /// The error that it reported.
    Error(serde_json::Value),
}

/// A runtime API that serves one function.
pub(crate) struct RuntimeApi {
    address: SocketAddr,
    events: Sender<Event>,
    answers: Receiver<Answered>,
}

struct Event {
    body: String,
    allowed: Duration,
}

impl RuntimeApi {
    pub(crate) fn start() -> Self {
        let server = Server::http("127.0.0.1:0").expect("a port on loopback is free");
        let address = server.server_addr().to_ip().expect("an address on loopback");
        let (events, next) = channel::<Event>();
        let (answered, answers) = channel();
        thread::spawn(move || serve(&server, &next, &answered));
        Self { address, events, answers }
    }

    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Invokes the function, which has `allowed` before its deadline, and waits for its answer.
    pub(crate) fn invoke(&self, event: &serde_json::Value, allowed: Duration) -> Answered {
        self.events.send(Event { body: event.to_string(), allowed }).expect("the runtime API is up");
        self.answers
            .recv_timeout(allowed + Duration::from_secs(10))
            .expect("the function answers before its deadline")
    }
}

fn serve(server: &Server, next: &Receiver<Event>, answered: &Sender<Answered>) {
    for mut request in server.incoming_requests() {
        let url = request.url().to_owned();
        if *request.method() == Method::Get && url.ends_with("/invocation/next") {
            let Ok(event) = next.recv() else { return };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
            let header = |name: &str, value: &str| {
                Header::from_bytes(name.as_bytes(), value.as_bytes()).expect("a valid header")
            };
            let deadline = (now + event.allowed).as_millis().to_string();
            let response = Response::from_string(event.body)
                .with_header(header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"))
                .with_header(header("Lambda-Runtime-Deadline-Ms", &deadline))
                .with_header(header(
                    "Lambda-Runtime-Invoked-Function-Arn",
                    "arn:aws:lambda:eu-west-1:123456789012:function:nat-triage",
                ))
                .with_header(header("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"));
            let _ = request.respond(response);
            continue;
        }
        let mut body = String::new();
        let _ = request.as_reader().read_to_string(&mut body);
        let value = serde_json::from_str(&body).unwrap_or(serde_json::Value::String(body));
        let answer =
            if url.ends_with("/response") { Answered::Response(value) } else { Answered::Error(value) };
        let _ = request.respond(Response::from_string("{}").with_status_code(202));
        if answered.send(answer).is_err() {
            return;
        }
    }
}
