//! The API over HTTP on loopback, on a thread of its own, until the server is dropped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::api::{Api, Reply};
use crate::life::Pacing;
use crate::store::Store;

const JSON_1_1: &str = "application/x-amz-json-1.1";

/// The stand-in for the query API of Logs Insights.
pub struct InsightsServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A request as it came in, whatever was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The header `X-Amz-Target`, such as `Logs_20140328.StartQuery`.
    pub target: String,
    /// The body; null where it was not JSON.
    pub body: Value,
}

struct Shared {
    api: Api,
    requests: Mutex<Vec<Request>>,
}

impl InsightsServer {
    /// Starts a server whose queries are `Scheduled` for one poll and `Running` for one.
    ///
    /// # Panics
    /// When no port of the loopback interface can be bound, or no thread started.
    #[must_use]
    pub fn start(store: Store) -> InsightsServer {
        InsightsServer::start_paced(store, Pacing::default())
    }

    /// Starts a server whose queries take as many polls as `pacing` says.
    ///
    /// # Panics
    /// As `start` does.
    #[must_use]
    pub fn start_paced(store: Store, pacing: Pacing) -> InsightsServer {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .expect("the loopback interface has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs nothing but file descriptors");
        let shared = Arc::new(Shared { api: Api::new(store, pacing), requests: Mutex::default() });
        let (shutdown, until) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("insights-server".into())
            .spawn(move || {
                runtime.block_on(async {
                    let listener = TcpListener::from_std(listener).expect("the runtime drives sockets");
                    tokio::select! {
                        () = accept(listener, served) => {}
                        _ = until => {}
                    }
                });
                // An evaluation that is still going on would otherwise hold up the test's end.
                runtime.shutdown_background();
            })
            .expect("a thread can be started");
        InsightsServer { address, shared, shutdown: Some(shutdown), thread: Some(thread) }
    }

    /// The base URL, for `AWS_ENDPOINT_URL_CLOUDWATCH_LOGS`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ids of the queries that `StopQuery` stopped while there was something to stop.
    #[must_use]
    pub fn stopped_queries(&self) -> Vec<String> {
        self.shared.api.stopped()
    }
}

impl Drop for InsightsServer {
    fn drop(&mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            // The receiver is gone only if the thread is.
            let _ = shutdown.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // A connection that breaks is the client's to notice.
            let _ = connection(stream, shared).await;
        });
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let stream = stream.into_std()?;
    let raw = Arc::new(stream.try_clone()?);
    let stream = TcpStream::from_std(stream)?;
    let service = service_fn(move |request| respond(request, Arc::clone(&shared), Arc::clone(&raw)));
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

async fn respond(
    request: hyper::Request<Incoming>,
    shared: Arc<Shared>,
    raw: Arc<StdStream>,
) -> io::Result<Response<Full<Bytes>>> {
    let header = |name: &str| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let (target, content_type) = (header("x-amz-target"), header("content-type"));
    let is_call = request.method() == Method::POST && request.uri().path() == "/" && content_type == JSON_1_1;
    let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    let recorded =
        Request { target: target.clone(), body: serde_json::from_slice(&body).unwrap_or_default() };
    shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(recorded);

    let reply = if is_call {
        shared.api.answer(&target, &body).await
    } else {
        let message = format!("a call is a POST of {JSON_1_1} to /");
        Reply::Json(400, json!({ "__type": "UnknownOperationException", "message": message }))
    };
    let (status, text) = match reply {
        Reply::Json(status, body) => (status, body.to_string()),
        Reply::NotJson => (200, "{\"results\":[[{\"field\":".to_owned()),
        Reply::Reset => {
            socket2::SockRef::from(&*raw).set_linger(Some(Duration::ZERO))?;
            return Err(io::Error::from(io::ErrorKind::ConnectionReset));
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = hyper::StatusCode::from_u16(status).map_err(io::Error::other)?;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON_1_1));
    Ok(response)
}
