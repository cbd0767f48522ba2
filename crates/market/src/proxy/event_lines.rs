//! The lines of an event stream on their way to a caller: what is no event of OpenAI's form ends the
//! stream, and the payment's event stays here, because the proxy is the payer.

use serde_json::Value;

use crate::http::LARGEST;

/// The longest line, in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// State of reading an event stream.
#[derive(Debug, Default)]
pub struct EventLines {
    /// Bytes of an incomplete line.
    rest: Vec<u8>,
    is_payment: bool,
    read: usize,
    /// The id of the answer, once it is known.
    pub id: Option<String>,
    /// The JSON of the payment's event.
    pub payment: Option<String>,
    /// The stream ended as it should: with its mark, or with an error of the server.
    pub done: bool,
}

impl EventLines {
    /// Adds the next bytes; returns the complete lines that are passed on.
    ///
    /// # Errors
    ///
    /// It is no event stream of OpenAI's form, or has no end.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        self.read += bytes.len();
        if self.read > LARGEST {
            return Err(format!("it has more than {LARGEST} bytes"));
        }
        // What has arrived before has no line end, and is not searched again.
        let mut searched = self.rest.len();
        self.rest.extend_from_slice(bytes);
        let mut passed = Vec::with_capacity(self.rest.len());
        let mut start = 0;
        while let Some(length) = self.rest[searched..].iter().position(|byte| *byte == b'\n') {
            let end = searched + length + 1;
            let line = self.rest[start..end].to_vec();
            if self.line(&line)? {
                passed.extend_from_slice(&line);
            }
            (start, searched) = (end, end);
        }
        self.rest.drain(..start);
        if self.rest.len() > LONGEST_LINE {
            return Err(format!("it has a line of more than {LONGEST_LINE} bytes"));
        }
        Ok(passed)
    }

    /// Reads a line; whether it is passed on.
    fn line(&mut self, line: &[u8]) -> Result<bool, String> {
        let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
        let text = text.trim_end();
        if text.is_empty() {
            return Ok(!std::mem::take(&mut self.is_payment));
        }
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => {
                self.is_payment = value == "payment-response";
                Ok(!self.is_payment)
            }
            "data" if self.is_payment => {
                self.payment = Some(value.to_owned());
                Ok(false)
            }
            "data" => self.data(value).map(|()| true),
            "" | "id" | "retry" => Ok(true),
            _ => Err("it is no event stream".to_owned()),
        }
    }

    fn data(&mut self, data: &str) -> Result<(), String> {
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let chunk: Value = serde_json::from_str(data)
            .map_err(|_| "an event of the stream is no JSON".to_owned())?;
        if !chunk.is_object() {
            return Err("an event of the stream is no object".to_owned());
        }
        if let (None, Some(id)) = (&self.id, chunk["id"].as_str()) {
            self.id = Some(id.to_owned());
        }
        self.done |= chunk["error"].is_object();
        Ok(())
    }
}
