//! The user this process runs as.

/// Returns the name of the user this process runs as, or the numeric id if the user has no name.
#[must_use]
pub fn user_name() -> String {
    #[cfg(unix)]
    {
        let user = nix::unistd::geteuid();
        let found = nix::unistd::User::from_uid(user).ok().flatten();
        found.map_or_else(|| user.to_string(), |user| user.name)
    }
    #[cfg(not(unix))]
    std::env::var("USERNAME").unwrap_or_else(|_| "unknown".to_owned())
}
