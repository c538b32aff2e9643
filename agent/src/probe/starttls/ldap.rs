//! LDAP: the extended operation StartTLS (RFC 4511, section 4.14), in BER.

use super::{at_least, exactly, refused};
use crate::probe::conversation::Conversation;
use crate::probe::deadline::Deadline;
use crate::probe::failure::Failure;

/// `LDAPMessage { messageID 1, extendedReq [APPLICATION 23] { requestName [0] } }`
/// with the name 1.3.6.1.4.1.1466.20037.
const REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
const SEQUENCE: u8 = 0x30;
const MESSAGE_ID: &[u8] = &[0x02, 0x01, 0x01];
/// `extendedResp [APPLICATION 24]`.
const EXTENDED_RESPONSE: u8 = 0x78;
const RESULT_CODE: &[u8] = &[0x0a, 0x01];
/// Bytes of a tag and the longest length that is read.
const HEAD_BYTES: usize = 6;

pub(super) async fn negotiate(
    talk: &mut Conversation<'_>,
    deadline: &mut Deadline<'_>,
) -> Result<(), Failure> {
    talk.say(REQUEST, deadline).await?;
    let stranger = |talk: &Conversation<'_>| refused(talk, "did not answer as an LDAP server does");
    let (head, length) = loop {
        match length(talk.answer(), SEQUENCE) {
            Length::Known { head, content } => break (head, content),
            Length::Short => talk.hear(deadline).await?,
            Length::Wrong => return Err(stranger(talk)),
        }
    };
    let whole = head + length;
    at_least(whole, talk, deadline).await?;
    match result_code(&talk.answer()[head..whole]) {
        Some(0) => exactly(whole, talk),
        Some(code) => Err(refused(talk, &format!("refused StartTLS (LDAP result {code})"))),
        None => Err(stranger(talk)),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Length {
    /// Bytes of tag and length, and of the content.
    Known {
        head: usize,
        content: usize,
    },
    /// More bytes are needed.
    Short,
    Wrong,
}

/// The length of the element of type `tag` that `bytes` begin with (X.690, 8.1.3).
fn length(bytes: &[u8], tag: u8) -> Length {
    match bytes {
        [] => Length::Short,
        [first, ..] if *first != tag => Length::Wrong,
        [_] => Length::Short,
        [_, short, ..] if *short < 0x80 => Length::Known { head: 2, content: usize::from(*short) },
        [_, long, digits @ ..] => {
            let count = usize::from(*long & 0x7f);
            if count == 0 || count > HEAD_BYTES - 2 {
                return Length::Wrong;
            }
            let Some(digits) = digits.get(..count) else { return Length::Short };
            let content = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            Length::Known { head: 2 + count, content }
        }
    }
}

/// The result code in the content of our request's answer.
fn result_code(content: &[u8]) -> Option<u8> {
    let response = content.strip_prefix(MESSAGE_ID)?;
    let Length::Known { head, .. } = length(response, EXTENDED_RESPONSE) else { return None };
    response[head..].strip_prefix(RESULT_CODE)?.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_says_how_long_it_is() {
        assert_eq!(
            length(REQUEST, SEQUENCE),
            Length::Known { head: 2, content: REQUEST.len() - 2 }
        );
    }

    #[test]
    fn answers_of_both_length_forms_are_read() {
        let short = b"\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
        let long = b"\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x35\x04\x00\x04\x00";
        assert_eq!(result_code(short), Some(0));
        assert_eq!(result_code(long), Some(0x35));
        assert_eq!(length(b"\x30\x82\x01\x02", SEQUENCE), Length::Known { head: 4, content: 258 });
        for bytes in [&b""[..], b"\x30", b"\x30\x82\x01"] {
            assert_eq!(length(bytes, SEQUENCE), Length::Short);
        }
        for bytes in [&b"\x31\x00"[..], b"\x30\x80", b"\x30\x85\x00\x00\x00\x00\x00", b"HTTP"] {
            assert_eq!(length(bytes, SEQUENCE), Length::Wrong);
        }
        for bytes in
            [&b""[..], b"\x02\x01\x02\x78\x03\x0a\x01\x00", b"\x02\x01\x01\x65\x03\x0a\x01\x00"]
        {
            assert_eq!(result_code(bytes), None);
        }
    }
}
