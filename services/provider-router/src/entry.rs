//! The part of the common entry ([`signalbox_daemon::entry`]) that is provider-router's own.

use std::sync::Arc;

use http::{Response, request::Parts};
use signalbox_daemon::{EntryPolicy, IssuedKeys, Refusal, admin::SHUTDOWN_PATH};

use crate::{api::error, body::ResponseBody, catalog::Catalog};

/// Open paths, keys and refusals of this service.
#[derive(Debug)]
pub struct RouterPolicy {
    /// Catalogue with the client keys; `None` where no client key is asked for.
    pub catalog: Option<Arc<Catalog>>,
}

impl EntryPolicy for RouterPolicy {
    type Body = ResponseBody;

    /// Supervisors and load balancers call the health routes without a key. The shutdown route requires more than a
    /// client key.
    fn is_open(&self, path: &str) -> bool {
        path.starts_with("/health") || path == SHUTDOWN_PATH
    }

    fn issued_keys(&self) -> Option<Arc<IssuedKeys>> {
        self.catalog.as_ref().map(|catalog| catalog.current().client_keys())
    }

    fn refused(&self, refusal: Refusal, head: &Parts) -> Response<ResponseBody> {
        error::respond(&refusal.into(), head.uri.path(), &head.extensions)
    }
}
