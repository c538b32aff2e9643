//! Asking the host's own name servers.
//!
//! They are this host's, not the monitor's. So their trouble is ours and never the
//! target's ([`own_servers`]). And they know names of networks that no monitor
//! may look into: what they tell of an address that the egress policy refuses
//! stays here, as it does where a check would connect to it ([`crate::probe::route`]).

use super::answer::Reply;
use super::query::Question;
use super::{DnsProbe, udp};
use crate::clock;
use crate::probe::deadline::{Deadline, Phase};
use crate::probe::failure::Failure;
use crate::probe::route::refused_name;
use crate::probe::{ProbeContext, limits, own_servers};
use hyperverge_protocol::duration::Span;
use hyperverge_protocol::egress::EgressPolicy;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Instant;

const NOERROR: &str = "NOERROR";
/// Codes of a server that served whoever asked.
const SERVED: [&str; 2] = [NOERROR, "NXDOMAIN"];
/// Codes that a server may give for its own trouble, whatever was asked.
const DOUBTFUL: [&str; 2] = ["SERVFAIL", "REFUSED"];

/// Whether the host's servers may be asked: about a name that stands for an address
/// only where that one may be checked.
pub(super) fn may_ask(question: &Question, egress: &EgressPolicy) -> Result<(), Failure> {
    let judged = question.address().map_or(Ok(()), |address| egress.judge(address));
    // What the monitor names itself may be told.
    judged.map_err(|rule| Failure::policy(Reason::PolicyAddress, rule.to_string()))
}

impl DnsProbe {
    /// Asks the host's own name servers.
    pub(super) async fn ask_own(
        &self,
        question: &Question,
        context: &ProbeContext,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<Reply, Failure> {
        let own = &context.0.name_servers;
        let servers = own.of_family(self.family)?;
        let began_ms = clock::boot_ms();
        let witness = answers_at_all(&servers, deadline.end(), self.timeout);
        let asking = self.ask_in_turn(question, &servers, deadline, seen);
        let reply = match own.last.accompany(asking, witness).await {
            Ok(reply) => reply,
            Err(failure)
                if failure.reason == Reason::DnsTimeout && own.last.is_long_ago(began_ms) =>
            {
                return Err(own_servers::silent());
            }
            Err(failure) => return Err(of_ours(failure)),
        };
        let code = reply.facts.rcode.as_str();
        if SERVED.contains(&code) {
            own.last.note();
        }
        if DOUBTFUL.contains(&code) && !self.serves_others(context, began_ms, deadline, seen).await
        {
            return Err(own_servers::useless());
        }
        context.0.egress.judge_all(&reply.addresses).map_err(|rule| {
            // How long the answer was, and who gave it, is nobody's affair either.
            (seen.body_bytes, seen.address) = (0, None);
            refused_name(&self.target, &rule)
        })?;
        Ok(reply)
    }

    /// Whether the server that answered serves others too. It is asked itself: that another
    /// one of this host does well says nothing of it.
    async fn serves_others(
        &self,
        context: &ProbeContext,
        began_ms: i64,
        deadline: &mut Deadline<'_>,
        seen: &Observation,
    ) -> bool {
        let last = &context.0.name_servers.last;
        let end = clock::monotonic() + limits::OWN_SERVERS_WITNESS;
        let witness = answers_at_all(seen.address.as_slice(), end, self.timeout);
        match deadline.within(Phase::Processing, witness).await {
            Ok(true) => {
                last.note();
                true
            }
            Ok(false) => false,
            // The check's time is over; what was heard during it has to do.
            Err(_) => !last.is_long_ago(began_ms),
        }
    }
}

/// Whether any of `servers` answers, and with no error, a question that needs nobody else's.
async fn answers_at_all(servers: &[SocketAddr], end: Instant, timeout: Span) -> bool {
    let Ok(question) = Question::of_root() else { return false };
    if servers.is_empty() {
        return false;
    }
    let asking = servers.iter().take(limits::CONNECT_ADDRESSES).map(|server| {
        let question = &question;
        Box::pin(async move {
            let timer = pin!(tokio::time::sleep_until(tokio::time::Instant::from_std(end)));
            let mut deadline = Deadline::new(end, timeout, timer);
            let mut unseen = Observation::bare(Outcome::Ok, None, "");
            match udp::ask(question, *server, &mut deadline, &mut unseen).await {
                // One that is cut has more to tell than that it refuses.
                Ok(reply) if reply.as_ref().is_none_or(|it| it.facts.rcode == NOERROR) => Ok(()),
                _ => Err(()),
            }
        })
    });
    futures_util::future::select_ok(asking).await.is_ok()
}

/// Our own name servers: not reaching them is our trouble. That they do not
/// answer may be due to the name.
fn of_ours(failure: Failure) -> Failure {
    match failure.reason {
        Reason::ConnectRefused
        | Reason::ConnectReset
        | Reason::ConnectUnreachable
        | Reason::ConnectError
        | Reason::TimeoutConnect => {
            let what = failure.message;
            let message = format!("the agent's own name servers cannot be reached: {what}");
            Failure::unsupported(Reason::AgentFault, message)
        }
        _ => failure,
    }
}
