//! From a target to an exchange with it: by which addresses, through which
//! proxy, with whom in TLS, and in which version.

use super::exchange::Exchange;
use super::proxy::Proxy;
use super::redirect::Hop;
use super::stream::Stream;
use super::target::Target;
use crate::probe::ProbeContext;
use crate::probe::deadline::Deadline;
use crate::probe::dial::{dial, secure};
use crate::probe::failure::Failure;
use crate::probe::quic::{self, QuicTarget};
use crate::probe::route::Route;
use crate::probe::tls::{self, TlsClient, alpn};
use hyperverge_protocol::monitor::{HttpVersion, MonitorSpec, TlsOptions};
use hyperverge_protocol::outcome::{Observation, Reason};

/// What all connections of a monitor share.
#[derive(Debug)]
pub(super) struct Way {
    version: HttpVersion,
    proxy: Option<Box<Proxy>>,
    routes: Ways<Route>,
    clients: Ways<TlsClient>,
}

#[derive(Debug)]
struct Ways<T> {
    own: T,
    /// To what the monitor did not name.
    elsewhere: T,
}

impl<T> Ways<T> {
    fn choose(&self, own: bool) -> &T {
        if own { &self.own } else { &self.elsewhere }
    }
}

/// How one hop is reached, and what is shown there.
#[derive(Debug)]
struct Leg<'a> {
    route: &'a Route,
    tls: &'a TlsClient,
}

impl Way {
    pub(super) fn new(context: &ProbeContext, spec: &MonitorSpec) -> Result<Self, Failure> {
        let version = spec.http.version;
        let protocols = match version {
            HttpVersion::Auto => alpn::HTTP_2_OR_1,
            HttpVersion::Http11 => alpn::HTTP_1,
            HttpVersion::Http2 => alpn::HTTP_2,
            HttpVersion::Http3 => alpn::HTTP_3,
        };
        let tls = |options: &TlsOptions| context.0.tls.client(options, spec.http.verify, protocols);
        let route = Route::new(&spec.network);
        let foreign = tls::elsewhere(&spec.tls);
        let proxy = spec
            .http
            .proxy
            .as_deref()
            .map(|text| Proxy::new(context, text, route.elsewhere()).map(Box::new));
        Ok(Self {
            version,
            proxy: proxy.transpose()?,
            routes: Ways { elsewhere: route.elsewhere(), own: route },
            clients: Ways { own: tls(&spec.tls)?, elsewhere: tls(&foreign)? },
        })
    }

    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_deref()
    }

    /// Connects to where `hop` leads, phase by phase. `own_host` says whether that is
    /// the host of the monitor itself: its addresses hold for any port of it. What
    /// section `tls` shows or demands is, like all that a request carries, for
    /// the monitor's own origin.
    pub(super) async fn open<'t>(
        &self,
        context: &ProbeContext,
        hop: &'t Hop,
        own_host: bool,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<Exchange<'t>, Failure> {
        let target: &Target = &hop.target;
        let (route, tls) = (self.routes.choose(own_host), self.clients.choose(!hop.foreign));
        let leg = Leg { route, tls };
        let name = target.server_name.as_ref();
        if self.version == HttpVersion::Http3 {
            let Some(name) = name else { return Err(plain(target)) };
            let (destination, port) = (&target.destination, target.port);
            let whom = QuicTarget { destination, port, name, shown: &target.shown };
            // In a box of its own: few checks need so much room.
            let connecting =
                Box::pin(quic::connect(context, leg.route, whom, leg.tls, deadline, seen));
            return Ok(Exchange::http3(connecting.await?, target));
        }
        let stream = match (&self.proxy, name) {
            (None, None) => Stream::Plain(leg.dial(context, target, deadline, seen).await?),
            (None, Some(name)) => {
                let wire = leg.dial(context, target, deadline, seen).await?;
                let secured = secure(leg.tls, name, &target.shown, wire, deadline, seen).await?;
                Stream::Tls(Box::new(secured.stream))
            }
            (Some(proxy), None) => Box::pin(proxy.dial(context, target, deadline, seen)).await?,
            (Some(proxy), Some(name)) => {
                let below = Box::pin(proxy.dial(context, target, deadline, seen)).await?;
                let secured = secure(leg.tls, name, &target.shown, below, deadline, seen).await?;
                Stream::Tunnel(Box::new(secured.stream))
            }
        };
        self.speak(stream, target)
    }

    /// In the version that was asked for, or agreed on.
    fn speak<'t>(&self, stream: Stream, target: &'t Target) -> Result<Exchange<'t>, Failure> {
        let secure = target.server_name.is_some();
        let agreed = stream.protocol() == Some(b"h2");
        match self.version {
            HttpVersion::Http2 if secure && !agreed => {
                let message = format!("{} does not agree on HTTP/2", target.shown);
                Err(Failure::target(Reason::HttpVersion, message))
            }
            HttpVersion::Http2 => Ok(Exchange::http2(stream, target)),
            HttpVersion::Auto if agreed => Ok(Exchange::http2(stream, target)),
            _ => Ok(Exchange::http1(stream, target)),
        }
    }
}

impl Leg<'_> {
    async fn dial(
        &self,
        context: &ProbeContext,
        target: &Target,
        deadline: &mut Deadline<'_>,
        seen: &mut Observation,
    ) -> Result<crate::probe::wire::Wire, Failure> {
        dial(context, self.route, &target.destination, target.port, deadline, seen).await
    }
}

/// A redirect led here; the target itself is `https` (see `MonitorSpec::check`).
fn plain(target: &Target) -> Failure {
    let message = format!("{} would have to be asked in HTTP/3 without TLS", target.shown);
    Failure::target(Reason::HttpVersion, message)
}
