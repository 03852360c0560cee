//! Sums of requests, tokens and costs, by client key, model or provider.
//!
//! Sums by key are read from `key_hours`, which the deletion of requests does not change: what was spent stays spent.
//! Those by model and provider are read from `usage_hours`, the sums of the log.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use signalbox_core::schema::ApiKey;

use crate::row::{Columns, FromRow};
use crate::rows::Rows;
use crate::statement::Statement;
use crate::tables::usage_hours::HOUR_MS;
use crate::{Error, Page, Store, api_keys};

/// Grouping of the sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Client key.
    #[default]
    Key,
    /// Owner of the client key.
    Owner,
    /// Tag of the client key. A request of a key with several tags counts in each of them.
    Tag,
    /// Model that clients asked for.
    Model,
    /// Provider that answered, or was tried last.
    Provider,
}

/// The sums of a group, as they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageOf {
    /// The present name of the group; `None` for requests without one. Deleted keys, and those of the configuration, have
    /// no other name than their id.
    pub name: Option<String>,
    /// The id of the key, if the sums are grouped by keys.
    pub key_id: Option<String>,
    /// The sums; their name is that of the table.
    pub sums: Usage,
}

/// Grouping of the sums in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// Client key; the empty text stands for requests without a key.
    Key,
    /// Model that clients asked for.
    Model,
    /// Provider; the empty text stands for requests that no provider answered.
    Provider,
}

/// The sums of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The id of the key, the name of the model or the id of the provider.
    pub name: String,
    /// Number of requests.
    pub requests: i64,
    /// Number of requests with an error.
    pub errors: i64,
    /// Tokens of prompts.
    pub prompt_tokens: i64,
    /// Tokens of answers.
    pub completion_tokens: i64,
    /// The sum of the known costs, in nano-dollars.
    pub cost_nanos: i64,
    /// Number of requests whose cost is unknown.
    pub unpriced: i64,
}

/// The costs of a key since several times.
struct Spent(String, [i64; 4]);

/// The id and the name of a key.
struct Named(String, String);

/// Returns the sums of the hours that contain `from` and `to`, and of all hours between them; times in milliseconds. The
/// most expensive group comes first.
///
/// # Errors
/// See [`Error`].
pub async fn by(store: &Store, by: By, from: Option<i64>, to: Option<i64>) -> Result<Vec<UsageOf>, Error> {
    let group = match by {
        By::Model => Group::Model,
        By::Provider => Group::Provider,
        By::Key | By::Owner | By::Tag => Group::Key,
    };
    let sums = sums(store, group, from, to).await?;
    let named = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
    if group != Group::Key {
        return Ok(sums.into_iter().map(|sums| UsageOf { name: named(&sums.name), key_id: None, sums }).collect());
    }
    let keys: HashMap<String, ApiKey> =
        api_keys::list(store, Page::ALL).await?.items.into_iter().map(|key| (key.id.clone(), key)).collect();
    if by == By::Key {
        let of_key = |sums: Usage| UsageOf {
            name: named(keys.get(&sums.name).map_or(&sums.name, |key| &key.name)),
            key_id: named(&sums.name),
            sums,
        };
        return Ok(sums.into_iter().map(of_key).collect());
    }
    let mut groups: BTreeMap<Option<&str>, Usage> = BTreeMap::new();
    for sum in &sums {
        let grant = keys.get(&sum.name).map(|key| &key.grant);
        if by == By::Owner {
            groups.entry(grant.and_then(|grant| grant.owner.as_deref())).or_default().add(sum);
            continue;
        }
        let tags = grant.map_or(&[][..], |grant| &grant.tags);
        tags.iter().for_each(|tag| groups.entry(Some(tag.as_str())).or_default().add(sum));
        if tags.is_empty() {
            groups.entry(None).or_default().add(sum);
        }
    }
    let mut groups: Vec<UsageOf> =
        groups.into_iter().map(|(name, sums)| UsageOf { name: name.map(str::to_owned), key_id: None, sums }).collect();
    groups.sort_by_key(|group| (Reverse(group.sums.cost_nanos), Reverse(group.sums.requests)));
    Ok(groups)
}

async fn sums(store: &Store, group: Group, from: Option<i64>, to: Option<i64>) -> Result<Vec<Usage>, Error> {
    let hour = |at: i64| at.div_euclid(HOUR_MS);
    let statement = Statement::new(group.select()).bind(from.map_or(i64::MIN, hour)).bind(to.map_or(i64::MAX, hour));
    let mut sums: Vec<Usage> = store.all(statement).await?;
    // A pending request is summed without its provider, and again with it once it has ended.
    sums.retain(|sums| sums.requests > 0);
    Ok(sums)
}

/// Returns the known costs of all keys, in nano-dollars, since each of these times, in milliseconds at full hours. Requests
/// without a key have an empty one.
///
/// # Errors
/// See [`Error`].
pub async fn spent_since(store: &Store, since: [i64; 4]) -> Result<HashMap<String, [i64; 4]>, Error> {
    let select = "SELECT key_id, CAST(COALESCE(SUM(CASE WHEN hour >= $1 THEN cost_nanos END), 0) AS BIGINT) AS first,
             CAST(COALESCE(SUM(CASE WHEN hour >= $2 THEN cost_nanos END), 0) AS BIGINT) AS second,
             CAST(COALESCE(SUM(CASE WHEN hour >= $3 THEN cost_nanos END), 0) AS BIGINT) AS third,
             CAST(COALESCE(SUM(CASE WHEN hour >= $4 THEN cost_nanos END), 0) AS BIGINT) AS fourth
         FROM key_hours GROUP BY key_id";
    let statement = since.iter().fold(Statement::new(select), |statement, at| statement.bind(at.div_euclid(HOUR_MS)));
    let rows: Vec<Spent> = store.all(statement).await?;
    Ok(rows.into_iter().map(|Spent(key, sums)| (key, sums)).collect())
}

/// Returns the names of client keys by id. Ids that are not in the table are left out.
///
/// # Errors
/// See [`Error`].
pub async fn key_names<'a>(
    store: &Store,
    ids: impl Iterator<Item = &'a str>,
) -> Result<HashMap<String, String>, Error> {
    let ids: BTreeSet<&str> = ids.collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut rows = Rows::new("SELECT id, name FROM api_keys WHERE id IN (VALUES ", 1, ")");
    ids.into_iter().for_each(|id| rows.push([id.into()]));
    let named: Vec<Named> = rows.all(&mut store.read().await?).await?;
    Ok(named.into_iter().map(|Named(id, name)| (id, name)).collect())
}

// === impl By ===

impl By {
    /// All of them, with their words.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Key, "key"),
        (Self::Owner, "owner"),
        (Self::Tag, "tag"),
        (Self::Model, "model"),
        (Self::Provider, "provider"),
    ];

    /// Returns the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(by, _)| *by == self).map_or("key", |(_, word)| word)
    }

    /// Returns the grouping with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(by, _)| *by)
    }
}

// === impl Group ===

impl Group {
    /// The casts are for PostgreSQL, where sums of integers have another type.
    const fn select(self) -> &'static str {
        match self {
            Self::Key => {
                "SELECT key_id AS name, CAST(SUM(requests) AS BIGINT) AS requests, CAST(SUM(errors) AS BIGINT) AS errors,
                     CAST(SUM(prompt_tokens) AS BIGINT) AS prompt_tokens,
                     CAST(SUM(completion_tokens) AS BIGINT) AS completion_tokens,
                     CAST(SUM(cost_nanos) AS BIGINT) AS cost_nanos, CAST(SUM(unpriced) AS BIGINT) AS unpriced
                 FROM key_hours WHERE hour >= $1 AND hour <= $2 GROUP BY key_id
                 ORDER BY cost_nanos DESC, requests DESC, name"
            }
            Self::Model => {
                "SELECT model AS name, CAST(SUM(requests) AS BIGINT) AS requests, CAST(SUM(errors) AS BIGINT) AS errors,
                     CAST(SUM(prompt_tokens) AS BIGINT) AS prompt_tokens,
                     CAST(SUM(completion_tokens) AS BIGINT) AS completion_tokens,
                     CAST(SUM(cost_nanos) AS BIGINT) AS cost_nanos, CAST(SUM(unpriced) AS BIGINT) AS unpriced
                 FROM usage_hours WHERE hour >= $1 AND hour <= $2 GROUP BY model
                 ORDER BY cost_nanos DESC, requests DESC, name"
            }
            Self::Provider => {
                "SELECT provider_id AS name, CAST(SUM(requests) AS BIGINT) AS requests,
                     CAST(SUM(errors) AS BIGINT) AS errors, CAST(SUM(prompt_tokens) AS BIGINT) AS prompt_tokens,
                     CAST(SUM(completion_tokens) AS BIGINT) AS completion_tokens,
                     CAST(SUM(cost_nanos) AS BIGINT) AS cost_nanos, CAST(SUM(unpriced) AS BIGINT) AS unpriced
                 FROM usage_hours WHERE hour >= $1 AND hour <= $2 GROUP BY provider_id
                 ORDER BY cost_nanos DESC, requests DESC, name"
            }
        }
    }
}

// === impl Usage ===

impl Usage {
    /// Adds the counts of another group.
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.cost_nanos = self.cost_nanos.saturating_add(other.cost_nanos);
        self.unpriced += other.unpriced;
    }
}

// === impl FromRow ===

impl FromRow for Usage {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self {
            name: row.text("name")?,
            requests: row.int("requests")?,
            errors: row.int("errors")?,
            prompt_tokens: row.int("prompt_tokens")?,
            completion_tokens: row.int("completion_tokens")?,
            cost_nanos: row.int("cost_nanos")?,
            unpriced: row.int("unpriced")?,
        })
    }
}

impl FromRow for Named {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        Ok(Self(row.text("id")?, row.text("name")?))
    }
}

impl FromRow for Spent {
    fn from_row(row: &dyn Columns) -> Result<Self, Error> {
        let sums = [row.int("first")?, row.int("second")?, row.int("third")?, row.int("fourth")?];
        Ok(Self(row.text("key_id")?, sums))
    }
}
