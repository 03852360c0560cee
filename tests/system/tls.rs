//! HTTPS on the listeners of all three services.

use bytes::Bytes;
use http::Request;
use signalbox_harness::{CommandLine, Launch, Stack};
use signalbox_upstream::{AddressPolicy, Client, ClientConfig, Deadlines, Target};

/// Files of a certificate for `localhost`.
struct Identity {
    dir: tempfile::TempDir,
}

impl Identity {
    fn new() -> Self {
        let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("cert.pem"), identity.cert.pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), identity.signing_key.serialize_pem()).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Returns a launch with this certificate.
    fn launch(&self) -> Launch {
        Launch::default().env("TLS_CERT", self.path("cert.pem")).env("TLS_KEY", self.path("key.pem"))
    }

    /// Returns the status of the answer to a request over HTTPS.
    async fn get(&self, port: u16, path: &str) -> Result<u16, signalbox_upstream::Error> {
        let extra_ca_file = Some(self.dir.path().join("cert.pem"));
        let client = Client::new(&ClientConfig { extra_ca_file, ..ClientConfig::default() }).unwrap();
        let target = Target::parse(&format!("https://localhost:{port}"), &AddressPolicy::default()).unwrap();
        let request = Request::get(path).body(Bytes::new()).unwrap();
        Ok(client.send(&target, request, &Deadlines::default()).await?.status().as_u16())
    }
}

#[tokio::test]
async fn all_services_speak_https_and_still_find_each_other() {
    let identity = Identity::new();
    // Started means that the health checks succeed.
    let stack = Stack::builder().launch(identity.launch()).start().await;
    let (router, qwen) = (stack.router().await, stack.qwen().await);
    for (port, path) in [
        (stack.api.port(), "/api/providers"),
        (router.port(), "/v1/models"),
        // The router forwards this to api-server.
        (router.port(), "/v1/settings"),
        (qwen.port(), "/health"),
    ] {
        assert_eq!(identity.get(port, path).await.unwrap(), 200, "{path}");
    }
    // Programs on this machine need no certificate.
    router.get("/v1/models").await.expect(200);

    let status = CommandLine::new(&stack.home).api_server(&["status"]).await.expect(0);
    assert_eq!(status.after("API URL: "), format!("https://127.0.0.1:{}", stack.api.port()));
    assert_eq!(status.after("Status: "), "RUNNING");
}

#[tokio::test]
async fn a_certificate_is_replaced_while_the_service_runs() {
    let (identity, next) = (Identity::new(), Identity::new());
    let stack = Stack::builder().launch(identity.launch()).start().await;
    let port = stack.api.port();
    assert_eq!(identity.get(port, "/api/proxy/status").await.unwrap(), 200);
    assert!(next.get(port, "/api/proxy/status").await.is_err(), "nobody trusts the old one there");
    for name in ["key.pem", "cert.pem"] {
        std::fs::copy(next.path(name), identity.path(name)).unwrap();
    }
    signalbox_harness::eventually("the new certificate", async || next.get(port, "/api/proxy/status").await.ok()).await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_refused_at_the_start() {
    let identity = Identity::new();
    std::fs::write(identity.path("key.pem"), "no key").unwrap();
    for program in ["api-server", "provider-router", "qwen-proxy"] {
        let (code, stderr) = identity.launch().run_to_exit(program).await;
        assert_eq!(code, Some(78), "{program}: {stderr}");
        assert!(stderr.contains("key.pem") && stderr.contains("TLS_KEY"), "{program}: {stderr}");
    }
}
