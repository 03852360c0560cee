use proptest::prelude::*;

use super::*;
use crate::catalog::tests::{Row, snapshot};

/// Returns the providers tried, as `provider:model`, in order.
fn tried(rows: &[Row<'_>], active: Option<&str>, model: Option<&str>) -> Result<Vec<String>, RouteError> {
    let found = candidates(&snapshot(rows, active), model)?;
    let name = |candidate: &Candidate| candidate.model.clone().unwrap_or_else(|| "(none)".into());
    Ok(found.iter().map(|candidate| format!("{}:{}", candidate.provider.id, name(candidate))).collect())
}

const ROWS: &[Row<'_>] = &[
    Row { id: "first", priority: 10, models: &[("gpt", Some("gpt-upstream")), ("only-first", None)], ..Row::ENABLED },
    Row { id: "second", priority: 5, models: &[("gpt", None)], list: Some(&["gpt", "listed"]), ..Row::ENABLED },
    Row { id: "off", priority: 99, models: &[("gpt", None), ("hidden", None)], enabled: false, ..Row::ENABLED },
    Row { id: "open", priority: 1, ..Row::ENABLED },
];

#[test]
fn without_an_active_provider_linked_providers_are_tried_by_priority() {
    for active in [None, Some("off"), Some("unknown")] {
        assert_eq!(tried(ROWS, active, Some("gpt")).unwrap(), ["first:gpt-upstream", "second:gpt"], "{active:?}");
    }
}

#[test]
fn the_active_provider_is_first_if_it_may_serve_the_model() {
    // Linked to the model.
    assert_eq!(tried(ROWS, Some("second"), Some("gpt")).unwrap(), ["second:gpt", "first:gpt-upstream"]);
    assert_eq!(tried(ROWS, Some("first"), Some("gpt")).unwrap(), ["first:gpt-upstream", "second:gpt"]);
    // Without links, and may therefore serve any model.
    assert_eq!(tried(ROWS, Some("open"), Some("gpt")).unwrap(), ["open:gpt", "first:gpt-upstream", "second:gpt"]);
    assert_eq!(tried(ROWS, Some("open"), Some("new")).unwrap(), ["open:new"]);
    // Lists the model itself.
    assert_eq!(tried(ROWS, Some("second"), Some("listed")).unwrap(), ["second:listed"]);
}

#[test]
fn an_active_provider_without_the_model_is_excluded() {
    assert_eq!(tried(ROWS, Some("second"), Some("only-first")).unwrap(), ["first:only-first"]);
    assert_eq!(tried(ROWS, Some("first"), Some("new")).unwrap(), ["open:new"]);
    assert_eq!(tried(&ROWS[..3], Some("first"), Some("new")), Err(RouteError::UnknownModel("new".into())));
}

#[test]
fn an_unlinked_model_goes_to_listing_providers_then_to_open_ones() {
    assert_eq!(tried(ROWS, None, Some("listed")).unwrap(), ["second:listed", "open:listed"]);
    assert_eq!(tried(ROWS, None, Some("hidden")).unwrap(), ["open:hidden"]);
    assert_eq!(tried(&ROWS[..3], None, Some("listed")).unwrap(), ["second:listed"]);
    assert_eq!(tried(&ROWS[..3], None, Some("new")), Err(RouteError::UnknownModel("new".into())));
}

#[test]
fn a_prefix_names_the_provider() {
    for active in [None, Some("open")] {
        assert_eq!(tried(ROWS, active, Some("second/any/thing")).unwrap(), ["second:any/thing"]);
        assert_eq!(tried(ROWS, active, Some("first/gpt")).unwrap(), ["first:gpt-upstream"]);
        assert_eq!(tried(ROWS, active, Some("vendor/model")).unwrap(), ["open:vendor/model"]);
        assert_eq!(tried(ROWS, active, Some("first/")).unwrap(), ["open:first/"]);
    }
}

#[test]
fn a_listed_model_keeps_its_provider_prefix() {
    let rows = [Row { id: "vendor", list: Some(&["vendor/auto", "plain"]), ..Row::ENABLED }];
    assert_eq!(tried(&rows, None, Some("vendor/auto")).unwrap(), ["vendor:vendor/auto"]);
    assert_eq!(tried(&rows, None, Some("vendor/plain")).unwrap(), ["vendor:plain"]);
    assert_eq!(tried(&rows, None, Some("vendor/vendor/auto")).unwrap(), ["vendor:vendor/auto"]);
}

#[test]
fn a_missing_model_means_the_default_of_the_active_provider() {
    assert_eq!(tried(ROWS, Some("first"), None).unwrap(), ["first:gpt-upstream", "second:gpt"]);
    let rows = |kind, default| {
        let active =
            Row { id: "active", kind, default, models: &[("gpt", None), ("other", Some("o"))], ..Row::ENABLED };
        [active, Row { id: "behind", models: &[("other", None)], ..Row::ENABLED }]
    };
    // The configured default takes precedence over the default link, and may be any name.
    assert_eq!(tried(&rows("echo", Some("other")), Some("active"), None).unwrap(), ["active:o", "behind:other"]);
    assert_eq!(tried(&rows("echo", Some("a/b")), Some("active"), None).unwrap(), ["active:a/b"]);
    assert_eq!(tried(&rows("echo", Some("")), Some("active"), None).unwrap(), ["active:gpt"]);
    assert_eq!(tried(&rows("qwen-proxy", Some("other")), Some("active"), None).unwrap()[0], "active:o");
}

#[test]
fn an_active_qwen_proxy_uses_its_own_default() {
    let rows = [Row { id: "qwen", kind: "qwen-proxy", ..Row::ENABLED }];
    assert_eq!(tried(&rows, Some("qwen"), None).unwrap(), ["qwen:(none)"]);
}

#[test]
fn without_a_default_the_error_names_the_setting() {
    for (active, word) in [
        (None, "set `active_provider`"),
        (Some("off"), "`off` is not enabled"),
        (Some("deleted"), "`deleted` does not exist"),
        (Some("open"), "`defaultModel`"),
    ] {
        let refused = tried(ROWS, active, None).unwrap_err();
        assert!(matches!(refused, RouteError::MissingModel(_)) && refused.to_string().contains(word), "{refused}");
    }
}

proptest! {
    /// For all combinations of linked, listed, active and disabled providers: no provider is tried twice, no disabled
    /// one is tried, the active one is first or left out, and every linked one is tried, by priority.
    #[test]
    fn the_order_invariants_hold(
        providers in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), 0..3_i64), 1..6),
        active in prop::option::of(0..6_usize),
    ) {
        const IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
        const MODEL: &[(&str, Option<&str>)] = &[("m", None)];
        const OTHER: &[(&str, Option<&str>)] = &[("other", None)];
        let rows: Vec<Row<'_>> = providers.iter().zip(IDS).map(|(&(enabled, linked, open, listed, priority), id)| Row {
            id, priority, enabled,
            models: if linked { MODEL } else if open { &[] } else { OTHER },
            list: listed.then_some(&["m"]),
            ..Row::ENABLED
        }).collect();
        let active = active.map(|at| IDS[at]);
        let found = candidates(&snapshot(&rows, active), Some("m")).unwrap_or_default();
        let ids: Vec<&str> = found.iter().map(|candidate| &*candidate.provider.id).collect();
        let row = |id: &str| rows.iter().find(|row| row.id == id);
        for (at, id) in ids.iter().enumerate() {
            prop_assert!(row(id).is_some_and(|row| row.enabled), "{} is disabled", id);
            prop_assert!(!ids[..at].contains(id), "{} twice", id);
            prop_assert!(at == 0 || Some(*id) != active, "{} is active and not the first", id);
        }
        if let Some(row) = active.and_then(row).filter(|row| row.enabled) {
            let may = row.models.is_empty() || row.models == MODEL || row.list.is_some();
            prop_assert_eq!(ids.first() == Some(&row.id), may);
        }
        for row in rows.iter().filter(|row| row.enabled && row.models == MODEL) {
            prop_assert!(ids.contains(&row.id), "{} is linked", row.id);
        }
        let behind: Vec<i64> = ids.iter().filter_map(|id| row(id)).filter(|row| row.models == MODEL && Some(row.id) != active).map(|row| row.priority).collect();
        prop_assert!(behind.is_sorted_by(|a, b| a >= b), "{:?}", behind);
    }
}
