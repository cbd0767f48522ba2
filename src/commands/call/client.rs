//! Talking to a server: where it is, and what its refusals mean here.

use std::time::Duration;

use reqwest::{Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    commands::Context,
    error::{ExitClass, Failure},
    runtime::serve::PublishedReceipt,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest silence while the model works.
const READ_TIMEOUT: Duration = Duration::from_secs(300);

/// A server, reached over HTTP.
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// A text field of an object, empty when it is not there.
pub fn text_at<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

impl Client {
    /// The server at `url`, or where `serve` would listen with these settings.
    pub fn new(context: &Context, url: Option<&str>) -> Result<Self, Failure> {
        let base = match url {
            Some(url) => parse(url)?,
            None => own(context)?,
        };
        let local = is_local(&base);
        if context.offline && !local {
            let message = format!("--offline forbids calling {base}");
            return Err(Failure::new(ExitClass::Usage, message)
                .with_hint("leave --offline out, or call a server on this machine"));
        }
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .user_agent(concat!("openlora/", env!("CARGO_PKG_VERSION")));
        // A proxy cannot reach this machine's own addresses.
        let builder = if local { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(|error| {
            Failure::new(
                ExitClass::Internal,
                format!("cannot make an HTTP client: {error}"),
            )
        })?;
        Ok(Self { http, base })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    /// The adapters that the server has.
    pub async fn models(&self) -> Result<Vec<Value>, Failure> {
        let answer = self.get("/v1/models").await?;
        match &answer["data"] {
            Value::Array(models) => Ok(models.clone()),
            _ => Err(self.foreign()),
        }
    }

    pub async fn receipt(&self, id: &str) -> Result<PublishedReceipt, Failure> {
        self.typed(&self.get(&format!("/v1/receipts/{id}")).await?)
    }

    /// Part of an answer in the form that an openlora server gives it.
    pub fn typed<T: DeserializeOwned>(&self, value: &Value) -> Result<T, Failure> {
        T::deserialize(value).map_err(|_| self.foreign())
    }

    async fn get(&self, path: &str) -> Result<Value, Failure> {
        let sent = self.http.get(self.url(path)).send().await;
        self.read(self.accept(sent).await?).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.read(self.open(path, body).await?).await
    }

    /// Posts and returns the answer before its body has come. The id makes the call countable
    /// once, whatever happens on the way.
    pub async fn open(&self, path: &str, body: &Value) -> Result<Response, Failure> {
        let id = uuid::Uuid::now_v7().to_string();
        let request = self
            .http
            .post(self.url(path))
            .header("idempotency-key", id)
            .json(body);
        self.accept(request.send().await).await
    }

    async fn read(&self, response: Response) -> Result<Value, Failure> {
        let text = response.text().await.map_err(|error| self.broken(&error))?;
        serde_json::from_str(&text).map_err(|_| self.foreign())
    }

    async fn accept(&self, sent: Result<Response, reqwest::Error>) -> Result<Response, Failure> {
        let response = sent.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.map_err(|error| self.broken(&error))?;
        match serde_json::from_str::<Value>(&text) {
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
            .with_hint("start one with `openlora serve --local --free`, or name another with --url")
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

/// The server's own message, in the class that tells whose turn it is.
pub fn refused(status: StatusCode, error: &Value) -> Failure {
    let class = match status.as_u16() {
        404 => ExitClass::Usage,
        400 | 413 | 415 | 422 => ExitClass::BadInput,
        _ => ExitClass::Network,
    };
    Failure::new(
        class,
        format!("the server refused: {}", text_at(error, "message")),
    )
}

fn parse(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).ok();
    let fits = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    url.filter(fits).ok_or_else(|| {
        let message = format!("--url {text}: expected an address such as http://127.0.0.1:8080");
        Failure::new(ExitClass::Usage, message)
    })
}

fn own(context: &Context) -> Result<Url, Failure> {
    let host = context.settings.text("serve.host").unwrap_or("127.0.0.1");
    let host = match host {
        "0.0.0.0" | "::" => "127.0.0.1".to_owned(),
        v6 if v6.contains(':') => format!("[{v6}]"),
        other => other.to_owned(),
    };
    let port = context.settings.count("serve.port").unwrap_or(0);
    if port == 0 {
        return Err(Failure::new(
            ExitClass::Usage,
            "serve.port is 0, so the server's port is unknown",
        )
        .with_hint("name the server with --url, as `openlora serve` printed it"));
    }
    parse(&format!("http://{host}:{port}"))
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
