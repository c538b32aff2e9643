//! One POST in HTTP/2, for other kinds of check that speak above it.

use super::exchange::{Exchange, version};
use super::stream::Stream;
use super::target::Target;
use crate::probe::ProbeContext;
use crate::probe::deadline::Deadline;
use crate::probe::dial::add;
use crate::probe::failure::Failure;
use crate::probe::wire::Wire;
use ::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use ::http::{HeaderValue, Method, Request, StatusCode};
use bytes::Bytes;
use hyperverge_protocol::egress::EgressPolicy;
use hyperverge_protocol::outcome::{HttpFacts, Observation, Reason};
use tokio_rustls::client::TlsStream;
use url::Url;

/// Where to post to.
#[derive(Debug)]
pub(in crate::probe) struct Resource(Target);

/// What to post.
#[derive(Debug)]
pub(in crate::probe) struct Post {
    /// Of the body, and wanted of the answer's.
    pub(in crate::probe) media_type: &'static str,
    pub(in crate::probe) body: Vec<u8>,
    /// Bytes of the answer that are enough.
    pub(in crate::probe) limit: usize,
}

/// What came back.
#[derive(Debug)]
pub(in crate::probe) struct Posted {
    pub(in crate::probe) status: StatusCode,
    pub(in crate::probe) media_type: Option<HeaderValue>,
    /// At most [`Post::limit`] bytes, and one chunk.
    pub(in crate::probe) body: Vec<u8>,
}

impl Resource {
    /// `url` must have passed `parse_url`.
    pub(in crate::probe) fn new(url: Url, egress: &EgressPolicy) -> Result<Self, Failure> {
        let unusable = |rule: &str| Failure::unsupported(Reason::UnsupportedSpec, rule);
        Target::new(url, egress).map(Self).map_err(|error| error.into_failure(unusable))
    }

    /// Posts over `stream`, which has agreed on HTTP/2.
    pub(in crate::probe) async fn post(
        &self,
        context: &ProbeContext,
        stream: TlsStream<Wire>,
        post: Post,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<Posted, Failure> {
        let Post { media_type, body, limit } = post;
        let media_type = HeaderValue::from_static(media_type);
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.0.uri.clone();
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, context.0.user_agent.clone());
        headers.insert(ACCEPT, media_type.clone());
        headers.insert(CONTENT_TYPE, media_type);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        *request.body_mut() = body.into();

        let mut exchange = Exchange::http2(Stream::Tls(Box::new(stream)), &self.0);
        let sent = exchange.send(request, deadline).await;
        add(&mut seen.phases.processing, exchange.processing());
        let head = sent?;
        seen.status = Some(head.status.as_u16());
        seen.details_mut().http = Some(HttpFacts { version: version(&head).to_owned() });
        let mut answer = Vec::new();
        let read = loop {
            match exchange.chunk(deadline).await {
                Ok(Some(chunk)) => answer.extend_from_slice(&chunk),
                Ok(None) => break Ok(()),
                Err(failure) => break Err(failure),
            }
            if answer.len() > limit {
                break Ok(());
            }
        };
        add(&mut seen.phases.transfer, exchange.transfer(read.is_ok()));
        read?;
        Ok(Posted {
            status: head.status,
            media_type: head.headers.get(CONTENT_TYPE).cloned(),
            body: answer,
        })
    }
}
