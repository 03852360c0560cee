//! Changes of the target in the middle of a stream.

use std::sync::Arc;

use serde_json::{Map, Value};
use signalbox_core::schema::AttemptRecord;

use crate::{envelope::Envelope, route::Candidate};

/// Target of a stream that continues another one.
#[derive(Debug)]
pub struct NewTarget {
    /// The target.
    pub candidate: Candidate,
    /// Its place in the plan.
    pub place: usize,
    /// Fields that it sets in the body.
    pub params: Map<String, Value>,
    /// The request.
    pub envelope: Arc<Envelope>,
}

/// Facts about a stream that broke off, for the log.
#[derive(Debug)]
pub struct Switch {
    /// How the stream broke off.
    pub why: String,
    /// Attempts to continue it that failed.
    pub failed: Vec<AttemptRecord>,
    /// The target that continues it, if one was found.
    pub target: Option<NewTarget>,
}
