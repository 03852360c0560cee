//! Message on a terminal after a manual start: addresses, and an example request that works.

use std::io::{IsTerminal as _, Write};
use std::net::SocketAddr;

use signalbox_core::secret::Secret;

use crate::fleet::{Fleet, Now, Outcome};

/// Waits for the services, and prints the message.
pub(crate) async fn print(scheme: &str, api: SocketAddr, fleet: &Fleet, started: Outcome) {
    match started.done().await {
        // A closed terminal is not an error.
        Ok(()) => drop(std::io::stdout().write_all(text(scheme, api, &fleet.now()).as_bytes())),
        Err(failure) => tracing::error!(error = %failure, "the services could not be started"),
    }
}

/// Prints a new control token if stdout is a terminal. It is not logged, because logs are kept, and others can read
/// them.
pub(crate) fn print_token(token: &Secret<String>) {
    let mut stdout = std::io::stdout();
    if stdout.is_terminal() {
        let line = format!("Control token, shown this once (`api-server token` prints it again): {}\n", token.expose());
        drop(stdout.write_all(line.as_bytes()));
    }
}

/// Returns the message. Its examples use plain HTTP, which works on this machine even with TLS.
fn text(scheme: &str, api: SocketAddr, now: &Now) -> String {
    let router = SocketAddr::new(api.ip(), now.router_port);
    let qwen = SocketAddr::new(api.ip(), now.qwen_port);
    format!(
        r#"
Signalbox is running.

  api-server       {scheme}://{api}        control: providers, models, settings, the request log
  provider-router  {scheme}://{router}/v1     for OpenAI clients; for Anthropic clients without /v1
  qwen-proxy       {scheme}://{qwen}/v1     chat.qwen.ai, after a login

Try it; no key is needed:

  curl -N http://{router}/v1/chat/completions -d '{{"model": "echo", "stream": true, "messages": [{{"role": "user", "content": "Is anybody there?"}}]}}'
  curl 'http://{api}/api/requests?limit=1'

Ctrl-C stops all three.
"#
    )
}
