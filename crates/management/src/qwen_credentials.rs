//! Routes of `/api/qwen/credentials`: logins at chat.qwen.ai. Their secrets are written, but never returned.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use signalbox_core::secret::Secret;
use signalbox_core::text::is_printable_ascii;
use signalbox_daemon::clock::unix_s;
use signalbox_store::credentials::{self, Credential, DEFAULT_LABEL, NewCredential};
use utoipa::ToSchema;

use super::CREDENTIALS;
use super::bodies::CredentialsToPut;
use super::error::{ResourceKind, StoreErrorExt as _};
use super::extract::{Body, Path};
use super::form::{Field, Form, integer_of};
use super::{App, Error};

/// A login in a list. Times are in seconds, except `cooldown_until`, which is in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StoredCredential)]
struct Stored {
    id: i64,
    label: String,
    active: bool,
    is_valid: bool,
    expires_at: Option<i64>,
    cooldown_until: Option<i64>,
    last_error: Option<String>,
    created_at: i64,
    updated_at: i64,
}

/// The active login, and all logins.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredCredentials {
    /// Whether a login is active.
    has_credentials: bool,
    /// Whether the active login has not expired.
    is_valid: bool,
    /// Expiry of the active login, in seconds.
    expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<i64>,
    credentials: Vec<Stored>,
}

/// A stored login.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CredentialsPut {
    success: bool,
    message: &'static str,
    id: i64,
    expires_at: Option<i64>,
}

/// The result of deleting logins.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CredentialsDeleted {
    success: bool,
    message: &'static str,
    /// The number of deleted logins.
    deleted: u64,
}

/// The login that was activated.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CredentialsActivated {
    success: bool,
    message: &'static str,
    id: i64,
}

/// Returns whether there is a login at chat.qwen.ai. No secret is returned.
#[utoipa::path(
    get, path = CREDENTIALS, tag = "qwen-credentials",
    responses((status = 200, description = "The active login and all stored logins", body = StoredCredentials)),
)]
pub(super) async fn get(State(app): State<App>) -> Result<Json<StoredCredentials>, Error> {
    let now = unix_s();
    let rows = credentials::list(&app.store).await.or_code("credentials_get_failed")?;
    let active = rows.iter().find(|row| row.active);
    Ok(Json(StoredCredentials {
        has_credentials: active.is_some(),
        is_valid: active.is_some_and(|row| !row.is_expired(now)),
        expires_at: active.and_then(|row| row.expires_at),
        created_at: active.map(|row| row.created_at),
        updated_at: active.map(|row| row.updated_at),
        credentials: rows.into_iter().map(|row| Stored::new(row, now)).collect(),
    }))
}

/// Stores a login, replacing the login with the same label, and makes it the active one.
#[utoipa::path(
    post, path = CREDENTIALS, tag = "qwen-credentials", request_body = CredentialsToPut,
    responses((status = 200, description = "The login is stored, encrypted", body = CredentialsPut)),
)]
pub(super) async fn put(
    State(app): State<App>,
    Body(given, mut form): Body<CredentialsToPut>,
) -> Result<Json<CredentialsPut>, Error> {
    let new = NewCredential {
        token: header(&mut form, "token", given.token),
        cookies: header(&mut form, "cookies", given.cookies),
        expires_at: expiry(&mut form, given.expires_at),
        label: form
            .line("label", given.label, "label must be a non-empty string")
            .unwrap_or_else(|| DEFAULT_LABEL.to_owned()),
    };
    form.finish()?;
    let id = credentials::put(&app.store, &app.sealer, &new, unix_s()).await.or_code("credentials_set_failed")?;
    let message = "Qwen credentials updated successfully";
    Ok(Json(CredentialsPut { success: true, message, id, expires_at: new.expires_at }))
}

/// Deletes all logins.
#[utoipa::path(
    delete, path = CREDENTIALS, tag = "qwen-credentials",
    responses((status = 200, description = "Deleted", body = CredentialsDeleted)),
)]
pub(super) async fn delete_all(State(app): State<App>) -> Result<Json<CredentialsDeleted>, Error> {
    let deleted = credentials::delete_all(&app.store).await.or_code("credentials_delete_failed")?;
    let message = if deleted > 0 { "Qwen credentials deleted" } else { "No credentials to delete" };
    Ok(Json(CredentialsDeleted { success: true, message, deleted }))
}

/// Deletes one login. If it was the active one, the newest other one that has not expired becomes active.
#[utoipa::path(
    delete, path = "/api/qwen/credentials/{id}", tag = "qwen-credentials",
    params(("id" = i64, Path)),
    responses((status = 200, description = "Deleted", body = CredentialsDeleted)),
)]
pub(super) async fn delete(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<CredentialsDeleted>, Error> {
    let deleted = credentials::delete(&app.store, id, unix_s()).await;
    deleted.or_missing(ResourceKind::Credential, &id.to_string()).or_code("credentials_delete_failed")?;
    Ok(Json(CredentialsDeleted { success: true, message: "Qwen credentials deleted", deleted: 1 }))
}

/// Makes this login the active one.
#[utoipa::path(
    post, path = "/api/qwen/credentials/{id}/activate", tag = "qwen-credentials",
    params(("id" = i64, Path)),
    responses((status = 200, description = "The login is active", body = CredentialsActivated)),
)]
pub(super) async fn activate(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<CredentialsActivated>, Error> {
    let activated = credentials::activate(&app.store, id).await;
    activated.or_missing(ResourceKind::Credential, &id.to_string()).or_code("credentials_set_failed")?;
    Ok(Json(CredentialsActivated { success: true, message: "Qwen credentials activated", id }))
}

/// Returns the value of a header. A value that is not allowed in headers would make every request fail.
fn header(form: &mut Form, name: &str, field: Field<String>) -> Secret<String> {
    let text = form.required_text(field, &format!("{name} is required and must be a non-empty string"));
    if !is_printable_ascii(&text) {
        form.mistake(format!("{name} must be printable ASCII on one line"));
    }
    Secret::new(text)
}

/// Returns an expiry in Unix seconds. Milliseconds, a common mistake, are refused because such a login would never
/// expire.
fn expiry(form: &mut Form, field: Field<Value>) -> Option<i64> {
    /// The end of the year 9999.
    const LATEST: i64 = 253_402_300_799;
    let value = field.valid().filter(|value| !value.is_null())?;
    let mistake = match integer_of(&value) {
        None => "expiresAt must be an integer (Unix timestamp)",
        Some(seconds) if seconds <= 0 => "expiresAt must be a positive number",
        Some(seconds) if seconds > LATEST => "expiresAt must be in seconds, not in milliseconds",
        Some(seconds) => return Some(seconds),
    };
    form.mistake(mistake);
    None
}

// === impl Stored ===

impl Stored {
    fn new(row: Credential, now: i64) -> Self {
        Self {
            is_valid: !row.is_expired(now),
            id: row.id,
            label: row.label,
            active: row.active,
            expires_at: row.expires_at,
            cooldown_until: row.cooldown_until,
            last_error: row.last_error,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
