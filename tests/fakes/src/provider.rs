//! The handle a test holds.

mod api;

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    calls::Call,
    gate::Gate,
    provider::api::MODELS_PATH,
    script::{Chat, Script},
    server::{Shared, serve},
};

/// A running fake provider. Dropping it closes its port and all its connections.
#[derive(Debug)]
pub struct FakeProvider {
    addr: SocketAddr,
    shared: Arc<Shared<Chat>>,
    server: JoinHandle<()>,
}

// === impl FakeProvider ===

impl FakeProvider {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(([127, 0, 0, 1], 0).into()).await
    }

    /// Starts one on `addr`.
    ///
    /// # Errors
    /// When `addr` cannot be listened on.
    pub async fn start_on(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let (addr, shared) = (listener.local_addr()?, Arc::new(Shared::default()));
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, server })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its base URL, `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Lets calls of `model` follow `script`, from its first turn. The gate is for turns that are gated.
    ///
    /// A script wins over what the name of the model says. Without either, a model is an echo.
    pub fn script(&self, model: impl Into<String>, script: impl Into<Script>) -> Gate {
        self.shared.script(model.into(), script.into())
    }

    /// Lets the list of models be what `script` says, from its first turn: its answers are raw, or the list that it is anyway.
    pub fn lists(&self, script: impl Into<Script>) -> Gate {
        self.script(MODELS_PATH, script)
    }

    /// The newest calls, oldest first (see [`crate::calls::KEPT`]), but for those of the list of models, which routers ask for
    /// whenever they like.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.calls().into_iter().filter(|call| call.model != MODELS_PATH).collect()
    }

    /// The calls of the list of models, oldest first.
    #[must_use]
    pub fn list_calls(&self) -> Vec<Call> {
        self.shared.calls.calls().into_iter().filter(|call| call.model == MODELS_PATH).collect()
    }

    /// The calls of `model`, oldest first.
    #[must_use]
    pub fn calls_of(&self, model: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.model == model).collect()
    }

    /// The next number of the order of everything that happens, to place something in it that the fake cannot see.
    #[must_use]
    pub fn tick(&self) -> u64 {
        self.shared.calls.tick()
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }

    /// Waits until `reached` says so; it is asked at every change of what the fake has seen. Has no deadline of its own.
    pub async fn until(&self, reached: impl Fn(&Self) -> bool) {
        let mut changes = self.shared.calls.changes();
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
