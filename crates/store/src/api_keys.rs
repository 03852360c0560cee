//! Table `api_keys`: keys of clients, with their permissions and limits.
//!
//! Keys are stored as digests only; the caller computes them.

use signalbox_core::schema::{ApiKey, ApiKeyFields, NewApiKey};

use crate::statement::{Filtered, Statement};
use crate::tables::api_keys::{self as rows, ENTITY};
use crate::tables::routes::document;
use crate::{Error, ListPage, Page, Store};

/// The new key of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// See [`ApiKey::hint`].
    pub hint: String,
    /// See [`ApiKey::digest`].
    pub digest: String,
    /// When the previous key ends to be valid; `None`: at once.
    pub previous_expires_at: Option<i64>,
}

/// Returns the keys by name.
///
/// # Errors
/// See [`Error`].
pub async fn list(store: &Store, page: Page) -> Result<ListPage<ApiKey>, Error> {
    let page = page.check()?;
    let mut tx = store.read().await?;
    let total = tx.total(Statement::new("SELECT COUNT(*) AS total FROM api_keys")).await?;
    let items = tx.all(Filtered::default().page("SELECT * FROM api_keys", "ORDER BY name", page)).await?;
    Ok(ListPage { items, total })
}

/// Returns one key.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn get(store: &Store, id: &str) -> Result<ApiKey, Error> {
    store.one(by_id(id), ENTITY).await
}

/// Creates a key.
///
/// # Errors
/// [`Error::Conflict`] if `api_keys.name` is taken; see [`Error`].
pub async fn insert(store: &Store, key: &NewApiKey, now_ms: i64) -> Result<ApiKey, Error> {
    store.change_returning(insertion(key, now_ms)?, ENTITY).await
}

/// Creates keys: all of them or none.
///
/// # Errors
/// [`Error::Conflict`] if an `api_keys.name` is taken; see [`Error`].
pub async fn insert_all(store: &Store, keys: &[NewApiKey], now_ms: i64) -> Result<(), Error> {
    let mut tx = store.write().await?;
    for key in keys {
        tx.one::<()>(insertion(key, now_ms)?, ENTITY).await?;
    }
    tx.commit().await
}

pub(crate) fn insertion(key: &NewApiKey, now_ms: i64) -> Result<Statement<'_>, Error> {
    Ok(Statement::new(
        "INSERT INTO api_keys (id, name, hint, digest, document, expires_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7) RETURNING *",
    )
    .bind(&key.id)
    .bind(&key.fields.name)
    .bind(&key.hint)
    .bind(&key.digest)
    .bind(document(&key.fields.grant)?)
    .bind(key.fields.expires_at)
    .bind(now_ms))
}

/// Replaces the name, the permissions and the expiry of a key.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] if `api_keys.name` is taken; see [`Error`].
pub async fn update(store: &Store, id: &str, fields: &ApiKeyFields, now_ms: i64) -> Result<ApiKey, Error> {
    let mut tx = store.write().await?;
    let key = rows::update(&mut tx, id, fields, now_ms).await?;
    tx.commit().await?;
    Ok(key)
}

/// Replaces the digest of a key that is not revoked. The key before the previous one ends to be valid at once.
///
/// # Errors
/// [`Error::NotFound`], also if the key is revoked; see [`Error`].
pub async fn rotate(store: &Store, id: &str, rotation: &Rotation, now_ms: i64) -> Result<ApiKey, Error> {
    let statement = Statement::new(
        "UPDATE api_keys SET previous_digest = digest, previous_expires_at = $4, hint = $2, digest = $3, updated_at = $5
         WHERE id = $1 AND revoked_at IS NULL RETURNING *",
    )
    .bind(id)
    .bind(&rotation.hint)
    .bind(&rotation.digest)
    .bind(rotation.previous_expires_at)
    .bind(now_ms);
    store.change_returning(statement, ENTITY).await
}

/// Revokes a key for good. One that is revoked already keeps the time of its revocation.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn revoke(store: &Store, id: &str, now_ms: i64) -> Result<ApiKey, Error> {
    let statement = Statement::new(
        "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $2), previous_expires_at = NULL, updated_at = CASE WHEN revoked_at IS NULL THEN $2 ELSE updated_at END
         WHERE id = $1 RETURNING *",
    )
    .bind(id)
    .bind(now_ms);
    store.change_returning(statement, ENTITY).await
}

/// Deletes a key. Its requests stay in the log, and its sums too.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn delete(store: &Store, id: &str) -> Result<(), Error> {
    store.change(Statement::new("DELETE FROM api_keys WHERE id = $1").bind(id), ENTITY).await
}

fn by_id(id: &str) -> Statement<'_> {
    Statement::new("SELECT * FROM api_keys WHERE id = $1").bind(id)
}
