//! The state of the breakers, as `/health` shows it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    app::App,
    health::{self, Blocked, State as BreakerState},
};

/// Returns the targets that are not tried now, or only by a probe.
pub(super) fn troubled(app: &App) -> Vec<Value> {
    let now = health::now();
    let state = |target: &Arc<health::TargetHealth>| {
        let breaker = target.state(now);
        let blocked = target.blocked(now);
        if breaker == BreakerState::Closed && blocked.is_none() {
            return None;
        }
        let word = match blocked {
            Some(Blocked::Aside(_)) if breaker == BreakerState::Closed => "asked-to-wait",
            _ => breaker.as_str(),
        };
        let seconds = blocked.map(|blocked| blocked.until().saturating_sub(now).div_ceil(1_000));
        Some(json!({
            "provider": target.provider(),
            "model": Some(target.model()).filter(|model| !model.is_empty()),
            "key": target.key(),
            "state": word,
            "seconds": seconds.unwrap_or_default(),
        }))
    };
    app.metrics.targets.all().iter().filter_map(state).collect()
}
