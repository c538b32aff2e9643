//! One question in a POST over HTTP/2 (RFC 8484).

use super::answer::Reply;
use super::query::Question;
use super::stream::unanswered;
use crate::probe::ProbeContext;
use crate::probe::deadline::Deadline;
use crate::probe::failure::Failure;
use crate::probe::http::post::{Post, Resource};
use crate::probe::limits;
use crate::probe::wire::Wire;
use ::http::HeaderValue;
use hyperverge_protocol::outcome::{Observation, Reason};
use tokio_rustls::client::TlsStream;

const MEDIA_TYPE: &str = "application/dns-message";

/// Asks over `stream`, which is connected to whom people know as `shown`.
pub(super) async fn ask(
    context: &ProbeContext,
    question: &Question,
    (resource, shown): (&Resource, &str),
    stream: TlsStream<Wire>,
    deadline: &mut Deadline<'_>,
    seen: &mut Observation,
) -> Result<Reply, Failure> {
    let sent = question.with_id_0();
    let limit = limits::DNS_MESSAGE_BYTES;
    let post = Post { media_type: MEDIA_TYPE, body: sent.clone(), limit };
    let posted =
        resource.post(context, stream, post, deadline, seen).await.map_err(
            |failure| match failure.reason {
                Reason::TimeoutProcessing => unanswered(shown),
                _ => failure,
            },
        )?;
    let failed = |reason, what: &str| Err(Failure::target(reason, format!("{shown} {what}")));
    if !posted.status.is_success() {
        let code = posted.status.as_u16();
        return failed(Reason::Status, &format!("answered with HTTP status {code}, expected 200"));
    }
    if !posted.media_type.as_ref().is_some_and(is_message) {
        return failed(Reason::DnsMalformed, "answered with something else than a DNS message");
    }
    if posted.body.len() > limit {
        return failed(Reason::DnsMalformed, "answered with more bytes than a DNS message has");
    }
    seen.body_bytes = posted.body.len() as u64;
    Reply::read(&posted.body, &sent, question).map_err(|mismatch| mismatch.failure(shown))
}

/// The media type, whatever its parameters.
fn is_message(media_type: &HeaderValue) -> bool {
    let text = media_type.to_str().unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(MEDIA_TYPE)
}
