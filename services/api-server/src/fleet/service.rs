//! Specs of the services' processes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use signalbox_daemon::adoption::run_dir;

use super::{Config, Overrides};
use crate::supervisor::{Listen, Resources, Spec, inherited_env};

/// Name of provider-router: of its executable, its log and in messages.
pub(super) const ROUTER: &str = "provider-router";

/// Name of qwen-proxy, as above.
pub(super) const QWEN: &str = "qwen-proxy";

/// Maximum workers of a service.
pub const MAX_WORKERS: usize = 64;

/// Returns the name of a router worker; the first has the name of the program.
pub(super) fn router_name(worker: usize) -> &'static str {
    static NAMES: LazyLock<Vec<String>> =
        LazyLock::new(|| (2..=MAX_WORKERS).map(|n| format!("{ROUTER}-{n}")).collect());
    worker.checked_sub(1).and_then(|rest| NAMES.get(rest)).map_or(ROUTER, String::as_str)
}

/// Returns the specs of the workers, which differ in their log files.
pub(super) fn routers(config: &Config, overrides: &Overrides, program: &Path) -> Vec<Spec> {
    (0..config.workers).map(|worker| router(config, overrides, program.to_owned(), router_name(worker))).collect()
}

fn router(config: &Config, overrides: &Overrides, program: PathBuf, name: &str) -> Spec {
    let host = overrides.router_host.as_deref().unwrap_or(&config.host);
    let port = overrides.router_port.unwrap_or(config.router_port);
    let mut spec = service(config, overrides, name, program, host, port);
    // Applies until the address of qwen-proxy is published. Replaces our own variable, which a flag may override.
    spec.env.push(("QWEN_PROXY_PORT".into(), config.qwen_port.to_string().into()));
    Spec { resources: config.router_resources, ..spec }.printed(config)
}

pub(super) fn qwen(config: &Config, overrides: &Overrides, program: PathBuf) -> Spec {
    let spec = service(config, overrides, QWEN, program, &config.host, config.qwen_port);
    Spec { resources: config.qwen_resources, ..spec }.printed(config)
}

fn service(config: &Config, overrides: &Overrides, name: &str, program: PathBuf, host: &str, port: u16) -> Spec {
    let port_text = port.to_string();
    let mut args: Vec<OsString> = vec![
        "--host".into(),
        host.into(),
        "--port".into(),
        port_text.clone().into(),
        "--data-dir".into(),
        config.data_dir.clone().into(),
    ];
    args.extend_from_slice(&config.args);
    let mut env = inherited_env();
    env.extend_from_slice(&config.env);
    // Replaces api-server's own `PORT`, which would otherwise be the port of all three servers.
    env.extend([("HOST".into(), host.into()), ("PORT".into(), port_text.into())]);
    let listen = Listen { host: host.to_owned(), port, auto_port: overrides.auto_port.unwrap_or(config.auto_port) };
    Spec {
        program,
        args,
        env,
        secrets: config.secrets.clone(),
        listen,
        resources: Resources::default(),
        log: config.data_dir.join("logs").join(format!("{name}.log")),
        run: run_dir(&config.data_dir),
        orphan_grace: config.orphan_grace,
        fingerprint: String::new(),
    }
}

// === impl Spec ===

impl Spec {
    /// Adds the fingerprint of the other fields.
    fn printed(mut self, config: &Config) -> Self {
        self.fingerprint = config.key.as_ref().map(|key| key.fingerprint(&self.text())).unwrap_or_default();
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use signalbox_core::secret::Secret;

    use super::*;
    use crate::fleet::{ProgramLocation, Programs, service};
    use crate::supervisor::Limits;

    fn config() -> Config {
        Config {
            programs: Programs { router: None, qwen: None, location: ProgramLocation::Installed },
            host: "127.0.0.1".to_owned(),
            router_port: 3001,
            qwen_port: 3000,
            guarded: true,
            auto_port: false,
            data_dir: "/data".into(),
            args: vec!["--log-level".into(), "debug".into()],
            env: vec![("ALLOWED_HOSTS".into(), "box.lan".into())],
            secrets: vec![("CLIENT_KEYS".to_owned(), Secret::new("key-1".to_owned()))],
            limits: Limits::default(),
            workers: 2,
            router_resources: Resources::default(),
            qwen_resources: Resources::default(),
            orphan_grace: Duration::ZERO,
            key: None,
        }
    }

    #[test]
    fn workers_have_names() {
        assert_eq!([0, 1, 63].map(router_name), ["provider-router", "provider-router-2", "provider-router-64"]);
    }

    #[test]
    fn each_child_gets_its_own_port() {
        let qwen = qwen(&config(), &Overrides::default(), "/bin/qwen-proxy".into());
        assert_eq!(qwen.args, ["--host", "127.0.0.1", "--port", "3000", "--data-dir", "/data", "--log-level", "debug"]);
        assert!(qwen.env.contains(&("PORT".into(), "3000".into())));
        assert!(qwen.env.contains(&("ALLOWED_HOSTS".into(), "box.lan".into())));
        assert!(!qwen.env.iter().any(|(name, _)| name == "CLIENT_KEYS") && qwen.secrets == config().secrets);
        assert_eq!(qwen.log, PathBuf::from("/data/logs/qwen-proxy.log"));
    }

    #[test]
    fn different_secrets_have_different_fingerprints() {
        let text = |key: &str| {
            let secrets = vec![("CLIENT_KEYS".to_owned(), Secret::new(key.to_owned()))];
            service::qwen(&Config { secrets, ..config() }, &Overrides::default(), "/bin/qwen-proxy".into()).text()
        };
        assert_eq!(text("a"), text("a"));
        assert_ne!(text("a"), text("b"));
    }

    #[test]
    fn settings_override_the_configuration() {
        let overrides =
            Overrides { router_host: Some("localhost".to_owned()), router_port: Some(4001), ..Overrides::default() };
        let routers = routers(&config(), &overrides, Path::new("/bin/provider-router"));
        assert_eq!(routers.len(), 2);
        for (router, log) in routers.iter().zip(["provider-router.log", "provider-router-2.log"]) {
            assert_eq!(router.args[..4], ["--host", "localhost", "--port", "4001"]);
            assert_eq!((router.listen.host.as_str(), router.listen.port), ("localhost", 4001));
            assert_eq!(router.log, Path::new("/data/logs").join(log));
            assert_eq!(router.env.last(), Some(&("QWEN_PROXY_PORT".into(), "3000".into())));
        }
    }
}
