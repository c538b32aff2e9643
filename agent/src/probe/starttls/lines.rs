//! Protocols that speak in lines: a greeting, then requests and their answers.

use super::{exactly, refused};
use crate::probe::conversation::Conversation;
use crate::probe::deadline::Deadline;
use crate::probe::failure::Failure;
use crate::probe::limits;

/// One protocol's way to TLS.
pub(super) struct Script {
    /// For people.
    name: &'static str,
    greeting: Answer,
    /// What we say, and what must come back. The last one is the request for TLS.
    requests: &'static [(&'static str, Answer)],
}

/// How a good answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// With a line that begins with this code and a space; lines before it begin
    /// with the code and a hyphen, or belong to such a block (RFC 959, section 4.2).
    Code(&'static str),
    /// With a line that begins with the tag; it is good if it begins with the
    /// second text. Lines before it begin otherwise.
    Tagged(&'static str, &'static str),
    /// With its only line, which begins so.
    Line(&'static str),
}

/// RFC 3207.
pub(super) static SMTP: Script = Script {
    name: "SMTP",
    greeting: Answer::Code("220"),
    requests: &[
        ("EHLO hyperverge-agent\r\n", Answer::Code("250")),
        ("STARTTLS\r\n", Answer::Code("220")),
    ],
};

/// RFC 9051, section 6.2.1.
pub(super) static IMAP: Script = Script {
    name: "IMAP",
    greeting: Answer::Line("* OK"),
    requests: &[("a STARTTLS\r\n", Answer::Tagged("a ", "a OK"))],
};

/// RFC 2595, section 4.
pub(super) static POP3: Script = Script {
    name: "POP3",
    greeting: Answer::Line("+OK"),
    requests: &[("STLS\r\n", Answer::Line("+OK"))],
};

/// RFC 4217, section 4.
pub(super) static FTP: Script = Script {
    name: "FTP",
    greeting: Answer::Code("220"),
    requests: &[("AUTH TLS\r\n", Answer::Code("234"))],
};

pub(super) async fn negotiate(
    script: &Script,
    talk: &mut Conversation<'_>,
    deadline: &mut Deadline<'_>,
) -> Result<(), Failure> {
    let mut whole = match listen(script.greeting, talk, deadline).await? {
        Heard::Good(whole) => whole,
        Heard::Bad(_) => {
            let how = format!("did not greet as {} server does", with_article(script.name));
            return Err(refused(talk, &how));
        }
    };
    // What a server adds to an earlier answer is in nobody's way: it is still in the clear.
    for (request, answer) in script.requests {
        talk.say(request.as_bytes(), deadline).await?;
        whole = match listen(*answer, talk, deadline).await? {
            Heard::Good(whole) => whole,
            Heard::Bad(code) => {
                let verb = request.trim_end().trim_start_matches("a ");
                return Err(refused(talk, &format!("refused {verb}{code}")));
            }
        };
    }
    exactly(whole, talk)
}

fn with_article(name: &str) -> String {
    let article = if name.starts_with(['S', 'I', 'F']) { "an" } else { "a" };
    format!("{article} {name}")
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// So many bytes of the answer.
    Good(usize),
    /// The code it was refused with, where the protocol has codes, for people.
    Bad(String),
}

async fn listen(
    wanted: Answer,
    talk: &mut Conversation<'_>,
    deadline: &mut Deadline<'_>,
) -> Result<Heard, Failure> {
    loop {
        match judge(wanted, talk.answer()) {
            Some(heard) => return Ok(heard),
            None if talk.answer().len() > limits::LINE_BYTES * 2 => {
                return Ok(Heard::Bad(String::new()));
            }
            None => talk.hear(deadline).await?,
        }
    }
}

/// Judges what has come so far; `None` while the answer may go on.
fn judge(wanted: Answer, heard: &[u8]) -> Option<Heard> {
    let mut block: Option<&[u8]> = None;
    let mut at = 0;
    for line in heard.split_inclusive(|byte| *byte == b'\n') {
        if line.last() != Some(&b'\n') {
            // Who does not speak in lines at all is not waited for.
            return (line.len() > limits::LINE_BYTES).then(|| Heard::Bad(String::new()));
        }
        at += line.len();
        let good = || Some(Heard::Good(at));
        match wanted {
            Answer::Line(start) if line.starts_with(start.as_bytes()) => return good(),
            Answer::Line(_) => return Some(Heard::Bad(String::new())),
            Answer::Tagged(tag, start) if line.starts_with(tag.as_bytes()) => {
                return match line.starts_with(start.as_bytes()) {
                    true => good(),
                    false => Some(Heard::Bad(String::new())),
                };
            }
            Answer::Tagged(..) => {}
            Answer::Code(code) => match (block, line) {
                (Some(begun), line) if !ends(begun, line) => {}
                (None, [a, b, c, b'-', ..]) if [a, b, c].iter().all(|d| d.is_ascii_digit()) => {
                    block = Some(&line[..3]);
                }
                (_, line) if line.starts_with(code.as_bytes()) => return good(),
                (_, line) => return Some(Heard::Bad(shown_code(line))),
            },
        }
    }
    None
}

/// Whether `line` ends the block that began with the code `begun`.
fn ends(begun: &[u8], line: &[u8]) -> bool {
    line.starts_with(begun) && line.get(3) != Some(&b'-')
}

fn shown_code(line: &[u8]) -> String {
    match line {
        [a, b, c, ..] if [a, b, c].iter().all(|digit| digit.is_ascii_digit()) => {
            format!(" ({}{}{})", char::from(*a), char::from(*b), char::from(*c))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_protocol_says() {
        let good = |bytes| Some(Heard::Good(bytes));
        let bad = |code: &str| Some(Heard::Bad(code.to_owned()));
        let code = Answer::Code("250");
        for (wanted, heard, judged) in [
            (code, "", None),
            (code, "25", None),
            (code, "250 fine", None),
            (code, "250 fine\r\n", good(10)),
            (code, "250\r\n", good(5)),
            (code, "250-first\r\n", None),
            (code, "250-first\r\n250-SIZE\r\n250 STARTTLS\r\n", good(35)),
            (code, "250-first\r\n folded 421\r\n250 end\r\n", good(33)),
            (code, "250 fine\r\n injected", good(10)),
            (code, "454 not now\r\n", bad(" (454)")),
            (code, "454-not\r\n454 now\r\n", bad(" (454)")),
            (code, "hello\r\n", bad("")),
            (code, "\r\n", bad("")),
            (Answer::Tagged("a ", "a OK"), "* CAPABILITY\r\n", None),
            (Answer::Tagged("a ", "a OK"), "* x\r\na OK go\r\n", good(14)),
            (Answer::Tagged("a ", "a OK"), "a BAD no\r\n", bad("")),
            (Answer::Line("+OK"), "+OK\r\n", good(5)),
            (Answer::Line("+OK"), "-ERR\r\n", bad("")),
        ] {
            assert_eq!(judge(wanted, heard.as_bytes()), judged, "{heard:?}");
        }
        assert_eq!(judge(code, &[b'x'; limits::LINE_BYTES + 1]), bad(""));
    }
}
