//! A request's answer. Changes when what can be asked for does.

use super::Shared;
use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Chunks that wait for a reader; the backlog keeps what comes after.
const CHUNKS: usize = 2;

pub type Answer = Response<Either<Full<Bytes>, Events>>;

/// `/events`, `/status`, `/metrics`, `/healthz`.
pub fn respond(request: &Request<Incoming>, shared: &Arc<Shared>) -> Answer {
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
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// The journal's lines as they come.
pub struct Events(mpsc::Receiver<Bytes>);

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
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
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
    use super::from;

    #[test]
    fn events_from_a_number_or_from_now() {
        assert_eq!(from(None), Ok(None));
        assert_eq!(from(Some("from=7")), Ok(Some(7)));
        for query in ["from=", "from=-1", "since=1", "from", ""] {
            assert!(from(Some(query)).is_err(), "{query}");
        }
    }
}
