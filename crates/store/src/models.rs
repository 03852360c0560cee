//! Table `models`: the model names that requests may use.

use signalbox_core::schema::{Model, ModelUpdate, NewModel};

use crate::statement::{Filtered, Statement};
use crate::tables::models::{ENTITY, values, write_capabilities};
use crate::{Error, ListPage, Page, Store};

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
pub async fn list(store: &Store, filter: &Filter, page: Page) -> Result<ListPage<Model>, Error> {
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
    Ok(ListPage { items: models.into_iter().skip(skip).take(take).collect(), total })
}

/// Returns one model.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn get(store: &Store, id: &str) -> Result<Model, Error> {
    store.one(Statement::new("SELECT * FROM models WHERE id = $1").bind(id), ENTITY).await
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
    store.change_returning(values(statement, model, now_ms), ENTITY).await
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
    store.change_returning(statement, ENTITY).await
}

/// Deletes a model with its links.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn delete(store: &Store, id: &str) -> Result<(), Error> {
    store.change(Statement::new("DELETE FROM models WHERE id = $1").bind(id), ENTITY).await
}
