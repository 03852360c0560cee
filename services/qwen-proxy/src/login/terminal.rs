//! Reading a pasted secret.

use std::io::{self, BufRead, IsTerminal as _, Read as _, Write as _};

use signalbox_core::secret::Secret;

/// Longer than any cookie header a server accepts.
const LIMIT: u64 = 64 * 1024;

/// Reads the first line of stdin: from a terminal without showing it, otherwise as it comes.
pub(super) async fn read_secret(prompt: &str) -> io::Result<Secret<String>> {
    let stdin = io::stdin();
    let quiet = if stdin.is_terminal() { Some(quiet::Quiet::new()?) } else { None };
    if quiet.is_some() {
        write!(io::stderr(), "{prompt}")?;
    }
    // Nothing interrupts such a read. It is left behind when the process ends.
    let line = tokio::task::spawn_blocking(|| first_line(io::stdin().lock())).await.map_err(io::Error::other)?;
    if quiet.is_some() {
        writeln!(io::stderr())?;
    }
    line
}

fn first_line(input: impl BufRead) -> io::Result<Secret<String>> {
    /// What Ctrl-D sends when the terminal does not gather lines itself.
    const END: u8 = 4;
    let mut line = Vec::new();
    for byte in input.take(LIMIT).bytes() {
        match byte? {
            b'\n' | b'\r' if line.is_empty() => {}
            b'\n' | b'\r' | END => break,
            byte => line.push(byte),
        }
    }
    String::from_utf8(line).map(Secret::new).map_err(|_| io::Error::other("what was given is no text"))
}

#[cfg(unix)]
mod quiet {
    use std::io;

    use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

    /// A terminal that shows nothing of what is typed, until this is dropped.
    #[derive(Debug)]
    pub(super) struct Quiet(Termios);

    impl Quiet {
        pub(super) fn new() -> io::Result<Self> {
            let before = tcgetattr(io::stdin())?;
            let mut quiet = before.clone();
            // Terminals that gather lines cut them, some at 1024 bytes; cookies are longer.
            quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON);
            // A read waits for one byte, however long that takes.
            quiet.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
            quiet.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
            tcsetattr(io::stdin(), SetArg::TCSANOW, &quiet)?;
            Ok(Self(before))
        }
    }

    impl Drop for Quiet {
        fn drop(&mut self) {
            // A terminal that is gone shows nothing anyway.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
        }
    }
}

#[cfg(not(unix))]
mod quiet {
    use std::io;

    #[derive(Debug)]
    pub(super) struct Quiet;

    impl Quiet {
        pub(super) fn new() -> io::Result<Self> {
            Err(io::Error::other(
                "a terminal would show the secret here: pipe it in, as in `Get-Clipboard | qwen-proxy login --paste`",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts_whoever_ends_it() {
        for text in ["a=1; b=2\n", "a=1; b=2", "a=1; b=2\r\nrest", "\n\na=1; b=2\u{4}rest"] {
            assert_eq!(first_line(text.as_bytes()).unwrap().expose(), "a=1; b=2", "{text:?}");
        }
        assert_eq!(first_line(&b""[..]).unwrap().expose(), "");
        assert!(first_line(&b"\xff\n"[..]).is_err());
    }

    #[test]
    fn long_headers_are_read_whole() {
        let long = "c=".to_owned() + &"x".repeat(20_000);
        assert_eq!(first_line(format!("{long}\n").as_bytes()).unwrap().expose(), &long);
    }
}
