//! Shows a streamed answer while it comes.

use serde_json::{Value, json};

use super::client::{Client, refused};
use crate::{
    error::{ExitClass, Failure},
    printer::Printer,
};

/// What has been read of an event stream.
#[derive(Debug, Default)]
struct Events {
    /// Bytes of a line that has not ended.
    rest: Vec<u8>,
    id: Value,
    done: bool,
}

/// Streams the answer to `body` to stdout; returns its id as an object, like a whole answer.
pub async fn show(client: &Client, mut body: Value, printer: &Printer) -> Result<Value, Failure> {
    body["stream"] = json!(true);
    let mut response = client.open("/v1/chat/completions", &body).await?;
    let mut events = Events::default();
    while let Some(bytes) = response
        .chunk()
        .await
        .map_err(|error| client.broken(&error))?
    {
        for text in events.feed(&bytes)? {
            printer.piece(&harmless(&text));
        }
    }
    printer.line("");
    if events.done {
        return Ok(json!({ "id": events.id }));
    }
    Err(Failure::new(
        ExitClass::Network,
        "the answer broke off before its end",
    ))
}

/// Control characters in an answer must not steer the terminal.
fn harmless(text: &str) -> String {
    let steers = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    text.replace(steers, "\u{fffd}")
}

impl Events {
    /// Takes the next bytes; returns the texts that they complete.
    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, Failure> {
        self.rest.extend_from_slice(bytes);
        let mut texts = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if let Some(data) = line.trim_end().strip_prefix("data: ") {
                texts.extend(self.data(data)?);
            }
        }
        Ok(texts)
    }

    fn data(&mut self, data: &str) -> Result<Option<String>, Failure> {
        if data == "[DONE]" {
            self.done = true;
            return Ok(None);
        }
        let chunk: Value = serde_json::from_str(data).unwrap_or_default();
        if chunk["error"].is_object() {
            return Err(refused(reqwest::StatusCode::BAD_GATEWAY, &chunk["error"]));
        }
        if chunk["id"].is_string() {
            self.id = chunk["id"].clone();
        }
        let text = chunk
            .pointer("/choices/0/delta/content")
            .and_then(Value::as_str);
        Ok(text.map(str::to_owned))
    }
}
