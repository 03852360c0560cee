//! Prompts on the terminal: for a line, or for a secret that is not echoed.

use std::io::{self, BufRead, IsTerminal as _, Read as _, Write as _};

use signalbox_core::secret::Secret;

/// Maximum bytes of a line: more than any `Cookie` header a server accepts.
const MAX_LINE: u64 = 64 * 1024;

/// Returns `true` if stdin is a terminal, so that prompts make sense.
#[must_use]
pub fn is_interactive() -> bool {
    io::stdin().is_terminal()
}

/// Prints `prompt` to stderr and reads a line of stdin, without its line end; `None` at the end of the input.
///
/// # Errors
/// Returns I/O errors, and an error for a line that is not valid UTF-8.
pub async fn read_line(prompt: &str) -> io::Result<Option<String>> {
    write!(io::stderr(), "{prompt}")?;
    // The blocking read cannot be interrupted. It is abandoned when the process ends.
    let read = || {
        let mut line = String::new();
        io::stdin().lock().take(MAX_LINE).read_line(&mut line).map(|len| (len > 0).then_some(line))
    };
    let line = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
    Ok(line.map(|line| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Reads the first line of stdin that is not empty, without echo if stdin is a terminal.
///
/// # Errors
/// Returns I/O errors, and an error for a line that is not valid UTF-8.
pub async fn read_secret(prompt: &str) -> io::Result<Secret<String>> {
    read_hidden(prompt, EmptyLine::Skipped).await
}

/// Reads the first line of stdin like [`read_secret`], but accepts an empty line as an empty secret.
///
/// # Errors
/// Returns I/O errors, and an error for a line that is not valid UTF-8.
pub async fn read_optional_secret(prompt: &str) -> io::Result<Secret<String>> {
    read_hidden(prompt, EmptyLine::Answer).await
}

/// Meaning of an empty line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EmptyLine {
    /// Ignored, because pasted text may begin with empty lines.
    Skipped,
    /// An empty answer.
    Answer,
}

async fn read_hidden(prompt: &str, blank: EmptyLine) -> io::Result<Secret<String>> {
    let stdin = io::stdin();
    let quiet = if stdin.is_terminal() { Some(quiet::EchoGuard::new()?) } else { None };
    if quiet.is_some() {
        write!(io::stderr(), "{prompt}")?;
    }
    // The blocking read cannot be interrupted. It is abandoned when the process ends.
    let line =
        tokio::task::spawn_blocking(move || first_line(io::stdin().lock(), blank)).await.map_err(io::Error::other)?;
    if quiet.is_some() {
        writeln!(io::stderr())?;
    }
    line
}

fn first_line(input: impl BufRead, blank: EmptyLine) -> io::Result<Secret<String>> {
    /// Byte sent by Ctrl-D in non-canonical mode.
    const EOF_BYTE: u8 = 4;
    /// Bytes sent by the backspace and delete keys.
    const ERASE_BYTES: [u8; 2] = [8, 127];
    let mut line = Vec::new();
    for byte in input.take(MAX_LINE).bytes() {
        match byte? {
            b'\n' | b'\r' if line.is_empty() && blank == EmptyLine::Skipped => {}
            b'\n' | b'\r' | EOF_BYTE => break,
            back if ERASE_BYTES.contains(&back) => drop(line.pop()),
            byte => line.push(byte),
        }
    }
    String::from_utf8(line).map(Secret::new).map_err(|_| io::Error::other("the input is not valid UTF-8 text"))
}

#[cfg(unix)]
mod quiet {
    use std::io;

    use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

    /// Guard that disables the echo of the terminal, and restores its settings on drop.
    #[derive(Debug)]
    pub(super) struct EchoGuard(Termios);

    impl EchoGuard {
        pub(super) fn new() -> io::Result<Self> {
            let before = tcgetattr(io::stdin())?;
            let mut quiet = before.clone();
            // Canonical mode truncates lines, on some systems at 1024 bytes; cookies are longer.
            quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON);
            // Make a read block until one byte is available, without a timeout.
            quiet.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
            quiet.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
            tcsetattr(io::stdin(), SetArg::TCSANOW, &quiet)?;
            Ok(Self(before))
        }
    }

    impl Drop for EchoGuard {
        fn drop(&mut self) {
            // An error means that the terminal is gone, so there is nothing to restore.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
        }
    }
}

#[cfg(not(unix))]
mod quiet {
    use std::io;

    #[derive(Debug)]
    pub(super) struct EchoGuard;

    impl EchoGuard {
        pub(super) fn new() -> io::Result<Self> {
            Err(io::Error::other(
                "the terminal would show the secret: pipe it in, as in `Get-Clipboard | qwen-proxy login --paste`",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts_with_any_line_end() {
        for text in ["a=1; b=2\n", "a=1; b=2", "a=1; b=2\r\nrest", "\n\na=1; b=2\u{4}rest"] {
            assert_eq!(first_line(text.as_bytes(), EmptyLine::Skipped).unwrap().expose(), "a=1; b=2", "{text:?}");
        }
        assert_eq!(first_line(&b""[..], EmptyLine::Skipped).unwrap().expose(), "");
        assert!(first_line(&b"\xff\n"[..], EmptyLine::Skipped).is_err());
        assert_eq!(first_line(&b"\nrest"[..], EmptyLine::Answer).unwrap().expose(), "");
        assert_eq!(first_line(&b"ab\x7fc\n"[..], EmptyLine::Answer).unwrap().expose(), "ac");
    }

    #[test]
    fn long_headers_are_read_completely() {
        let long = "c=".to_owned() + &"x".repeat(20_000);
        assert_eq!(first_line(format!("{long}\n").as_bytes(), EmptyLine::Skipped).unwrap().expose(), &long);
    }
}
