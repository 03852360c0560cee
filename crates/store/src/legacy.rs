//! Imports a database of the Node.js version, in any of the states its programs may have left it in.
//!
//! # Theory
//! The two programs of the Node.js version shared one file, each with its own schema version under the same name, so
//! that the number in the file is not reliable. A file is therefore recognised by its tables and columns: all of them
//! must be known, and none that existed from the beginning may be missing. Then missing parts of the last state are
//! added, the tables are renamed, the migrations create the current tables, and `migrations/original/copy.sql` copies
//! all rows.
//!
//! # Invariants
//! - Recognising a file only reads. The caller makes a copy before importing it.
//! - The import is part of the single transaction that brings the file up to date, so it is atomic.
//! - No row is lost. Values of another type than that of their column are converted (`values`). Data that the current schema cannot hold in the same place are stored elsewhere; the SQL text
//!   says where.

mod tables;
mod values;

use sqlx::AssertSqlSafe;

use self::tables::{TABLES, Table};
use crate::Error;
use crate::actor::Actor;
use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::tables::models::any_capabilities;
use crate::transaction::Transaction;

/// Queries for rows whose id leaves no room for new ones, by table.
const HIGHEST_IDS: [(&str, &str); 4] = [
    ("requests", "SELECT path AS name FROM requests WHERE id >= 4611686018427387904"),
    ("responses", "SELECT response_id AS name FROM responses WHERE id >= 4611686018427387904"),
    ("errors", "SELECT error_id AS name FROM errors WHERE id >= 4611686018427387904"),
    ("request_logs", "SELECT request_id AS name FROM request_logs WHERE id >= 4611686018427387904"),
];
const COPY: &str = include_str!("../../../migrations/original/copy.sql");

/// A database of the Node.js version: its tables with their columns.
#[derive(Debug)]
pub(crate) struct LegacyDatabase {
    tables: Vec<(String, Vec<String>)>,
}

struct Name(String);

struct Capabilities {
    id: String,
    text: Option<String>,
}

/// Returns the database if it belongs to the Node.js version. Only reads.
///
/// # Errors
/// [`Error::Incompatible`] if it looks like one but contains unknown objects that would be lost; [`Error::Corrupt`] if
/// it is damaged.
pub(crate) async fn recognise(tx: &mut Transaction) -> Result<Option<LegacyDatabase>, Error> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name";
    let names: Vec<Name> = tx.all(Statement::new(names)).await?;
    let has = |wanted: &str| names.iter().any(|Name(name)| name == wanted);
    let looks_like_it = (has("metadata") || has("schema_version")) && (has("settings") || has("sessions"));
    // The current schema has such tables too, but also sqlx's table of migrations.
    if !looks_like_it || has("_sqlx_migrations") {
        return Ok(None);
    }
    let extra = "SELECT name FROM sqlite_schema WHERE type IN ('view', 'trigger') ORDER BY name";
    if let Some(Name(name)) = tx.first(Statement::new(extra)).await? {
        return Err(unknown(&format!("a view or trigger {name}")));
    }
    let mut tables = Vec::new();
    for Name(name) in names {
        let columns = Statement::new("SELECT name FROM pragma_table_info($1)").bind(name.clone());
        let columns: Vec<Name> = tx.all(columns).await?;
        let columns: Vec<String> = columns.into_iter().map(|Name(column)| column).collect();
        let Some(known) = TABLES.iter().find(|table| table.name == name) else {
            return Err(unknown(&format!("a table {name}")));
        };
        if let Some(column) = columns.iter().find(|column| !known.has(column)) {
            return Err(unknown(&format!("a column {name}.{column}")));
        }
        if let Some(column) = known.needed.iter().find(|needed| !columns.iter().any(|column| column == *needed)) {
            return Err(Error::Incompatible(format!(
                "the database looks like one of the Node.js version, but has no column {name}.{column}, and was not \
                changed: start the Node.js version once to update it, or use an empty database"
            )));
        }
        tables.push((name, columns));
    }
    for (table, highest) in HIGHEST_IDS {
        let has_ids = tables.iter().any(|(name, _)| name == table);
        if has_ids && tx.first::<Name>(Statement::new(highest)).await?.is_some() {
            return Err(Error::Incompatible(format!(
                "the database looks like one of the Node.js version, but the ids of {table} are used up, and was not \
                changed: number its rows afresh in a copy and use the copy, or use an empty database"
            )));
        }
    }
    let broken = "SELECT quick_check AS name FROM pragma_quick_check WHERE quick_check <> 'ok' LIMIT 1";
    if let Some(Name(fault)) = tx.first(Statement::new(broken)).await? {
        return Err(Error::Corrupt(fault.into()));
    }
    Ok(Some(LegacyDatabase { tables }))
}

fn unknown(what: &str) -> Error {
    Error::Incompatible(format!(
        "the database looks like one of the Node.js version, but has {what}, which that version does not create, and \
        was not changed: remove it from a copy and use the copy, or use an empty database"
    ))
}

// === impl LegacyDatabase ===

impl LegacyDatabase {
    /// Returns the suffix that is appended to the file name for the copy made before the import.
    pub(crate) async fn copy_suffix(tx: &mut Transaction) -> Result<String, Error> {
        let now = Statement::new("SELECT strftime('.before-signalbox-%Y%m%d-%H%M%S', 'now') AS name");
        tx.one::<Name>(now, "time").await.map(|Name(suffix)| suffix)
    }

    /// Adds missing tables and columns of the last state, and renames the tables so that they do not conflict with the
    /// current ones.
    pub(crate) async fn rename_tables(&self, tx: &mut Transaction) -> Result<(), Error> {
        let indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
        let indexes: Vec<Name> = tx.all(Statement::new(indexes)).await?;
        for Name(name) in indexes {
            run(tx, format!("DROP INDEX \"{}\"", name.replace('"', "\"\""))).await?;
        }
        for Table { name, needed, later } in TABLES {
            match self.tables.iter().find(|(table, _)| table == name) {
                None => {
                    run(tx, format!("CREATE TABLE {name} ({})", [*needed, *later].concat().join(", "))).await?;
                }
                Some((_, columns)) => {
                    for column in later.iter().filter(|later| !columns.iter().any(|column| column == *later)) {
                        run(tx, format!("ALTER TABLE {name} ADD COLUMN {column}")).await?;
                    }
                }
            }
            run(tx, format!("ALTER TABLE {name} RENAME TO original_{name}")).await?;
        }
        Ok(())
    }

    /// Copies all rows to the current tables and drops the old ones.
    pub(crate) async fn copy_rows(&self, tx: &mut Transaction) -> Result<(), Error> {
        tx.sign_as(&Actor::program()).await?;
        let changed = values::give_types(tx).await?;
        if changed > 0 {
            tracing::warn!(values = changed, "numbers and times that were stored as another type were converted");
        }
        run(tx, COPY.to_owned()).await?;
        // Some capabilities are encoded twice, and their format was never validated.
        let all: Vec<Capabilities> = tx.all(Statement::new("SELECT id, capabilities FROM models")).await?;
        for Capabilities { id, text } in all {
            let capabilities = any_capabilities(text.as_deref());
            let update = Statement::new("UPDATE models SET capabilities = $2 WHERE id = $1");
            tx.execute(update.bind(id).bind(capabilities)).await?;
        }
        tx.unsign().await
    }
}

/// Runs statements that consist only of literals and known names. Returns the number of rows that they changed.
async fn run(tx: &mut Transaction, text: String) -> Result<u64, Error> {
    match tx {
        Transaction::Sqlite(tx) => Ok(sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut **tx).await?.rows_affected()),
        Transaction::Postgres(_) => Err(Error::Internal("the Node.js version supports SQLite only".into())),
    }
}

// === impl FromRow ===

impl FromRow for Name {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.text("name").map(Self)
    }
}

impl FromRow for Capabilities {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { id: row.text("id")?, text: row.optional_text("capabilities")? })
    }
}
