//! Configurations of the targets.

use signalbox_core::{
    Api,
    provider_type::GENERIC,
    schema::{ConfigValue, NewProvider},
    secret::Secret,
};

/// A model that no request names. A provider that is linked to it receives no requests for models of other names, unless
/// they name the provider, too.
pub(super) const UNUSED_MODEL: &str = "unused";

/// Returns a provider without linked models, which receives requests for every model that no other provider has.
pub(super) fn provider(upstream: u16) -> (NewProvider, Vec<ConfigValue>) {
    new("mock", "openai", upstream)
}

/// Returns the provider of one API. Its id is the name of the API.
pub(super) fn of_api(api: Api, upstream: u16) -> (NewProvider, Vec<ConfigValue>) {
    let kind = if api == Api::Messages { "anthropic" } else { GENERIC.value };
    let (provider, mut config) = new(api.as_str(), kind, upstream);
    config.push(text("apis", api.as_str()));
    (provider, config)
}

fn new(id: &str, kind: &str, upstream: u16) -> (NewProvider, Vec<ConfigValue>) {
    let provider = NewProvider {
        id: id.to_owned(),
        name: format!("The benchmark's upstream ({id})"),
        kind: kind.to_owned(),
        enabled: true,
        priority: 1,
        description: None,
    };
    (provider, vec![text("baseURL", &format!("http://127.0.0.1:{upstream}/v1"))])
}

fn text(key: &str, value: &str) -> ConfigValue {
    ConfigValue { key: key.to_owned(), value: Secret::new(format!("\"{value}\"")), is_sensitive: false }
}

/// Default settings, except for limits that would turn 8,000 clients away.
pub(super) fn router_toml(journal: &str) -> String {
    format!(
        "[server]\nworker_threads = 1\nmax_connections = 20000\n\n[limits]\nmax_in_flight = 20000\n\n[journal]\n{journal}\n"
    )
}

/// Default settings, with a login at the fake.
pub(super) fn qwen_toml(qwen: u16) -> String {
    format!(
        "[server]\nworker_threads = 1\n\n[upstream]\nbase_url = \"http://127.0.0.1:{qwen}\"\n\n[login]\ntoken = \"any\"\ncookies = \"a=b\"\n"
    )
}

/// A plain reverse proxy for streams: one process, no buffering, persistent connections, no log.
pub(super) fn nginx_conf(port: u16, upstream: u16) -> String {
    format!(
        "daemon off;
master_process off;
pid nginx.pid;
worker_rlimit_nofile 20000;
events {{ worker_connections 19000; multi_accept on; }}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  tcp_nodelay on;
  keepalive_requests 100000000;
  client_body_buffer_size 256k;
  client_max_body_size 16m;
  upstream mock {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffering off;
      proxy_read_timeout 120s;
    }}
  }}
}}
"
    )
}
