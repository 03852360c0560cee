//! Message on a terminal after a manual start: addresses, and an example request that works.

use std::io::{IsTerminal as _, Write};
use std::net::SocketAddr;

use signalbox_core::secret::Secret;

use crate::fleet::{Fleet, Now, Outcome};

/// Credentials that the examples of the message need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needed {
    /// A client key, for inference.
    pub(crate) client_key: bool,
    /// The control token, for everything else.
    pub(crate) control_token: bool,
}

// === impl Needed ===

impl Needed {
    const fn hint(self) -> &'static str {
        match (self.client_key, self.control_token) {
            (false, false) => "Try it; no key is needed:",
            (true, false) => "Try it, with one of your client keys in CLIENT_KEY:",
            (false, true) => "Try it, with the output of `api-server token` in CONTROL_TOKEN:",
            (true, true) => {
                "Try it, with a client key in CLIENT_KEY, and the output of `api-server token` in CONTROL_TOKEN:"
            }
        }
    }
}

/// Returns the argument of curl that sends a variable of the shell as credentials.
fn curl_header(is_needed: bool, variable: &str) -> String {
    if is_needed { format!(r#" -H "authorization: Bearer ${variable}""#) } else { String::new() }
}

/// Waits for the services, and prints the message.
pub(crate) async fn print(scheme: &str, api: SocketAddr, fleet: &Fleet, started: Outcome, needed: Needed) {
    match started.done().await {
        // A closed terminal is not an error.
        Ok(()) => drop(std::io::stdout().write_all(text(scheme, api, &fleet.now(), needed).as_bytes())),
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
fn text(scheme: &str, api: SocketAddr, now: &Now, needed: Needed) -> String {
    let key = curl_header(needed.client_key, "CLIENT_KEY");
    let token = curl_header(needed.control_token, "CONTROL_TOKEN");
    let hint = needed.hint();
    let router = SocketAddr::new(api.ip(), now.router_port);
    let qwen = SocketAddr::new(api.ip(), now.qwen_port);
    format!(
        r#"
Signalbox is running.

  api-server       {scheme}://{api}        control: providers, models, settings, the request log
  provider-router  {scheme}://{router}/v1     for OpenAI clients; for Anthropic clients without /v1
  qwen-proxy       {scheme}://{qwen}/v1     chat.qwen.ai, after a login

{hint}

  curl -N http://{router}/v1/chat/completions{key} -d '{{"model": "echo", "stream": true, "messages": [{{"role": "user", "content": "Is anybody there?"}}]}}'
  curl 'http://{api}/api/requests?limit=1'{token}

Ctrl-C stops all three.
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_name_the_credentials_they_need() {
        let header = |is_needed, secret| curl_header(is_needed, secret);
        assert_eq!(header(false, "CLIENT_KEY"), "");
        assert_eq!(header(true, "CLIENT_KEY"), r#" -H "authorization: Bearer $CLIENT_KEY""#);
        let hints: std::collections::BTreeSet<&str> = [(false, false), (true, false), (false, true), (true, true)]
            .map(|(client_key, control_token)| Needed { client_key, control_token }.hint())
            .into();
        assert_eq!(hints.len(), 4);
    }
}
