//! One SMTP conversation: connect, hello, TLS, log in, one message, quit.
//!
//! The steps are taken one by one because they differ in what a failure means:
//! until the message's final dot nothing has arrived; after it, only an answer
//! tells.

use super::server::{SmtpServer, Tls};
use crate::limits::{DELIVERY_ERROR_CHARS, RECEIVER_ANSWER_BYTES};
use crate::notify::attempt::one_line;
use crate::notify::connect::{ConnectError, Connector, Stream};
use crate::notify::sender::Progress;
use hyperverge_control_core::notification::AttemptResult;
use lettre::Message;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::DEFAULT_MECHANISMS;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Quit, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long the farewell may take, once the message is accepted.
const QUIT_WAIT: Duration = Duration::from_secs(2);

/// Why a conversation ended before the message was accepted.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("{0}")]
    Connect(#[from] ConnectError),
    #[error("{step}: {source}")]
    Smtp { step: &'static str, source: lettre::transport::smtp::Error },
}

/// Sends one message to the one address it is for.
pub(super) async fn send(
    connector: &Connector,
    server: &SmtpServer,
    from: &Mailbox,
    message: &Message,
    progress: &Progress,
) -> AttemptResult {
    let mut connection = match hand_over(connector, server, from, message).await {
        Ok(connection) => connection,
        Err(error) => return before_the_dot(&error),
    };
    progress.sent();
    match connection.message(&message.formatted()).await {
        Ok(_) => {
            if tokio::time::timeout(QUIT_WAIT, connection.command(Quit)).await.is_err() {
                tracing::debug!("the mail server did not say goodbye");
            }
            AttemptResult::Accepted
        }
        Err(error) => after_the_dot(&error),
    }
}

/// Everything up to where the server waits for the message itself.
async fn hand_over(
    connector: &Connector,
    server: &SmtpServer,
    from: &Mailbox,
    message: &Message,
) -> Result<AsyncSmtpConnection, SessionError> {
    let at = |step: &'static str| move |source| SessionError::Smtp { step, source };
    let hello = ClientId::Domain(from.email.domain().to_owned());
    let tcp = connector.plainly(&server.url, server.port).await?;
    let stream: Box<dyn Stream> = match server.tls {
        Tls::FromTheStart => Box::new(connector.encrypt(server.host(), tcp).await?),
        Tls::Never | Tls::IfOffered | Tls::Upgraded => Box::new(tcp),
    };
    let stream = Box::new(Capped { inner: stream, left: RECEIVER_ANSWER_BYTES });
    let mut connection =
        AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(at("hello"))?;
    let upgrade =
        server.tls == Tls::Upgraded || (server.tls == Tls::IfOffered && connection.can_starttls());
    if upgrade {
        let tls = TlsParameters::new(server.host().to_owned()).map_err(at("TLS"))?;
        connection.starttls(tls, &hello).await.map_err(at("STARTTLS"))?;
    }
    if let Some(credentials) = &server.credentials {
        connection.auth(DEFAULT_MECHANISMS, credentials).await.map_err(at("login"))?;
    }
    let envelope = message.envelope();
    let mail = Mail::new(envelope.from().cloned(), Vec::new());
    connection.command(mail).await.map_err(at("sender"))?;
    for recipient in envelope.to() {
        let rcpt = Rcpt::new(recipient.clone(), Vec::new());
        connection.command(rcpt).await.map_err(at("recipient"))?;
    }
    connection.command(Data).await.map_err(at("data"))?;
    Ok(connection)
}

fn before_the_dot(error: &SessionError) -> AttemptResult {
    let why = one_line(&error.to_string(), DELIVERY_ERROR_CHARS);
    match error {
        SessionError::Smtp { source, .. } if source.is_permanent() => {
            AttemptResult::Rejected { why }
        }
        SessionError::Smtp { .. } | SessionError::Connect(_) => {
            AttemptResult::Failed { why, retry_after: None }
        }
    }
}

fn after_the_dot(error: &lettre::transport::smtp::Error) -> AttemptResult {
    let why = one_line(&format!("message: {error}"), DELIVERY_ERROR_CHARS);
    if error.is_permanent() {
        AttemptResult::Rejected { why }
    } else if error.is_transient() {
        AttemptResult::Failed { why, retry_after: None }
    } else {
        AttemptResult::Unknown { why }
    }
}

/// Ends a server that talks without end before memory does.
#[derive(Debug)]
struct Capped {
    inner: Box<dyn Stream>,
    left: usize,
}

impl AsyncTokioStream for Capped {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        // lettre only shows it to callers who ask, and none does.
        Ok((Ipv4Addr::UNSPECIFIED, 0).into())
    }
}

impl AsyncRead for Capped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other("the server says too much")));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.left = self.left.saturating_sub(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Capped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
