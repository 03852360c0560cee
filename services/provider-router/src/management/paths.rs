//! Recognition of management requests, and their paths below `/api`.

use http::Method;
use uuid::Uuid;

/// Subtrees of `/v1` that belong completely to management.
const SUBTREES: [&str; 10] = [
    "settings",
    "sessions",
    "requests",
    "responses",
    "metrics",
    "qwen/credentials",
    "prices",
    "routes",
    "keys",
    "usage",
];

/// Kind of a management request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Managed {
    /// A request for the management API, with its path below `/api`.
    Api(String),
    /// A request for what this process itself has loaded, or asks of providers.
    Own,
}

/// First segments below `/v1/responses` that are none of an answer's ids.
const OF_MANAGEMENT: [&str; 3] = ["stats", "request", "session"];

// === impl Managed ===

impl Managed {
    /// Returns the kind of a request; `None` if it is not for management. `path` has no query.
    #[must_use]
    pub fn of(method: &Method, path: &str) -> Option<Self> {
        api_path(method, path).map(Self::Api).or_else(|| is_own(method, path).then_some(Self::Own))
    }
}

/// Returns whether this process answers a management request itself: the list of loaded providers, their tests and
/// reloads, and the syncs of their models.
fn is_own(method: &Method, path: &str) -> bool {
    path.strip_prefix("/v1/")
        .is_some_and(|path| is_below(path, "providers") || method == Method::POST && is_below(path, "models/sync"))
}

/// Returns whether a path below `/api` changes the state of router processes, and nothing in the database: it closes their
/// breakers, or clears their caches.
pub(super) fn is_of_process(path: &str) -> bool {
    matches!(path, "/api/routes/reset-breakers" | "/api/routes/clear-cache")
}

/// Returns the path below `/api` that answers this request; `None` if the management API does not. `path` has no query.
///
/// `GET /v1/models…`, `GET /v1/providers`, `GET /v1/providers/{id}`, and the tests, reloads and syncs are the
/// router's own.
fn api_path(method: &Method, path: &str) -> Option<String> {
    if let Some(rest) = path.strip_prefix("/api/v1/activity/") {
        return Some(format!("/api/activity/{rest}"));
    }
    let path = path.strip_prefix("/v1/")?;
    if path.strip_prefix("responses/").is_some_and(is_of_openai) {
        return None;
    }
    if SUBTREES.iter().any(|tree| is_below(path, tree)) {
        return Some(format!("/api/{path}"));
    }
    if let Some(rest) = path.strip_prefix("models") {
        return model_path(method, rest);
    }
    let rest = path.strip_prefix("providers")?;
    let Some(rest) = rest.strip_prefix('/') else {
        return (rest.is_empty() && method == Method::POST).then(|| format!("/api/{path}"));
    };
    let claimed = match rest.split_once('/') {
        None => matches!(*method, Method::PUT | Method::DELETE),
        Some((_, below)) => {
            matches!(below, "enable" | "disable") || is_below(below, "config") || is_below(below, "models")
        }
    };
    claimed.then(|| format!("/api/{path}"))
}

/// Returns whether a path below `/v1/responses` is one of OpenAI's: it names an answer as its clients do, or has a name
/// of its own. Management names answers by number or UUID.
fn is_of_openai(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    let is_of_log = first.bytes().all(|byte| byte.is_ascii_digit()) || Uuid::try_parse(first).is_ok();
    !is_of_log && !OF_MANAGEMENT.contains(&first)
}

/// Returns whether a path belongs to OpenAI's Responses, beside the management routes that share it.
pub(super) fn is_of_responses(path: &str) -> bool {
    path.strip_prefix("/v1/").is_some_and(|path| is_below(path, "responses"))
}

/// Model ids may contain slashes, which are escaped: below `/api` an id is a single segment.
fn model_path(method: &Method, rest: &str) -> Option<String> {
    let Some(id) = rest.strip_prefix('/') else {
        return (rest.is_empty() && method == Method::POST).then(|| "/api/models".to_owned());
    };
    matches!(*method, Method::PUT | Method::DELETE).then(|| format!("/api/models/{}", id.replace('/', "%2F")))
}

fn is_below(path: &str, tree: &str) -> bool {
    path.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn management_routes_map_to_paths_below_api() {
        for (method, path, expected) in [
            ("GET", "/v1/settings", "/api/settings"),
            ("PUT", "/v1/settings/server.port", "/api/settings/server.port"),
            ("POST", "/v1/settings/bulk", "/api/settings/bulk"),
            ("GET", "/v1/sessions/chat/c%2F1", "/api/sessions/chat/c%2F1"),
            ("DELETE", "/v1/requests/7", "/api/requests/7"),
            ("PUT", "/v1/prices", "/api/prices"),
            ("GET", "/v1/usage", "/api/usage"),
            ("GET", "/v1/requests/7/body/asked", "/api/requests/7/body/asked"),
            ("GET", "/v1/metrics/series", "/api/metrics/series"),
            ("PUT", "/v1/routes/r", "/api/routes/r"),
            ("POST", "/v1/keys/k/rotate", "/api/keys/k/rotate"),
            ("GET", "/v1/responses/stats", "/api/responses/stats"),
            ("GET", "/v1/responses/session/s", "/api/responses/session/s"),
            ("DELETE", "/v1/responses/7", "/api/responses/7"),
            (
                "GET",
                "/v1/responses/0190163d-8694-739b-aea5-966c26f8ad91",
                "/api/responses/0190163d-8694-739b-aea5-966c26f8ad91",
            ),
            ("POST", "/v1/qwen/credentials", "/api/qwen/credentials"),
            ("POST", "/v1/qwen/credentials/3/activate", "/api/qwen/credentials/3/activate"),
            ("GET", "/api/v1/activity/recent", "/api/activity/recent"),
            ("POST", "/v1/models", "/api/models"),
            ("PUT", "/v1/models/a%2Fb", "/api/models/a%2Fb"),
            ("DELETE", "/v1/models/org/model:1", "/api/models/org%2Fmodel:1"),
            ("POST", "/v1/providers", "/api/providers"),
            ("PUT", "/v1/providers/p", "/api/providers/p"),
            ("DELETE", "/v1/providers/p", "/api/providers/p"),
            ("POST", "/v1/providers/p/enable", "/api/providers/p/enable"),
            ("GET", "/v1/providers/p/enable", "/api/providers/p/enable"),
            ("PATCH", "/v1/providers/p/config/apiKey", "/api/providers/p/config/apiKey"),
            ("GET", "/v1/providers/p/config", "/api/providers/p/config"),
            ("PUT", "/v1/providers/p/models/m/default", "/api/providers/p/models/m/default"),
        ] {
            let method: Method = method.parse().unwrap();
            assert_eq!(Managed::of(&method, path), Some(Managed::Api(expected.to_owned())), "{method} {path}");
        }
    }

    #[test]
    fn other_routes_belong_to_the_router() {
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/v1"),
            ("POST", "/v1/chat/completions"),
            ("GET", "/v1/models"),
            ("GET", "/v1/models/org/model"),
            ("GET", "/v1/models/sync"),
            ("PUT", "/v1/modelsx/m"),
            ("PUT", "/v1/models"),
            ("GET", "/v1/responses/resp_01"),
            ("DELETE", "/v1/responses/resp_01"),
            ("POST", "/v1/responses/resp_01/cancel"),
            ("POST", "/v1/responses/input_tokens"),
            ("GET", "/v1/responses/x"),
            ("GET", "/v1/responses/gen-7/input_items"),
            ("GET", "/v1/settingsx"),
            ("GET", "/v1/qwen"),
            ("GET", "/api/settings"),
            ("GET", "/api/v1/activityx"),
            ("POST", "/v1/admin/shutdown"),
        ] {
            assert_eq!(Managed::of(&method.parse().unwrap(), path), None, "{method} {path}");
        }
    }

    #[test]
    fn loaded_providers_and_syncs_are_managed_by_this_process() {
        for (method, path) in [
            ("GET", "/v1/providers"),
            ("HEAD", "/v1/providers"),
            ("GET", "/v1/providers/p"),
            ("GET", "/v1/providers/p/configs"),
            ("POST", "/v1/providers/p/test"),
            ("POST", "/v1/providers/p/reload"),
            ("POST", "/v1/models/sync"),
            ("POST", "/v1/models/sync/p"),
        ] {
            assert_eq!(Managed::of(&method.parse().unwrap(), path), Some(Managed::Own), "{method} {path}");
        }
    }
}
