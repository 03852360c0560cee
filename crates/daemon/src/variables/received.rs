//! The variables sent by the supervisor.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::sync::OnceLock;

use crate::exit::Exit;

/// Environment variable whose value `stdin` announces that the supervisor sends secrets.
pub const SECRETS: &str = "SIGNALBOX_SECRETS";

/// Returns the variables sent by the supervisor. The first call blocks until they arrive.
///
/// # Errors
/// Returns [`Exit::Temporary`] when they do not arrive, because the supervisor has ended.
pub(crate) fn received() -> Result<&'static BTreeMap<String, String>, Exit> {
    static RECEIVED: OnceLock<Option<BTreeMap<String, String>>> = OnceLock::new();
    let read = || {
        if std::env::var_os(SECRETS).is_none() {
            return Some(BTreeMap::new());
        }
        let mut line = String::new();
        // Data after the line stays in the shared buffer of the standard input, from which the lifeline reads on.
        std::io::stdin().lock().read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    };
    let received = RECEIVED.get_or_init(read).as_ref();
    received.ok_or_else(|| Exit::Temporary("the supervisor did not send the announced secrets".to_owned()))
}
