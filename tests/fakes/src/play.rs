//! Writes one turn of a script to a connection.

use std::{fmt::Write as _, time::Duration};

use tokio::time::sleep;

use crate::{
    calls::{CallLog, End, Entry},
    coding::Encoder,
    gate::Gate,
    script::{FaultKind, Turn, manner::with_odd_lines},
    wire::{Gone, Wire},
};

const ENDLESS: [u8; 1024] = [b'x'; 1024];

/// The events of a streamed answer, generated one at a time.
pub(crate) trait Stream {
    /// An event that has not been rendered yet.
    type Piece;

    /// Body of a whole answer whose scripted fault can only be expressed in a stream.
    const ERROR_BODY: &'static str;

    fn next(&mut self) -> Option<Self::Piece>;

    /// Returns whether the event is one of the words that a paced stream spreads over time.
    fn is_word(&self, piece: &Self::Piece) -> bool;

    /// Appends the bytes of an event.
    fn render(&mut self, piece: &Self::Piece, out: &mut String);

    /// Appends the bytes of the error event of a fault, which is `ErrorEvent` or `BareErrorEvent`.
    fn render_error(&mut self, kind: FaultKind, out: &mut String);
}

/// The answer to be written.
pub(crate) enum Answer<S> {
    Stream(S),
    Whole { content_type: Option<String>, body: String },
}

/// Everything needed to write one turn.
pub(crate) struct Stage<'a, C> {
    pub(crate) wire: &'a mut Wire,
    pub(crate) turn: &'a Turn<C>,
    pub(crate) gate: &'a Gate,
    pub(crate) calls: &'a CallLog,
    pub(crate) entry: &'a Entry,
}

/// How the turn ended, and what happens to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) end: End,
    pub(crate) then: Then,
}

/// The action on the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The connection is kept for another request.
    Reuse,
    Close,
    Reset,
}

const COMPLETED: Over = Over { end: End::Completed, then: Then::Reuse };

// === impl Stage ===

impl<C: Sync> Stage<'_, C> {
    pub(crate) async fn perform<S: Stream<Piece: Send + Sync> + Send + Sync>(mut self, answer: Answer<S>) -> Over {
        self.wire.drip = self.turn.delivery.drip_ms.map(Duration::from_millis);
        let over = self.act(answer).await.unwrap_or(Over { end: End::ClientLeft, then: Then::Close });
        self.wire.drip = None;
        over
    }

    async fn act<S: Stream>(&mut self, answer: Answer<S>) -> Result<Over, Gone> {
        if let Some(fault) = &self.turn.fault
            && fault.after.is_none()
            && (fault.kind != FaultKind::IdleClose || self.wire.is_reused())
            && let Some(over) = self.break_off(fault.kind).await?
        {
            return Ok(over);
        }
        match answer {
            Answer::Stream(events) => self.stream(events).await,
            Answer::Whole { content_type, body } => self.whole(content_type.as_deref(), &body, S::ERROR_BODY).await,
        }
    }

    async fn stream<S: Stream>(&mut self, mut events: S) -> Result<Over, Gone> {
        let head = self.head(Some("text/event-stream; charset=utf-8"), "transfer-encoding: chunked");
        self.wire.send(head.as_bytes()).await?;
        let fault = self.turn.fault.as_ref().filter(|fault| fault.kind != FaultKind::IdleClose);
        let fault = fault.map(|fault| (fault.after.unwrap_or(0), fault.kind));
        let join = self.turn.delivery.join.unwrap_or(1).max(1);
        let mut encoder = Encoder::new(self.turn.delivery.coding).map_err(|_| Gone)?;
        let (mut sent, mut words, mut text, mut joined) = (0, 0_u64, String::new(), 0);
        while let Some(piece) = events.next() {
            if let Some((_, kind)) = fault.filter(|(after, _)| *after == sent) {
                self.send_joined(&mut encoder, &mut text, &mut joined).await?;
                return self.spoil(kind, &mut events, encoder).await;
            }
            if events.is_word(&piece) {
                self.pause(words > 0).await?;
                words += 1;
            }
            self.wait_for_release().await?;
            self.render(&mut text, |out| events.render(&piece, out));
            sent += 1;
            joined += 1;
            if joined == join {
                self.send_joined(&mut encoder, &mut text, &mut joined).await?;
            }
        }
        self.send_joined(&mut encoder, &mut text, &mut joined).await?;
        // If the stream has fewer events than the fault requires, it fails at its end.
        if let Some((_, kind)) = fault {
            return self.spoil(kind, &mut events, encoder).await;
        }
        self.send_chunked(&encoder.end()).await?;
        self.wire.send(b"0\r\n\r\n").await?;
        Ok(COMPLETED)
    }

    /// Appends the bytes of an event.
    fn render(&self, text: &mut String, render: impl FnOnce(&mut String)) {
        if !self.turn.delivery.odd_lines {
            return render(text);
        }
        let mut event = String::new();
        render(&mut event);
        text.push_str(&with_odd_lines(&event));
    }

    /// Sends the joined events, if any.
    async fn send_joined(&mut self, encoder: &mut Encoder, text: &mut String, joined: &mut usize) -> Result<(), Gone> {
        if text.is_empty() {
            return Ok(());
        }
        match self.turn.delivery.coding {
            None => self.send_chunked(text.as_bytes()).await?,
            Some(_) => self.send_chunked(&encoder.piece(text.as_bytes())).await?,
        }
        text.clear();
        for _ in 0..std::mem::take(joined) {
            self.calls.sent(self.entry);
        }
        Ok(())
    }

    /// Applies a fault to a stream.
    async fn spoil(&mut self, kind: FaultKind, events: &mut impl Stream, mut encoder: Encoder) -> Result<Over, Gone> {
        if let Some(over) = self.break_off(kind).await? {
            return Ok(over);
        }
        if kind == FaultKind::EndlessLine {
            self.send_chunked(&encoder.piece(b"data: ")).await?;
            return self.endless().await;
        }
        if kind != FaultKind::End {
            let mut text = String::new();
            self.render(&mut text, |out| events.render_error(kind, out));
            self.send_chunked(&encoder.piece(text.as_bytes())).await?;
        }
        self.send_chunked(&encoder.end()).await?;
        self.wire.send(b"0\r\n\r\n").await?;
        Ok(Over { end: End::Broken, then: Then::Reuse })
    }

    /// Sends an answer that is not a stream.
    async fn whole(&mut self, content_type: Option<&str>, body: &str, error_body: &str) -> Result<Over, Gone> {
        let fault = self.turn.fault.as_ref().map(|fault| fault.kind);
        let fault = fault.filter(|kind| !matches!(kind, FaultKind::IdleClose | FaultKind::End));
        if fault == Some(FaultKind::EndlessLine) {
            let head = self.head(content_type, "transfer-encoding: chunked");
            self.wire.send(head.as_bytes()).await?;
            return self.endless().await;
        }
        let fails = |kind: &FaultKind| matches!(kind, FaultKind::ErrorEvent | FaultKind::BareErrorEvent);
        let body = if fault.as_ref().is_some_and(fails) { error_body } else { body };
        let mut encoder = Encoder::new(self.turn.delivery.coding).map_err(|_| Gone)?;
        let mut body = encoder.piece(body.as_bytes());
        body.extend(encoder.end());
        self.pause(true).await?;
        self.wait_for_release().await?;
        let off_by = self.turn.delivery.length_off_by;
        let declared = i64::try_from(body.len()).unwrap_or(i64::MAX).saturating_add(off_by).max(0);
        let head = self.head(content_type, &format!("content-length: {declared}"));
        if let Some(kind) = fault.filter(|kind| !fails(kind)) {
            self.wire.send(head.as_bytes()).await?;
            let over = self.break_off(kind).await?;
            return Ok(over.unwrap_or(COMPLETED));
        }
        match self.turn.delivery.split {
            None => self.wire.send([head.as_bytes(), &body].concat().as_slice()).await?,
            Some(size) => {
                self.wire.send(head.as_bytes()).await?;
                for piece in body.chunks(size.max(1)) {
                    self.wire.send(piece).await?;
                }
            }
        }
        self.calls.sent(self.entry);
        Ok(if off_by == 0 { COMPLETED } else { Over { end: End::Broken, then: Then::Close } })
    }

    /// Applies a fault that ends the connection; returns `None` for other kinds.
    async fn break_off(&mut self, kind: FaultKind) -> Result<Option<Over>, Gone> {
        match kind {
            FaultKind::Reset => Ok(Some(Over { end: End::Broken, then: Then::Reset })),
            FaultKind::Close | FaultKind::IdleClose => Ok(Some(Over { end: End::Broken, then: Then::Close })),
            FaultKind::Stall => self.wire.unless_gone(std::future::pending()).await,
            FaultKind::ErrorEvent | FaultKind::BareErrorEvent | FaultKind::End | FaultKind::EndlessLine => Ok(None),
        }
    }

    async fn endless(&mut self) -> Result<Over, Gone> {
        loop {
            self.send_chunked(&ENDLESS).await?;
        }
    }

    async fn pause(&mut self, due: bool) -> Result<(), Gone> {
        match self.turn.delivery.delay_ms {
            0 => Ok(()),
            _ if !due => Ok(()),
            delay => self.wire.unless_gone(sleep(Duration::from_millis(delay))).await,
        }
    }

    async fn wait_for_release(&mut self) -> Result<(), Gone> {
        if self.turn.delivery.gated {
            return self.wire.unless_gone(self.gate.pass()).await;
        }
        Ok(())
    }

    async fn send_chunked(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let size = self.turn.delivery.split.unwrap_or(usize::MAX).max(1);
        for piece in bytes.chunks(size) {
            let mut chunk = Vec::with_capacity(piece.len() + 16);
            chunk.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            chunk.extend_from_slice(piece);
            chunk.extend_from_slice(b"\r\n");
            self.wire.send(&chunk).await?;
        }
        Ok(())
    }

    fn head(&self, content_type: Option<&str>, length: &str) -> String {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n{length}\r\n", self.turn.status);
        let delivery = &self.turn.delivery;
        let content_type =
            delivery.content_type.as_deref().or(content_type).filter(|media_type| !media_type.is_empty());
        let coding = delivery.coding.map(|coding| ("content-encoding", coding.name()));
        let usual = content_type.map(|value| ("content-type", value)).into_iter().chain(coding);
        for (name, value) in usual.chain(self.headers()) {
            // Writing to a `String` cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.turn.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
