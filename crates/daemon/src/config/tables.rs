//! Building and merging of TOML tables.

use toml::{Table, Value};

/// Returns a table that sets one key, given as `section.key` or `key`.
pub(super) fn single(key: &str, value: Value) -> Table {
    match key.split_once('.') {
        Some((section, key)) => Table::from_iter([(section.to_owned(), Value::Table(single(key, value)))]),
        None => Table::from_iter([(key.to_owned(), value)]),
    }
}

/// Merges `over` into `base`: tables key by key, all other values replaced.
pub(super) fn lay_over(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => lay_over(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}
