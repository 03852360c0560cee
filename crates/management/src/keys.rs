//! Routes of `/api/keys`: keys of clients, with their permissions and limits.
//!
//! A key is shown once, when it is created or rotated. Only its digest is stored.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Number, Value};
use signalbox_core::id::request_id;
use signalbox_core::key_document::{self, Expiry, MAX_OVERLAP_SECONDS};
use signalbox_core::schema::{ApiKey, ApiKeyFields, KeyGrant, NewApiKey};
use signalbox_daemon::NewKey;
use signalbox_daemon::clock::unix_ms;
use signalbox_store::api_keys::{self, Rotation};
use utoipa::ToSchema;

use super::bodies::{KeyToPut, RotationToMake};
use super::done::Done;
use super::error::{ResourceKind, StoreErrorExt as _};
use super::error_schemas::Failure;
use super::extract::{Body, Path};
use super::filters::Pages;
use super::form::{Field, Form, document_of};
use super::precondition::{IfMatch, Versioned};
use super::query::{Query, next_offset_cursor};
use super::version::Version;
use super::{App, Error};

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyView {
    id: String,
    name: String,
    /// The first characters of the key.
    hint: String,
    #[serde(flatten)]
    grant: KeyGrant,
    /// When it ends to be valid; null if it does not.
    expires_at: Option<i64>,
    /// When it was revoked; null if it was not.
    revoked_at: Option<i64>,
    /// Until when the key before the last rotation is valid; null if it is not.
    previous_expires_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

/// A key with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyWithSecret {
    /// The key. It is shown only here.
    key: String,
    #[serde(flatten)]
    view: KeyView,
}

/// A page of the list of keys.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyList {
    keys: Vec<KeyView>,
    total: i64,
    /// The cursor of the next page; null at the end.
    next_cursor: Option<String>,
}

/// Lists the keys, sorted by name.
#[utoipa::path(
    get, path = "/api/keys", tag = "keys",
    params(
        Pages,
        ("cursor" = Option<String>, Query, pattern = "^(p[0-7][0-9a-f]{15})?$",
         description = "`next_cursor` of the previous page; omit it for the first page"),
    ),
    responses((status = 200, description = "One page of the list", body = KeyList)),
)]
pub(super) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<KeyList>, Error> {
    let page = query.offset_page();
    query.finish()?;
    let list = api_keys::list(&app.store, page).await?.map(KeyView::from);
    let next_cursor = next_offset_cursor(list.items.len(), list.total, page);
    Ok(Json(KeyList { keys: list.items, total: list.total, next_cursor }))
}

/// Returns one key, without its secret.
#[utoipa::path(
    get, path = "/api/keys/{id}", tag = "keys", params(("id" = String, Path)),
    responses((status = 200, description = "The key", body = KeyView)),
)]
pub(super) async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<Versioned<KeyView>, Error> {
    Ok(KeyView::from(find(&app, &id).await?).versioned())
}

/// Creates a key. The response is the only one that contains it.
#[utoipa::path(
    post, path = "/api/keys", tag = "keys", request_body = KeyToPut,
    responses(
    (status = 201, description = "The key", body = KeyWithSecret),
    (status = 409, description = "`key_exists`: its name is taken", body = Failure),
    ),
)]
pub(super) async fn create(
    State(app): State<App>,
    Body(given, form): Body<KeyToPut>,
) -> Result<(StatusCode, Json<KeyWithSecret>), Error> {
    let now_ms = unix_ms();
    let fields = read(given, form, Expiry { now_ms, stored: None })?;
    app.check_guard(fields.grant.guard.as_ref())?;
    let NewKey { key, hint, digest } = NewKey::generate().map_err(|error| Error::NoRandom(error.to_string()))?;
    let new = NewApiKey { id: request_id().to_string(), hint, digest, fields };
    let made = api_keys::insert(&app.store, &new, now_ms).await.or_taken(TAKEN, "name", || taken(&new.fields.name))?;
    Ok((StatusCode::CREATED, Json(KeyWithSecret { key: key.expose().clone(), view: made.into() })))
}

/// Replaces the name, the permissions, the limits and the expiry of a key. Absent fields get their defaults.
///
/// The fields of a response that cannot be changed are accepted and ignored, so that a response can be sent back.
#[utoipa::path(
    put, path = "/api/keys/{id}", tag = "keys", request_body = KeyToPut,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that the change is meant for")),
    responses(
    (status = 200, description = "The key", body = KeyView),
    (status = 412, description = "`version_changed`: it is not the version of `If-Match`", body = Failure),
    (status = 409, description = "`key_exists`: its name is taken", body = Failure),
    ),
)]
pub(super) async fn update(
    State(app): State<App>,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(given, mut form): Body<KeyToPut>,
) -> Result<Versioned<KeyView>, Error> {
    form.ignore(&["id", "hint", "revoked_at", "previous_expires_at", "created_at", "updated_at"]);
    let now_ms = unix_ms();
    let stored = find(&app, &id).await?.expires_at;
    let fields = read(given, form, Expiry { now_ms, stored })?;
    app.check_guard(fields.grant.guard.as_ref())?;
    let changed = if_match.guard(&app, || present(&app, &id), || change(&app, &id, &fields, now_ms)).await?;
    Ok(KeyView::from(changed).versioned())
}

/// Deletes a key: it is not valid any more within a second. Its requests stay in the log.
#[utoipa::path(
    delete, path = "/api/keys/{id}", tag = "keys",
    params(
        ("id" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that is meant to be deleted"),
    ),
    responses(
    (status = 200, description = "Deleted", body = Done),
    (status = 412, description = "`version_changed`: it is not the version of `If-Match`", body = Failure),
    ),
)]
pub(super) async fn delete(
    State(app): State<App>,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<Json<Done>, Error> {
    let of = (ResourceKind::Key, &*id);
    if_match.delete(&app, of, || present(&app, &id), || api_keys::delete(&app.store, &id)).await?;
    Ok(Json(Done::new("Key deleted")))
}

/// Replaces the secret of a key, whose permissions stay. The response is the only one that contains the new key.
///
/// The previous key stays valid for `overlap_seconds`, so that clients can be changed one after the other.
#[utoipa::path(
    post, path = "/api/keys/{id}/rotate", tag = "keys", request_body = Option<RotationToMake>, params(("id" = String, Path)),
    responses(
    (status = 200, description = "The new key", body = KeyWithSecret),
    (status = 409, description = "`key_revoked`", body = Failure),
    ),
)]
pub(super) async fn rotate(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(given, mut form): Body<RotationToMake>,
) -> Result<Json<KeyWithSecret>, Error> {
    let overlap = overlap(given, &mut form);
    form.finish()?;
    if find(&app, &id).await?.revoked_at.is_some() {
        return Err(revoked());
    }
    let now_ms = unix_ms();
    let NewKey { key, hint, digest } = NewKey::generate().map_err(|error| Error::NoRandom(error.to_string()))?;
    let previous_expires_at = (overlap > 0).then(|| now_ms.saturating_add(overlap.saturating_mul(1000)));
    let rotation = Rotation { hint, digest, previous_expires_at };
    let rotated = match api_keys::rotate(&app.store, &id, &rotation, now_ms).await {
        // It was revoked or deleted since it was read.
        Err(signalbox_store::Error::NotFound { .. }) => {
            return Err(find(&app, &id).await.err().unwrap_or_else(revoked));
        }
        done => done?,
    };
    Ok(Json(KeyWithSecret { key: key.expose().clone(), view: rotated.into() }))
}

/// Revokes a key for good: it is not valid any more within a second, and neither is the one before its last rotation.
#[utoipa::path(
    post, path = "/api/keys/{id}/revoke", tag = "keys", params(("id" = String, Path)),
    responses((status = 200, description = "The key", body = KeyView)),
)]
pub(super) async fn revoke(State(app): State<App>, Path(id): Path<String>) -> Result<Json<KeyView>, Error> {
    let revoked = api_keys::revoke(&app.store, &id, unix_ms()).await.or_missing(ResourceKind::Key, &id)?;
    Ok(Json(revoked.into()))
}

const TAKEN: &str = "key_exists";

fn taken(name: &str) -> String {
    format!("A key with the name {name} exists; use another name")
}

fn revoked() -> Error {
    let message = "The key is revoked for good; create another one".to_owned();
    Error::Conflict { code: "key_revoked", message }
}

async fn change(app: &App, id: &str, fields: &ApiKeyFields, now_ms: i64) -> Result<ApiKey, Error> {
    let changed = api_keys::update(&app.store, id, fields, now_ms).await;
    changed.or_taken(TAKEN, "name", || taken(&fields.name)).or_missing(ResourceKind::Key, id)
}

async fn present(app: &App, id: &str) -> Result<Version, Error> {
    Ok(KeyView::from(find(app, id).await?).version())
}

async fn find(app: &App, id: &str) -> Result<ApiKey, Error> {
    api_keys::get(&app.store, id).await.or_missing(ResourceKind::Key, id)
}

fn overlap(given: RotationToMake, form: &mut Form) -> i64 {
    let given: Option<Option<Number>> = match given.overlap_seconds {
        Field::Absent => None,
        Field::Valid(number) => Some(number),
        Field::Invalid => {
            form.mistake(overlap_mistake());
            None
        }
    };
    let Some(number) = given.flatten() else { return 0 };
    match form.integer("overlap_seconds", Field::Valid(number)) {
        Some(seconds) if !(0..=i64::from(MAX_OVERLAP_SECONDS)).contains(&seconds) => {
            form.mistake(overlap_mistake());
            0
        }
        seconds => seconds.unwrap_or_default(),
    }
}

fn overlap_mistake() -> String {
    format!("overlap_seconds must be a whole number from 0 to {MAX_OVERLAP_SECONDS}")
}

fn read(given: KeyToPut, form: Form, expiry: Expiry) -> Result<ApiKeyFields, Error> {
    form.finish_with(key_document::read(document(given), expiry))
}

fn document(given: KeyToPut) -> Map<String, Value> {
    let KeyToPut {
        name,
        owner,
        tags,
        models,
        surfaces,
        addresses,
        limits,
        priority,
        budget,
        log_bodies,
        strict,
        guard,
        expires_at,
    } = given;
    document_of([
        ("name", name),
        ("owner", owner),
        ("tags", tags),
        ("models", models),
        ("surfaces", surfaces),
        ("addresses", addresses),
        ("limits", limits),
        ("priority", priority),
        ("budget", budget),
        ("log_bodies", log_bodies),
        ("strict", strict),
        ("guard", guard),
        ("expires_at", expires_at),
    ])
}

// === impl KeyView ===

impl KeyView {
    fn version(&self) -> Version {
        Version::of_json(self.updated_at, self)
    }

    fn versioned(self) -> Versioned<Self> {
        Versioned(self.version(), self)
    }
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            hint: key.hint,
            grant: key.grant,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            previous_expires_at: key.previous_expires_at,
            created_at: key.created_at,
            updated_at: key.updated_at,
        }
    }
}
