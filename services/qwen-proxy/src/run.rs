//! From configuration to a served listener, and back.

use std::{convert::Infallible, sync::Arc};

use http::Request;
use hyper::body::Incoming;
use signalbox_daemon::{ClientKeys, Context, Exit};
use signalbox_store::Store;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::{
    Config,
    api::{self, App, error::ApiError},
};

/// Serves until the context says stop.
///
/// # Errors
/// What keeps the service from starting, with its exit code.
pub async fn run(_: Config, context: Context) -> Result<(), Exit> {
    let store = Store::open(context.common.database.url.expose()).await.map_err(|error| cannot_open(&error))?;
    let app = Arc::new(App {
        store: store.clone(),
        keys: ClientKeys::new(&context.common.auth),
        instance: context.instance.clone(),
        started: Instant::now(),
    });
    let port = context.listener.local_addr().port();
    let router = api::router(Arc::clone(&app));
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (app, router) = (Arc::clone(&app), router.clone());
        async move {
            let open = request.uri().path().starts_with("/health");
            if !open && !app.keys.is_empty() && !app.keys.authorize(request.headers()) {
                return Ok::<_, Infallible>(ApiError::Unauthorized.response());
            }
            router.oneshot(request.map(axum::body::Body::new)).await
        }
    });
    let served = signalbox_daemon::serve(&context, &format!("✓ Server running on port {port}"), service).await;
    store.close().await;
    served
}

/// A database that is away may come back; a file that cannot be opened needs a person.
fn cannot_open(error: &signalbox_store::Error) -> Exit {
    let message = format!("the database cannot be used: {error}");
    if error.is_transient() { Exit::Temporary(message) } else { Exit::CannotOpen(message) }
}
