//! The standard output of a command, with write errors reported at its end.

use std::io::{self, ErrorKind, Write};

/// Writer to standard output that remembers the first failure and writes nothing after it.
///
/// A closed pipe (`| head`) is not a failure, because its reader has what it needs. A full disk is one, because a
/// redirected file would be taken for complete.
#[derive(Debug, Default)]
pub struct Stdout {
    failure: Option<io::Error>,
    is_closed: bool,
}

// === impl Stdout ===

impl Stdout {
    /// Writes a text and flushes it.
    pub fn print(&mut self, text: &str) {
        self.print_to(&mut io::stdout().lock(), text);
    }

    /// Returns whether everything has been written: there was no failure, and no reader left early.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.failure.is_none() && !self.is_closed
    }

    /// Returns a message about the first failure, if the output is incomplete.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure.as_ref().map(|error| format!("cannot write to standard output: {error}; the output is incomplete"))
    }

    fn print_to(&mut self, out: &mut dyn Write, text: &str) {
        if !self.is_complete() {
            return;
        }
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.is_closed = true,
            Err(error) => self.failure = Some(error),
        }
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
        let printed = |out: &mut dyn Write| {
            let mut stdout = Stdout::default();
            stdout.print_to(out, "x");
            (stdout.failure().is_none(), stdout.is_complete())
        };
        assert_eq!(printed(&mut Broken(ErrorKind::BrokenPipe)), (true, false));
        assert_eq!(printed(&mut Broken(ErrorKind::StorageFull)), (false, false));
        assert_eq!(printed(&mut Broken(ErrorKind::WriteZero)), (false, false));
        assert_eq!(printed(&mut Vec::new()), (true, true));
    }

    #[test]
    fn a_failure_is_reported() {
        let stdout = Stdout { failure: Some(ErrorKind::StorageFull.into()), is_closed: false };
        assert!(stdout.failure().unwrap().starts_with("cannot write to standard output: "));
        assert_eq!(Stdout::default().failure(), None);
    }
}
