//! `/api/qwen/credentials`: logins at chat.qwen.ai. Their secrets come in and never go out.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use signalbox_core::secret::Secret;
use signalbox_store::credentials::{self, Credential, DEFAULT_LABEL, NewCredential};

use super::error::{Meaning as _, Thing};
use super::extract::{Body, Path};
use super::form::{Form, integer_of};
use super::{App, Error, now_s};

/// A login, as a list shows it. Times are seconds, `cooldown_until` is milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
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

/// `GET /api/qwen/credentials`: `{"hasCredentials", "isValid", "expiresAt", "createdAt"?, "updatedAt"?}` of the active
/// login, and all of them in `credentials`. One that has expired is still there: `isValid` says that it has.
pub(super) async fn get(State(app): State<App>) -> Result<Json<Value>, Error> {
    let now = now_s();
    let rows = credentials::list(&app.store).await.or_code("credentials_get_failed")?;
    let mut body = match rows.iter().find(|row| row.active) {
        Some(row) => json!({
            "hasCredentials": true,
            "isValid": !row.is_expired(now),
            "expiresAt": row.expires_at,
            "createdAt": row.created_at,
            "updatedAt": row.updated_at,
        }),
        None => json!({ "hasCredentials": false, "isValid": false, "expiresAt": null }),
    };
    let stored: Vec<Stored> = rows.into_iter().map(|row| Stored::new(row, now)).collect();
    body["credentials"] = json!(stored);
    Ok(Json(body))
}

/// `POST /api/qwen/credentials` with `{"token", "cookies", "expiresAt"?, "label"?}`: replaces the login of that label, and
/// makes it the active one.
pub(super) async fn put(State(app): State<App>, body: Body) -> Result<Json<Value>, Error> {
    let mut form = body.form();
    let new = NewCredential {
        token: header(&mut form, "token"),
        cookies: header(&mut form, "cookies"),
        expires_at: expiry(&mut form),
        label: form.text("label", "label must be a non-empty string").unwrap_or_else(|| DEFAULT_LABEL.to_owned()),
    };
    form.finish()?;
    let id = credentials::put(&app.store, &app.sealer, &new, now_s()).await.or_code("credentials_set_failed")?;
    Ok(Json(json!({
        "success": true,
        "message": "Qwen credentials updated successfully",
        "id": id,
        "expiresAt": new.expires_at,
    })))
}

/// `DELETE /api/qwen/credentials`: all of them.
pub(super) async fn delete_all(State(app): State<App>) -> Result<Json<Value>, Error> {
    let deleted = credentials::delete_all(&app.store).await.or_code("credentials_delete_failed")?;
    let message = if deleted > 0 { "Qwen credentials deleted" } else { "No credentials to delete" };
    Ok(Json(json!({ "success": true, "message": message, "deleted": deleted })))
}

/// `DELETE /api/qwen/credentials/:id`. If it was the active one, none is.
pub(super) async fn delete(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<Value>, Error> {
    let deleted = credentials::delete(&app.store, id).await;
    deleted.or_missing(Thing::Credential, &id.to_string()).or_code("credentials_delete_failed")?;
    Ok(Json(json!({ "success": true, "message": "Qwen credentials deleted", "deleted": 1 })))
}

/// `POST /api/qwen/credentials/:id/activate`: qwen-proxy uses this one from now on.
pub(super) async fn activate(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<Value>, Error> {
    let activated = credentials::activate(&app.store, id).await;
    activated.or_missing(Thing::Credential, &id.to_string()).or_code("credentials_set_failed")?;
    Ok(Json(json!({ "success": true, "message": "Qwen credentials activated", "id": id })))
}

/// The value of a header. One that no header can carry would fail on every request.
fn header(form: &mut Form, field: &str) -> Secret<String> {
    let text = form.required_text(field, &format!("{field} is required and must be a non-empty string"));
    if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        form.mistake(format!("{field} must be printable ASCII on one line"));
    }
    Secret::new(text)
}

/// Unix seconds. Milliseconds are a common mistake, which would make a login last for ever.
fn expiry(form: &mut Form) -> Option<i64> {
    /// The end of the year 9999.
    const LATEST: i64 = 253_402_300_799;
    let value = form.take("expiresAt").filter(|value| !value.is_null())?;
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
