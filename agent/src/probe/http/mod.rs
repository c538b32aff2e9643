//! `kind: http`: one request, its redirects, and what the answer must be.
//!
//! Each hop is a connection of its own, made and measured by this crate:
//! resolve, connect, TLS, then one exchange in `exchange.rs`. HTTP/1.1 is what
//! is spoken today; another version is another module beside `exchange.rs`,
//! chosen by what ALPN agreed on, and nothing above it changes.

mod exchange;
mod meter;
mod redirect;
mod request;
mod target;

use super::deadline::Deadline;
use super::dial::{add, dial, secure};
use super::failure::Failure;
use super::route::Route;
use super::tls::{self, TlsClient, alpn};
use super::{CheckId, Probe, ProbeContext};
use crate::clock;
use ::http::HeaderValue;
use ::http::response::Parts;
use exchange::Exchange;
use hyperverge_agent_core::judge::Judge;
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::egress::parse_url;
use hyperverge_protocol::limits::RESPONSE_BODY_BYTES;
use hyperverge_protocol::monitor::MonitorSpec;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use meter::Stream;
use redirect::Hop;
use request::Template;
use std::pin::pin;
use std::sync::Arc;
use target::Target;

/// A monitor of this kind, ready to be checked.
#[derive(Debug)]
pub struct HttpProbe {
    first: Hop,
    template: Template,
    judge: Judge,
    timeout: Span,
    redirects: u8,
    route: Route,
    /// For hosts that the monitor did not name.
    elsewhere: Route,
    tls: TlsClient,
    tls_elsewhere: TlsClient,
}

impl Probe for HttpProbe {
    fn prepare(context: &ProbeContext, spec: &MonitorSpec) -> Result<Self, Failure> {
        let refuse =
            |rule: String| Failure::unsupported(Reason::UnsupportedSpec, format!("target {rule}"));
        let url = parse_url(&spec.target).map_err(|rule| refuse(rule.to_string()))?;
        let target = Target::new(url, &context.0.egress)
            .map_err(|error| error.into_failure(|rule| refuse(rule.to_owned())))?;
        let route = Route::new(&spec.network);
        let tls = |options| context.0.tls.client(options, spec.http.verify, alpn::HTTP_1);
        Ok(Self {
            first: Hop::first(Arc::new(target), spec.http.method),
            template: Template::new(&spec.http, &context.0.user_agent),
            judge: Judge::new(spec).map_err(|problem| {
                Failure::unsupported(Reason::UnsupportedSpec, problem.to_string())
            })?,
            timeout: spec.timeout(),
            redirects: spec.http.redirects,
            elsewhere: route.elsewhere(),
            route,
            tls: tls(&spec.tls)?,
            tls_elsewhere: tls(&tls::elsewhere(&spec.tls))?,
        })
    }

    async fn run(&self, context: &ProbeContext, check: &CheckId) -> Observation {
        let started = clock::monotonic();
        let end = started + self.timeout.0;
        let timer = pin!(tokio::time::sleep_until(tokio::time::Instant::from_std(end)));
        let mut deadline = Deadline::new(end, self.timeout, timer);
        let mut seen = Observation::bare(Outcome::Ok, None, "");
        let went = self.follow(context, check, &mut deadline, &mut seen).await;
        let took = clock::monotonic().saturating_duration_since(started);
        let judged = went.map_err(|failure| failure.unless_stalled(took, self.timeout));
        if let Err(failure) = judged {
            failure.end(&mut seen);
        }
        seen
    }
}

impl HttpProbe {
    /// Goes from hop to hop until an answer is no redirect, and judges that one.
    async fn follow(
        &self,
        context: &ProbeContext,
        check: &CheckId,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<(), Failure> {
        let mut hop = self.first.clone();
        loop {
            let stream = self.dial(context, &hop.target, deadline, seen).await?;
            let request = self.template.request(&hop, check);
            let mut exchange = Exchange::new(stream, &hop.target.shown);
            let sent = exchange.send(request, deadline).await;
            add(&mut seen.phases.processing, exchange.processing());
            let head = sent?;
            seen.status = Some(head.status.as_u16());
            let next = match self.redirects {
                0 => None,
                _ => redirect::next(&hop, &head, !self.template.body.is_empty())?,
            };
            let Some(next) = next else {
                return self.finish(exchange, &head, deadline, seen).await;
            };
            if seen.redirects >= self.redirects {
                let message = format!("redirected more than {} times", self.redirects);
                return Err(Failure::target(Reason::RedirectLimit, message));
            }
            hop = next.judged(&context.0.egress)?;
            seen.redirects += 1;
        }
    }

    /// From a target to a stream that speaks to it, phase by phase.
    async fn dial(
        &self,
        context: &ProbeContext,
        target: &Target,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<Stream, Failure> {
        let same_host = target.url.host() == self.first.target.url.host();
        let (route, tls) = match same_host {
            true => (&self.route, &self.tls),
            false => (&self.elsewhere, &self.tls_elsewhere),
        };
        let wire = dial(context, route, &target.destination, target.port, deadline, seen).await?;
        let Some(name) = &target.server_name else { return Ok(Stream::Plain(wire)) };
        let secured = secure(tls, name, &target.shown, wire, deadline, seen).await?;
        Ok(Stream::Tls(Box::new(secured.stream)))
    }

    /// Reads and judges the answer that was no redirect.
    async fn finish(
        &self,
        mut exchange: Exchange<'_>,
        head: &Parts,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<(), Failure> {
        if let Err(judgement) = self.judge.judge_status(head.status.as_u16()) {
            seen.sample = exchange.sample(deadline).await;
            return Err(judgement.into());
        }
        let mut reader = self.judge.body_reader();
        let read = exchange.read(&mut reader, RESPONSE_BODY_BYTES, deadline).await;
        add(&mut seen.phases.transfer, exchange.transfer(read.is_ok()));
        seen.body_bytes = reader.bytes();
        let judged = read.and_then(|()| {
            let headers = if self.judge.wants().headers { listed(head) } else { Vec::new() };
            let answer = reader.answer(&headers);
            Ok(self.judge.judge(seen, &answer, clock::wall_unix_s())?)
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
