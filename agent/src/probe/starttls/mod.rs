//! The dialogues by which protocols that begin in the clear change to TLS.
//!
//! Each ends with the server's go-ahead, and nothing may follow it before the
//! handshake: what a stranger on the way slips in there would be taken for part
//! of what is secured (CVE-2011-0411, CVE-2021-23222).
//!
//! To add a protocol that speaks in lines: a row in `lines.rs`. Any other: a file
//! with one function, and its arm below.

mod ldap;
mod lines;
mod mysql;
mod postgres;

use super::conversation::Conversation;
use super::deadline::Deadline;
use super::failure::Failure;
use hyperverge_protocol::monitor::StartTls;
use hyperverge_protocol::outcome::Reason;

/// Brings `talk` to the point where the client begins its handshake.
pub async fn negotiate(
    protocol: StartTls,
    talk: &mut Conversation<'_>,
    deadline: &mut Deadline<'_>,
) -> Result<(), Failure> {
    match protocol {
        StartTls::Smtp => lines::negotiate(&lines::SMTP, talk, deadline).await,
        StartTls::Imap => lines::negotiate(&lines::IMAP, talk, deadline).await,
        StartTls::Pop3 => lines::negotiate(&lines::POP3, talk, deadline).await,
        StartTls::Ftp => lines::negotiate(&lines::FTP, talk, deadline).await,
        StartTls::Ldap => ldap::negotiate(talk, deadline).await,
        StartTls::Postgres => postgres::negotiate(talk, deadline).await,
        StartTls::Mysql => mysql::negotiate(talk, deadline).await,
    }
}

/// The server does not want to, or does not speak the protocol at all.
fn refused(talk: &Conversation<'_>, how: &str) -> Failure {
    Failure::target(Reason::Starttls, format!("{} {how}", talk.shown()))
}

/// Waits until at least `count` bytes of the answer are there.
async fn at_least(
    count: usize,
    talk: &mut Conversation<'_>,
    deadline: &mut Deadline<'_>,
) -> Result<(), Failure> {
    while talk.answer().len() < count {
        talk.hear(deadline).await?;
    }
    Ok(())
}

/// Holds the server to having said `count` bytes and no more.
fn exactly(count: usize, talk: &Conversation<'_>) -> Result<(), Failure> {
    if talk.answer().len() > count {
        return Err(refused(talk, "went on in the clear after it had agreed to begin TLS"));
    }
    Ok(())
}
