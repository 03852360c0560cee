//! How the functions that handle a route are called, and how their errors become responses.
//!
//! Each error is reported with the request that caused it. A handler therefore returns the error itself, and
//! [`respond`] is the only place that makes a response of it.

use std::{collections::HashMap, future::Future, sync::Arc};

use axum::{
    Json,
    extract::{FromRequestParts, Query, Request, State},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use bytes::Bytes;
use http::request::Parts;
use serde_json::Value;

use super::error::{ApiError, ReportedRequest};
use crate::app::App;

/// A part of the request that a handler takes as an argument.
pub(super) trait Argument: Sized + Send {
    /// Reads it from the head of a request.
    fn read(head: &mut Parts) -> impl Future<Output = Result<Self, ApiError>> + Send;
}

/// A function that handles a route, with `A` as its arguments after the state.
pub(super) trait Endpoint<A>: Clone + Send + Sync + 'static {
    /// Handles a request.
    fn call(self, app: Arc<App>, head: &mut Parts) -> impl Future<Output = Result<Json<Value>, ApiError>> + Send;
}

/// The parameter in the path of a route, percent-decoded.
#[derive(Debug)]
pub(super) struct Path(pub(super) String);

/// Returns the route for one method, handled by `endpoint`.
pub(super) fn route<E: Endpoint<A>, A: 'static>(method: MethodFilter, endpoint: E) -> MethodRouter<Arc<App>> {
    on(method, move |State(app): State<Arc<App>>, request: Request| async move {
        let mut head = request.into_parts().0;
        match endpoint.call(Arc::clone(&app), &mut head).await {
            Ok(body) => body.into_response(),
            Err(error) => respond(&app, &error, &head, Bytes::new()),
        }
    })
}

/// Handles unknown paths, and methods that a route does not support.
pub(super) async fn not_found(State(app): State<Arc<App>>, request: Request) -> Response {
    let head = request.into_parts().0;
    respond(&app, &unknown(&head), &head, Bytes::new())
}

/// Reports an error of the request with this head and body, and returns the response to it.
pub(super) fn respond(app: &App, error: &ApiError, head: &Parts, body: Bytes) -> Response {
    let text = match error.is_reported() {
        true => app.errors.report(error, &ReportedRequest::of(head, body, &app.signer)),
        false => error.body(None),
    };
    error.response(text)
}

fn unknown(head: &Parts) -> ApiError {
    ApiError::NotFound(head.method.clone(), head.uri.path().to_owned())
}

// === impl Argument ===

impl Argument for Path {
    async fn read(head: &mut Parts) -> Result<Self, ApiError> {
        // A name that is not valid UTF-8 does not exist.
        let segment = axum::extract::Path::from_request_parts(head, &()).await;
        segment.map(|axum::extract::Path(name)| Self(name)).map_err(|_| unknown(head))
    }
}

impl Argument for Query<HashMap<String, String>> {
    async fn read(head: &mut Parts) -> Result<Self, ApiError> {
        Self::try_from_uri(&head.uri)
            .map_err(|rejection| ApiError::Parameter { code: "invalid_query", message: rejection.body_text() })
    }
}

impl Argument for Parts {
    async fn read(head: &mut Parts) -> Result<Self, ApiError> {
        Ok(head.clone())
    }
}

// === impl Endpoint ===

impl<E, F> Endpoint<()> for E
where
    E: Fn(State<Arc<App>>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Json<Value>, ApiError>> + Send,
{
    async fn call(self, app: Arc<App>, _: &mut Parts) -> Result<Json<Value>, ApiError> {
        self(State(app)).await
    }
}

impl<E, F, A> Endpoint<(A,)> for E
where
    E: Fn(State<Arc<App>>, A) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Json<Value>, ApiError>> + Send,
    A: Argument,
{
    async fn call(self, app: Arc<App>, head: &mut Parts) -> Result<Json<Value>, ApiError> {
        self(State(app), A::read(head).await?).await
    }
}

impl<E, F, A, B> Endpoint<(A, B)> for E
where
    E: Fn(State<Arc<App>>, A, B) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Json<Value>, ApiError>> + Send,
    A: Argument,
    B: Argument,
{
    async fn call(self, app: Arc<App>, head: &mut Parts) -> Result<Json<Value>, ApiError> {
        let first = A::read(head).await?;
        let second = B::read(head).await?;
        self(State(app), first, second).await
    }
}
