//! Whether callers on this machine need the control token.

use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::instance;

/// The rule for routes of a service that are open to programs on this machine, unless the installation requires the
/// control token.
#[derive(Clone, Debug)]
pub struct TokenRequirement {
    always: bool,
    supervised: bool,
    data_dir: PathBuf,
}

// === impl TokenRequirement ===

impl TokenRequirement {
    /// Creates the rule of a service that requires the token by itself if `always`, such as because it has client keys.
    #[must_use]
    pub fn new(context: &Context, always: bool) -> Self {
        Self::of(&context.common.data_dir, always, context.supervised)
    }

    /// Creates the rule of a service with this data directory, which an api-server may have started (`supervised`).
    #[must_use]
    pub fn of(data_dir: &Path, always: bool, supervised: bool) -> Self {
        Self { always, supervised, data_dir: data_dir.to_owned() }
    }

    /// Returns the data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Returns whether the token is required: always, or because the api-server that runs in the same data directory
    /// requires it. While the api-server of a supervised service is away, it is unknown whether that requires the token,
    /// so the service does.
    pub async fn is_in_force(&self) -> bool {
        if self.always {
            return true;
        }
        let data_dir = self.data_dir.clone();
        match tokio::task::spawn_blocking(move || instance::running(&data_dir)).await {
            Ok(Ok(Some(server))) => server.requires_token,
            Ok(Ok(None)) => self.supervised,
            Ok(Err(_)) | Err(_) => true,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns the record of a running api-server.
    pub(crate) fn record(requires_token: bool) -> instance::InstanceRecord {
        instance::InstanceRecord {
            identity: crate::identity::Identity::own(),
            addr: ([127, 0, 0, 1], 3002).into(),
            version: "1".to_owned(),
            started_at: 17,
            args: Vec::new(),
            requires_token,
            tls: false,
        }
    }

    #[tokio::test]
    async fn only_a_service_that_is_alone_and_open_needs_no_token() {
        let dir = tempfile::tempdir().unwrap();
        for (always, supervised, expected) in [(false, false, false), (true, false, true), (false, true, true)] {
            let requirement = TokenRequirement::of(dir.path(), always, supervised);
            assert_eq!(requirement.is_in_force().await, expected, "{always} {supervised}");
        }
    }

    #[tokio::test]
    async fn a_running_api_server_says_whether_the_token_is_required() {
        let dir = tempfile::tempdir().unwrap();
        for requires_token in [false, true] {
            let record = record(requires_token);
            let _server = instance::Instance::acquire(dir.path(), &record).await.unwrap();
            for supervised in [false, true] {
                let requirement = TokenRequirement::of(dir.path(), false, supervised);
                assert_eq!(requirement.is_in_force().await, requires_token, "{supervised}");
            }
            assert!(TokenRequirement::of(dir.path(), true, true).is_in_force().await);
        }
    }
}
