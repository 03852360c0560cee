//! `/api/audit`: who changed what.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use signalbox_core::schema::AuditEntry;
use signalbox_store::audit::{self, Filter};
use utoipa::ToSchema;

use super::bodies::{AuditFilter, Pages};
use super::query::{Position, Query};
use super::{App, Error};

/// A piece of the list of changes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Audit {
    entries: Vec<AuditEntry>,
    #[serde(flatten)]
    position: Position,
}

/// Who changed what, the newest first. Filters combine.
#[utoipa::path(
    get, path = "/api/audit", tag = "audit",
    params(AuditFilter, Pages),
    responses((status = 200, description = "A piece of the list", body = Audit)),
)]
pub(super) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Audit>, Error> {
    let outcome = query.text("outcome");
    if outcome.as_deref().is_some_and(|outcome| !matches!(outcome, "done" | "refused" | "failed")) {
        query.mistake("outcome must be done, refused or failed");
    }
    let filter = Filter {
        actor: query.text("actor"),
        action: query.text("action"),
        resource: query.text("resource"),
        resource_id: query.text("resource_id"),
        outcome,
        request_id: query.text("request_id"),
        since: query.time("start_date"),
        until: query.time("end_date"),
    };
    let page = query.page(50);
    query.finish()?;
    let list = audit::list(&app.store, &filter, page).await?;
    let position = Position::of(&list, page);
    Ok(Json(Audit { entries: list.items, position }))
}
