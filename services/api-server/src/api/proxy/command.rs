//! Request bodies of the lifecycle commands.

use super::super::extract::Body;
use crate::api::Error;
use crate::fleet::Which;

/// Body of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StartBody {
    /// Whether the next free port is taken when one is in use; `None`: as configured.
    pub(super) auto_port: Option<bool>,
    /// Process to end if it holds a required port.
    pub(super) expect_pid: Option<u32>,
}

/// Body of a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RestartBody {
    pub(super) which: Which,
}

// === impl StartBody ===

impl StartBody {
    pub(super) fn read(body: Body) -> Result<Self, Error> {
        let mut form = body.form();
        let auto_port = form.boolean("autoPort");
        let force = form.boolean("force").unwrap_or_default();
        let pid = form.integer("expectPid");
        let expect_pid = pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
        if pid.is_some() && expect_pid.is_none() {
            form.mistake("expectPid must be a process id");
        }
        if force != expect_pid.is_some() {
            form.mistake(
                "force and expectPid must be given together; expectPid is owner.pid of the PORT_IN_USE \
                response",
            );
        }
        form.finish()?;
        Ok(Self { auto_port, expect_pid })
    }
}

// === impl RestartBody ===

impl RestartBody {
    pub(super) fn read(body: Body) -> Result<Self, Error> {
        const MISTAKE: &str = "service must be one of: provider-router, qwen-proxy";
        let mut form = body.form();
        let which = match form.text("service", MISTAKE).as_deref() {
            None => Which::Both,
            Some("provider-router" | "providerRouter") => Which::Router,
            Some("qwen-proxy" | "qwenProxy") => Which::Qwen,
            Some(_) => {
                form.mistake(MISTAKE);
                Which::Both
            }
        };
        form.finish()?;
        Ok(Self { which })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(value: &Value) -> Body {
        Body(value.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn an_empty_body_is_a_command_without_options() {
        assert_eq!(StartBody::read(body(&json!({}))).unwrap(), StartBody { auto_port: None, expect_pid: None });
        assert_eq!(RestartBody::read(body(&json!({}))).unwrap().which, Which::Both);
    }

    #[test]
    fn force_requires_expect_pid() {
        let forced = StartBody::read(body(&json!({"force": true, "expectPid": 7}))).unwrap();
        assert_eq!(forced.expect_pid, Some(7));
        for bad in [json!({"force": true}), json!({"expectPid": 7}), json!({"force": true, "expectPid": -1})] {
            StartBody::read(body(&bad)).unwrap_err();
        }
    }

    #[test]
    fn a_service_is_named_by_program_or_status_key() {
        for (name, which) in [("qwen-proxy", Which::Qwen), ("providerRouter", Which::Router)] {
            assert_eq!(RestartBody::read(body(&json!({ "service": name }))).unwrap().which, which);
        }
        for bad in [json!({"service": "nginx"}), json!({"service": 1}), json!({"svc": "qwen-proxy"})] {
            RestartBody::read(body(&bad)).unwrap_err();
        }
    }
}
