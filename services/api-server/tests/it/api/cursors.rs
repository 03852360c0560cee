//! Tests of cursors: a list continues after the last row of the previous page.

use super::log::{answered, now, record};
use crate::site::{Site, on_both};

on_both!(every_list_is_read_to_its_end, rows_that_come_move_no_page, garbage_is_refused);

/// Lists, with the name of the array and of the identifying field of its rows.
const LISTS: [(&str, &str, &str); 9] = [
    ("/api/requests?model=echo", "requests", "request_id"),
    ("/api/responses?has_error=false", "responses", "response_id"),
    ("/api/sessions?sort=created_at", "sessions", "id"),
    ("/api/sessions?sort=last_accessed", "sessions", "id"),
    ("/api/sessions/s1/requests?", "requests", "request_id"),
    ("/api/responses/session/s1?", "responses", "response_id"),
    ("/api/activity/recent?", "activities", "id"),
    ("/api/providers?", "providers", "id"),
    ("/api/models?", "models", "id"),
];

/// Records seven requests in two sessions, some of them at the same time.
async fn fill(site: &Site) {
    let at = now();
    let log: Vec<_> = (0..7).map(|number| answered(&format!("r{number}"), at + number / 3)).collect();
    record(site, &log).await;
    let mut other = answered("other", at);
    other.begun.session = signalbox_store::exchanges::SessionRef::Opens;
    record(site, &[other]).await;
}

async fn every_list_is_read_to_its_end(site: &Site) {
    fill(site).await;
    for (list, items, id) in LISTS {
        let ids = |body: &serde_json::Value| -> Vec<String> {
            body[items].as_array().unwrap().iter().map(|row| row[id].as_str().unwrap().to_owned()).collect()
        };
        let all = site.get(list).await.expect(200);
        assert_eq!(all["next_cursor"], serde_json::Value::Null, "{list}");
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let body = site.get(&format!("{list}&limit=2&cursor={cursor}")).await.expect(200);
            seen.extend(ids(&body));
            match body["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert!(seen.len() >= 2, "{list}");
        assert_eq!(seen, ids(&all), "{list}");
    }
}

async fn rows_that_come_move_no_page(site: &Site) {
    fill(site).await;
    let first = site.get("/api/requests?limit=3").await.expect(200);
    record(site, &[answered("newer", now() + 1000)]).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = site.get(&format!("/api/requests?limit=3&cursor={cursor}")).await.expect(200);
    let rows = [&first, &second].map(|body| body["requests"].as_array().unwrap().clone()).concat();
    let ids: std::collections::BTreeSet<&str> = rows.iter().map(|row| row["request_id"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), ids.contains("newer")), (6, false));
    assert_eq!((&second["total"], &second["has_more"]), (&9.into(), &true.into()));
    // After a cursor, an offset skips rows as usual.
    let skipped = site.get(&format!("/api/requests?limit=1&offset=2&cursor={cursor}")).await.expect(200);
    assert_eq!(skipped["requests"][0], second["requests"][2]);
}

async fn garbage_is_refused(site: &Site) {
    for (list, ..) in LISTS {
        for garbage in ["x", "q1", "%C3%A9", "p-1", "q0000000000000000000000000000000G"] {
            let mistakes = site.get(&format!("{list}&cursor={garbage}")).await.mistakes();
            assert_eq!(
                mistakes,
                ["cursor must be the next_cursor of a previous page of the same list"],
                "{list} {garbage}"
            );
        }
    }
}
