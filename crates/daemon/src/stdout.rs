//! The standard output of a command, with write errors reported at its end.

use std::io::{self, ErrorKind, Write};

/// Writer to standard output that remembers the first failure and writes nothing after it.
///
/// A closed pipe (`| head`) is not a failure, because its reader has what it needs. A full disk is one, because a
/// redirected file would be taken for complete.
#[derive(Debug, Default)]
pub struct Stdout {
    failure: Option<io::Error>,
}

// === impl Stdout ===

impl Stdout {
    /// Writes a text and flushes it.
    pub fn print(&mut self, text: &str) {
        if self.failure.is_none() {
            self.failure = print_to(&mut io::stdout().lock(), text).err();
        }
    }

    /// Returns a message about the first failure, if the output is incomplete.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure.as_ref().map(|error| format!("cannot write to standard output: {error}; the output is incomplete"))
    }
}

fn print_to(out: &mut impl Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_closed_pipe_is_not_a_failure() {
        assert!(print_to(&mut Broken(ErrorKind::BrokenPipe), "x").is_ok());
        assert!(print_to(&mut Broken(ErrorKind::StorageFull), "x").is_err());
        assert!(print_to(&mut Broken(ErrorKind::WriteZero), "x").is_err());
        assert!(print_to(&mut Vec::new(), "x").is_ok());
    }

    #[test]
    fn a_failure_is_reported() {
        let stdout = Stdout { failure: Some(ErrorKind::StorageFull.into()) };
        assert!(stdout.failure().unwrap().starts_with("cannot write to standard output: "));
        assert_eq!(Stdout::default().failure(), None);
    }
}
