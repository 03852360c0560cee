//! The handle of a fake provider in a test.

mod api;
mod direct;
mod models;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError},
};

use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    calls::Call,
    gate::Gate,
    provider::{api::Provider, models::PATH as MODELS_PATH},
    script::{Script, manner::is_rude},
    server::serve,
};

/// A running fake provider. Dropping it closes its port and all its connections.
#[derive(Debug)]
pub struct FakeProvider {
    addr: SocketAddr,
    provider: Arc<Provider>,
    server: JoinHandle<()>,
}

// === impl FakeProvider ===

impl FakeProvider {
    /// Starts a fake provider on a free port of 127.0.0.1. Within [`rudely`](crate::script::rudely) it is rude.
    ///
    /// # Errors
    /// Fails if no port can be listened on.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(([127, 0, 0, 1], 0).into()).await
    }

    /// Starts a fake provider on `addr`.
    ///
    /// # Errors
    /// Fails if `addr` cannot be listened on.
    pub async fn start_on(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let (addr, provider) = (listener.local_addr()?, Arc::new(Provider::new(is_rude())));
        let server = tokio::spawn(serve(listener, Arc::clone(&provider)));
        Ok(Self { addr, provider, server })
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns its base URL, `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Makes calls of `model` follow `script`, starting with its first turn. The returned gate applies to gated turns.
    ///
    /// A script takes precedence over the model name. Without a script and without a known name, the model is an echo.
    pub fn script(&self, model: impl Into<String>, script: impl Into<Script>) -> Gate {
        self.provider.shared.script(model.into(), script.into())
    }

    /// Makes the list of models follow `script`, starting with its first turn. Raw bodies replace the list; other turns
    /// send the default list.
    pub fn lists(&self, script: impl Into<Script>) -> Gate {
        self.script(MODELS_PATH, script)
    }

    /// Refuses all requests below `/v1` that do not have this key: as `Authorization: Bearer`, or also as `x-api-key`
    /// in requests of Anthropic's API. `None` admits all, which is the default.
    pub fn require_key(&self, key: Option<&str>) {
        *self.provider.key.write().unwrap_or_else(PoisonError::into_inner) = key.map(str::to_owned);
    }

    /// Returns the newest calls, oldest first (see [`crate::calls::MAX_KEPT_CALLS`]), without those of the list of
    /// models, which routers request at times of their own.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.provider.shared.calls.calls().into_iter().filter(|call| call.model != MODELS_PATH).collect()
    }

    /// Returns the calls of the list of models, oldest first.
    #[must_use]
    pub fn list_calls(&self) -> Vec<Call> {
        self.provider.shared.calls.calls().into_iter().filter(|call| call.model == MODELS_PATH).collect()
    }

    /// Returns the calls of `model`, oldest first.
    #[must_use]
    pub fn calls_of(&self, model: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.model == model).collect()
    }

    /// Returns the next sequence number, to order an event that the fake cannot see among those that it does.
    #[must_use]
    pub fn tick(&self) -> u64 {
        self.provider.shared.calls.tick()
    }

    /// Returns the number of open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.provider.shared.connections()
    }

    /// Waits until `reached` returns true, checking at every change of the fake's state. Has no deadline of its own.
    pub async fn until(&self, reached: impl Fn(&Self) -> bool) {
        let mut changes = self.provider.shared.calls.changes();
        while !reached(self) {
            // The sender lives as long as `self`.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}
