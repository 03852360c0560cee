//! The events of an answer as they come in.

use std::{future::poll_fn, pin::Pin};

use bytes::Bytes;
use http_body::Body as _;
use signalbox_core::sse::{Frame, Splitter};
use signalbox_upstream::Body;

use super::{
    event::{Event, decode},
    failure::{Failure, of_json},
    login::Login,
};

/// An event larger than this is none.
const MAX_EVENT: usize = 1 << 20;

/// An answer on its way here. Dropping it hangs up.
#[derive(Debug)]
pub struct Events {
    body: Body,
    login: Login,
    /// `None` once the body has ended.
    splitter: Option<Splitter>,
    /// What was read to look at its first byte.
    begun: Bytes,
    /// What was read to wait for it.
    first: Option<Event>,
}

impl Events {
    /// The events in this body, which is for this login.
    #[must_use]
    pub fn new(body: Body, login: Login) -> Self {
        Self { body, login, splitter: Some(Splitter::new(MAX_EVENT)), begun: Bytes::new(), first: None }
    }

    /// What the body begins with, apart from white space; `None` if it is empty.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn first_byte(&mut self) -> Result<Option<u8>, Failure> {
        while let Some(data) = self.data().await? {
            self.begun = [&*self.begun, &*data].concat().into();
            if let Some(first) = self.begun.trim_ascii_start().first() {
                return Ok(Some(*first));
            }
        }
        Ok(None)
    }

    /// What has been looked at, and what is left.
    pub fn into_rest(self) -> (Bytes, Body) {
        (self.begun, self.body)
    }

    /// Waits until there is an event, or none comes any more.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn wait(&mut self) -> Result<(), Failure> {
        self.first = self.next().await?;
        Ok(())
    }

    /// Reads the rest and forgets it.
    pub async fn drain(&mut self) {
        while matches!(self.data().await, Ok(Some(_))) {}
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// The site reported one, or the connection broke.
    pub async fn next(&mut self) -> Result<Option<Event>, Failure> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let mut data = Some(std::mem::take(&mut self.begun));
        loop {
            let Some(splitter) = &mut self.splitter else { return Ok(None) };
            let last = match data.take() {
                Some(data) => {
                    splitter.push(data);
                    false
                }
                None => true,
            };
            loop {
                let frame = splitter
                    .next_frame()
                    .map_err(|_| Failure::Unreadable(format!("an event of more than {MAX_EVENT} bytes")))?;
                let Some(frame) = frame else { break };
                if let Some(event) = event(&frame, &self.login)? {
                    return Ok(Some(event));
                }
            }
            if last {
                let frame = self.splitter.take().and_then(|mut splitter| splitter.finish());
                return frame.map_or(Ok(None), |frame| event(&frame, &self.login));
            }
            data = self.data().await?;
        }
    }

    async fn data(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await {
            if let Ok(data) = frame.map_err(Failure::from)?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

/// The event in a frame, if it is one that says something.
fn event(frame: &Frame, login: &Login) -> Result<Option<Event>, Failure> {
    let Some(data) = frame.data() else { return Ok(None) };
    match decode(&data) {
        Event::Failure(text) => {
            Err(of_json(text.as_bytes()).unwrap_or_else(|| Failure::Refused(String::new())).scrubbed(login))
        }
        Event::Unknown => Ok(None),
        event => Ok(Some(event)),
    }
}
