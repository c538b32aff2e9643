//! The encodings in which a server may repeat what it was sent.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::fmt::Write;

/// `secret` as it is and encoded, each form once.
pub(super) fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let percent = percent(secret);
    let lower = lower_escapes(&percent);
    let mut forms = vec![
        secret.to_vec(),
        STANDARD_NO_PAD.encode(secret).into_bytes(),
        URL_SAFE_NO_PAD.encode(secret).into_bytes(),
        // Of a form: a space is a plus (WHATWG URL, section 5.2).
        percent.replace("%20", "+").into_bytes(),
        percent.into_bytes(),
        lower.into_bytes(),
    ];
    if let Ok(text) = std::str::from_utf8(secret) {
        forms.push(json(text).into_bytes());
        forms.push(html(text).into_bytes());
        // As our own messages write it.
        forms.push(text.replace(char::is_control, " ").into_bytes());
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// RFC 3986: everything but the unreserved characters.
fn percent(secret: &[u8]) -> String {
    secret.iter().fold(String::with_capacity(secret.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            write!(out, "%{byte:02X}").unwrap_or_default();
        }
        out
    })
}

/// `%2F` as `%2f`.
fn lower_escapes(percent: &str) -> String {
    let mut escape = 0;
    let lower = |c: char| {
        escape = if c == '%' { 2 } else { i32::max(escape - 1, -1) };
        if escape >= 0 { c.to_ascii_lowercase() } else { c }
    };
    percent.chars().map(lower).collect()
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_those_of_the_encoders() {
        assert_eq!(percent(b"a b/\xff~"), "a%20b%2F%FF~");
        assert_eq!(lower_escapes("A%2FB%20C%C3%A4Z"), "A%2fB%20C%c3%a4Z");
        assert_eq!(json("a\"b\\\n"), "a\\\"b\\\\\\n");
        assert_eq!(html("<a & \"b\">"), "&lt;a &amp; &quot;b&quot;&gt;");
        assert_eq!(forms(b"plain").len(), 2);
    }
}
