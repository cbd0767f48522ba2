//! HTTP client of a server: its address, and the meaning of its errors.

use std::time::Duration;

use reqwest::{Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::commands::CommandContext;
use openlora_core::{
    error::{ExitClass, Failure},
    private::{foreign_text::clean_line, redact},
};
use openlora_payments::{
    payer::CallOrder,
    x402::wire::{PAYMENT_REQUIRED, PAYMENT_SIGNATURE},
};
use openlora_runtime::published_log::server_root;
use openlora_serve::PublishedReceipt;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Read timeout while the model works.
const READ_TIMEOUT: Duration = Duration::from_secs(300);

/// The largest answer that is read, in bytes.
pub const LARGEST: usize = 16 << 20;

/// One call.
#[derive(Clone, Debug)]
pub struct CallParams {
    pub adapter: String,
    pub path: String,
    pub body: String,
}

/// A server, reached over HTTP.
pub struct ServerClient {
    http: reqwest::Client,
    base: Url,
    /// The timeout of an answer.
    pub longest: Duration,
}

/// A server's response to a call.
pub enum CallReply {
    /// The response with the answer, before its body is read.
    Answer(Response),
    /// Payment required; the value of the header.
    Unpaid(String),
    /// Not decided yet: repeat the request after a delay.
    Later(Duration, Failure),
}

/// A text field of an object, empty when it is not there.
pub fn text_at<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

impl ServerClient {
    /// The server at `url`, or where `serve` would listen with these settings.
    pub fn new(context: &CommandContext, url: Option<&str>) -> Result<Self, Failure> {
        let base = match url {
            Some(url) => parse(url)?,
            None => own(context)?,
        };
        let http = http(&base, context.settings.call.timeout)?;
        Self::with_http(context, http, base)
    }

    /// A server that a stranger names, by a client that does not lead into the own network.
    pub fn of_stranger(
        context: &CommandContext,
        http: reqwest::Client,
        url: &str,
    ) -> Result<Self, Failure> {
        Self::with_http(context, http, parse(url)?)
    }

    fn with_http(
        context: &CommandContext,
        http: reqwest::Client,
        base: Url,
    ) -> Result<Self, Failure> {
        if context.offline && !is_local(&base) {
            let message = format!("--offline forbids calling {base}");
            return Err(Failure::new(ExitClass::Usage, message)
                .with_hint("leave --offline out, or call a server on this machine"));
        }
        Ok(Self {
            http,
            base,
            longest: context.settings.call.timeout,
        })
    }

    /// Sends a small free request.
    pub async fn ask(&self, path: &str) -> Result<(StatusCode, Value), Failure> {
        let sent = self.http.get(self.url(path)).send().await;
        let response = sent.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        Ok((status, self.json(response).await?))
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    /// The server's URL without credentials.
    pub fn place(&self) -> String {
        redact::address(self.base.as_str().trim_end_matches('/'))
    }

    /// The adapters that the server has.
    pub async fn models(&self) -> Result<Vec<Value>, Failure> {
        let answer = self.get("/v1/models").await?;
        match &answer["data"] {
            Value::Array(models) => Ok(models.clone()),
            _ => Err(self.foreign()),
        }
    }

    /// An adapter by its name; none if the server neither has nor fetches it.
    ///
    /// # Errors
    ///
    /// The server knows the name, and says why it does not serve it.
    pub async fn model(&self, name: &str) -> Result<Option<Value>, Failure> {
        if !is_id(name) {
            return Ok(None);
        }
        let sent = self.http.get(self.url(&format!("/v1/models/{name}")));
        let response = sent
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        match response.status() {
            StatusCode::OK => self.json(response).await.map(Some),
            StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE => {
                self.accept(Ok(response)).await.map(|_| None)
            }
            _ => Ok(None),
        }
    }

    /// The server's receipt of a call; other sellers issue none.
    pub async fn receipt(&self, id: &str) -> Result<Option<PublishedReceipt>, Failure> {
        // The id comes from the server and must not lead to another path than receipts.
        if !is_id(id) {
            return Ok(None);
        }
        let sent = self
            .http
            .get(self.url(&format!("/v1/receipts/{id}")))
            .send();
        let response = sent.await.map_err(|error| self.unreachable(&error))?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let value = self.json(self.accept(Ok(response)).await?).await?;
        self.typed(&value).map(Some)
    }

    /// Part of an answer in the format of an openlora server.
    pub fn typed<T: DeserializeOwned>(&self, value: &Value) -> Result<T, Failure> {
        T::deserialize(value).map_err(|_| self.foreign())
    }

    async fn get(&self, path: &str) -> Result<Value, Failure> {
        let sent = self.http.get(self.url(path)).send().await;
        self.json(self.accept(sent).await?).await
    }

    /// Posts a call. The id makes the request idempotent.
    pub async fn send(
        &self,
        wanted: &CallParams,
        id: &str,
        payment: Option<&str>,
    ) -> Result<CallReply, Failure> {
        let CallParams { path, body, .. } = wanted;
        self.post(path, body, id, payment).await
    }

    /// Repeats a paid call, byte for byte as it was ordered.
    pub async fn repeat(&self, order: &CallOrder, payment: &str) -> Result<CallReply, Failure> {
        self.post(&order.path, &order.body, &order.request_id, Some(payment))
            .await
    }

    async fn post(
        &self,
        path: &str,
        body: &str,
        id: &str,
        payment: Option<&str>,
    ) -> Result<CallReply, Failure> {
        let mut request = self
            .http
            .post(self.url(path))
            .header("idempotency-key", id)
            .header("content-type", "application/json")
            .body(body.to_owned());
        if let Some(payment) = payment {
            request = request.header(PAYMENT_SIGNATURE, payment);
        }
        self.reply(request).await
    }

    async fn reply(&self, request: reqwest::RequestBuilder) -> Result<CallReply, Failure> {
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let header = |name: &str| {
            let value = response.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let terms = header(PAYMENT_REQUIRED);
        let pause = header("retry-after").and_then(|text| text.parse().ok());
        let waits = matches!(
            response.status(),
            StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::CONFLICT
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::TOO_EARLY
        );
        match (response.status(), terms, pause) {
            (StatusCode::PAYMENT_REQUIRED, Some(terms), _) => Ok(CallReply::Unpaid(terms)),
            (_, _, Some(seconds)) if waits => match self.accept(Ok(response)).await {
                Err(failure) => Ok(CallReply::Later(Duration::from_secs(seconds), failure)),
                Ok(response) => Ok(CallReply::Answer(response)),
            },
            _ => Ok(CallReply::Answer(self.accept(Ok(response)).await?)),
        }
    }

    /// The response to a `GET` of a paid route: the terms, or the result of a payment there.
    pub async fn probe(&self, route: &str, payment: Option<&str>) -> Result<CallReply, Failure> {
        let mut request = self.http.get(route);
        if let Some(payment) = payment {
            request = request.header(PAYMENT_SIGNATURE, payment);
        }
        self.reply(request).await
    }

    /// An answer as JSON.
    pub async fn json(&self, response: Response) -> Result<Value, Failure> {
        let text = self.text(response).await?;
        serde_json::from_slice(&text).map_err(|_| self.foreign())
    }

    /// A body, up to the maximum size.
    async fn text(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut text = Vec::new();
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|error| self.broken(&error))?
        {
            if text.len() + piece.len() > LARGEST {
                return Err(self.endless());
            }
            text.extend_from_slice(&piece);
        }
        Ok(text)
    }

    /// The error for an answer above the maximum size.
    pub fn endless(&self) -> Failure {
        let message = format!(
            "{} answers more than {LARGEST} bytes, which is not read",
            self.place()
        );
        Failure::new(ExitClass::Verification, message)
    }

    async fn accept(&self, sent: Result<Response, reqwest::Error>) -> Result<Response, Failure> {
        let response = sent.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get("location");
            let to = to.map_or_else(String::new, |to| {
                format!(
                    " to {}",
                    clean_line(&String::from_utf8_lossy(to.as_bytes()))
                )
            });
            let message = format!(
                "the server at {} sends callers on{to}, and payments do not follow",
                self.place()
            );
            return Err(Failure::new(ExitClass::Network, message)
                .with_hint("name that address with --url if you mean to buy there"));
        }
        let text = self.text(response).await?;
        match serde_json::from_slice::<Value>(&text) {
            Ok(envelope) if envelope["error"].is_object() => {
                Err(refused(status, &envelope["error"]))
            }
            _ => Err(self.foreign()),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        if !error.is_connect() {
            return self.broken(error);
        }
        let message = format!(
            "no server answers at {}",
            self.base.as_str().trim_end_matches('/')
        );
        Failure::new(ExitClass::Network, message)
            .with_hint("start one with `openlora serve --local`, or name another with --url")
    }

    pub fn broken(&self, error: &reqwest::Error) -> Failure {
        let what = if error.is_timeout() {
            "said nothing for too long"
        } else {
            "broke off"
        };
        let place = self.base.as_str().trim_end_matches('/');
        Failure::new(ExitClass::Network, format!("the server at {place} {what}"))
            .with_hint("look at the server's own messages, then call again")
    }

    fn foreign(&self) -> Failure {
        let place = self.base.as_str().trim_end_matches('/');
        let message = format!("what answers at {place} is no openlora server");
        Failure::new(ExitClass::Network, message)
            .with_hint("name the server with --url, such as --url http://127.0.0.1:8080")
    }
}

/// The server's error message, with the exit class that its status implies.
pub fn refused(status: StatusCode, error: &Value) -> Failure {
    let class = match status.as_u16() {
        404 => ExitClass::Usage,
        400 | 413 | 415 | 422 => ExitClass::BadInput,
        _ => ExitClass::Network,
    };
    Failure::new(
        class,
        format!(
            "the server refused: {}",
            clean_line(text_at(error, "message"))
        ),
    )
}

/// The HTTP client. It follows no redirects, so that a payment goes only to the named address, and
/// it limits time and memory.
fn http(base: &Url, longest: Duration) -> Result<reqwest::Client, Failure> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .timeout(longest)
        .redirect(reqwest::redirect::Policy::none())
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .user_agent(concat!("openlora/", env!("CARGO_PKG_VERSION")));
    // A proxy cannot reach addresses of this machine.
    let builder = match is_local(base) {
        true => builder.no_proxy(),
        false => builder,
    };
    builder.build().map_err(|error| {
        let message = format!("cannot make an HTTP client: {error}");
        Failure::new(ExitClass::Internal, message)
    })
}

/// Whether a text has the characters of a request id.
pub fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:~".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(plain) && text != ".."
}

fn parse(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).ok();
    let fits = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    url.filter(fits).map(server_root).ok_or_else(|| {
        let message = format!("--url {text}: expected an address such as http://127.0.0.1:8080");
        Failure::new(ExitClass::Usage, message)
    })
}

fn own(context: &CommandContext) -> Result<Url, Failure> {
    let settings = &context.settings.serve;
    let host = match settings.host.as_str() {
        "0.0.0.0" | "::" => "127.0.0.1".to_owned(),
        v6 if v6.contains(':') => format!("[{v6}]"),
        other => other.to_owned(),
    };
    let port = settings.port;
    if port == 0 {
        return Err(Failure::new(
            ExitClass::Usage,
            "serve.port is 0, so the server's port is unknown",
        )
        .with_hint("name the server with --url, as `openlora serve` printed it"));
    }
    let url = parse(&format!("http://{host}:{port}"))?;
    if is_local(&url) || context.settings.is_own("serve.host") {
        return Ok(url);
    }
    let file = context.settings.project_file.clone().unwrap_or_default();
    let message = format!(
        "{}: `serve.host` of a project file names another machine: expected an address of this \
         one, found {}",
        file.display(),
        clean_line(&host)
    );
    Err(Failure::new(ExitClass::BadInput, message)
        .with_hint(format!("if you mean to call it, add --url {url}")))
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
