//! Search for an installed browser.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Program names on the search path, in order of preference: Chrome's packages support any profile directory, while
/// Chromium is a confined package on some systems.
const PROGRAM_NAMES: [&str; 8] = [
    "google-chrome",
    "google-chrome-stable",
    "chromium",
    "chromium-browser",
    "microsoft-edge",
    "microsoft-edge-stable",
    "brave-browser",
    "brave",
];

/// Application bundles on macOS, below `/Applications` of the system or of the user.
const APPLICATIONS: [&str; 4] = [
    "Google Chrome.app/Contents/MacOS/Google Chrome",
    "Chromium.app/Contents/MacOS/Chromium",
    "Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "Brave Browser.app/Contents/MacOS/Brave Browser",
];

/// Returns the first browser that is installed.
pub(in super::super) fn find() -> Option<PathBuf> {
    let home = env::home_dir().unwrap_or_default();
    let path = env::var_os("PATH").unwrap_or_default();
    candidates(&path, &home, cfg!(target_os = "macos")).into_iter().find(|file| file.is_file())
}

fn candidates(path: &OsStr, home: &Path, macos: bool) -> Vec<PathBuf> {
    let mut candidates = Vec::new();
    if macos {
        for base in [Path::new("/Applications"), &home.join("Applications")] {
            candidates.extend(APPLICATIONS.map(|application| base.join(application)));
        }
    }
    for name in PROGRAM_NAMES {
        candidates.extend(env::split_paths(path).map(|dir| dir.join(name)));
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chrome_is_preferred_to_chromium() {
        let found = candidates(OsStr::new("/usr/local/bin:/usr/bin"), Path::new("/home/u"), false);
        let place = |file: &str| found.iter().position(|found| found == Path::new(file)).unwrap();
        assert!(place("/usr/bin/google-chrome") < place("/usr/local/bin/chromium"));
        assert!(place("/usr/local/bin/chromium") < place("/usr/bin/chromium"));
    }

    #[test]
    fn macos_applications_are_preferred() {
        let found = candidates(OsStr::new("/usr/bin"), Path::new("/Users/u"), true);
        assert_eq!(found[0], Path::new("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"));
        assert!(found.contains(&"/Users/u/Applications/Chromium.app/Contents/MacOS/Chromium".into()));
    }
}
