//! `response.json()`: a body as JSON, within bounds.
//!
//! A value in memory takes many times the bytes it takes in a text (`[0,0,…]`
//! sixteen times), so values are counted before they are made. Depth is
//! bounded by serde_json itself (128).

use super::error::Error;
use crate::limits::JSON_VALUES;

/// What Windows and .NET begin a text with, and a parser may ignore (RFC 8259, section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn read(body: &[u8]) -> Result<serde_json::Value, Error> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    if values(body) > JSON_VALUES {
        return Err(Error::JsonTooLarge(JSON_VALUES));
    }
    serde_json::from_slice(body).map_err(|error| Error::NotJson(error.to_string()))
}

/// At least as many as there are: each but the first follows one of `,:[{`.
fn values(text: &[u8]) -> usize {
    let (mut count, mut quoted, mut escaped) = (1, false, false);
    for byte in text {
        match (byte, quoted) {
            _ if escaped => escaped = false,
            (b'\\', true) => escaped = true,
            (b'"', _) => quoted = !quoted,
            (b',' | b':' | b'[' | b'{', false) => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_within_its_bounds_or_the_error_says_why() {
        assert_eq!(read(br#"{"a": [1, "x,[{"]}"#), Ok(serde_json::json!({"a": [1, "x,[{"]})));
        assert_eq!(read(b"\xef\xbb\xbf{}"), Ok(serde_json::json!({})));
        assert!(matches!(read(b"\xef\xbb\xbf\xef\xbb\xbf{}"), Err(Error::NotJson(_))));
        assert!(matches!(read(b"<html>"), Err(Error::NotJson(_))));
        assert!(matches!(read(b""), Err(Error::NotJson(_))));
        assert!(matches!(read(&[b'['; 90_000]), Err(Error::NotJson(_))));
        assert_eq!(read(&[b'['; 1_000_000]), Err(Error::JsonTooLarge(JSON_VALUES)));
        let many = format!("[{}0]", "0,".repeat(JSON_VALUES));
        assert_eq!(read(many.as_bytes()), Err(Error::JsonTooLarge(JSON_VALUES)));
        let long = format!("[\"{}\"]", ",".repeat(JSON_VALUES));
        assert!(read(long.as_bytes()).is_ok());
    }
}
