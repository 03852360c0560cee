//! Table `qwen_credentials`: logins at chat.qwen.ai, one of them active. Token and cookies are sealed.

use signalbox_core::secret::Secret;

use crate::row::{Columns, FromRow};
use crate::sealer::{SecretLocation, is_sealed};
use crate::statement::Statement;
use crate::{Error, Sealer, Store, seed};

/// The name of a row of this table in errors.
const ENTITY: &str = "credential";

/// The label of a login that was stored without one.
pub const DEFAULT_LABEL: &str = "default";

/// A login to store.
#[derive(Clone, Debug)]
pub struct NewCredential {
    /// The user's label; a login with the same label is replaced.
    pub label: String,
    /// The header `bx-umidtoken`.
    pub token: Secret<String>,
    /// The header `Cookie`.
    pub cookies: Secret<String>,
    /// The expiry in Unix seconds, if known.
    pub expires_at: Option<i64>,
}

/// A stored login, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The number of the row.
    pub id: i64,
    /// The user's label.
    pub label: String,
    /// The expiry in Unix seconds, if known.
    pub expires_at: Option<i64>,
    /// Whether this login is used.
    pub active: bool,
    /// The end of the cool-down in Unix milliseconds.
    pub cooldown_until: Option<i64>,
    /// The error of the last attempt, if it failed.
    pub last_error: Option<String>,
    /// When the login was created, in Unix seconds.
    pub created_at: i64,
    /// When the login was last changed, in Unix seconds.
    pub updated_at: i64,
}

/// A login with its decrypted secrets.
#[derive(Clone, Debug)]
pub struct DecryptedCredential {
    /// The row.
    pub row: Credential,
    /// The header `bx-umidtoken`.
    pub token: Secret<String>,
    /// The header `Cookie`.
    pub cookies: Secret<String>,
}

/// A row with its secrets as stored.
struct SealedRow {
    row: Credential,
    token: String,
    cookies: String,
}

/// Returns all logins without their secrets: the active one first, then the newest.
///
/// # Errors
/// See [`Error`].
pub async fn list(store: &Store) -> Result<Vec<Credential>, Error> {
    store.all(Statement::new("SELECT * FROM qwen_credentials ORDER BY active DESC, updated_at DESC, id DESC")).await
}

/// Returns the active login, if any; it may be expired or cooling down. Seals a row that was stored before secrets were
/// sealed.
///
/// # Errors
/// [`Error::Sealed`] if the login was sealed with another key; see [`Error`].
pub async fn active(store: &Store, sealer: &Sealer) -> Result<Option<DecryptedCredential>, Error> {
    let kept: Option<SealedRow> = store.first(Statement::new("SELECT * FROM qwen_credentials WHERE active")).await?;
    let Some(kept) = kept else { return Ok(None) };
    let id = kept.row.id.to_string();
    let token = sealer.open(secret_location(&id, "token"), &kept.token)?;
    let cookies = sealer.open(secret_location(&id, "cookies"), &kept.cookies)?;
    if !(is_sealed(&kept.token) && is_sealed(&kept.cookies)) {
        seal(store, sealer, &kept).await?;
    }
    Ok(Some(DecryptedCredential { row: kept.row, token, cookies }))
}

/// Stores a login, makes it the active one and returns its number. The first login also makes qwen-proxy the active
/// provider, unless the user has chosen another one.
///
/// # Errors
/// See [`Error`].
pub async fn put(store: &Store, sealer: &Sealer, new: &NewCredential, now_s: i64) -> Result<i64, Error> {
    let mut tx = store.write().await?;
    tx.execute(Statement::new("UPDATE qwen_credentials SET active = FALSE WHERE active")).await?;
    // The sealed data include the id of the row, so the row is inserted first.
    let insert = Statement::new(
        "INSERT INTO qwen_credentials (label, token, cookies, created_at, updated_at) VALUES ($1, '', '', $2, $2)
         ON CONFLICT (label) DO UPDATE SET updated_at = excluded.updated_at RETURNING id",
    );
    let Id(id) = tx.one(insert.bind(&new.label).bind(now_s), ENTITY).await?;
    let row = id.to_string();
    let update = Statement::new(
        "UPDATE qwen_credentials SET token = $2, cookies = $3, expires_at = $4, active = TRUE, cooldown_until = NULL,
             last_error = NULL
         WHERE id = $1",
    )
    .bind(id)
    .bind(sealer.seal(secret_location(&row, "token"), new.token.expose())?)
    .bind(sealer.seal(secret_location(&row, "cookies"), new.cookies.expose())?)
    .bind(new.expires_at);
    tx.execute(update).await?;
    seed::activate_qwen_proxy(&mut tx, now_s.saturating_mul(1000)).await?;
    tx.commit().await?;
    Ok(id)
}

/// Makes a stored login the active one.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn activate(store: &Store, id: i64) -> Result<(), Error> {
    let mut tx = store.write().await?;
    tx.execute(Statement::new("UPDATE qwen_credentials SET active = FALSE WHERE active AND id <> $1").bind(id)).await?;
    if tx.execute(Statement::new("UPDATE qwen_credentials SET active = TRUE WHERE id = $1").bind(id)).await? == 0 {
        return Err(Error::NotFound { entity: ENTITY });
    }
    tx.commit().await
}

/// Starts a cool-down of a login until `until_ms` (Unix milliseconds) and stores the reason.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn cool_down(store: &Store, id: i64, until_ms: i64, why: &str) -> Result<(), Error> {
    let statement = Statement::new("UPDATE qwen_credentials SET cooldown_until = $2, last_error = $3 WHERE id = $1");
    store.change(statement.bind(id).bind(until_ms).bind(why), ENTITY).await
}

/// Stores the reason why a login failed, or clears it with `None`.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn note(store: &Store, id: i64, error: Option<&str>) -> Result<(), Error> {
    let statement = Statement::new("UPDATE qwen_credentials SET last_error = $2 WHERE id = $1");
    store.change(statement.bind(id).bind(error), ENTITY).await
}

/// Deletes a login. If it was the active one, the newest other one that has not expired at `now_s` (Unix seconds)
/// becomes active; its number is returned.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn delete(store: &Store, id: i64, now_s: i64) -> Result<Option<i64>, Error> {
    let mut tx = store.write().await?;
    if tx.execute(Statement::new("DELETE FROM qwen_credentials WHERE id = $1").bind(id)).await? == 0 {
        return Err(Error::NotFound { entity: ENTITY });
    }
    let successor = Statement::new(
        "UPDATE qwen_credentials SET active = TRUE
         WHERE NOT EXISTS (SELECT 1 FROM qwen_credentials WHERE active)
             AND id = (SELECT id FROM qwen_credentials WHERE expires_at IS NULL OR expires_at > $1
                       ORDER BY updated_at DESC, id DESC LIMIT 1)
         RETURNING id",
    );
    let successor: Option<Id> = tx.first(successor.bind(now_s)).await?;
    tx.commit().await?;
    Ok(successor.map(|Id(id)| id))
}

/// Deletes all logins; returns their number.
///
/// # Errors
/// See [`Error`].
pub async fn delete_all(store: &Store) -> Result<u64, Error> {
    let mut tx = store.write().await?;
    let deleted = tx.execute(Statement::new("DELETE FROM qwen_credentials")).await?;
    tx.commit().await?;
    Ok(deleted)
}

/// Seals all logins that were stored before secrets were sealed; returns their number.
///
/// # Errors
/// See [`Error`].
pub async fn seal_all(store: &Store, sealer: &Sealer) -> Result<usize, Error> {
    let mut bare: Vec<SealedRow> = store.all(Statement::new("SELECT * FROM qwen_credentials")).await?;
    bare.retain(|kept| !(is_sealed(&kept.token) && is_sealed(&kept.cookies)));
    for kept in &bare {
        seal(store, sealer, kept).await?;
    }
    Ok(bare.len())
}

/// Returns the number of logins that were sealed with another key.
pub(crate) async fn count_foreign(store: &Store, sealer: &Sealer) -> Result<usize, Error> {
    let all: Vec<SealedRow> = store.all(Statement::new("SELECT * FROM qwen_credentials")).await?;
    Ok(all.iter().filter(|kept| sealer.is_foreign(&kept.token) || sealer.is_foreign(&kept.cookies)).count())
}

/// Seals a row, unless it has been changed in the meantime.
async fn seal(store: &Store, sealer: &Sealer, kept: &SealedRow) -> Result<(), Error> {
    let id = kept.row.id;
    let row = id.to_string();
    let sealed = |column, stored: &str| {
        if is_sealed(stored) { Ok(stored.to_owned()) } else { sealer.seal(secret_location(&row, column), stored) }
    };
    let statement = Statement::new(
        "UPDATE qwen_credentials SET token = $2, cookies = $3 WHERE id = $1 AND token = $4 AND cookies = $5",
    )
    .bind(id)
    .bind(sealed("token", &kept.token)?)
    .bind(sealed("cookies", &kept.cookies)?)
    .bind(&kept.token)
    .bind(&kept.cookies);
    let mut tx = store.write().await?;
    tx.execute(statement).await?;
    tx.commit().await
}

const fn secret_location<'a>(row: &'a str, column: &'a str) -> SecretLocation<'a> {
    SecretLocation { table: "qwen_credentials", row, column }
}

// === impl Credential ===

impl Credential {
    /// Returns whether the login has expired at `now_s` (Unix seconds).
    #[must_use]
    pub fn is_expired(&self, now_s: i64) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now_s)
    }
}

// === impl FromRow ===

struct Id(i64);

impl FromRow for Id {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.int("id").map(Self)
    }
}

impl FromRow for Credential {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            id: row.int("id")?,
            label: row.text("label")?,
            expires_at: row.optional_int("expires_at")?,
            active: row.flag("active")?,
            cooldown_until: row.optional_int("cooldown_until")?,
            last_error: row.optional_text("last_error")?,
            created_at: row.int("created_at")?,
            updated_at: row.int("updated_at")?,
        })
    }
}

impl FromRow for SealedRow {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { row: Credential::from_row(row)?, token: row.text("token")?, cookies: row.text("cookies")? })
    }
}
