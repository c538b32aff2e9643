//! One connection from its target to the end of what is said on it.

use super::Steps;
use crate::clock;
use crate::probe::conversation::Conversation;
use crate::probe::deadline::Deadline;
use crate::probe::dial::dial;
use crate::probe::endpoint::Target;
use crate::probe::failure::Failure;
use crate::probe::route::Route;
use crate::probe::starttls;
use crate::probe::tls::TlsClient;
use crate::probe::{Ended, ProbeContext};
use hyperverge_agent_core::judge::{Answer, Judge};
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::monitor::{MonitorSpec, StartTls, Step};
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use rustls_pki_types::ServerName;
use std::pin::pin;

/// What every check of one monitor does.
#[derive(Debug)]
pub struct Session {
    target: Target,
    route: Route,
    opening: Opening,
    /// Set where TLS is spoken at all.
    tls: Option<Secure>,
    steps: Steps,
    judge: Judge,
    timeout: Span,
}

/// How a connection begins.
#[derive(Debug, Clone, Copy)]
enum Opening {
    Plain,
    Tls,
    StartTls(StartTls),
}

#[derive(Debug)]
pub(super) struct Secure {
    pub(super) client: TlsClient,
    pub(super) name: ServerName<'static>,
}

impl Session {
    /// With `tls`, TLS is spoken from the first byte.
    pub fn new(
        context: &ProbeContext,
        spec: &MonitorSpec,
        tls: bool,
        steps: &[Step],
    ) -> Result<Self, Failure> {
        let unsupported = |message| Failure::unsupported(Reason::UnsupportedSpec, message);
        let target = Target::new(&spec.target, &context.0.egress)?;
        let opening = match spec.tls.starttls {
            Some(protocol) => Opening::StartTls(protocol),
            None if tls => Opening::Tls,
            None => Opening::Plain,
        };
        let encrypted = !matches!(opening, Opening::Plain) || steps.contains(&Step::Starttls);
        let tls = encrypted.then(|| secure(context, spec, &target)).transpose()?;
        Ok(Self {
            target,
            route: Route::new(&spec.network),
            opening,
            tls,
            steps: Steps::new(steps).map_err(|problem| unsupported(problem.to_string()))?,
            judge: Judge::new(spec).map_err(|problem| unsupported(problem.to_string()))?,
            timeout: spec.timeout(),
        })
    }

    /// Makes one check.
    pub async fn run(&self, context: &ProbeContext) -> Ended {
        let started = clock::monotonic();
        let end = started + self.timeout.0;
        let timer = pin!(tokio::time::sleep_until(tokio::time::Instant::from_std(end)));
        let mut deadline = Deadline::new(end, self.timeout, timer);
        let mut seen = Observation::bare(Outcome::Ok, None, "");
        let went = self.check(context, &mut deadline, &mut seen).await;
        let took = clock::monotonic().saturating_duration_since(started);
        let judged = went.map_err(|failure| failure.unless_stalled(took, self.timeout));
        Ended { seen, judged }
    }

    async fn check(
        &self,
        context: &ProbeContext,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<(), Failure> {
        let (destination, port) = (&self.target.destination, self.target.port);
        let wire = dial(context, &self.route, destination, port, deadline, seen).await?;
        let mut talk = Conversation::new(wire, &self.target.shown);
        let talked = self.talk(&mut talk, deadline, seen).await;
        talk.note(seen);
        let judged = talked.and_then(|()| {
            let answer = Answer { body: talk.heard(), ..Answer::default() };
            Ok(self.judge.judge(seen, &answer, context.0.time.unix_s())?)
        });
        if judged.is_err() {
            seen.sample = talk.sample();
        }
        judged
    }

    async fn talk(
        &self,
        talk: &mut Conversation<'_>,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<(), Failure> {
        if let Opening::StartTls(protocol) = self.opening {
            starttls::negotiate(protocol, talk, deadline).await?;
        }
        if let (Opening::Tls | Opening::StartTls(_), Some(tls)) = (self.opening, &self.tls) {
            talk.begin_tls(&tls.client, &tls.name, deadline, seen).await?;
        }
        self.steps.take(talk, self.tls.as_ref(), deadline, seen).await?;
        talk.end(deadline).await
    }
}

fn secure(context: &ProbeContext, spec: &MonitorSpec, target: &Target) -> Result<Secure, Failure> {
    let protocols: Vec<&str> = spec.tls.alpn.iter().map(String::as_str).collect();
    let client = context.0.tls.client(&spec.tls, spec.tls.verify, &protocols)?;
    let name = target.server_name.clone().ok_or_else(|| {
        Failure::unsupported(Reason::UnsupportedSpec, "target must name a host TLS can verify")
    })?;
    Ok(Secure { client, name })
}
