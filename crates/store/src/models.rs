//! Table `models`: the model names that requests may use.

use signalbox_core::schema::{Model, ModelUpdate, NewModel};

use crate::row::{Columns, FromRow};
use crate::statement::{Filtered, Statement};
use crate::transaction::Transaction;
use crate::{Error, Listed, Page, Store};

/// The name of a row of this table in errors.
pub(crate) const WHAT: &str = "model";

/// Selects models. `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Models with this capability.
    pub capability: Option<String>,
    /// Models served by this provider.
    pub provider_id: Option<String>,
}

/// Returns the models, sorted by name.
///
/// # Errors
/// See [`Error`].
pub async fn list(store: &Store, filter: &Filter, page: Page) -> Result<Listed<Model>, Error> {
    let page = page.check()?;
    let mut filtered = Filtered::default();
    let served = "id IN (SELECT model_id FROM provider_models WHERE provider_id = ?)";
    filtered.and_if(served, filter.provider_id.as_deref());
    // Capabilities are JSON, which the databases query differently. Users fill this table by hand, so it is small
    // enough to be filtered in memory.
    let mut models: Vec<Model> = store.all(filtered.all("SELECT * FROM models")).await?;
    if let Some(capability) = &filter.capability {
        models.retain(|model| model.capabilities.contains(capability));
    }
    models.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    let total = i64::try_from(models.len()).unwrap_or(i64::MAX);
    let skip = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let take = usize::try_from(page.limit).unwrap_or(usize::MAX);
    Ok(Listed { items: models.into_iter().skip(skip).take(take).collect(), total })
}

/// Returns one model.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn get(store: &Store, id: &str) -> Result<Model, Error> {
    store.one(Statement::new("SELECT * FROM models WHERE id = $1").bind(id), WHAT).await
}

/// Creates a model.
///
/// # Errors
/// [`Error::Conflict`] if `models.id` is taken; see [`Error`].
pub async fn insert(store: &Store, model: &NewModel, now_ms: i64) -> Result<Model, Error> {
    let statement = Statement::new(
        "INSERT INTO models (id, name, description, capabilities, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $5) RETURNING *",
    );
    store.change_returning(values(statement, model, now_ms), WHAT).await
}

/// Updates a model.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn update(store: &Store, id: &str, update: &ModelUpdate, now_ms: i64) -> Result<Model, Error> {
    let statement = Statement::new(
        "UPDATE models SET name = COALESCE($2, name), description = CASE WHEN $3 THEN $4 ELSE description END,
             capabilities = COALESCE($5, capabilities), updated_at = $6
         WHERE id = $1 RETURNING *",
    )
    .bind(id)
    .bind(update.name.as_deref())
    .bind(update.description.is_some())
    .bind(update.description.as_ref().and_then(Option::as_deref))
    .bind(update.capabilities.as_deref().map(write_capabilities))
    .bind(now_ms);
    store.change_returning(statement, WHAT).await
}

/// Deletes a model with its links.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn delete(store: &Store, id: &str) -> Result<(), Error> {
    store.change(Statement::new("DELETE FROM models WHERE id = $1").bind(id), WHAT).await
}

/// Creates a model unless it exists; returns whether it was created.
pub(crate) async fn add_if_missing(tx: &mut Transaction, model: &NewModel, now_ms: i64) -> Result<bool, Error> {
    let statement = Statement::new(
        "INSERT INTO models (id, name, description, capabilities, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (id) DO NOTHING",
    );
    Ok(tx.execute(values(statement, model, now_ms)).await? > 0)
}

/// Creates or updates a model.
pub(crate) async fn put(tx: &mut Transaction, model: &NewModel, now_ms: i64) -> Result<(), Error> {
    let statement = Statement::new(
        "INSERT INTO models (id, name, description, capabilities, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $5)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description,
             capabilities = excluded.capabilities, updated_at = excluded.updated_at",
    );
    tx.execute(values(statement, model, now_ms)).await.map(drop)
}

fn values<'a>(statement: Statement<'a>, model: &'a NewModel, now_ms: i64) -> Statement<'a> {
    statement
        .bind(&model.id)
        .bind(&model.name)
        .bind(model.description.as_deref())
        .bind(write_capabilities(&model.capabilities))
        .bind(now_ms)
}

fn write_capabilities(capabilities: &[String]) -> String {
    serde_json::Value::from(capabilities).to_string()
}

/// Parses a JSON array of strings. The model sync of the Node.js version encoded it twice.
fn read_capabilities(text: Option<&str>) -> Result<Vec<String>, Error> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let once = serde_json::from_str::<Vec<String>>(text);
    let twice = || serde_json::from_str::<String>(text).and_then(|inner| serde_json::from_str(&inner));
    once.or_else(|error| twice().map_err(|_| error)).map_err(|error| Error::unreadable("models.capabilities", error))
}

/// Converts the capabilities stored by the Node.js version, whatever their format, to the format stored here.
pub(crate) fn any_capabilities(text: Option<&str>) -> String {
    let words = read_capabilities(text).unwrap_or_else(|_| text.map(str::to_owned).into_iter().collect());
    write_capabilities(&words)
}

// === impl FromRow ===

impl FromRow for Model {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            id: row.text("id")?,
            name: row.text("name")?,
            description: row.maybe_text("description")?,
            capabilities: read_capabilities(row.maybe_text("capabilities")?.as_deref())?,
            created_at: row.int("created_at")?,
            updated_at: row.int("updated_at")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_encoded_once_or_twice_are_parsed() {
        let both = ["chat".to_owned(), "vi\"sion".to_owned()];
        let once = write_capabilities(&both);
        let twice = serde_json::Value::from(once.clone()).to_string();
        for text in [once, twice] {
            assert_eq!(read_capabilities(Some(&text)).unwrap(), both, "{text}");
        }
        assert!(read_capabilities(None).unwrap().is_empty());
        for bad in ["", "chat", "{}", "\"chat\"", "[1]"] {
            assert!(matches!(read_capabilities(Some(bad)), Err(Error::Corrupt(_))), "{bad}");
        }
    }
}
