//! `/docs`: all routes on one page, for people.

use std::fmt::Write as _;

use axum::response::Html;

/// Methods, path, and what it is good for. The test below compares it with the routes.
const ROUTES: [(&str, &str, &str); 42] = [
    ("GET", "/api/health", "Whether api-server lives. Needs no client key."),
    ("POST", "/api/proxy/start", "Start both services; answers at once."),
    ("POST", "/api/proxy/stop", "Stop both; answers when they are gone."),
    ("POST", "/api/proxy/restart", "New processes in place of the present ones."),
    ("GET", "/api/proxy/status", "What runs, where, since when; providers and models."),
    (
        "GET",
        "/api/logs/{service}",
        "The last lines of a log: api-server, provider-router, qwen-proxy or combined; ?lines= up to 5000.",
    ),
    ("GET POST", "/api/providers", "List (?limit, ?offset, ?type, ?enabled), create."),
    ("GET", "/api/providers/types", "The kinds of providers, and what each needs."),
    ("GET PUT DELETE", "/api/providers/{id}", "One provider."),
    ("POST", "/api/providers/{id}/enable", "Route requests to it."),
    ("POST", "/api/providers/{id}/disable", "Route no requests to it."),
    ("POST", "/api/providers/{id}/test", "Ask it for its models, to see whether it answers."),
    ("POST", "/api/providers/{id}/reload", "Have the router read it anew."),
    ("GET PUT", "/api/providers/{id}/config", "Its configuration; secrets masked unless ?mask=false."),
    ("PATCH DELETE", "/api/providers/{id}/config/{key}", "One key of it."),
    ("GET POST", "/api/providers/{id}/models", "Models it is linked to; link one."),
    ("DELETE", "/api/providers/{id}/models/{model}", "Unlink one."),
    ("PUT", "/api/providers/{id}/models/{model}/default", "Make it the default of the provider."),
    ("GET POST", "/api/models", "List, create."),
    ("POST", "/api/models/sync", "Ask all providers for their models, and add those that are new."),
    ("POST", "/api/models/sync/{id}", "Ask one provider."),
    ("GET PUT DELETE", "/api/models/{id}", "One model."),
    ("GET DELETE", "/api/sessions", "List; DELETE removes those that have expired."),
    ("GET DELETE", "/api/sessions/{id}", "One session."),
    ("GET", "/api/sessions/{id}/requests", "Its requests."),
    ("GET", "/api/requests", "The request log; ?limit, ?offset and filters."),
    ("GET DELETE", "/api/requests/{id}", "One request with its answer."),
    ("GET", "/api/responses", "Recorded answers."),
    ("GET", "/api/responses/stats", "Counts, tokens and durations."),
    ("GET DELETE", "/api/responses/{id}", "One answer."),
    ("GET", "/api/responses/request/{id}", "The answer to a request."),
    ("GET", "/api/responses/session/{id}", "The answers of a session."),
    ("GET", "/api/activity/recent", "The newest requests, in words."),
    ("GET", "/api/activity/stats", "Figures over all requests, and over the last hour and day."),
    (
        "GET",
        "/api/audit",
        "Who changed what: ?actor, ?action, ?resource, ?resource_id, ?outcome, ?request_id, ?start_date, ?end_date.",
    ),
    ("GET", "/api/settings", "Settings, defaults included; ?category."),
    ("POST", "/api/settings/bulk", "Write several, all or none."),
    ("GET PUT DELETE", "/api/settings/{key}", "One setting."),
    (
        "GET POST DELETE",
        "/api/qwen/credentials",
        "Whether somebody is logged in at chat.qwen.ai; log in with cookies; log out.",
    ),
    ("DELETE", "/api/qwen/credentials/{id}", "Forget one login."),
    ("POST", "/api/qwen/credentials/{id}/activate", "Use this login."),
    ("GET", "/docs", "This page."),
];

const PAGE: &str = include_str!("docs.html");

/// `GET /docs`.
pub(super) async fn page() -> Html<String> {
    let mut rows = String::new();
    for (methods, path, purpose) in ROUTES {
        // Writing to a text cannot fail.
        let _ = writeln!(rows, "<tr><td>{methods}</td><td><code>{path}</code></td><td>{purpose}</td></tr>");
    }
    Html(PAGE.replace("{rows}", &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths that stand in `api.rs`.
    fn routed() -> Vec<String> {
        let text = include_str!("../api.rs");
        let direct = text.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let below = text.split(".route(&path(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let below = below.map(|rest| format!("/api/providers/{{id}}/{rest}"));
        let named = [crate::api::HEALTH, crate::api::CREDENTIALS].map(str::to_owned);
        direct.map(str::to_owned).chain(below).chain(named).collect()
    }

    #[test]
    fn every_route_is_documented_and_nothing_else() {
        let mut routed = routed();
        let mut documented: Vec<String> = ROUTES.iter().map(|(_, path, _)| (*path).to_owned()).collect();
        routed.sort_unstable();
        documented.sort_unstable();
        assert_eq!(documented, routed);
    }
}
