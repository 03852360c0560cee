//! Changes of client keys while requests are served.

use anyhow::ensure;
use signalbox_core::schema::{ApiKeyFields, NewApiKey};
use signalbox_store::{Store, api_keys};
use tokio::time::{Duration, Instant, sleep};

use super::{
    probe,
    results::Reloads,
    target::{Site, Target},
};

/// Time between two changes. The router looks for changes twice as often.
const CHANGE_INTERVAL: Duration = Duration::from_millis(500);
/// Time between looks for the effect of the last change.
const LOOK_AFTER: Duration = Duration::from_millis(50);
/// Maximum time until a change is in effect, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// Changes one key twice a second for so many seconds, and returns how long the router took to read its catalogue.
///
/// # Errors
/// Fails if the database cannot be written, or if no change takes effect.
pub async fn change_keys(site: &Site, target: &Target, seconds: f64) -> anyhow::Result<Reloads> {
    let (key, span) = (site.keys.key.expose(), Duration::from_secs_f64(seconds));
    let store = target.store().await?;
    let mut last = probe::reload_time(target.port, key).await?;
    let mut reloads = Reloads::default();
    let begin = Instant::now();
    // The first key is that of the requests.
    for (number, row) in site.keys.rows.iter().skip(1).cycle().enumerate() {
        change(&store, row, number).await?;
        sleep(CHANGE_INTERVAL).await;
        reloads.note(&mut last, probe::reload_time(target.port, key).await?);
        if begin.elapsed() >= span {
            break;
        }
    }
    while reloads.count == 0 && begin.elapsed() < span + PATIENCE {
        sleep(LOOK_AFTER).await;
        reloads.note(&mut last, probe::reload_time(target.port, key).await?);
    }
    store.close().await;
    ensure!(reloads.count > 0, "the router did not read the changed keys within {} s", PATIENCE.as_secs());
    Ok(reloads)
}

/// Gives a key another tag.
async fn change(store: &Store, row: &NewApiKey, number: usize) -> anyhow::Result<()> {
    let mut grant = row.fields.grant.clone();
    grant.tags = vec![format!("change {number}")];
    let fields = ApiKeyFields { grant, ..row.fields.clone() };
    api_keys::update(store, &row.id, &fields, i64::try_from(number)?).await?;
    Ok(())
}
