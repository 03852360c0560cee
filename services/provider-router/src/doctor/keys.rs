//! Checks of the client keys.

use signalbox_core::schema::{ApiKey, Setting};

use super::{Check, routes::named, subject::Subject};

const LINK: &str = "docs/keys.md#limits-and-budgets";
/// Milliseconds before its expiry from which a key is mentioned.
const EXPIRES_SOON: i64 = 7 * 24 * 3_600 * 1_000;

/// Checks the keys that are not revoked.
pub(super) fn checks(subject: &Subject, now_ms: i64) -> Vec<Check> {
    let unpriced = unpriced(subject, now_ms);
    let refuses = subject.rows.settings.iter().any(refuses_unpriced);
    let valid = subject.rows.keys.iter().filter(|key| key.revoked_at.is_none());
    valid
        .flat_map(|key| [expiry(key, now_ms), models(subject, key), budget(key, &unpriced, refuses)])
        .flatten()
        .collect()
}

fn refuses_unpriced(setting: &Setting) -> bool {
    setting.key == "budget.unpriced" && setting.value == "refuse"
}

/// Returns the targets of enabled routes, and the linked models, whose price is unknown: the names that clients ask for.
fn unpriced(subject: &Subject, now_ms: i64) -> Vec<String> {
    let of_routes = subject.rows.routes.iter().filter(|route| route.enabled).filter(|route| {
        let fixed = route.plan.targets.iter().filter(|target| !target.model.contains('*'));
        fixed.into_iter().any(|target| !subject.is_priced(&target.provider, &target.model, now_ms))
    });
    let mut names: Vec<String> = of_routes.map(|route| route.model.clone()).collect();
    for provider in subject.snapshot.providers() {
        let links = subject.snapshot.links_of(provider);
        let unknown = links.filter(|model| {
            let name = subject.snapshot.upstream_name(provider, &model.id);
            !subject.is_priced(&provider.id, name, now_ms)
        });
        names.extend(unknown.map(|model| model.id.clone()));
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn expiry(key: &ApiKey, now_ms: i64) -> Option<Check> {
    let id = format!("key.{}.expiry", key.name);
    let left = key.expires_at? - now_ms;
    let remedy = "set another expiry, or delete the key if it is no longer needed";
    let check = if left <= 0 {
        Check::warn(id, format!("it expired {} days ago, and its requests are refused", -left / 86_400_000))
            .remedy(remedy)
    } else if left < EXPIRES_SOON {
        Check::warn(id, format!("it expires in {} days", left / 86_400_000)).remedy(remedy)
    } else {
        Check::ok(id, format!("it expires in {} days", left / 86_400_000))
    };
    Some(check.link("docs/keys.md#fields"))
}

/// Checks that the models which a key allows exist.
fn models(subject: &Subject, key: &ApiKey) -> Option<Check> {
    let allowed = key.grant.models.as_ref()?;
    let id = format!("key.{}.models", key.name);
    let exists = |name: &str| {
        if name.contains('*') || name.starts_with('!') {
            return true;
        }
        let snapshot = &subject.snapshot;
        snapshot.routes().named(name).is_some()
            || snapshot.routes().matching(name).is_some()
            || crate::route::candidates(snapshot, Some(name)).is_ok()
    };
    let unknown: Vec<String> = allowed.iter().filter(|name| !exists(name)).map(|name| format!("`{name}`")).collect();
    let check = match (allowed.len(), unknown.len()) {
        (0, _) => Check::warn(id, "it allows no model, so all of its requests are refused")
            .remedy("name the models that it may use, or remove `models`"),
        (_, 0) => Check::ok(id, "the models that it allows exist"),
        _ => Check::warn(id, format!("it allows models that nothing serves: {}", named(&unknown)))
            .remedy("correct the names in `models`"),
    };
    Some(check.link("docs/keys.md#fields"))
}

fn budget(key: &ApiKey, unpriced: &[String], refuses: bool) -> Option<Check> {
    let budget = key.grant.budget?;
    let id = format!("key.{}.budget", key.name);
    if budget.amount_usd <= 0.0 {
        let check = Check::warn(id, "its budget is 0, so its requests are refused").remedy("raise the budget");
        return Some(check.link(LINK));
    }
    let allows = |name: &&String| match &key.grant.models {
        None => true,
        Some(models) => signalbox_daemon::model_is_allowed(models, name),
    };
    let affected: Vec<String> = unpriced.iter().filter(allows).map(|name| format!("`{name}`")).collect();
    let check = if affected.is_empty() {
        Check::ok(id, "its budget covers all models that it may use")
    } else if refuses {
        Check::ok(id, format!("models without a price are refused: {}", named(&affected)))
    } else {
        Check::warn(id, format!("its budget does not count models without a price: {}", named(&affected)))
            .remedy("add prices, or refuse such models with the setting `budget.unpriced` = `refuse`")
    };
    Some(check.link(LINK))
}
