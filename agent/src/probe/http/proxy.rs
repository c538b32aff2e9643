//! Through a proxy: CONNECT for targets that speak TLS, the whole URL in the
//! request for those that do not, SOCKS5 for either.
//!
//! The proxy's own address is looked up here and judged like any other. The
//! target's is looked up by the proxy, out of sight: only what its URL says in
//! letters is judged (`Target::new` did). Who may use a proxy thus reaches what
//! the proxy reaches, which is the proxy's policy and not this host's.
//!
//! Everything between this host and the proxy that goes wrong is reason `proxy`,
//! except for running out of time. The tunnel's making counts as `connect`, the
//! handshake with a proxy that speaks TLS as `tls`.

use super::stream::Stream;
use super::target::Target;
use crate::clock;
use crate::probe::ProbeContext;
use crate::probe::deadline::{Deadline, Phase};
use crate::probe::dial::{add, dial, secure, since};
use crate::probe::endpoint::server_name;
use crate::probe::failure::Failure;
use crate::probe::limits;
use crate::probe::route::Route;
use crate::probe::tls::{TlsClient, alpn};
use ::http::HeaderValue;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyperverge_protocol::egress::{self, Destination, ProxyScheme, parse_proxy};
use hyperverge_protocol::monitor::TlsOptions;
use hyperverge_protocol::outcome::{Observation, Outcome, Reason};
use rustls_pki_types::ServerName;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Host;

/// A monitor's proxy, ready to be used.
#[derive(Debug)]
pub(super) struct Proxy {
    destination: Destination,
    port: u16,
    speaks: Speaks,
    /// The way to it.
    route: Route,
    /// Host and port for people.
    shown: String,
}

#[derive(Debug)]
enum Speaks {
    Http { secure: Option<(TlsClient, ServerName<'static>)>, authorization: Option<HeaderValue> },
    Socks5 { credentials: Option<Secret> },
}

/// User and password.
struct Secret(String, String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Proxy {
    /// `text` is `http.proxy`; `route` the way to hosts other than the target.
    pub(super) fn new(context: &ProbeContext, text: &str, route: Route) -> Result<Self, Failure> {
        let refuse = |rule: &str| {
            Failure::unsupported(Reason::UnsupportedSpec, format!("http.proxy {rule}"))
        };
        let proxy = parse_proxy(text).map_err(|rule| refuse(&rule.to_string()))?;
        let destination = context
            .0
            .egress
            .judge_url_host(&proxy.url)
            .map_err(|rule| Failure::policy(Reason::PolicyAddress, rule.to_string()))?;
        let host = proxy.url.host().ok_or_else(|| refuse("must name a host"))?;
        let shown = format!("{host}:{}", proxy.port);
        let secure = match proxy.scheme {
            ProxyScheme::Https => {
                let client = context.0.tls.client(&TlsOptions::default(), true, alpn::HTTP_1)?;
                let name = server_name(&host);
                Some((client, name.ok_or_else(|| refuse("must name a host TLS can verify"))?))
            }
            ProxyScheme::Http | ProxyScheme::Socks5 => None,
        };
        let speaks = match proxy.scheme {
            ProxyScheme::Socks5 => Speaks::Socks5 {
                credentials: proxy.credentials.map(|(user, password)| Secret(user, password)),
            },
            ProxyScheme::Http | ProxyScheme::Https => {
                Speaks::Http { secure, authorization: proxy_authorization(&proxy) }
            }
        };
        Ok(Self { destination, port: proxy.port, speaks, route, shown })
    }

    /// Whether a request to `target` is the proxy's to read: then it names the
    /// whole URL and carries [`Self::authorization`].
    pub(super) fn reads(&self, target: &Target) -> bool {
        matches!(self.speaks, Speaks::Http { .. }) && target.server_name.is_none()
    }

    /// `Proxy-Authorization`.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        match &self.speaks {
            Speaks::Http { authorization, .. } => authorization.as_ref(),
            Speaks::Socks5 { .. } => None,
        }
    }

    /// 407 (RFC 9110, section 15.5.8) to a request that the proxy read.
    pub(super) fn refusal(&self) -> Failure {
        self.failure("wants other credentials (407)").before_target()
    }

    /// Connects to the proxy and, where it does not read the request, has it
    /// connect to `target`. Nothing that fails in this shows anything of the target.
    pub(super) async fn dial(
        &self,
        context: &ProbeContext,
        target: &Target,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<Stream, Failure> {
        let dialled = self.tunnel(context, target, deadline, seen).await;
        dialled.map_err(Failure::before_target)
    }

    async fn tunnel(
        &self,
        context: &ProbeContext,
        target: &Target,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<Stream, Failure> {
        let reached = self.reach(context, deadline, seen).await;
        let mut stream = reached.map_err(|failure| self.blamed(failure))?;
        if self.reads(target) {
            return Ok(stream);
        }
        let began = clock::monotonic();
        let tunnel = async {
            match &self.speaks {
                Speaks::Http { authorization, .. } => {
                    self.connect(&mut stream, target, authorization.as_ref()).await
                }
                Speaks::Socks5 { credentials } => {
                    self.socks5(&mut stream, target, credentials.as_ref()).await
                }
            }
        };
        let made = deadline.within(Phase::Connect, tunnel).await;
        add(&mut seen.phases.connect, since(began));
        made??;
        Ok(stream)
    }

    async fn reach(
        &self,
        context: &ProbeContext,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<Stream, Failure> {
        let wire = dial(context, &self.route, &self.destination, self.port, deadline, seen).await?;
        let Speaks::Http { secure: Some((client, name)), .. } = &self.speaks else {
            return Ok(Stream::Plain(wire));
        };
        // The certificate that an observation tells of is the target's.
        let mut aside = Observation::bare(Outcome::Ok, None, "");
        let secured = secure(client, name, &self.shown, wire, deadline, &mut aside).await;
        add(&mut seen.phases.tls, aside.phases.tls);
        Ok(Stream::Tls(Box::new(secured?.stream)))
    }

    /// RFC 9110, section 9.3.6.
    async fn connect(
        &self,
        stream: &mut Stream,
        target: &Target,
        authorization: Option<&HeaderValue>,
    ) -> Result<(), Failure> {
        let authority = target.authority();
        let mut request =
            format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
        if let Some(value) = authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await.map_err(|error| self.gone(&error))?;
        stream.flush().await.map_err(|error| self.gone(&error))?;
        let head = self.read_head(stream).await?;
        match status(&head) {
            Some(200..=299) => Ok(()),
            Some(407) => Err(self.refusal()),
            Some(status) => Err(self.failure(&format!("answered {status} when asked to connect"))),
            None => Err(self.malformed()),
        }
    }

    /// The proxy's answer up to its empty line. Nothing follows it before the
    /// client speaks, so reading too far would be reading an error.
    async fn read_head(&self, stream: &mut Stream) -> Result<Vec<u8>, Failure> {
        let mut head = Vec::new();
        loop {
            let mut chunk = [0; 1_024];
            let read = stream.read(&mut chunk).await.map_err(|error| self.gone(&error))?;
            head.extend_from_slice(&chunk[..read]);
            if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                let success = matches!(status(&head), Some(200..=299));
                return if success && end + 4 < head.len() {
                    Err(self.malformed())
                } else {
                    Ok(head)
                };
            }
            if read == 0 {
                return Err(self.failure("closed the connection"));
            }
            if head.len() > limits::TUNNEL_HEAD_BYTES {
                return Err(self.malformed());
            }
        }
    }

    /// RFC 1928, with RFC 1929 where the proxy asks for it.
    async fn socks5(
        &self,
        stream: &mut Stream,
        target: &Target,
        credentials: Option<&Secret>,
    ) -> Result<(), Failure> {
        let greeting: &[u8] = if credentials.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
        match (self.ask(stream, greeting).await?, credentials) {
            ([5, 0], _) => {}
            ([5, 2], Some(Secret(user, password))) => {
                let (user, password) = (user.as_bytes(), password.as_bytes());
                let lengths = u8::try_from(user.len()).ok().zip(u8::try_from(password.len()).ok());
                let Some((users, passwords)) = lengths else { return Err(self.malformed()) };
                let message = [&[1, users], user, &[passwords], password].concat();
                if self.ask(stream, &message).await? != [1, 0] {
                    return Err(self.failure("refused user and password"));
                }
            }
            ([5, 0xff] | [5, 2], _) => return Err(self.failure("wants other credentials")),
            _ => return Err(self.malformed()),
        }
        let mut request = vec![5, 1, 0];
        request.extend(socks_address(target).ok_or_else(|| self.malformed())?);
        request.extend(target.port.to_be_bytes());
        let [version, reply, _, kind]: [u8; 4] = self.ask(stream, &request).await?;
        if version != 5 {
            return Err(self.malformed());
        }
        if reply != 0 {
            return Err(self.failure(&format!("did not connect: {}", socks_reply(reply))));
        }
        let bound = match kind {
            1 => 4,
            4 => 16,
            3 => usize::from(self.ask::<1>(stream, &[]).await?[0]),
            _ => return Err(self.malformed()),
        };
        let mut rest = vec![0; bound + 2];
        stream.read_exact(&mut rest).await.map_err(|error| self.gone(&error))?;
        Ok(())
    }

    /// Sends `message` and reads the next `N` bytes.
    async fn ask<const N: usize>(
        &self,
        stream: &mut Stream,
        message: &[u8],
    ) -> Result<[u8; N], Failure> {
        stream.write_all(message).await.map_err(|error| self.gone(&error))?;
        stream.flush().await.map_err(|error| self.gone(&error))?;
        let mut answer = [0; N];
        stream.read_exact(&mut answer).await.map_err(|error| self.gone(&error))?;
        Ok(answer)
    }

    fn failure(&self, what: &str) -> Failure {
        Failure::target(Reason::Proxy, format!("the proxy {} {what}", self.shown))
    }

    fn malformed(&self) -> Failure {
        self.failure("does not speak its protocol")
    }

    fn gone(&self, error: &io::Error) -> Failure {
        Failure::of_this_host(error).unwrap_or_else(|| self.failure("closed the connection"))
    }

    /// A failure on the way to the proxy says nothing of the target.
    fn blamed(&self, failure: Failure) -> Failure {
        let timed_out = matches!(
            failure.reason,
            Reason::TimeoutResolve | Reason::TimeoutConnect | Reason::TimeoutTls
        );
        if failure.outcome != Outcome::Fail || timed_out {
            return failure;
        }
        Failure::target(Reason::Proxy, format!("the proxy was not reached: {}", failure.message))
    }
}

fn proxy_authorization(proxy: &egress::Proxy) -> Option<HeaderValue> {
    let (user, password) = proxy.credentials.as_ref()?;
    let mut value = basic(user, password)?;
    value.set_sensitive(true);
    Some(value)
}

/// RFC 7617.
pub(super) fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
    HeaderValue::try_from(format!("Basic {pair}")).ok()
}

fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let digits = rest.get(2..5).filter(|_| rest[0].is_ascii_digit() && rest[1] == b' ')?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn socks_address(target: &Target) -> Option<Vec<u8>> {
    Some(match target.url.host()? {
        Host::Ipv4(address) => [&[1][..], &address.octets()].concat(),
        Host::Ipv6(address) => [&[4][..], &address.octets()].concat(),
        Host::Domain(name) => {
            let length = u8::try_from(name.len()).ok()?;
            [&[3, length], name.as_bytes()].concat()
        }
    })
}

/// RFC 1928, section 6.
fn socks_reply(reply: u8) -> &'static str {
    match reply {
        2 => "its rules forbid it",
        3 => "the network is unreachable",
        4 => "the host is unreachable",
        5 => "the connection was refused",
        6 => "the time to live expired",
        7 => "it does not connect at all",
        8 => "it does not take this kind of address",
        _ => "a general failure",
    }
}
