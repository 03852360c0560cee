//! A database of the original, in any of the states its programs have left it in, becomes one of ours.
//!
//! # Theory
//! The original's two programs kept one file, each with a schema version of its own under the same name, so that the number in
//! the file says little. A file is therefore known by its tables and columns: all of them have to be ones we know, and none that
//! was there from the beginning may be missing. Then what is missing of the last state is added, the tables are set
//! aside, our migrations make ours, and one text copies everything over (`migrations/original/copy.sql`).
//!
//! # Invariants
//! - Recognising only reads. Whoever takes over has made a copy before.
//! - Taking over is part of the one transaction that brings the file up to date: all, or nothing.
//! - No row is lost. What our schema cannot hold as it was finds another place; the text says where.

mod tables;

use sqlx::AssertSqlSafe;

use self::tables::{TABLES, Table};
use crate::audit::Actor;
use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, audit, models};

const COPY: &str = include_str!("../../../migrations/original/copy.sql");

/// A database of the original: the tables it has, each with its columns.
#[derive(Debug)]
pub(crate) struct Original {
    tables: Vec<(String, Vec<String>)>,
}

struct Name(String);

struct Capabilities {
    id: String,
    text: Option<String>,
}

/// Whether this is a database of the original. Only reads.
///
/// # Errors
/// [`Error::Incompatible`] if it looks like one and has something in it that would be lost; [`Error::Corrupt`] if it is damaged.
pub(crate) async fn recognise(tx: &mut Transaction) -> Result<Option<Original>, Error> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name";
    let names: Vec<Name> = tx.all(Statement::new(names)).await?;
    let has = |wanted: &str| names.iter().any(|Name(name)| name == wanted);
    let looks_like_it = (has("metadata") || has("schema_version")) && (has("settings") || has("sessions"));
    // Ours has such tables, too, and keeps its books.
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
                "the database looks like one of the original, but has no column {name}.{column}; it was left as it is: start \
                 the original once, so that it brings its database up to date, or give an empty one"
            )));
        }
        tables.push((name, columns));
    }
    let broken = "SELECT quick_check AS name FROM pragma_quick_check WHERE quick_check <> 'ok' LIMIT 1";
    if let Some(Name(fault)) = tx.first(Statement::new(broken)).await? {
        return Err(Error::Corrupt(fault.into()));
    }
    Ok(Some(Original { tables }))
}

fn unknown(what: &str) -> Error {
    Error::Incompatible(format!(
        "the database looks like one of the original, but holds {what}, which the original did not make; it was left as it is: \
         remove that from a copy and give the copy, or give an empty database"
    ))
}

// === impl Original ===

impl Original {
    /// The name of the copy that is made before anything is changed, behind the file's own.
    pub(crate) async fn copy_suffix(tx: &mut Transaction) -> Result<String, Error> {
        let now = Statement::new("SELECT strftime('.before-signalbox-%Y%m%d-%H%M%S', 'now') AS name");
        tx.one::<Name>(now, "time").await.map(|Name(suffix)| suffix)
    }

    /// Brings the tables to the original's last state and puts them out of the way of ours.
    pub(crate) async fn set_aside(&self, tx: &mut Transaction) -> Result<(), Error> {
        let indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
        let indexes: Vec<Name> = tx.all(Statement::new(indexes)).await?;
        for Name(name) in indexes {
            run(tx, format!("DROP INDEX \"{}\"", name.replace('"', "\"\""))).await?;
        }
        for Table { name, needed, later } in TABLES {
            match self.tables.iter().find(|(table, _)| table == name) {
                None => run(tx, format!("CREATE TABLE {name} ({})", [*needed, *later].concat().join(", "))).await?,
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

    /// Copies everything into our tables, and removes the old ones.
    pub(crate) async fn take_over(&self, tx: &mut Transaction) -> Result<(), Error> {
        audit::sign_as(tx, &Actor::program()).await?;
        run(tx, COPY.to_owned()).await?;
        // Some of them are encoded twice, and nothing kept them from being anything.
        let all: Vec<Capabilities> = tx.all(Statement::new("SELECT id, capabilities FROM models")).await?;
        for Capabilities { id, text } in all {
            let capabilities = models::any_capabilities(text.as_deref());
            let update = Statement::new("UPDATE models SET capabilities = $2 WHERE id = $1");
            tx.execute(update.bind(id).bind(capabilities)).await?;
        }
        audit::unsign_now(tx).await
    }
}

/// Runs statements made of nothing but names we know.
async fn run(tx: &mut Transaction, text: String) -> Result<(), Error> {
    match tx {
        Transaction::Sqlite(tx) => sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut **tx).await.map(drop)?,
        Transaction::Postgres(_) => return Err(Error::Internal("the original knew no server".into())),
    }
    Ok(())
}

// === impl FromRow ===

impl FromRow for Name {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.text("name").map(Self)
    }
}

impl FromRow for Capabilities {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self { id: row.text("id")?, text: row.maybe_text("capabilities")? })
    }
}
