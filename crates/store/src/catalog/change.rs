//! Many changes of the catalogue as one: all of them, or none, and only on the state they were made for.

use signalbox_core::schema::{ConfigValue, NewModel, NewProvider, Provider};

use super::VERSION;
use crate::provider_models::{self, NewLink};
use crate::row::{Columns, FromRow};
use crate::statement::Statement;
use crate::transaction::Transaction;
use crate::{Error, Sealer, Store, models, provider_configs, providers};

/// One change. What is to be made or changed is said whole.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names are the columns")]
pub enum Change {
    /// There is such a provider afterwards; its configuration and its links stay.
    Provider(NewProvider),
    /// There is no such provider afterwards, and none of its configuration and links.
    NoProvider(String),
    /// A provider has this value afterwards.
    Config { provider_id: String, value: ConfigValue },
    /// A provider has no such key afterwards.
    NoConfig { provider_id: String, key: String },
    /// There is such a model afterwards; its links stay.
    Model(NewModel),
    /// There is no such model afterwards, and none of its links.
    NoModel(String),
    /// There is such a link afterwards. If it is the default, no other one of its provider is.
    Link(NewLink),
    /// There is no such link afterwards.
    NoLink { provider_id: String, model_id: String },
    /// A setting has this value afterwards.
    Setting { key: String, value: String },
    /// A setting is at its default afterwards.
    NoSetting(String),
}

struct Version(i64);

/// Makes the changes, whatever their order, if the catalogue still has this [`version`](super::version); answers whether
/// it had. What is to be deleted and is not there is no mistake.
///
/// # Errors
/// [`Error::Conflict`] if `providers.name` is taken, [`Error::NotFound`] if a value or a link belongs to nothing; see
/// [`Error`].
pub async fn change(
    store: &Store,
    sealer: &Sealer,
    version: i64,
    changes: &[Change],
    now_ms: i64,
) -> Result<bool, Error> {
    let mut tx = store.write().await?;
    // Whoever else writes has to wait for this row, or we for theirs.
    let hold = Statement::new("UPDATE catalog_version SET version = version WHERE id = 1");
    tx.execute(hold).await?;
    let Version(found) = tx.one(Statement::new(VERSION), "catalog version").await?;
    if super::distinct(store, found) != version {
        return Ok(false);
    }
    let mut changes: Vec<&Change> = changes.iter().collect();
    changes.sort_by_key(|change| change.turn());
    free_names(&mut tx, &changes).await?;
    for change in changes {
        make(&mut tx, sealer, change, now_ms).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Two providers may swap their names: whoever gives up a name that another one takes is called something else meanwhile.
async fn free_names(tx: &mut Transaction, changes: &[&Change]) -> Result<(), Error> {
    let new = || changes.iter().filter_map(|change| if let Change::Provider(new) = change { Some(new) } else { None });
    if new().nth(1).is_none() {
        return Ok(());
    }
    let rows: Vec<Provider> = tx.all(Statement::new("SELECT * FROM providers")).await?;
    for row in rows {
        let gives_up = new().any(|new| new.id == row.id && new.name != row.name);
        if gives_up && new().any(|new| new.id != row.id && new.name == row.name) {
            let free = Statement::new("UPDATE providers SET name = 'renamed: ' || id WHERE id = $1");
            tx.execute(free.bind(row.id)).await?;
        }
    }
    Ok(())
}

async fn make(tx: &mut Transaction, sealer: &Sealer, change: &Change, now_ms: i64) -> Result<(), Error> {
    let statement = match change {
        Change::Provider(provider) => return providers::put(tx, provider, now_ms).await,
        Change::Model(model) => return models::put(tx, model, now_ms).await,
        Change::Link(link) => return provider_models::put(tx, link, now_ms).await,
        Change::Config { provider_id, value } => {
            let value = provider_configs::sealed(sealer, provider_id, std::slice::from_ref(value))?;
            return provider_configs::upsert(tx, provider_id, &value, now_ms).await;
        }
        Change::Setting { key, value } => return crate::settings::set(tx, key, value, now_ms).await,
        Change::NoProvider(id) => Statement::new("DELETE FROM providers WHERE id = $1").bind(id),
        Change::NoModel(id) => Statement::new("DELETE FROM models WHERE id = $1").bind(id),
        Change::NoSetting(key) => Statement::new("DELETE FROM settings WHERE key = $1").bind(key),
        Change::NoConfig { provider_id, key } => {
            let delete = "DELETE FROM provider_configs WHERE provider_id = $1 AND key = $2";
            Statement::new(delete).bind(provider_id).bind(key)
        }
        Change::NoLink { provider_id, model_id } => {
            let delete = "DELETE FROM provider_models WHERE provider_id = $1 AND model_id = $2";
            Statement::new(delete).bind(provider_id).bind(model_id)
        }
    };
    tx.execute(statement).await.map(drop)
}

// === impl Change ===

impl Change {
    /// Deleting comes first, so that names are free; what others refer to comes before them.
    const fn turn(&self) -> u8 {
        match self {
            Self::NoLink { .. } | Self::NoConfig { .. } | Self::NoSetting(_) => 0,
            Self::NoProvider(_) | Self::NoModel(_) => 1,
            Self::Provider(_) | Self::Model(_) => 2,
            Self::Config { .. } | Self::Link(_) | Self::Setting { .. } => 3,
        }
    }
}

impl FromRow for Version {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        row.int("version").map(Self)
    }
}
