//! A mail server that delivers nothing: it shows each message's subject and
//! keeps the message as a file, `mail/1.eml` and so on.
//!
//! Just enough of SMTP (RFC 5321) for one sender that behaves. The end-to-end
//! tests use a real server.

use super::inbox::{Inbox, Notice, Via};
use anyhow::{Context, Result};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The longest session, in bytes and in time.
const SESSION_BYTES: u64 = 1024 * 1024;
const SESSION_TIMEOUT: Duration = Duration::from_secs(60);

/// Where messages go.
#[derive(Debug)]
struct Mailbox {
    inbox: Inbox,
    folder: PathBuf,
    arrived: AtomicU32,
}

/// Starts a mail server on a free port of 127.0.0.1 that keeps messages in
/// `folder`, and answers its `host:port`. It runs as long as the program.
pub(super) async fn start(inbox: Inbox, folder: &Path) -> Result<String> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("opening the mail server")?;
    let address = listener.local_addr()?.to_string();
    let mailbox =
        Arc::new(Mailbox { inbox, folder: folder.to_owned(), arrived: AtomicU32::default() });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mailbox = Arc::clone(&mailbox);
            // A session that breaks off brought no message; the sender tries again.
            tokio::spawn(async move {
                tokio::time::timeout(SESSION_TIMEOUT, converse(stream, &mailbox)).await.ok();
            });
        }
    });
    Ok(address)
}

async fn converse(stream: TcpStream, mailbox: &Mailbox) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader.take(SESSION_BYTES));
    writer.write_all(b"220 demo.localhost ESMTP\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let verb = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" | "HELO" => "250 demo.localhost",
            "MAIL" | "RCPT" | "RSET" | "NOOP" => "250 ok",
            "DATA" => {
                writer.write_all(b"354 go ahead\r\n").await?;
                let Some(message) = read_message(&mut reader).await? else { return Ok(()) };
                mailbox.keep(&message)?;
                "250 kept"
            }
            "QUIT" => {
                return writer.write_all(b"221 bye\r\n").await;
            }
            _ => "502 not here",
        };
        writer.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
}

/// A message up to its lone dot; none if the session breaks off before.
async fn read_message(
    reader: &mut (impl AsyncBufReadExt + Unpin),
) -> std::io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        match line.strip_prefix(b".") {
            Some(b"\r\n" | b"\n") => return Ok(Some(message)),
            Some(stuffed) => message.extend_from_slice(stuffed),
            None => message.extend_from_slice(&line),
        }
    }
}

impl Mailbox {
    fn keep(&self, message: &[u8]) -> std::io::Result<()> {
        let number = self.arrived.fetch_add(1, Ordering::Relaxed) + 1;
        std::fs::write(self.folder.join(format!("{number}.eml")), message)?;
        let subject = subject(message);
        let kind = kind(&subject);
        self.inbox.take(Notice { via: Via::Email, kind, headline: subject });
        Ok(())
    }
}

/// The subject, unfolded.
fn subject(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let mut lines = text.lines().take_while(|line| !line.is_empty());
    let first = lines.find_map(|line| line.strip_prefix("Subject:")).unwrap_or_default();
    let folded = lines.take_while(|line| line.starts_with([' ', '\t'])).map(str::trim);
    std::iter::once(first.trim()).chain(folded).collect::<Vec<_>>().join(" ")
}

/// What the subject's first words say happened.
fn kind(subject: &str) -> String {
    let subject = subject.to_ascii_lowercase();
    let word = ["resolved", "widened"].into_iter().find(|word| subject.contains(word));
    word.unwrap_or("opened").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_is_kept_as_it_was_sent() {
        let folder = tempfile::tempdir().expect("a folder");
        let inbox = Inbox::default();
        let address = start(inbox.clone(), folder.path()).await.expect("started");
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let session = "EHLO me\r\nMAIL FROM:<a@localhost>\r\nRCPT TO:<b@localhost>\r\nDATA\r\n\
            From: a@localhost\r\nSubject: shop is\r\n down\r\n\r\nhello\r\n..dot\r\n.\r\nQUIT\r\n";
        stream.write_all(session.as_bytes()).await.expect("sent");
        let mut replies = String::new();
        stream.read_to_string(&mut replies).await.expect("answered");
        assert!(replies.ends_with("354 go ahead\r\n250 kept\r\n221 bye\r\n"), "{replies}");
        let kept = std::fs::read_to_string(folder.path().join("1.eml")).expect("kept");
        assert!(kept.ends_with("\r\n\r\nhello\r\n.dot\r\n"), "{kept}");
        assert_eq!(subject(kept.as_bytes()), "shop is down");
        assert_eq!(inbox.kinds(Via::Email), ["opened"]);
    }
}
