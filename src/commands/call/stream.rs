//! Prints a streamed answer as it arrives.

use reqwest::Response;
use serde_json::{Value, json};

use super::client::{LARGEST, ServerClient, refused};
use crate::commands::printer::Printer;
use openlora_core::error::{ExitClass, Failure};

/// The longest line of a stream, in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// State of reading an event stream.
#[derive(Debug, Default)]
struct EventStream {
    /// Bytes of an incomplete line.
    rest: Vec<u8>,
    /// The name of the current event.
    event: String,
    id: Value,
    usage: Value,
    text: String,
    payment: Option<String>,
    done: bool,
}

/// The part of an answer that was printed. If the stream breaks off and is requested again, text
/// that was already printed is not repeated.
#[derive(Debug, Default)]
pub struct StreamScreen {
    text: String,
    /// The text printed by an earlier attempt, until the new attempt reaches its end.
    earlier: Option<String>,
}

impl StreamScreen {
    fn begin(&mut self) {
        let shown = std::mem::take(&mut self.text);
        let earlier = self.earlier.take().unwrap_or_default();
        self.earlier = Some(if shown.len() > earlier.len() {
            shown
        } else {
            earlier
        });
    }

    /// Adds the next piece; returns the part to print.
    fn add(&mut self, piece: &str) -> String {
        self.text.push_str(piece);
        match self.earlier.take() {
            None => piece.to_owned(),
            Some(earlier) if self.text.len() < earlier.len() => {
                self.earlier = Some(earlier);
                String::new()
            }
            Some(earlier) => match self.text.strip_prefix(earlier.as_str()) {
                Some(rest) => rest.to_owned(),
                None => format!("\n{}", self.text),
            },
        }
    }
}

/// A complete streamed answer.
pub struct StreamedAnswer {
    /// Its id and usage, as in an unstreamed answer.
    pub answer: Value,
    pub text: String,
    /// The server's last event with the charge.
    pub payment: Option<String>,
}

/// Requests the usage at the end of the stream.
pub fn request_usage(body: &mut Value) {
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
}

/// Reads a stream to its end, and prints it as it arrives unless the result is JSON.
pub async fn print_stream(
    client: &ServerClient,
    mut response: Response,
    printer: &Printer,
    screen: &mut StreamScreen,
) -> Result<StreamedAnswer, Failure> {
    let mut events = EventStream::default();
    let mut read = 0;
    screen.begin();
    while let Some(bytes) = response
        .chunk()
        .await
        .map_err(|error| client.broken(&error))?
    {
        read += bytes.len();
        if read > LARGEST {
            return Err(client.endless());
        }
        for text in events.feed(&bytes)? {
            let shown = screen.add(&text);
            if !printer.is_json() {
                printer.piece(&shown);
            }
            events.text.push_str(&text);
        }
    }
    if !printer.is_json() {
        printer.line("");
    }
    if !events.done {
        let message = "the answer broke off before its end";
        return Err(Failure::new(ExitClass::Network, message));
    }
    Ok(StreamedAnswer {
        answer: json!({ "id": events.id, "usage": events.usage }),
        text: events.text,
        payment: events.payment,
    })
}

impl EventStream {
    /// Adds the next bytes; returns the completed texts.
    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, Failure> {
        self.rest.extend_from_slice(bytes);
        let mut texts = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            if let Some(name) = line.strip_prefix("event: ") {
                name.clone_into(&mut self.event);
            } else if let Some(data) = line.strip_prefix("data: ") {
                texts.extend(self.data(data)?);
            } else if line.is_empty() {
                self.event.clear();
            }
        }
        if self.rest.len() > LONGEST_LINE {
            let message = format!("the answer has a line of more than {LONGEST_LINE} bytes");
            return Err(Failure::new(ExitClass::Verification, message));
        }
        Ok(texts)
    }

    fn data(&mut self, data: &str) -> Result<Option<String>, Failure> {
        if self.event == "payment-response" {
            self.payment = Some(data.to_owned());
            return Ok(None);
        }
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
        if chunk["usage"].is_object() {
            self.usage = chunk["usage"].clone();
        }
        let text = chunk
            .pointer("/choices/0/delta/content")
            .and_then(Value::as_str);
        Ok(text.map(str::to_owned))
    }
}
