//! Routes of `/api/audit`: the log of changes.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use signalbox_core::schema::AuditEntry;
use signalbox_store::RowPosition;
use signalbox_store::audit::{self, Filter};
use utoipa::ToSchema;

use super::cursor;
use super::filters::{AuditFilter, Pages};
use super::query::{Position, Query, one_more};
use super::{App, Error};

/// A page of the list of changes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Audit {
    entries: Vec<AuditEntry>,
    #[serde(flatten)]
    position: Position,
}

/// Lists changes and their actors, the newest first. Filters combine.
#[utoipa::path(
    get, path = "/api/audit", tag = "audit",
    params(
        AuditFilter, Pages,
        ("cursor" = Option<String>, Query, pattern = "^(a[0-9a-f]{32})?$",
         description = "`next_cursor` of the previous page; omit it for the first page"),
    ),
    responses((status = 200, description = "One page of the list", body = Audit)),
)]
pub(super) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Audit>, Error> {
    let given: AuditFilter = query.read();
    let outcome = given.outcome.text();
    if outcome.as_deref().is_some_and(|outcome| !matches!(outcome, "done" | "refused" | "failed")) {
        query.mistake("outcome must be done, refused or failed");
    }
    let filter = Filter {
        actor: given.actor.text(),
        action: given.action.text(),
        resource: given.resource.text(),
        resource_id: given.resource_id.text(),
        outcome,
        request_id: given.request_id.text(),
        since: query.time("start_date", given.start_date),
        until: query.time("end_date", given.end_date),
        after: None,
    };
    let (page, after) = query.cursor_page(cursor::AUDIT, 50);
    query.finish()?;
    let filter = Filter { after, ..filter };
    let mut list = audit::list(&app.store, &filter, one_more(page)).await?;
    let after = |last: &AuditEntry| RowPosition { at: last.at, id: last.id };
    let position = Position::of(&mut list, page, |last| cursor::AUDIT.text(&after(last)));
    Ok(Json(Audit { entries: list.items, position }))
}
