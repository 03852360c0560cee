use signalbox_store::errors::{self, NewReport};

use crate::fixture::{Database, on_both};

on_both!(reports_are_counted_and_forgotten);

fn report(error_id: &str, timestamp: i64, severity: &'static str) -> NewReport {
    NewReport {
        error_id: error_id.to_owned(),
        timestamp,
        error_type: "api_error",
        error_message: format!("{error_id}\0"),
        severity,
        ..NewReport::default()
    }
}

async fn reports_are_counted_and_forgotten(database: &Database) {
    let store = &database.store;
    assert_eq!(errors::newest(store).await.unwrap(), None);
    let reports = [report("a", 1, "warning"), report("b", 3, "critical"), report("c", 2, "warning")];
    errors::put(store, &reports).await.unwrap();
    let newest = errors::newest(store).await.unwrap().unwrap();
    assert_eq!((&*newest.error_id, &*newest.error_message, &*newest.severity), ("b", "b\u{fffd}", "critical"));
    database.execute("UPDATE errors SET resolved = TRUE WHERE error_id = 'a'").await;
    let counts = async |since| {
        let counts = errors::counts(store, since).await.unwrap();
        let short = counts.iter().map(|count| format!("{} {}/{}", count.severity, count.unresolved, count.total));
        short.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(counts(0).await, "critical 1/1, warning 1/2");
    assert_eq!(counts(3).await, "critical 1/1");
    assert_eq!(errors::delete_before(store, 3, 1).await.unwrap(), 1);
    assert_eq!(counts(0).await, "critical 1/1, warning 1/1");
    assert_eq!(errors::delete_before(store, 3, 9).await.unwrap(), 1);
}
