//! Rows of the table `routes`.

use std::collections::HashSet;

use signalbox_core::schema::{NewRoute, Route};

use crate::Error;
use crate::row::{Columns, FromRow, readable};
use crate::statement::Statement;
use crate::transaction::Transaction;

/// The name of a row of this table in errors.
pub(crate) const ENTITY: &str = "route";

/// The id and the model of a route.
pub(crate) struct RouteName {
    pub(crate) id: String,
    pub(crate) model: String,
}

/// Creates or updates a route. [`check_names`] has to follow.
pub(crate) async fn put(tx: &mut Transaction, route: &NewRoute, now_ms: i64) -> Result<(), Error> {
    let statement = Statement::new(
        "INSERT INTO routes (id, model, enabled, document, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
         ON CONFLICT (id) DO UPDATE SET model = excluded.model, enabled = excluded.enabled,
             document = excluded.document, updated_at = excluded.updated_at",
    )
    .bind(&route.id)
    .bind(&route.model)
    .bind(route.enabled)
    .bind(document(&route.plan)?)
    .bind(now_ms);
    tx.execute(statement).await.map(drop)
}

/// Checks that no name belongs to two routes, be it as the model or as an alias. The transaction has written to the
/// table before, so that it excludes other writers.
pub(crate) async fn check_names(tx: &mut Transaction) -> Result<(), Error> {
    let rows: Vec<Route> = readable(tx.all(Statement::new("SELECT * FROM routes ORDER BY model")).await?);
    let mut names = HashSet::new();
    match rows
        .iter()
        .flat_map(|row| &row.plan.aliases)
        .chain(rows.iter().map(|row| &row.model))
        .find(|name| !names.insert(name.as_str()))
    {
        Some(_) => Err(Error::Conflict { entity: "routes.aliases".to_owned() }),
        None => Ok(()),
    }
}

/// Returns the ids and models of all routes.
pub(crate) async fn names(tx: &mut Transaction) -> Result<Vec<RouteName>, Error> {
    tx.all(Statement::new("SELECT id, model FROM routes ORDER BY model")).await
}

/// Returns the JSON document of a row.
pub(crate) fn document(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Internal(error.into()))
}

/// Reads the JSON document of a row.
pub(crate) fn read_document<T: serde::de::DeserializeOwned>(row: &dyn Columns) -> Result<T, Error> {
    serde_json::from_str(&row.text("document")?).map_err(|error| Error::unreadable("document", error))
}

// === impl FromRow ===

impl FromRow for Route {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            id: row.text("id")?,
            model: row.text("model")?,
            enabled: row.flag("enabled")?,
            plan: read_document(row)?,
            created_at: row.int("created_at")?,
            updated_at: row.int("updated_at")?,
        })
    }
}

impl FromRow for RouteName {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { id: row.text("id")?, model: row.text("model")? })
    }
}
