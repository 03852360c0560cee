//! The part of the common entry ([`signalbox_daemon::entry`]) that is provider-router's own.

use http::{Response, request::Parts};
use signalbox_daemon::{EntryPolicy, Refusal, admin::SHUTDOWN_PATH};

use crate::{api::error, body::ResponseBody};

/// Open paths and refusals of this service.
#[derive(Debug)]
pub struct RouterPolicy;

impl EntryPolicy for RouterPolicy {
    type Body = ResponseBody;

    /// Supervisors and load balancers call the health routes without a key. The shutdown route requires more than a
    /// client key.
    fn is_open(&self, path: &str) -> bool {
        path.starts_with("/health") || path == SHUTDOWN_PATH
    }

    fn refused(&self, refusal: Refusal, head: &Parts) -> Response<ResponseBody> {
        error::respond(&refusal.into(), head.uri.path(), &head.extensions)
    }
}
