//! The observer over HTTP, on loopback or a unix socket. Changes when where and how it listens does.

mod answer;
mod shared;

pub use shared::Shared;

use crate::exit::Problem;
use anyhow::{Context as _, bail};
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, oneshot};

/// Connections at once; more wait.
const CONNECTIONS: usize = 64;
/// After an accept that failed: where descriptors are short, the next one fails at once, too.
const PAUSE: Duration = Duration::from_millis(100);

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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
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
            if is_left_over(path) {
                std::fs::remove_file(path)?;
            }
            let listener = UnixListener::bind(path).with_context(|| format!("listening on {}", path.display()))?;
            Ok((Bound::Unix(listener), format!("unix:{}", path.display()), Some(path.clone())))
        }
    }
}

/// A socket that nobody listens on was left by an observer that was killed. (A connection to what is no socket is
/// refused, too.)
fn is_left_over(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket())
        && UnixStream::connect(path).is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused)
}

async fn accept(bound: Bound, shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let shared = Arc::clone(&shared);
        let accepted = match &bound {
            Bound::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                tokio::spawn(converse(stream, shared, permit));
            }),
            Bound::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                tokio::spawn(converse(stream, shared, permit));
            }),
        };
        if accepted.is_err() {
            // No reason to end: the client was gone before, or descriptors are short for now.
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn converse<S, P>(stream: S, shared: Arc<Shared>, permit: P)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer::respond(&request, &shared)) }
    });
    // A client that leaves early is no error of the server's.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    drop(permit);
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
    fn only_a_socket_that_nobody_listens_on_is_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let [file, socket, link] = ["file", "socket", "link"].map(|name| folder.path().join(name));
        std::fs::write(&file, "precious").unwrap();
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(!is_left_over(&file) && !is_left_over(&link) && !is_left_over(&folder.path().join("none")));
        assert!(!is_left_over(&socket));
        drop(listener);
        assert!(is_left_over(&socket));
    }
}
