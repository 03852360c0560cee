//! Request bodies of the lifecycle commands.

use serde::Deserialize;
use serde_json::Number;
use signalbox_management::form::{Field, Form};
use utoipa::ToSchema;

use crate::api::Error;
use crate::fleet::Which;

/// Options of a start.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::api) struct StartCommand {
    /// `provider-router` or `qwen-proxy`; both if absent.
    #[serde(default)]
    #[schema(value_type = String, pattern = "^(provider-router|qwen-proxy|providerRouter|qwenProxy)$")]
    service: Field<String>,
    /// Whether the next free port is taken when one is in use.
    #[serde(default)]
    #[schema(value_type = bool)]
    auto_port: Field<bool>,
    /// Whether to end the process that holds a port; requires `expectPid`.
    #[serde(default)]
    #[schema(value_type = bool)]
    force: Field<bool>,
    /// `owner.pid` of the refusal `PORT_IN_USE`.
    #[serde(default)]
    #[schema(value_type = i64, minimum = 1, maximum = 4_294_967_295_i64)]
    expect_pid: Field<Number>,
}

/// Options of a stop or a restart.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ServiceCommand {
    /// `provider-router` or `qwen-proxy`; both if absent.
    #[serde(default)]
    #[schema(value_type = String, pattern = "^(provider-router|qwen-proxy|providerRouter|qwenProxy)$")]
    service: Field<String>,
}

/// A valid start command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// Services to start.
    pub(super) which: Which,
    /// Whether the next free port is taken when one is in use; `None`: as configured.
    pub(super) auto_port: Option<bool>,
    /// Process to end if it holds a required port.
    pub(super) expect_pid: Option<u32>,
}

// === impl StartCommand ===

impl StartCommand {
    pub(super) fn check(self, mut form: Form) -> Result<Start, Error> {
        let which = which(self.service, &mut form);
        let auto_port = form.boolean("autoPort", self.auto_port);
        let force = form.boolean("force", self.force).unwrap_or_default();
        let pid = form.integer("expectPid", self.expect_pid);
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
        Ok(Start { which, auto_port, expect_pid })
    }
}

// === impl ServiceCommand ===

impl ServiceCommand {
    /// Returns the services that the command applies to.
    pub(super) fn check(self, mut form: Form) -> Result<Which, Error> {
        let which = which(self.service, &mut form);
        form.finish()?;
        Ok(which)
    }
}

/// Reads the name of a service.
fn which(service: Field<String>, form: &mut Form) -> Which {
    const MISTAKE: &str = "service must be one of: provider-router, qwen-proxy";
    match form.text(service, MISTAKE).as_deref() {
        None => Which::Both,
        Some("provider-router" | "providerRouter") => Which::Router,
        Some("qwen-proxy" | "qwenProxy") => Which::Qwen,
        Some(_) => {
            form.mistake(MISTAKE);
            Which::Both
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use signalbox_management::form::read;

    use super::*;

    fn start(value: &Value) -> Result<Start, Error> {
        let (command, form) = read::<StartCommand>(value.as_object().cloned().unwrap_or_default())?;
        command.check(form)
    }

    fn service(value: &Value) -> Result<Which, Error> {
        let (command, form) = read::<ServiceCommand>(value.as_object().cloned().unwrap_or_default())?;
        command.check(form)
    }

    #[test]
    fn an_empty_body_is_a_command_without_options() {
        assert_eq!(start(&json!({})).unwrap(), Start { which: Which::Both, auto_port: None, expect_pid: None });
        assert_eq!(service(&json!({})).unwrap(), Which::Both);
    }

    #[test]
    fn force_requires_expect_pid() {
        let forced = start(&json!({"force": true, "expectPid": 7})).unwrap();
        assert_eq!(forced.expect_pid, Some(7));
        for bad in [json!({"force": true}), json!({"expectPid": 7}), json!({"force": true, "expectPid": -1})] {
            start(&bad).unwrap_err();
        }
    }

    #[test]
    fn a_service_is_named_by_program_or_status_key() {
        for (name, which) in [("qwen-proxy", Which::Qwen), ("providerRouter", Which::Router)] {
            assert_eq!(service(&json!({ "service": name })).unwrap(), which);
            assert_eq!(start(&json!({ "service": name })).unwrap().which, which);
        }
        for bad in [json!({"service": "nginx"}), json!({"service": 1}), json!({"svc": "qwen-proxy"})] {
            service(&bad).unwrap_err();
            start(&bad).unwrap_err();
        }
    }
}
