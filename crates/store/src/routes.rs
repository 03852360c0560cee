//! Table `routes`: the targets that serve a public model name.

use signalbox_core::schema::{NewRoute, Route};

use crate::statement::{Filtered, Statement};
use crate::tables::routes::{self as rows, ENTITY};
use crate::transaction::Transaction;
use crate::{Error, ListPage, Page, Store};

/// Returns the routes by model name.
///
/// # Errors
/// See [`Error`].
pub async fn list(store: &Store, page: Page) -> Result<ListPage<Route>, Error> {
    let page = page.check()?;
    let mut tx = store.read().await?;
    let total = tx.total(Statement::new("SELECT COUNT(*) AS total FROM routes")).await?;
    let items = tx.all(Filtered::default().page("SELECT * FROM routes", "ORDER BY model", page)).await?;
    Ok(ListPage { items, total })
}

/// Returns one route.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn get(store: &Store, id: &str) -> Result<Route, Error> {
    store.one(by_id(id), ENTITY).await
}

/// Creates a route.
///
/// # Errors
/// [`Error::Conflict`] if the id, the model or an alias is taken; see [`Error`].
pub async fn insert(store: &Store, route: &NewRoute, now_ms: i64) -> Result<Route, Error> {
    let mut tx = store.write().await?;
    lock(&mut tx).await?;
    if tx.first::<()>(by_id(&route.id)).await?.is_some() {
        return Err(Error::Conflict { entity: "routes.id".to_owned() });
    }
    written(tx, route, now_ms).await
}

/// Replaces a route.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] if the model or an alias is taken; see [`Error`].
pub async fn update(store: &Store, route: &NewRoute, now_ms: i64) -> Result<Route, Error> {
    let mut tx = store.write().await?;
    lock(&mut tx).await?;
    tx.one::<()>(by_id(&route.id), ENTITY).await?;
    written(tx, route, now_ms).await
}

/// Deletes a route.
///
/// # Errors
/// [`Error::NotFound`]; see [`Error`].
pub async fn delete(store: &Store, id: &str) -> Result<(), Error> {
    store.change(Statement::new("DELETE FROM routes WHERE id = $1").bind(id), ENTITY).await
}

/// Excludes other writers of the catalogue until the end of the transaction, because aliases have no unique constraint.
async fn lock(tx: &mut Transaction) -> Result<(), Error> {
    tx.execute(Statement::new("UPDATE catalog_version SET version = version WHERE id = 1")).await.map(drop)
}

async fn written(mut tx: Transaction, route: &NewRoute, now_ms: i64) -> Result<Route, Error> {
    rows::put(&mut tx, route, now_ms).await?;
    rows::check_names(&mut tx).await?;
    let row = tx.one(by_id(&route.id), ENTITY).await?;
    tx.commit().await?;
    Ok(row)
}

fn by_id(id: &str) -> Statement<'_> {
    Statement::new("SELECT * FROM routes WHERE id = $1").bind(id)
}
