//! The observer over HTTP: /events, /status, /metrics, /healthz, on loopback or a unix socket. Changes when
//! what is served does.

use super::backlog::Backlog;
use super::metrics;
use crate::exit::Problem;
use anyhow::{Context as _, bail};
use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use tg_ebpf::kernel::Figures;
use tg_model::node_event::ProgramStatus;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Connections at once; more wait.
const CONNECTIONS: usize = 64;
/// Chunks that wait for a reader; the backlog keeps what comes after.
const CHUNKS: usize = 2;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Loopback(SocketAddr),
    Unix(PathBuf),
}

/// Reads `ADDR:PORT` or `unix:PATH`.
pub fn listen(text: &str) -> anyhow::Result<Listen> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Listen::Unix(path.into()));
    }
    let address: SocketAddr = text.parse().context("want ADDRESS:PORT or unix:PATH")?;
    if !address.ip().is_loopback() {
        bail!(
            "not a loopback address: what a node sees is not for everybody; put a proxy before it that asks who comes"
        );
    }
    Ok(Listen::Loopback(address))
}

/// What is served, as of now.
pub struct Shared {
    backlog: Arc<Backlog>,
    status: Mutex<Vec<ProgramStatus>>,
    capabilities: Vec<(String, &'static str)>,
    figures: Mutex<BTreeMap<&'static str, Figures>>,
}

impl Shared {
    pub fn new(backlog: Arc<Backlog>, status: &[ProgramStatus], capabilities: Vec<(String, &'static str)>) -> Shared {
        Shared { backlog, status: Mutex::new(status.to_vec()), capabilities, figures: Mutex::default() }
    }

    pub fn update(&self, figures: BTreeMap<&'static str, Figures>) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    /// A module came or went.
    pub fn attached(&self, status: &[ProgramStatus]) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status.to_vec();
    }

    fn status(&self) -> String {
        let capabilities: BTreeMap<&str, &str> = self.capabilities.iter().map(|(c, why)| (c.as_str(), *why)).collect();
        let lines = *self.backlog.next().borrow();
        let version = env!("CARGO_PKG_VERSION");
        let programs = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all = json!({ "tg_version": version, "programs": programs, "capabilities": capabilities, "lines": lines });
        format!("{all}\n")
    }

    fn metrics(&self) -> String {
        let figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        metrics::text(&figures, *self.backlog.next().borrow())
    }
}

/// A server under way.
pub struct Server {
    /// Where, as a client names it.
    pub place: String,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    socket: Option<PathBuf>,
}

impl Server {
    pub fn stop(self) {
        // It may have ended by itself.
        let _ = self.stop.send(());
        let _ = self.thread.join();
        if let Some(path) = self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Listens, and answers on a thread of its own.
pub fn serve(listen: &Listen, shared: Arc<Shared>) -> Result<Server, Problem> {
    let start = || -> anyhow::Result<Server> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let entered = runtime.enter();
        let (bound, place, socket) = bind(listen)?;
        drop(entered);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("tg-http".into()).spawn(move || {
            runtime.block_on(async {
                tokio::pin! { let serving = accept(bound, shared); }
                let mut stopped = stopped;
                std::future::poll_fn(|context| {
                    if Pin::new(&mut stopped).poll(context).is_ready() {
                        return Poll::Ready(());
                    }
                    serving.as_mut().poll(context)
                })
                .await;
            });
            // Readers of /events would read for ever.
            runtime.shutdown_background();
        })?;
        Ok(Server { place, stop, thread, socket })
    };
    start().map_err(Problem::Failed)
}

fn bind(listen: &Listen) -> anyhow::Result<(Bound, String, Option<PathBuf>)> {
    match listen {
        Listen::Loopback(address) => {
            let listener = std::net::TcpListener::bind(address).with_context(|| format!("listening on {address}"))?;
            listener.set_nonblocking(true)?;
            let place = format!("http://{}", listener.local_addr()?);
            Ok((Bound::Tcp(TcpListener::from_std(listener)?), place, None))
        }
        Listen::Unix(path) => {
            // One that nobody listens on was left by an observer that was killed.
            if std::os::unix::net::UnixStream::connect(path)
                .is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused)
            {
                std::fs::remove_file(path)?;
            }
            let listener = UnixListener::bind(path).with_context(|| format!("listening on {}", path.display()))?;
            Ok((Bound::Unix(listener), format!("unix:{}", path.display()), Some(path.clone())))
        }
    }
}

async fn accept(bound: Bound, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        // A connection that was gone before it was accepted is no reason to end.
        match &bound {
            Bound::Tcp(listener) => {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream, Arc::clone(&shared), permit));
                }
            }
            Bound::Unix(listener) => {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream, Arc::clone(&shared), permit));
                }
            }
        }
    }
}

async fn answer<S, P>(stream: S, shared: Arc<Shared>, permit: P)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(respond(&request, &shared)) }
    });
    // A client that leaves early is no error of the server's.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    drop(permit);
}

type Answer = Response<Either<Full<Bytes>, Events>>;

fn respond(request: &Request<Incoming>, shared: &Arc<Shared>) -> Answer {
    if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET only\n".into());
    }
    match request.uri().path() {
        "/healthz" => text(StatusCode::OK, "text/plain", "ok\n".into()),
        "/status" => text(StatusCode::OK, "application/json", shared.status()),
        "/metrics" => text(StatusCode::OK, "text/plain; version=0.0.4", shared.metrics()),
        "/events" => match from(request.uri().query()) {
            Ok(from) => events(shared, from),
            Err(why) => text(StatusCode::BAD_REQUEST, "text/plain", format!("{why}\n")),
        },
        _ => text(StatusCode::NOT_FOUND, "text/plain", "/events, /status, /metrics or /healthz\n".into()),
    }
}

/// `from=SEQ`; without it from now on.
fn from(query: Option<&str>) -> Result<Option<u64>, String> {
    match query.map(|q| q.split_once('=')) {
        None => Ok(None),
        Some(Some(("from", number))) => number.parse().map(Some).map_err(|_| format!("from={number}: want a number")),
        Some(_) => Err("want /events or /events?from=NUMBER".into()),
    }
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(body.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    answer
}

/// The journal's lines as they come.
struct Events(mpsc::Receiver<Bytes>);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(context).map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn events(shared: &Arc<Shared>, from: Option<u64>) -> Answer {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let backlog = Arc::clone(&shared.backlog);
    let mut word = backlog.next();
    let mut at = from.unwrap_or(*word.borrow());
    tokio::spawn(async move {
        loop {
            word.mark_unchanged();
            let chunk = backlog.read(at);
            at = chunk.next;
            if chunk.bytes.is_empty() {
                // Neither a reader that left nor the observer's end is waited past.
                let left = std::pin::pin!(sender.closed());
                let came = std::pin::pin!(word.changed());
                if either(left, came).await {
                    return;
                }
            } else if sender.send(chunk.bytes.into()).await.is_err() {
                return;
            }
        }
    });
    let mut answer = Response::new(Either::Right(Events(receiver)));
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/x-ndjson"));
    answer
}

/// Waits for the first of two; true where that was `left`, or `came` failed.
async fn either<T, E>(
    mut left: Pin<&mut impl Future<Output = ()>>,
    mut came: Pin<&mut impl Future<Output = Result<T, E>>>,
) -> bool {
    std::future::poll_fn(|context| match (left.as_mut().poll(context), came.as_mut().poll(context)) {
        (Poll::Ready(()), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(true),
        (_, Poll::Ready(Ok(_))) => Poll::Ready(false),
        _ => Poll::Pending,
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_unix_sockets_are_listened_on() {
        assert_eq!(listen("127.0.0.1:0").unwrap(), Listen::Loopback("127.0.0.1:0".parse().unwrap()));
        assert_eq!(listen("[::1]:9464").unwrap(), Listen::Loopback("[::1]:9464".parse().unwrap()));
        assert_eq!(listen("unix:/run/tg.sock").unwrap(), Listen::Unix("/run/tg.sock".into()));
        for text in ["0.0.0.0:80", "192.0.2.1:80", "[::]:80", "localhost", ""] {
            assert!(listen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn events_from_a_number_or_from_now() {
        assert_eq!(from(None), Ok(None));
        assert_eq!(from(Some("from=7")), Ok(Some(7)));
        for query in ["from=", "from=-1", "since=1", "from", ""] {
            assert!(from(Some(query)).is_err(), "{query}");
        }
    }
}
