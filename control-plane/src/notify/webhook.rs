//! The `webhook` channel: a signed POST as Standard Webhooks specifies it.
//!
//! Only a 2xx is an acceptance; a redirect is a failure, because following it
//! would send the notice where nobody configured it. 410 means that the receiver
//! is gone for good. What it answers is read to a limit, and quoted in an error
//! only if it came from a public address: a channel must not become a way to
//! read what stands inside the operator's network.

mod payload;
mod signature;

use super::connect::Connector;
use super::sender::{Outgoing, Progress, Sender};
use crate::clock;
use crate::limits::{DELIVERY_ERROR_CHARS, RECEIVER_ANSWER_BYTES};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use hyperverge_control_core::notification::{AttemptResult, ChannelConfig};
use hyperverge_protocol::egress::parse_url;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// How long an error's text is waited for.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// Posts webhooks.
#[derive(Debug)]
pub(super) struct WebhookSender {
    connector: Connector,
}

impl WebhookSender {
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector }
    }

    async fn post(&self, outgoing: &Outgoing, progress: &Progress) -> AttemptResult {
        let request = match build(outgoing) {
            Ok(request) => request,
            Err(why) => return AttemptResult::Failed { why, retry_after: None },
        };
        let (stream, peer) = match self.connector.to_url(&request.url).await {
            Ok(connected) => connected,
            Err(error) => {
                return AttemptResult::Failed { why: error.to_string(), retry_after: None };
            }
        };
        let handshake = http1::Builder::new()
            .max_buf_size(RECEIVER_ANSWER_BYTES)
            .handshake(TokioIo::new(stream))
            .await;
        let (mut sender, connection) = match handshake {
            Ok(parts) => parts,
            Err(error) => return failed(format!("no HTTP: {error}")),
        };
        // Ends with this attempt, however that ends.
        let _driver = AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a webhook's connection ended badly");
            }
        }));
        progress.sent();
        match sender.send_request(request.http).await {
            Ok(response) => judge(response, Connector::may_quote(peer)).await,
            Err(error) => AttemptResult::Unknown { why: format!("no answer: {error}") },
        }
    }
}

impl Sender for WebhookSender {
    fn send<'a>(
        &'a self,
        outgoing: &'a Outgoing,
        progress: &'a Progress,
    ) -> BoxFuture<'a, AttemptResult> {
        Box::pin(self.post(outgoing, progress))
    }
}

struct Request {
    url: Url,
    http: http::Request<Full<Bytes>>,
}

fn failed(why: String) -> AttemptResult {
    AttemptResult::Failed { why, retry_after: None }
}

/// The signed request, or why there is none.
fn build(outgoing: &Outgoing) -> Result<Request, String> {
    let ChannelConfig::Webhook(config) = &outgoing.config else {
        return Err("the channel is no webhook".to_owned());
    };
    let url = parse_url(&config.url).map_err(|rule| format!("the channel's url {rule}"))?;
    let secret = outgoing.secret.as_ref().ok_or("the channel has no signing secret")?;
    let body = payload::body(outgoing).map_err(|error| format!("no body: {error}"))?;
    let id = outgoing.id.to_string();
    let timestamp = clock::wall_ms().div_euclid(1_000);
    let http = http::Request::post(&url[url::Position::BeforePath..url::Position::AfterQuery])
        .header(http::header::HOST, host(&url))
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(http::header::USER_AGENT, concat!("hyperverge/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", &id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signature::sign(secret.key(), &id, timestamp, &body))
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| format!("no request: {error}"))?;
    Ok(Request { url, http })
}

/// The authority: a port only where it is not the scheme's own.
fn host(url: &Url) -> &str {
    &url[url::Position::BeforeHost..url::Position::AfterPort]
}

async fn judge(response: http::Response<Incoming>, may_quote: bool) -> AttemptResult {
    let status = response.status();
    if status.is_success() {
        return AttemptResult::Accepted;
    }
    let retry_after = retry_after(response.headers(), clock::wall_ms());
    let mut why = format!("answered {status}");
    if status.is_redirection() {
        why.push_str("; redirects are not followed");
    }
    if may_quote && let Some(text) = excerpt(response.into_body()).await {
        why = format!("{why}: {text}");
    }
    match status {
        http::StatusCode::GONE => AttemptResult::Gone { why },
        _ => AttemptResult::Failed { why, retry_after },
    }
}

/// `Retry-After` as seconds or as an HTTP date.
fn retry_after(headers: &http::HeaderMap, wall_ms: i64) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = chrono::DateTime::parse_from_rfc2822(text).ok()?.timestamp_millis();
    Some(Duration::from_millis(u64::try_from(at.saturating_sub(wall_ms)).unwrap_or(0)))
}

/// The beginning of a receiver's answer, on one line.
async fn excerpt(body: Incoming) -> Option<String> {
    let read = Limited::new(body, RECEIVER_ANSWER_BYTES).collect();
    let body = tokio::time::timeout(ANSWER_WAIT, read).await.ok()?.ok()?.to_bytes();
    let text = super::attempt::one_line(&String::from_utf8_lossy(&body), DELIVERY_ERROR_CHARS);
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let asked = |text: &str| {
            let mut headers = http::HeaderMap::new();
            headers.insert(http::header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, 1_445_412_480_000)
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(asked("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        for text in ["", "-5", "soon", "1.5"] {
            assert_eq!(asked(text), None, "{text}");
        }
    }

    #[test]
    fn the_host_header_names_a_port_only_where_it_must() {
        let host = |text: &str| host(&Url::parse(text).unwrap()).to_owned();
        assert_eq!(host("https://example.com/x"), "example.com");
        assert_eq!(host("https://example.com:443/x"), "example.com");
        assert_eq!(host("http://[::1]:8080/x"), "[::1]:8080");
    }
}
