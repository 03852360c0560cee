//! Configurations of the targets.

use signalbox_core::{
    schema::{ConfigValue, NewProvider},
    secret::Secret,
};

/// A provider without linked models receives requests for every model that no other provider has.
pub(super) fn provider() -> NewProvider {
    NewProvider {
        id: "mock".to_owned(),
        name: "The benchmark's upstream".to_owned(),
        kind: "openai".to_owned(),
        enabled: true,
        priority: 1,
        description: None,
    }
}

pub(super) fn base_url(upstream: u16) -> ConfigValue {
    let value = format!("\"http://127.0.0.1:{upstream}/v1\"");
    ConfigValue { key: "baseURL".to_owned(), value: Secret::new(value), is_sensitive: false }
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
