//! The author of a change. A task-local variable holds it, so that it need not be passed through all functions.

use tokio::task::futures::TaskLocalFuture;

tokio::task_local! {
    static ACTOR: Actor;
}

/// The author of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// `api:<address>`, `cli:<user>`, `router` or `signalbox`.
    pub name: String,
    /// The request that caused the change.
    pub request: Option<RequestLine>,
}

/// A request that may change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLine {
    /// The `X-Request-ID` of the response.
    pub id: String,
    /// `POST`.
    pub method: String,
    /// The path, without the query.
    pub path: String,
}

/// Runs `work` on behalf of `actor`: its writes are logged as theirs, except those made in other tasks.
pub fn with_actor<F: Future>(actor: Actor, work: F) -> TaskLocalFuture<Actor, F> {
    ACTOR.scope(actor, work)
}

/// Returns the actor of the current task, if any.
pub(crate) fn current() -> Option<Actor> {
    ACTOR.try_with(Clone::clone).ok()
}

// === impl Actor ===

impl Actor {
    /// Returns the actor for the program itself.
    #[must_use]
    pub fn program() -> Self {
        Self { name: "signalbox".to_owned(), request: None }
    }

    /// Returns the actor for the router, acting on a client's request.
    #[must_use]
    pub fn router() -> Self {
        Self { name: "router".to_owned(), request: None }
    }

    /// Returns the actor for a user of the command line.
    #[must_use]
    pub fn command_line(user: &str) -> Self {
        Self { name: format!("cli:{user}"), request: None }
    }
}
