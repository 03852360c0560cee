//! Requests that have not ended: `/api/requests/inflight` and `/api/requests/{id}/cancel`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use signalbox_core::schema::RequestStatus;
use signalbox_daemon::clock::unix_ms;
use signalbox_store::requests::{self, RequestKey};
use utoipa::ToSchema;
use uuid::Uuid;

use super::key;
use crate::error::{ResourceKind, StoreErrorExt as _};
use crate::error_schemas::Failure;
use crate::extract::Path;
use crate::live::{Cancellation, InFlightRequest};
use crate::{App, Error};

/// The requests that the router is serving.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InFlightList {
    /// The oldest first.
    requests: Vec<InFlightRequest>,
    total: usize,
    /// The present time, in milliseconds since 1970.
    now: i64,
}

/// A request that is being cancelled.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cancelled {
    success: bool,
    request_id: String,
    message: &'static str,
}

/// Lists the requests that the router is serving, the oldest first.
///
/// Requests that were sent to qwen-proxy directly are not among them.
#[utoipa::path(
    get, path = "/api/requests/inflight", tag = "requests",
    responses(
        (status = 200, description = "The requests", body = InFlightList),
        (status = 503, description = "`router_unavailable`: the router does not answer", body = Failure),
    ),
)]
pub(crate) async fn list_in_flight(State(app): State<App>) -> Result<Json<InFlightList>, Error> {
    let mut requests = app.runtime.in_flight().await.map_err(Error::RouterSilent)?;
    requests.sort_by(|a, b| (a.timestamp, &a.request_id).cmp(&(b.timestamp, &b.request_id)));
    Ok(Json(InFlightList { total: requests.len(), requests, now: unix_ms() }))
}

/// Message for a request that has ended by itself.
const ENDED: &str = "The request has ended; there is nothing to cancel";

/// Cancels a request: the provider's connection is closed, and the client gets an error.
///
/// A client whose answer has begun gets the error event of its API, and its connection breaks off. In the log, the
/// request has the status `cancelled`, and its error says why. A request that was cancelled a moment ago may be cancelled
/// again, with the same answer.
#[utoipa::path(
    post, path = "/api/requests/{id}/cancel", tag = "requests",
    params(("id" = String, Path, description = "A UUID, or the number of a request in the log")),
    responses(
        (status = 200, description = "It is being cancelled", body = Cancelled),
        (status = 404, description = "`request_not_found`", body = Failure),
        (status = 409, description = "`request_ended`: there is nothing to cancel", body = Failure),
        (status = 503, description = "`router_unavailable`: the router does not answer", body = Failure),
    ),
)]
pub(crate) async fn cancel(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Cancelled>, Error> {
    let request_id = match key(&id) {
        RequestKey::Uuid(text) => text,
        number @ RequestKey::Id(_) => {
            requests::summary(&app.store, &number).await.or_missing(ResourceKind::Request, &id)?.0.request_id
        }
    };
    let missing = || Error::Missing { what: ResourceKind::Request, id: id.clone() };
    let uuid: Uuid = request_id.parse().map_err(|_| missing())?;
    let ended = |message: &str| Error::Conflict { code: "request_ended", message: message.to_owned() };
    match app.runtime.cancel(uuid).await.map_err(Error::RouterSilent)? {
        Cancellation::Cancelled => {
            let message = "The request is being cancelled";
            return Ok(Json(Cancelled { success: true, request_id: uuid.to_string(), message }));
        }
        Cancellation::Ended => return Err(ended(ENDED)),
        Cancellation::Unknown => {}
    }
    let logged = requests::summary(&app.store, &RequestKey::Uuid(uuid.to_string())).await;
    let (row, _) = logged.or_missing(ResourceKind::Request, &id)?;
    Err(ended(match row.status {
        // It ended a moment ago, or another router serves it.
        RequestStatus::Pending => "The request is not in flight at this router any more; there is nothing to cancel",
        _ => ENDED,
    }))
}
