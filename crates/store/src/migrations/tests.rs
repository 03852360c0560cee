use std::collections::BTreeSet;
use std::path::Path;

use signalbox_harness::postgres::Postgres;

use super::*;
use crate::{Kind, Store};

/// A column as both databases should have it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Column {
    table: String,
    name: String,
    kind: String,
    nullable: bool,
}

/// A foreign key as both databases should have it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Reference {
    table: String,
    column: String,
    target: String,
    on_delete: String,
}

#[test]
fn both_folders_hold_the_versions_this_program_knows() {
    let known: BTreeSet<String> = VERSIONS
        .iter()
        .map(|version| format!("{:04}_{}.sql", version.number, version.name.replace(' ', "_")))
        .collect();
    for folder in ["sqlite", "postgres"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(folder);
        let files = std::fs::read_dir(folder).unwrap();
        let files: BTreeSet<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(files, known);
    }
    assert!(VERSIONS.is_sorted_by_key(|version| version.number));
}

#[tokio::test]
async fn both_databases_end_with_the_same_schema() {
    let Some(postgres) = Postgres::launch().await else { return };
    let sqlite = Store::open("sqlite::memory:").await.unwrap();
    let postgres = Store::open(&postgres.create_database().await).await.unwrap();
    let columns = columns(&sqlite).await;
    assert_eq!(columns, self::columns(&postgres).await);
    let tables: BTreeSet<_> = columns.iter().map(|column| &*column.table).collect();
    assert_eq!(tables.len(), 14, "{tables:?}");
    let references = references(&sqlite).await;
    assert_eq!(references, self::references(&postgres).await);
    assert_eq!(references.len(), 8);
    postgres.close().await;
}

async fn columns(store: &Store) -> BTreeSet<Column> {
    let text = match store.kind() {
        Kind::Sqlite => {
            "SELECT t.name AS table_name, c.name AS name, c.type AS kind, c.\"notnull\" = 0 AS nullable
             FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> '_sqlx_migrations'"
        }
        Kind::Postgres => {
            "SELECT CAST(table_name AS TEXT) AS table_name, CAST(column_name AS TEXT) AS name,
                 CASE data_type WHEN 'bigint' THEN 'INTEGER' WHEN 'bytea' THEN 'BLOB' ELSE UPPER(CAST(data_type AS TEXT)) END AS kind,
                 is_nullable = 'YES' AS nullable
             FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name <> '_sqlx_migrations'"
        }
    };
    store.all(Statement::new(text)).await.unwrap().into_iter().collect()
}

async fn references(store: &Store) -> BTreeSet<Reference> {
    let text = match store.kind() {
        Kind::Sqlite => {
            "SELECT t.name AS table_name, f.\"from\" AS name, f.\"table\" AS target, f.on_delete AS on_delete
             FROM sqlite_schema AS t JOIN pragma_foreign_key_list(t.name) AS f WHERE t.type = 'table'"
        }
        Kind::Postgres => {
            "SELECT CAST(c.conrelid::regclass AS TEXT) AS table_name, CAST(a.attname AS TEXT) AS name,
                 CAST(c.confrelid::regclass AS TEXT) AS target,
                 CASE c.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' ELSE 'other' END AS on_delete
             FROM pg_constraint AS c
             JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
             WHERE c.contype = 'f'"
        }
    };
    store.all(Statement::new(text)).await.unwrap().into_iter().collect()
}

// === impl FromRow ===

impl FromRow for Column {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            table: row.text("table_name")?,
            name: row.text("name")?,
            kind: row.text("kind")?,
            nullable: row.flag("nullable")?,
        })
    }
}

impl FromRow for Reference {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            table: row.text("table_name")?,
            column: row.text("name")?,
            target: row.text("target")?,
            on_delete: row.text("on_delete")?,
        })
    }
}
