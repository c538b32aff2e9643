//! `kind: http`: one request, its redirects, and what the answer must be.
//!
//! Each hop is a connection of its own, made and measured by this crate:
//! resolve, connect, TLS (`way.rs`), then one exchange in the version that was
//! agreed on (`exchange/`), whose body goes through `decode.rs` to the judge.

mod cookies;
mod decode;
mod exchange;
mod gunzip;
mod meter;
pub(super) mod post;
mod proxy;
mod redirect;
pub(super) mod request;
mod stream;
mod target;
mod unbrotli;
mod way;

use super::deadline::Deadline;
use super::dial::add;
use super::failure::Failure;
use super::{CheckId, Ended, Probe, ProbeContext};
use crate::clock;
use ::http::response::Parts;
use ::http::{HeaderValue, StatusCode};
use cookies::Jar;
use decode::Intake;
use exchange::Exchange;
use hyperverge_agent_core::judge::Judge;
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::egress::parse_url;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{HttpFacts, Observation, Outcome, Reason};
use redirect::Hop;
use request::Template;
use std::pin::pin;
use std::sync::Arc;
use target::Target;
use way::Way;

/// A monitor of this kind, ready to be checked.
#[derive(Debug)]
pub struct HttpProbe {
    first: Hop,
    way: Way,
    template: Template,
    judge: Judge,
    timeout: Span,
    redirects: u8,
    body_limit: usize,
}

impl Probe for HttpProbe {
    fn prepare(context: &ProbeContext, spec: &MonitorSpec) -> Result<Self, Failure> {
        let refuse =
            |rule: String| Failure::unsupported(Reason::UnsupportedSpec, format!("target {rule}"));
        let url = parse_url(&spec.target).map_err(|rule| refuse(rule.to_string()))?;
        let target = Target::new(url, &context.0.egress)
            .map_err(|error| error.into_failure(|rule| refuse(rule.to_owned())))?;
        Ok(Self {
            first: Hop::first(Arc::new(target), spec.http.method),
            way: Way::new(context, spec)?,
            template: Template::new(&spec.http, &context.0.plain_headers),
            judge: Judge::new(spec).map_err(|problem| {
                Failure::unsupported(Reason::UnsupportedSpec, problem.to_string())
            })?,
            timeout: spec.timeout(),
            redirects: spec.http.redirects,
            body_limit: spec.http.body_limit as usize,
        })
    }

    async fn run(&self, context: &ProbeContext, check: &CheckId<'_>) -> Ended {
        let started = clock::monotonic();
        let end = started + self.timeout.0;
        let timer = pin!(tokio::time::sleep_until(tokio::time::Instant::from_std(end)));
        let mut deadline = Deadline::new(end, self.timeout, timer);
        let mut seen = Observation::bare(Outcome::Ok, None, "");
        let went = self.follow(context, check, &mut deadline, &mut seen).await;
        let took = clock::monotonic().saturating_duration_since(started);
        let judged = went.map_err(|failure| failure.unless_stalled(took, self.timeout));
        Ended { seen, judged }
    }
}

impl HttpProbe {
    /// Goes from hop to hop until an answer is no redirect, and judges that one.
    async fn follow(
        &self,
        context: &ProbeContext,
        check: &CheckId<'_>,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<(), Failure> {
        let mut hop = self.first.clone();
        let mut jar = Jar::default();
        loop {
            let own_host = hop.target.url.host() == self.first.target.url.host();
            let mut exchange = self.way.open(context, &hop, own_host, deadline, seen).await?;
            let proxy = self.way.proxy();
            let request = self.template.request(&hop, check, &jar, proxy);
            let sent = exchange.send(request, deadline).await;
            add(&mut seen.phases.processing, exchange.processing());
            let head = sent?;
            seen.status = Some(head.status.as_u16());
            seen.details_mut().http =
                Some(HttpFacts { version: exchange::version(&head).to_owned() });
            if head.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
                && let Some(proxy) = proxy.filter(|proxy| proxy.reads(&hop.target))
            {
                return Err(proxy.refusal());
            }
            let next = match self.redirects {
                0 => None,
                _ => redirect::next(&hop, &head, !self.template.body.is_empty())?,
            };
            let Some(next) = next else {
                return self.finish(context, exchange, &head, deadline, seen).await;
            };
            if seen.redirects >= self.redirects {
                let message = format!("redirected more than {} times", self.redirects);
                return Err(Failure::target(Reason::RedirectLimit, message));
            }
            let next = next.judged(&context.0.egress)?;
            jar.take(&hop.target.url, &head.headers);
            hop = next;
            seen.redirects += 1;
        }
    }

    /// Reads and judges the answer that was no redirect.
    async fn finish(
        &self,
        context: &ProbeContext,
        mut exchange: Exchange<'_>,
        head: &Parts,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<(), Failure> {
        // Held until the judge is done with the body.
        let mut share = context.0.bodies.share();
        if let Err(judgement) = self.judge.judge_status(head.status.as_u16()) {
            seen.sample = exchange.sample(&head.headers, &mut share, deadline).await;
            return Err(judgement.into());
        }
        let reader = self.judge.body_reader();
        let mut intake = Intake::new(&head.headers, reader, self.body_limit);
        let read = exchange.read(&mut intake, &mut share, deadline).await;
        add(&mut seen.phases.transfer, exchange.transfer(read.is_ok()));
        let reader = intake.into_reader();
        seen.body_bytes = reader.bytes();
        let judged = read.and_then(|()| {
            let headers = if self.judge.wants().headers { listed(head) } else { Vec::new() };
            let answer = reader.answer(&headers);
            Ok(self.judge.judge(seen, &answer, context.0.time.unix_s())?)
        });
        if judged.is_err() {
            seen.sample = reader.into_sample();
        }
        judged
    }
}

/// The headers of an answer for the judge.
fn listed(head: &Parts) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}
