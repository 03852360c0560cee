//! Requests in flight, counters and events of the router. Each of its processes is asked for itself.

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use signalbox_management::live::{Activity, Alert, Cancellation, InFlightRequest, LiveEvent, Swept};
use signalbox_upstream::loopback::{self, Streamed};
use uuid::Uuid;

use super::{RouterClient, RouterResponse};

/// Timeout for answers from memory.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout for the counters, which are asked for every second.
const TICK_TIMEOUT: Duration = Duration::from_millis(800);
/// Maximum bytes of a list of requests, above that of a router at its limit.
const MAX_LIST: usize = 64 << 20;
/// Time after which a silent stream of events is given up: the router sends a blank line every 5 s.
const MAX_SILENCE: Duration = Duration::from_secs(20);
/// Maximum bytes of an event.
const MAX_EVENT: usize = 1 << 20;

const REQUESTS: &str = "/v1/admin/requests";
const ACTIVITY: &str = "/v1/admin/activity";
pub(super) const CLEAR_CACHE: &str = "/v1/admin/cache/clear";
pub(super) const RESET_BREAKERS: &str = "/v1/admin/breakers/reset";

/// A type of events that each router process streams.
pub trait RouterEvent: DeserializeOwned + Send + 'static {
    /// Path of the stream.
    const PATH: &'static str;
}

impl RouterEvent for LiveEvent {
    const PATH: &'static str = "/v1/admin/events";
}

impl RouterEvent for Alert {
    const PATH: &'static str = "/v1/admin/alerts";
}

/// Events of type `E` of one router process.
#[derive(Debug)]
pub struct LiveEvents<E> {
    body: Streamed,
    pending: BytesMut,
    of: PhantomData<fn() -> E>,
}

// === impl RouterClient ===

impl RouterClient {
    /// Returns the requests in flight at all processes.
    ///
    /// # Errors
    /// The reason why none of them answers.
    pub async fn requests_in_flight(&self) -> Result<Vec<InFlightRequest>, String> {
        let asked = self.each().into_iter().map(|addr| self.ask_for(addr, Method::GET, REQUESTS, MAX_LIST, TIMEOUT));
        let (mut all, mut failure, mut any) = (Vec::new(), None, false);
        for answer in join_all(asked).await {
            match answer.map_err(|error| error.to_string()).and_then(read::<Vec<InFlightRequest>>) {
                Ok(requests) => {
                    any = true;
                    all.extend(requests);
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if !any => Err(error),
            _ => Ok(all),
        }
    }

    /// Cancels a request at the process that serves it.
    ///
    /// # Errors
    /// The reason why a process does not answer, if no other one knows the request.
    pub async fn cancel_request(&self, id: Uuid) -> Result<Cancellation, String> {
        #[derive(Deserialize)]
        struct Outcome {
            cancelled: bool,
            #[serde(default)]
            ended: bool,
        }
        let path = format!("{REQUESTS}/{id}/cancel");
        let asked = self.each().into_iter().map(|addr| self.ask_for(addr, Method::POST, &path, MAX_EVENT, TIMEOUT));
        let outcomes = join_all(asked).await.into_iter();
        let outcomes: Vec<Result<Outcome, String>> =
            outcomes.map(|answer| answer.map_err(|error| error.to_string()).and_then(read)).collect();
        if outcomes.iter().flatten().any(|outcome| outcome.cancelled) {
            return Ok(Cancellation::Cancelled);
        }
        if outcomes.iter().flatten().any(|outcome| outcome.ended) {
            return Ok(Cancellation::Ended);
        }
        outcomes.into_iter().find_map(Result::err).map_or(Ok(Cancellation::Unknown), Err)
    }

    /// Asks every process to change its own state by `path`.
    ///
    /// # Errors
    /// The reason why one of them does not answer; the others have done it.
    pub(super) async fn sweep(&self, path: &str) -> Result<Swept, String> {
        #[derive(Deserialize)]
        struct Counted {
            count: u64,
        }
        let asked = self.each().into_iter().map(|addr| async move {
            let answer = self.ask_for(addr, Method::POST, path, MAX_EVENT, TIMEOUT).await;
            let counted = answer.map_err(|error| error.to_string()).and_then(read::<Counted>);
            counted.map_err(|error| format!("the process at {addr}: {error}"))
        });
        let mut swept = Swept::default();
        for counted in join_all(asked).await {
            swept.count += counted?.count;
            swept.routers += 1;
        }
        Ok(swept)
    }

    /// Returns the counters of the processes that answer.
    pub async fn activity(&self) -> Vec<Activity> {
        let asked =
            self.each().into_iter().map(|addr| self.ask_for(addr, Method::GET, ACTIVITY, MAX_EVENT, TICK_TIMEOUT));
        join_all(asked).await.into_iter().flatten().filter_map(|answer| read(answer).ok()).collect()
    }

    /// Returns the addresses of the processes.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.each()
    }

    /// Opens the stream of events of one type of the process at this address.
    ///
    /// # Errors
    /// The reason why it does not answer.
    pub async fn events<E: RouterEvent>(&self, addr: SocketAddr) -> Result<LiveEvents<E>, String> {
        let request = self.request(Method::GET, E::PATH, Bytes::new()).map_err(|error| error.to_string())?;
        let answer = loopback::open_stream(addr, request, TIMEOUT).await.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answered {}", answer.status()));
        }
        Ok(LiveEvents { body: answer.into_body(), pending: BytesMut::new(), of: PhantomData })
    }
}

fn read<T: DeserializeOwned>(answer: RouterResponse) -> Result<T, String> {
    if answer.status.is_success() { answer.read() } else { Err(answer.message()) }
}

// === impl LiveEvents ===

impl<E: DeserializeOwned> LiveEvents<E> {
    /// Returns the next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<E> {
        loop {
            while let Some(end) = memchr::memchr(b'\n', &self.pending) {
                let line = self.pending.split_to(end + 1);
                // A heartbeat is a blank line. An event of another version is left out.
                if let Ok(event) = serde_json::from_slice(&line) {
                    return Some(event);
                }
            }
            if self.pending.len() > MAX_EVENT {
                return None;
            }
            let frame = tokio::time::timeout(MAX_SILENCE, self.body.frame()).await.ok()??.ok()?;
            if let Ok(data) = frame.into_data() {
                self.pending.extend_from_slice(&data);
            }
        }
    }
}
