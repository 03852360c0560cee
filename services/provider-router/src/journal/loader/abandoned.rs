//! Loads segments without a writer: those of dead processes, and those that were set aside.

use std::sync::{Arc, atomic::Ordering};

use super::{GaveUp, Work};
use crate::journal::{assembler::Assembler, recovery, segment::Segment};

impl Work {
    /// Loads the segments of dead processes, and retries those that were set aside.
    pub(super) fn load_abandoned(&mut self) -> Result<(), GaveUp> {
        let own = self.loader.dir.clone();
        let (abandoned_journals, mut set_aside) = (self.survey.abandoned_journals(&own), 0);
        for abandoned_journal in abandoned_journals {
            let has_any = !abandoned_journal.segments.is_empty() || !abandoned_journal.set_aside.is_empty();
            let interrupted = self.load(abandoned_journal.segments)?;
            self.load(abandoned_journal.set_aside)?;
            recovery::remove(&abandoned_journal.dir);
            let left = recovery::count_set_aside(&abandoned_journal.dir);
            set_aside += left;
            if has_any && left == 0 {
                tracing::info!(dir = %abandoned_journal.dir.display(), interrupted, "journal of an earlier process was loaded");
            }
        }
        let segments = self.survey.set_aside(&own);
        self.load(segments)?;
        set_aside += recovery::count_set_aside(&own);
        self.status().loader.set_aside.store(set_aside, Ordering::Relaxed);
        self.status().loader.skipped.store(self.survey.skipped(), Ordering::Relaxed);
        Ok(())
    }

    /// Loads segments without a writer, separately from the requests in flight. Returns how many of their requests had
    /// no end.
    fn load(&mut self, segments: Vec<Segment>) -> Result<usize, GaveUp> {
        if segments.is_empty() {
            return Ok(0);
        }
        let own = Assembler::new(self.assembler.prices.clone());
        let live = std::mem::replace(&mut self.assembler, own);
        for segment in segments {
            self.status().backlog.fetch_add(segment.len(), Ordering::Relaxed);
            self.assembler.add(Arc::new(segment));
        }
        let loaded = self.load_all();
        self.assembler = live;
        loaded
    }

    fn load_all(&mut self) -> Result<usize, GaveUp> {
        while !self.assembler.read() {
            if self.assembler.is_full() {
                self.commit()?;
            }
        }
        let interrupted = self.assembler.open();
        while !self.assembler.interrupt() {
            self.commit()?;
        }
        self.commit()?;
        self.retire();
        Ok(interrupted)
    }
}
