//! The DevTools protocol over a pair of pipes: JSON messages, each terminated by a zero byte.

use std::io;
use std::os::fd::OwnedFd;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe::{Receiver, Sender};

/// A connection to the browser.
#[derive(Debug)]
pub(super) struct DevTools {
    output: Sender,
    input: BufReader<Receiver>,
    /// Number of messages sent, which is the id of the last one.
    sent: u64,
}

/// Reason why a call failed. Responses are never quoted, because they may contain cookies.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum DevToolsError {
    #[error("{0}")]
    Pipe(#[from] io::Error),
    #[error("it closed the connection")]
    HungUp,
    #[error("it rejected {method}: {message}")]
    Refused { method: &'static str, message: String },
    #[error("its response to {method} is invalid")]
    Unreadable { method: &'static str },
}

#[derive(Deserialize)]
struct Message<'a> {
    /// `None` for events.
    id: Option<u64>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<MethodError>,
}

#[derive(Deserialize)]
struct MethodError {
    message: String,
}

// === impl DevTools ===

impl DevTools {
    pub(super) fn new(input: impl Into<OwnedFd>, output: impl Into<OwnedFd>) -> io::Result<Self> {
        let (input, output) = (Receiver::from_owned_fd(input.into())?, Sender::from_owned_fd(output.into())?);
        Ok(Self { output, input: BufReader::new(input), sent: 0 })
    }

    /// Calls a method of the browser and waits for its result, ignoring events in between.
    pub(super) async fn call<R: DeserializeOwned>(
        &mut self,
        method: &'static str,
        params: Value,
    ) -> Result<R, DevToolsError> {
        let id = self.send(method, params).await?;
        loop {
            let mut bytes = Vec::new();
            self.input.read_until(0, &mut bytes).await?;
            if bytes.pop() != Some(0) {
                return Err(DevToolsError::HungUp);
            }
            let message: Message<'_> =
                serde_json::from_slice(&bytes).map_err(|_| DevToolsError::Unreadable { method })?;
            if message.id != Some(id) {
                continue;
            }
            if let Some(MethodError { message }) = message.error {
                return Err(DevToolsError::Refused { method, message });
            }
            let result = message.result.map_or("null", RawValue::get);
            return serde_json::from_str(result).map_err(|_| DevToolsError::Unreadable { method });
        }
    }

    /// Calls a method without waiting for its result.
    pub(super) async fn tell(&mut self, method: &'static str) -> Result<(), DevToolsError> {
        self.send(method, json!({})).await.map(drop)
    }

    async fn send(&mut self, method: &'static str, params: Value) -> Result<u64, DevToolsError> {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": params}).to_string().into_bytes();
        message.push(0);
        self.output.write_all(&message).await?;
        Ok(self.sent)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};

    use super::*;

    /// Returns a connection to a fake browser that answers each message with the next of `answers`.
    fn against(answers: &'static [&'static str]) -> (DevTools, std::thread::JoinHandle<Vec<Value>>) {
        let (its_input, our_output) = io::pipe().unwrap();
        let (our_input, mut its_output) = io::pipe().unwrap();
        let browser = std::thread::spawn(move || {
            let mut asked = Vec::new();
            let mut input = BufReader::new(its_input).split(0);
            for answer in answers {
                asked.push(serde_json::from_slice(&input.next().unwrap().unwrap()).unwrap());
                its_output.write_all(answer.as_bytes()).unwrap();
            }
            asked
        });
        (DevTools::new(our_input, our_output).unwrap(), browser)
    }

    #[tokio::test]
    async fn events_and_stale_responses_are_skipped() {
        let (mut tools, browser) = against(&[
            "{\"method\":\"Target.targetCreated\",\"params\":{}}\0{\"id\":1,\"result\":{\"n\":7}}\0{\"id\":9,\"result\":{}}\0",
            "{\"id\":2,\"result\":{}}\0",
        ]);
        let first: Value = tools.call("One", json!({"a": 1})).await.unwrap();
        let second: Value = tools.call("Two", json!({})).await.unwrap();
        assert_eq!((first, second), (json!({"n": 7}), json!({})));
        assert_eq!(
            browser.join().unwrap(),
            [json!({"id": 1, "method": "One", "params": {"a": 1}}), json!({"id": 2, "method": "Two", "params": {}})]
        );
    }

    #[tokio::test]
    async fn errors_do_not_contain_the_response() {
        for (answers, said) in [
            (&["{\"id\":1,\"error\":{\"message\":\"no\"}}\0"][..], "it rejected One: no"),
            (&["{\"id\":1,\"result\":[\"canary\"]}\0"], "its response to One is invalid"),
            (&["canary\0"], "its response to One is invalid"),
            (&["{\"id\":1,\"result\":{\"canary"], "it closed the connection"),
            (&[""], "it closed the connection"),
        ] {
            let (mut tools, browser) = against(answers);
            let result = tools.call::<std::collections::BTreeMap<String, u8>>("One", json!({})).await;
            assert_eq!(result.unwrap_err().to_string(), said);
            browser.join().unwrap();
        }
    }
}
