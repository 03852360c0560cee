//! Syncs appended records to disk, for many requests at a time.
//!
//! A separate thread calls `fdatasync`: everything written before the call is on disk when it returns, so all requests
//! that end during a call share the next one.

use std::{
    fs::File,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, mpsc},
    task::{Context, Poll},
};

use tokio::sync::oneshot;

/// Handle to the sync thread.
#[derive(Debug)]
pub(super) struct Syncer {
    requests: mpsc::Sender<SyncRequest>,
}

#[derive(Debug)]
struct SyncRequest {
    file: Arc<File>,
    done: oneshot::Sender<()>,
}

/// Future that is ready once the end of a request is as durable as configured; immediately, unless it has to be synced.
#[derive(Debug, Default)]
#[must_use = "the last byte must not be sent before"]
pub struct Written(Option<oneshot::Receiver<()>>);

// === impl Syncer ===

impl Syncer {
    /// Spawns the thread; it exits when the syncer is dropped.
    pub(super) fn spawn() -> io::Result<Self> {
        let (requests, queue) = mpsc::channel();
        std::thread::Builder::new().name("journal-sync".into()).spawn(move || run(&queue))?;
        Ok(Self { requests })
    }

    /// Requests that everything written to `file` be synced to disk. The queue has one entry per request whose last
    /// byte is held back, so the number of requests in flight bounds it.
    pub(super) fn sync(&self, file: Arc<File>) -> Written {
        let (done, wait) = oneshot::channel();
        // Without the thread, do not wait.
        Written(self.requests.send(SyncRequest { file, done }).is_ok().then_some(wait))
    }
}

fn run(queue: &mpsc::Receiver<SyncRequest>) {
    let mut failing = false;
    while let Ok(first) = queue.recv() {
        let batch: Vec<SyncRequest> = std::iter::once(first).chain(queue.try_iter()).collect();
        let mut files: Vec<&Arc<File>> = Vec::new();
        for request in &batch {
            if !files.iter().any(|file| Arc::ptr_eq(file, &request.file)) {
                files.push(&request.file);
            }
        }
        for file in files {
            let result = file.sync_data();
            match &result {
                // The response is completed anyway: data in the page cache survives everything except a power failure.
                Err(error) if !failing => tracing::error!(%error, "request log cannot be synced to disk"),
                Ok(()) if failing => tracing::info!("request log can be synced again"),
                _ => {}
            }
            failing = result.is_err();
        }
        for request in batch {
            // The receiver is gone if the client has disconnected.
            let _ = request.done.send(());
        }
    }
}

// === impl Written ===

impl Future for Written {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            None => Poll::Ready(()),
            Some(wait) => Pin::new(wait).poll(cx).map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_waiters_are_notified() {
        let syncer = Syncer::spawn().unwrap();
        let file = Arc::new(tempfile::tempfile().unwrap());
        let waiting: Vec<Written> = (0..100).map(|_| syncer.sync(Arc::clone(&file))).collect();
        for written in waiting {
            written.await;
        }
    }

    #[tokio::test]
    async fn without_a_pending_sync_it_is_ready_at_once() {
        assert!(futures_ready(Written::default()));
    }

    fn futures_ready(mut written: Written) -> bool {
        Pin::new(&mut written).poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }
}
