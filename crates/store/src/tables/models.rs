//! Rows of the table `models`.

use signalbox_core::schema::{Model, NewModel};

use crate::Error;
use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;

/// The name of a row of this table in errors.
pub(crate) const ENTITY: &str = "model";

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

/// Binds the values of a new row.
pub(crate) fn values<'a>(statement: Statement<'a>, model: &'a NewModel, now_ms: i64) -> Statement<'a> {
    statement
        .bind(&model.id)
        .bind(&model.name)
        .bind(model.description.as_deref())
        .bind(write_capabilities(&model.capabilities))
        .bind(now_ms)
}

/// Returns capabilities in the format of the table: a JSON array of strings.
pub(crate) fn write_capabilities(capabilities: &[String]) -> String {
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
            description: row.optional_text("description")?,
            capabilities: read_capabilities(row.optional_text("capabilities")?.as_deref())?,
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
