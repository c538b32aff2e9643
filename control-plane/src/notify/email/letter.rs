//! What a mail says.
//!
//! For somebody who is woken by it and has never heard of us: what, since when,
//! where, why, and a link. Every text comes from the composed message, which has
//! no line breaks of its own; addresses go through lettre's types, never into a
//! header as text.

use crate::clock;
use crate::notify::sender::Outgoing;
use hyperverge_control_core::notification::Message as Words;
use lettre::Message;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// Why a mail cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum LetterError {
    #[error("the recipient is no mail address")]
    Recipient(#[from] lettre::address::AddressError),
    #[error("{0}")]
    Build(#[from] lettre::error::Error),
}

/// Keeps holiday notices from answering (RFC 3834).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

pub(super) fn write(outgoing: &Outgoing, from: &Mailbox) -> Result<Message, LetterError> {
    let wall_ms = u64::try_from(clock::wall_ms()).unwrap_or(0);
    let mut builder = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, outgoing.recipient.parse()?))
        .subject(outgoing.message.headline.clone())
        .date(SystemTime::UNIX_EPOCH + Duration::from_millis(wall_ms))
        .message_id(Some(message_id(outgoing.id, from)))
        .header(AutoSubmitted);
    if let Some(opening) = outgoing.opening_id.filter(|opening| *opening != outgoing.id) {
        let opening = message_id(opening, from);
        builder = builder.in_reply_to(opening.clone()).references(opening);
    }
    let why_you = why_you(outgoing);
    let body = MultiPart::alternative_plain_html(
        text(&outgoing.message, &why_you),
        html(&outgoing.message, &why_you),
    );
    Ok(builder.multipart(body)?)
}

fn message_id(id: Uuid, from: &Mailbox) -> String {
    format!("<{id}@{}>", from.email.domain())
}

fn why_you(outgoing: &Outgoing) -> String {
    format!(
        "Sent by HyperVerge, which checks services from several places, because {} is on its \
         notification channel {}.",
        outgoing.recipient, outgoing.channel_name
    )
}

fn text(words: &Words, why_you: &str) -> String {
    let mut lines = vec![words.lead.clone(), String::new()];
    for note in &words.notes {
        lines.extend([note.clone(), String::new()]);
    }
    lines.extend(
        words.facts.iter().map(|fact| format!("{:<9} {}", format!("{}:", fact.label), fact.text)),
    );
    if !words.members.is_empty() {
        lines.extend([String::new(), "These:".to_owned()]);
        lines.extend(words.members.iter().map(|member| format!("  {member}")));
    }
    if !words.regions.is_empty() {
        lines.extend([String::new(), "Seen from each region:".to_owned()]);
        lines.extend(words.regions.iter().map(|region| format!("  {region}")));
    }
    if !words.link.is_empty() {
        lines.extend([String::new(), format!("Details: {}", words.link)]);
    }
    lines.extend([String::new(), "-- ".to_owned(), why_you.to_owned(), String::new()]);
    lines.join("\n")
}

fn html(words: &Words, why_you: &str) -> String {
    let mut page = String::from("<!doctype html>\n<html><body style=\"font-family:sans-serif\">\n");
    page.push_str(&format!("<p><strong>{}</strong></p>\n", escaped(&words.lead)));
    for note in &words.notes {
        page.push_str(&format!("<p><em>{}</em></p>\n", escaped(note)));
    }
    page.push_str("<table>\n");
    for fact in &words.facts {
        let (label, text) = (escaped(fact.label), escaped(&fact.text));
        page.push_str(&format!(
            "<tr><th align=\"left\" valign=\"top\">{label}</th><td>{text}</td></tr>\n"
        ));
    }
    page.push_str("</table>\n");
    if !words.members.is_empty() {
        page.push_str("<p>These:</p>\n<ul>\n");
        for member in &words.members {
            page.push_str(&format!("<li>{}</li>\n", escaped(member)));
        }
        page.push_str("</ul>\n");
    }
    if !words.regions.is_empty() {
        page.push_str("<p>Seen from each region:</p>\n<ul>\n");
        for region in &words.regions {
            page.push_str(&format!("<li>{}</li>\n", escaped(region)));
        }
        page.push_str("</ul>\n");
    }
    if !words.link.is_empty() {
        let link = escaped(&words.link);
        page.push_str(&format!("<p><a href=\"{link}\">{link}</a></p>\n"));
    }
    page.push_str(&format!("<p><small>{}</small></p>\n</body></html>\n", escaped(why_you)));
    page
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::sender::Content;
    use hyperverge_control_core::notification::{ChannelConfig, EmailConfig, Fact};

    fn outgoing(headline: &str) -> Outgoing {
        Outgoing {
            id: Uuid::from_u128(7),
            channel_name: "on-call".into(),
            config: ChannelConfig::Email(EmailConfig { to: vec!["a@example.com".into()] }),
            secret: None,
            recipient: "a@example.com".into(),
            content: Content::Test { at: 0 },
            message: Words {
                headline: headline.into(),
                lead: "<script>alert(1)</script> & \"more\"".into(),
                notes: vec![],
                facts: vec![Fact { label: "Why", text: "a < b".into() }],
                regions: vec!["eu: down".into()],
                members: vec!["<b>".into()],
                link: "https://hv.example.com/?a=1&b=2".into(),
            },
            opening_id: Some(Uuid::from_u128(3)),
        }
    }

    fn written(headline: &str) -> String {
        let from = "HyperVerge <hv@example.org>".parse().unwrap();
        String::from_utf8(write(&outgoing(headline), &from).unwrap().formatted()).unwrap()
    }

    #[test]
    fn headers_hold_what_threads_and_robots_need() {
        let mail = written("[DOWN] x: down");
        let id = Uuid::from_u128(7);
        let opening = Uuid::from_u128(3);
        for line in [
            format!("Message-ID: <{id}@example.org>"),
            format!("In-Reply-To: <{opening}@example.org>"),
            format!("References: <{opening}@example.org>"),
            "Auto-Submitted: auto-generated".to_owned(),
            "Subject: [DOWN] x: down".to_owned(),
        ] {
            assert!(mail.contains(&format!("{line}\r\n")), "{line} in\n{mail}");
        }
    }

    #[test]
    fn a_headline_cannot_become_another_header() {
        let mail = written("x\r\nBcc: everybody@example.com\r\n\r\nbody");
        let head = mail.split("\r\n\r\n").next().unwrap();
        assert!(!head.lines().any(|line| line.to_ascii_lowercase().starts_with("bcc:")), "{head}");
    }

    #[test]
    fn html_shows_texts_as_texts() {
        let page = html(&outgoing("x").message, "you");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;more&quot;"));
        assert!(page.contains("href=\"https://hv.example.com/?a=1&amp;b=2\""));
        assert!(!page.contains("<script"));
    }
}
