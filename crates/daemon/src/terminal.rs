//! Asking a person: a line, or a secret that the terminal does not show.

use std::io::{self, BufRead, IsTerminal as _, Read as _, Write as _};

use signalbox_core::secret::Secret;

/// Longer than any cookie header a server accepts.
const LIMIT: u64 = 64 * 1024;

/// Whether a person can be asked: stdin is a terminal.
#[must_use]
pub fn is_there() -> bool {
    io::stdin().is_terminal()
}

/// Asks on stderr and reads a line of stdin, without its end; `None` when nobody will type any more.
///
/// # Errors
/// What the terminal says, and a line that is no text.
pub async fn read_line(prompt: &str) -> io::Result<Option<String>> {
    write!(io::stderr(), "{prompt}")?;
    // Nothing interrupts such a read. It is left behind when the process ends.
    let read = || {
        let mut line = String::new();
        io::stdin().lock().take(LIMIT).read_line(&mut line).map(|len| (len > 0).then_some(line))
    };
    let line = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
    Ok(line.map(|line| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Reads the first line of stdin: from a terminal without showing it, otherwise as it comes.
///
/// # Errors
/// What the terminal says, and a line that is no text.
pub async fn read_secret(prompt: &str) -> io::Result<Secret<String>> {
    unseen(prompt, Blank::Skipped).await
}

/// The same, but an empty line is an answer: no secret.
///
/// # Errors
/// What the terminal says, and a line that is no text.
pub async fn read_optional_secret(prompt: &str) -> io::Result<Secret<String>> {
    unseen(prompt, Blank::Answer).await
}

/// What an empty line means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blank {
    /// Nothing: what is pasted may begin with some.
    Skipped,
    /// Nothing is given.
    Answer,
}

async fn unseen(prompt: &str, blank: Blank) -> io::Result<Secret<String>> {
    let stdin = io::stdin();
    let quiet = if stdin.is_terminal() { Some(quiet::Quiet::new()?) } else { None };
    if quiet.is_some() {
        write!(io::stderr(), "{prompt}")?;
    }
    // Nothing interrupts such a read. It is left behind when the process ends.
    let line =
        tokio::task::spawn_blocking(move || first_line(io::stdin().lock(), blank)).await.map_err(io::Error::other)?;
    if quiet.is_some() {
        writeln!(io::stderr())?;
    }
    line
}

fn first_line(input: impl BufRead, blank: Blank) -> io::Result<Secret<String>> {
    /// What Ctrl-D sends when the terminal does not gather lines itself.
    const END: u8 = 4;
    /// What the keys that take a character back send.
    const BACK: [u8; 2] = [8, 127];
    let mut line = Vec::new();
    for byte in input.take(LIMIT).bytes() {
        match byte? {
            b'\n' | b'\r' if line.is_empty() && blank == Blank::Skipped => {}
            b'\n' | b'\r' | END => break,
            back if BACK.contains(&back) => drop(line.pop()),
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
            assert_eq!(first_line(text.as_bytes(), Blank::Skipped).unwrap().expose(), "a=1; b=2", "{text:?}");
        }
        assert_eq!(first_line(&b""[..], Blank::Skipped).unwrap().expose(), "");
        assert!(first_line(&b"\xff\n"[..], Blank::Skipped).is_err());
        assert_eq!(first_line(&b"\nrest"[..], Blank::Answer).unwrap().expose(), "");
        assert_eq!(first_line(&b"ab\x7fc\n"[..], Blank::Answer).unwrap().expose(), "ac");
    }

    #[test]
    fn long_headers_are_read_whole() {
        let long = "c=".to_owned() + &"x".repeat(20_000);
        assert_eq!(first_line(format!("{long}\n").as_bytes(), Blank::Skipped).unwrap().expose(), &long);
    }
}
