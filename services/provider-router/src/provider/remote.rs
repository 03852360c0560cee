//! Providers over HTTP: their address, credentials and paths, and the requests to them.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::PathBuf,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, COOKIE, USER_AGENT},
    uri::PathAndQuery,
};
use serde_json::Value;
use signalbox_core::{
    Api,
    masking::Masker,
    provider_type::{ApiNeeds, ProviderType, QWEN_PROXY, needed_api},
    secret::is_sensitive_key,
};
use signalbox_upstream::{AddressPolicy, ProxyChoice, Target, TlsFiles};
use tokio::time::Duration;

use super::{Config, keys, millis, text};
use crate::{direct::DirectApi, hops};

/// Allow-list of the client's request headers that are forwarded to the provider. All others are dropped, credentials
/// above all.
const FORWARDED: [&str; 11] = [
    "http-referer",
    "idempotency-key",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "referer",
    "user-agent",
    "x-app",
    "x-client-request-id",
    "x-session-id",
    "x-title",
];
/// Prefixes of further header names that are forwarded, unless the name looks like that of a credential.
const FORWARDED_PREFIXES: [&str; 4] = ["anthropic-", "x-claude-code-", "x-openrouter-", "x-stainless-"];

/// Prefixes of header names that mean something only in the client's own API.
const OF_ONE_API: [&str; 2] = ["anthropic-", "openai-"];

/// Maximum number of headers added to the provider's own and the client's.
const MAX_ADDED_HEADERS: usize = 11;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// Version of Messages in requests that are translated, and in those whose client names none.
const DEFAULT_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");
/// Type of provider that takes a Bearer token for a login, and keys only in `x-api-key`.
const ANTHROPIC: &str = "anthropic";

/// `User-Agent` for requests whose client sends none.
const DEFAULT_USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("signalbox/", env!("CARGO_PKG_VERSION")));

/// Address, credentials and paths of a provider.
#[derive(Debug)]
pub struct Remote {
    /// Address of the provider.
    pub target: Target,
    /// Maximum silence of the provider, before its response and within it: the configured one, or that of the type;
    /// `None` applies the router's own setting.
    pub timeout: Option<Duration>,
    /// The provider's type.
    pub kind: ProviderType,
    /// The APIs that it speaks; not empty. Requests of any other API are translated to the first.
    pub apis: Vec<Api>,
    /// Path between the base URL, as it is configured, and that of an API.
    path_prefix: &'static str,
    /// Paths of [`Api::ALL`].
    paths: [PathAndQuery; 3],
    models: PathAndQuery,
    count_tokens: PathAndQuery,
    input_tokens: PathAndQuery,
    /// Value of `x-api-key` in requests of Messages.
    key: Option<HeaderValue>,
    /// Whether the provider is a qwen-proxy. The router tells it that the request is already in the log, so that it is
    /// not logged twice.
    pub is_qwen_proxy: bool,
    /// Whether chat streams are asked for their token counts even if the client does not ask, as long as the provider
    /// does not refuse it.
    pub counts_streams: bool,
    /// Removes the provider's credentials from its responses.
    pub masker: Masker,
    /// Hash of its address and its credentials.
    pub account: u64,
    /// Credentials, and the headers configured by the user.
    headers: HeaderMap,
}

impl Remote {
    /// Reads `apis`, `baseURL`, `proxy`, `caFile`, `clientCert`, `clientKey`, `apiKey`, `headers`, `streamUsage` and
    /// `timeout` (milliseconds). The files are read when a connection is opened.
    ///
    /// # Errors
    /// Returns a message for the user if a value is invalid.
    pub fn new(kind: ProviderType, config: &Config, policy: &AddressPolicy) -> Result<Self, String> {
        let missing = match kind.value {
            QWEN_PROXY => "the qwen-proxy beside the router is not running yet: start it, or set `baseURL`",
            _ => "`baseURL` is missing",
        };
        let base_url = text(config, "baseURL")?.or(kind.base_url).ok_or(missing)?;
        let target = Target::parse(base_url, policy).map_err(|error| format!("`baseURL` cannot be used: {error}"))?;
        let proxy = ProxyChoice::parse(text(config, "proxy")?.unwrap_or_default())
            .map_err(|error| format!("`proxy` cannot be used: {error}"))?;
        let target = target.with_proxy(proxy).with_tls_files(tls_files(config, &target)?);
        let mut headers = custom_headers(config)?;
        let mut bare = None;
        if let Some(key) = text(config, "apiKey")?.map(bare_key).filter(|key| !key.is_empty()) {
            let value = |value: &str| {
                let value = HeaderValue::try_from(value);
                value.map_err(|_| "`apiKey` has characters that are not allowed in a header")
            };
            headers.insert(AUTHORIZATION, value(&format!("Bearer {key}"))?);
            bare = Some(value(key)?);
        }
        for value in headers.values_mut().chain(&mut bare) {
            value.set_sensitive(true);
        }
        // Users write the base URL of a qwen-proxy with and without `/v1`.
        let has_prefix = base_url.trim_end_matches('/').ends_with(kind.path_prefix);
        let path_prefix = if has_prefix { "" } else { kind.path_prefix };
        let path = |path: &str| {
            target.path(&format!("{path_prefix}{path}")).map_err(|error| format!("`baseURL` cannot be used: {error}"))
        };
        let [chat, messages, responses] = Api::ALL.map(Api::path);
        // Some providers have Messages below a path of its own.
        let base = kind.messages_base.filter(|_| kind.is_own_address(Some(base_url)));
        let path_of_messages = |rest: &str| match base {
            Some(base) => PathAndQuery::try_from(format!("{base}{rest}")).map_err(|error| error.to_string()),
            None => path(rest),
        };
        Ok(Self {
            timeout: millis(config, "timeout")?.or_else(|| kind.quirks.silence_s.map(Duration::from_secs)),
            masker: Masker::new(secrets(&headers).chain(keys::secrets(config))),
            account: account(base_url, &headers),
            apis: apis(config, kind)?,
            path_prefix,
            paths: [path(chat)?, path_of_messages(messages)?, path(responses)?],
            models: path("/models")?,
            count_tokens: path_of_messages("/messages/count_tokens")?,
            input_tokens: path("/responses/input_tokens")?,
            is_qwen_proxy: kind.value == QWEN_PROXY,
            counts_streams: counts_streams(config, kind)?,
            key: bare,
            kind,
            target,
            headers,
        })
    }

    /// Returns the API in which a request of `client`'s API for `model` is sent: the same if the provider speaks it and
    /// the model answers it there.
    #[must_use]
    pub fn api_for(&self, client: Api, model: Option<&str>, needs: ApiNeeds) -> Api {
        let needed = model.and_then(|model| needed_api(client, model, needs));
        if let Some(needed) = needed.filter(|api| self.apis.contains(api)) {
            return needed;
        }
        if self.apis.contains(&client) { client } else { self.apis.first().copied().unwrap_or(Api::Chat) }
    }

    /// Builds the request for an answer. `caller` has the headers sent by the client, whose API is `client`.
    #[must_use]
    pub fn inference(
        &self,
        api: Api,
        client: Api,
        body: Bytes,
        stream: bool,
        caller: &HeaderMap,
        id: &str,
    ) -> Request<Bytes> {
        let [chat, messages, responses] = &self.paths;
        let path = match api {
            Api::Chat => chat,
            Api::Messages => messages,
            Api::Responses => responses,
        };
        self.forwarded((path, api), client, body, stream, caller, id)
    }

    /// Builds the request of Messages or Responses that counts the tokens of a prompt.
    #[must_use]
    pub fn count_tokens(&self, api: Api, body: Bytes, caller: &HeaderMap, id: &str) -> Request<Bytes> {
        let path = if api == Api::Messages { &self.count_tokens } else { &self.input_tokens };
        self.forwarded((path, api), api, body, false, caller, id)
    }

    /// Builds a request that is not translated.
    ///
    /// # Errors
    /// Returns a message for the user if the path does not fit the base URL.
    pub fn direct(
        &self,
        direct: DirectApi,
        body: Bytes,
        stream: bool,
        caller: &HeaderMap,
        id: &str,
    ) -> Result<Request<Bytes>, String> {
        let path = self.target.path(&format!("{}{}", self.path_prefix, direct.path()));
        let path = path.map_err(|error| format!("`baseURL` cannot be used: {error}"))?;
        let api = direct.companion();
        Ok(self.forwarded((&path, api), api, body, stream, caller, id))
    }

    fn forwarded(
        &self,
        (path, api): (&PathAndQuery, Api),
        client: Api,
        body: Bytes,
        stream: bool,
        caller: &HeaderMap,
        id: &str,
    ) -> Request<Bytes> {
        let mut request = self.request(Method::POST, path, body, caller.len());
        let headers = request.headers_mut();
        if api == Api::Messages {
            self.sign_messages(headers);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if stream { "text/event-stream" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if let Ok(id) = HeaderValue::from_str(id) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        // A request with too many hops was already refused on arrival.
        if let Some(count) = hops::next(caller) {
            headers.insert(hops::HOPS, count.clone());
        }
        // The values of a repeated header follow each other, and all of them are passed on.
        let mut last: Option<&HeaderName> = None;
        for (name, value) in caller {
            if last.is_some_and(|last| std::ptr::eq(last, name)) {
                headers.append(name, value.clone());
                continue;
            }
            // The configured headers take precedence over the client's.
            let is_known = api == client || !OF_ONE_API.iter().any(|prefix| name.as_str().starts_with(prefix));
            if is_known && is_forwarded(name.as_str()) && !headers.contains_key(name) && !is_nominated(caller, name) {
                headers.insert(name, value.clone());
                last = Some(name);
            }
        }
        if api == Api::Messages {
            headers.entry(ANTHROPIC_VERSION).or_insert(DEFAULT_VERSION);
        }
        headers.entry(USER_AGENT).or_insert(DEFAULT_USER_AGENT);
        request
    }

    /// Adds the key in the form of Messages.
    fn sign_messages(&self, headers: &mut HeaderMap) {
        if let Some(key) = &self.key {
            headers.entry(API_KEY).or_insert(key.clone());
            if self.kind.value == ANTHROPIC {
                headers.remove(AUTHORIZATION);
            }
        }
    }

    /// Builds a request about an answer of Responses that the provider keeps. `rest` follows the path of Responses: the
    /// id, and what comes after it; `stream` tells whether its events are asked for.
    ///
    /// # Errors
    /// Returns a message for the user if it is no path.
    pub fn about_response(
        &self,
        method: Method,
        (rest, stream): (&str, bool),
        caller: &HeaderMap,
        id: &str,
    ) -> Result<Request<Bytes>, String> {
        let path = format!("{}{}/{rest}", self.path_prefix, Api::Responses.path());
        let path = self.target.path(&path).map_err(|error| error.to_string())?;
        let mut request = self.forwarded((&path, Api::Responses), Api::Responses, Bytes::new(), stream, caller, id);
        *request.method_mut() = method;
        Ok(request)
    }

    /// Builds the request for the list of models.
    #[must_use]
    pub fn models(&self) -> Request<Bytes> {
        let mut request = self.request(Method::GET, &self.models, Bytes::new(), 0);
        let headers = request.headers_mut();
        if self.kind.value == ANTHROPIC {
            self.sign_messages(headers);
            headers.entry(ANTHROPIC_VERSION).or_insert(DEFAULT_VERSION);
        }
        headers.entry(USER_AGENT).or_insert(DEFAULT_USER_AGENT);
        request
    }

    fn request(&self, method: Method, path: &PathAndQuery, body: Bytes, caller_headers: usize) -> Request<Bytes> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from(path.clone());
        let headers = request.headers_mut();
        // Reserve capacity for all headers at once.
        headers.reserve(self.headers.len() + MAX_ADDED_HEADERS + caller_headers);
        headers.extend(self.headers.clone());
        request
    }
}

/// Reads `apis`, or returns those of the type.
fn apis(config: &Config, kind: ProviderType) -> Result<Vec<Api>, String> {
    let Some(listed) = text(config, "apis")? else { return Ok(kind.apis_at(text(config, "baseURL")?).collect()) };
    Api::parse_list(listed).map_err(|wrong| {
        if wrong.is_empty() {
            "`apis` names no API: list chat, messages, responses or several".to_owned()
        } else {
            format!("`apis` names `{wrong}`: list chat, messages and responses, separated by commas")
        }
    })
}

/// Reads `streamUsage`, or decides by the type.
fn counts_streams(config: &Config, kind: ProviderType) -> Result<bool, String> {
    match text(config, "streamUsage")? {
        None | Some("") => Ok(kind.asks_for_usage()),
        Some("ask") => Ok(true),
        Some("client") => Ok(false),
        Some(_) => Err("`streamUsage` must be ask or client".to_owned()),
    }
}

/// Returns a hash of an address and of the headers for it, among them the credentials.
fn account(base_url: &str, headers: &HeaderMap) -> u64 {
    let mut hasher = DefaultHasher::new();
    base_url.trim_end_matches('/').hash(&mut hasher);
    for (name, value) in headers {
        (name.as_str(), value.as_bytes()).hash(&mut hasher);
    }
    hasher.finish()
}

/// Reads the paths of the files for TLS.
fn tls_files(config: &Config, target: &Target) -> Result<TlsFiles, String> {
    let path = |key: &str| Ok::<_, String>(text(config, key)?.map(PathBuf::from));
    let files = TlsFiles { ca: path("caFile")?, client_cert: path("clientCert")?, client_key: path("clientKey")? };
    if files.client_cert.is_some() != files.client_key.is_some() {
        return Err("`clientCert` and `clientKey` belong together: give both or none".to_owned());
    }
    if !files.is_empty() && !target.is_https() {
        return Err("`caFile` and `clientCert` need a `baseURL` that begins with https://".to_owned());
    }
    Ok(files)
}

/// Returns a key without the white space and the `Bearer` that are often copied along with it.
fn bare_key(key: &str) -> &str {
    const SCHEME: &str = "Bearer";
    let key = key.trim();
    match key.split_at_checked(SCHEME.len()) {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case(SCHEME) && (rest.is_empty() || rest.starts_with(char::is_whitespace)) =>
        {
            rest.trim_start()
        }
        _ => key,
    }
}

/// Returns the values to mask in the provider's responses: its header values that are long enough to be secrets,
/// without their authentication scheme, and the values of its cookies.
fn secrets(headers: &HeaderMap) -> impl Iterator<Item = String> {
    /// Minimum bytes of a secret; shorter values are flags and names.
    const MIN_SECRET_BYTES: usize = 8;
    const SCHEMES: [&str; 5] = ["Bearer", "Basic", "Token", "Key", "ApiKey"];
    let values = headers.values().filter_map(|value| value.to_str().ok());
    let bare = values.map(|value| match value.split_once(' ') {
        Some((scheme, rest)) if SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) => rest.trim(),
        _ => value.trim(),
    });
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies = cookies.flat_map(|value| value.split(';'));
    let cookies = cookies.filter_map(|cookie| Some(cookie.split_once('=')?.1.trim()));
    bare.chain(cookies).filter(|value| value.len() >= MIN_SECRET_BYTES).map(str::to_owned)
}

fn is_forwarded(name: &str) -> bool {
    FORWARDED.contains(&name)
        || FORWARDED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !is_sensitive_key(name)
}

/// Returns whether the client's `Connection` header restricts this header to the current hop (RFC 9110, section 7.6.1).
fn is_nominated(caller: &HeaderMap, header: &HeaderName) -> bool {
    caller.get_all(CONNECTION).iter().any(|value| {
        let mut names = value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        names.any(|name| name.eq_ignore_ascii_case(header.as_str().as_bytes()))
    })
}

/// Parses the configuration value `headers`, an object of names and text values.
fn custom_headers(config: &Config) -> Result<HeaderMap, String> {
    // A value that is stored as sensitive is a string of JSON.
    let parsed = match config.get("headers") {
        Some(Value::String(text)) if !text.is_empty() => serde_json::from_str(text).ok(),
        Some(Value::Object(object)) => Some(object.clone()),
        None | Some(Value::Null | Value::String(_)) => Some(serde_json::Map::new()),
        Some(_) => None,
    };
    let wrong = || "`headers` must be an object of header names and text values".to_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in parsed.ok_or_else(wrong)? {
        let value = value.as_str().ok_or_else(wrong)?;
        let name =
            HeaderName::try_from(&name).map_err(|_| format!("`{name}` in `headers` is not a valid header name"))?;
        let value =
            HeaderValue::try_from(value).map_err(|_| format!("the value of `{name}` in `headers` cannot be sent"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
