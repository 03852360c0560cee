//! Ready-made faults of the site, and the model names that select them.

use std::time::Duration;

use serde_json::json;

use crate::script::{
    FaultKind,
    names::{Name, name},
};

use super::{Endpoint, Extra, Part, Reply, Turn};

/// Returns the firewall's challenge: a page instead of an answer, with status 200.
#[must_use]
pub fn waf_page() -> Turn {
    let page = "<!doctypehtml><html><head><meta charset=\"utf-8\"><title></title></head>\n<body><textarea id=\"renderData\" \
                style=\"display:none\">{\"l1\":\"_waf_is_mobile\"}</textarea><script name=\"aliyunwaf_6a6f5ea8\">\
                /* a challenge */</script></body></html>";
    Turn::raw("text/html; charset=utf-8", page)
}

/// Returns the firewall's challenge as JSON, with status 200.
#[must_use]
pub fn captcha() -> Turn {
    let ret = ["FAIL_SYS_USER_VALIDATE", "RGV587_ERROR::SM::\u{54ce}\u{54df}\u{5582},\u{88ab}\u{6324}\u{7206}\u{5566}"];
    let url =
        "https://chat.qwen.ai:443//api/v2/chat/completions/_____tmd_____/punish?x5secdata=xg0&x5step=2&action=captcha";
    Turn::raw("application/json;charset=utf-8", json!({"ret": ret, "data": {"url": url}}).to_string())
}

/// Returns the site's login page, with status 200.
#[must_use]
pub fn login_page() -> Turn {
    let page = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Qwen Chat</title></head><body><div id=\"root\"></div>\
                <script>window.location.href=\"/auth?action=signin\"</script></body></html>";
    Turn::raw("text/html", page)
}

/// Returns an error in the site's format: `success` is false, the status is 200.
#[must_use]
pub fn refused(code: &str, details: &str) -> Turn {
    let data = json!({"code": code, "details": details});
    Turn::raw("application/json", json!({"success": false, "request_id": "0", "data": data}).to_string())
}

/// Returns the error for an account whose daily quota is used up.
#[must_use]
pub fn quota() -> Turn {
    let details = "You have reached the daily usage limit. Please wait 17 hours before trying again.";
    let data = json!({"code": "RateLimited", "details": details, "num": 17});
    Turn::raw("application/json", json!({"success": false, "request_id": "0", "data": data}).to_string())
}

/// Returns an error with this status.
#[must_use]
pub fn status(status: u16) -> Turn {
    if status >= 500 {
        let page = format!("<html>\r\n<head><title>{status}</title></head>\r\n<body>nginx</body>\r\n</html>");
        return Turn { status, ..Turn::raw("text/html", page) };
    }
    let details = format!("The fake responds with {status}, as scripted.");
    let data = json!({"code": status.to_string(), "details": details});
    let body = json!({"success": false, "request_id": "0", "data": data}).to_string();
    Turn { status, ..Turn::raw("application/json", body) }
}

/// Returns status 429, with `Retry-After` in seconds if given.
#[must_use]
pub fn too_many(retry_after: Option<u32>) -> Turn {
    let turn = status(429);
    retry_after.map_or_else(|| turn.clone(), |seconds| turn.clone().header("retry-after", &seconds.to_string()))
}

/// Returns a stream that ends properly, but without the finishing event.
#[must_use]
pub fn unfinished() -> Turn {
    Reply { without: vec![Part::Finished], ..Reply::default() }.into()
}

/// Returns a stream with these additional events.
#[must_use]
pub fn mixed_with(extra: Extra) -> Turn {
    Reply { extra: Some(extra), ..Reply::default() }.into()
}

/// All patterns of model names. `K` and `MS` stand for numbers.
pub const NAMES: &[Name] = &[
    name("fake-waf", "fake-waf", "page of the firewall, with status 200"),
    name("fake-captcha", "fake-captcha", "challenge of the firewall as JSON, with status 200"),
    name("fake-login", "fake-login", "login page, with status 200"),
    name("fake-refused", "fake-refused", "`success: false`, with status 200"),
    name("fake-quota", "fake-quota", "exhausted daily quota, with status 200"),
    name("fake-STATUS", "fake-503", "error with this status, 400 to 599; 429 has a Retry-After of 2 s"),
    name("fake-empty", "fake-empty", "answer without text"),
    name("fake-unfinished", "fake-unfinished", "stream without its last event"),
    name("fake-unknown", "fake-unknown", "comments and unknown events between the events of a stream"),
    name("fake-garbage", "fake-garbage", "invalid JSON between the events of a stream"),
    name("fake-slow-MS", "fake-slow-100", "one word every MS milliseconds"),
    name("fake-reset", "fake-reset", "resets the connection before the head"),
    name("fake-reset-K", "fake-reset-3", "resets the connection after K events"),
    name("fake-close-K", "fake-close-3", "closes the connection after K events, within the body"),
    name("fake-stall", "fake-stall", "never answers"),
    name("fake-stall-K", "fake-stall-3", "stops sending after K events"),
    name("fake-error-K", "fake-error-3", "sends an error event after K events, then ends"),
    name("fake-new-…", "fake-new-waf", "the same failure when a chat is opened"),
];

/// Returns the turn that the model name selects for a call of this kind, or `None` if it selects none.
#[must_use]
pub fn turn(endpoint: Endpoint, model: &str) -> Option<Turn> {
    let name = model.strip_prefix("fake-")?;
    let name = match (endpoint, name.strip_prefix("new-")) {
        (Endpoint::Completion, None) => name,
        (Endpoint::NewChat, Some(name)) => name,
        _ => return None,
    };
    let turn = match name {
        "waf" => waf_page(),
        "captcha" => captcha(),
        "login" => login_page(),
        "refused" => refused("Bad_Request", "The fake rejects the request, as scripted."),
        "quota" => quota(),
        "429" => too_many(Some(2)),
        "empty" => Reply::says(""),
        "unfinished" => unfinished(),
        "unknown" => mixed_with(Extra::Unknown),
        "garbage" => mixed_with(Extra::Garbage),
        "reset" => Turn::default().before_head(FaultKind::Reset),
        "stall" => Turn::default().before_head(FaultKind::Stall),
        _ => return numbered(name),
    };
    Some(turn)
}

fn numbered(name: &str) -> Option<Turn> {
    if let Ok(number @ 400..=599) = name.parse() {
        return Some(status(number));
    }
    let (kind, number) = name.split_once('-')?;
    let number = number.parse().ok()?;
    let turn = Turn::default();
    match kind {
        "slow" => Some(turn.delay(Duration::from_millis(number))),
        "reset" => Some(turn.after(number, FaultKind::Reset)),
        "close" => Some(turn.after(number, FaultKind::Close)),
        "stall" => Some(turn.after(number, FaultKind::Stall)),
        "error" => Some(turn.after(number, FaultKind::ErrorEvent)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_is_known() {
        for name in NAMES {
            let [completion, new_chat] = [Endpoint::Completion, Endpoint::NewChat].map(|at| turn(at, name.example));
            assert_eq!(completion.is_some(), !name.example.starts_with("fake-new-"), "{}", name.example);
            assert_eq!(new_chat.is_some(), name.example.starts_with("fake-new-"), "{}", name.example);
        }
        assert_eq!(turn(Endpoint::NewChat, "fake-new-quota"), turn(Endpoint::Completion, "fake-quota"));
    }

    #[test]
    fn other_names_have_no_script() {
        for other in ["qwen3-max", "fake-", "fake-200", "fake-reset-x", "fake-stall-3-3", "new-waf"] {
            assert_eq!(turn(Endpoint::Completion, other), None, "{other}");
        }
    }
}
