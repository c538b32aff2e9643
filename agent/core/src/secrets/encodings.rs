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
        forms.extend(json(text).into_iter().map(String::into_bytes));
        forms.extend(HTML.iter().map(|marks| html(text, marks).into_bytes()));
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

/// As RFC 8259 wants it, and with what many encoders escape beyond that.
fn json(text: &str) -> Vec<String> {
    let quoted = serde_json::Value::from(text).to_string();
    let least = &quoted[1..quoted.len() - 1];
    let mut forms = vec![least.to_owned()];
    // PHP.
    forms.push(least.replace('/', "\\/"));
    // Go.
    forms.push(escaped(least, |c| "<>&\u{2028}\u{2029}".contains(c), false));
    // Python; PHP once more; .NET, which also has a code for quotes.
    forms.push(escaped(least, |c| !c.is_ascii(), false));
    forms.push(escaped(&least.replace('/', "\\/"), |c| !c.is_ascii(), false));
    let quotes = least.replace("\\\"", "\\u0022");
    forms.push(escaped(&quotes, |c| !c.is_ascii() || "<>&'+`".contains(c), true));
    forms
}

/// With `\uXXXX` in place of what `is_escaped`.
fn escaped(text: &str, is_escaped: impl Fn(char) -> bool, upper: bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if !is_escaped(c) {
            out.push(c);
            return out;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let written =
                if upper { write!(out, "\\u{unit:04X}") } else { write!(out, "\\u{unit:04x}") };
            written.unwrap_or_default();
        }
        out
    })
}

/// What encoders write for `"`, `'`, `/`, `+`, '`' and `=`; all agree on `&`, `<` and `>`.
type Marks = [&'static str; 6];

const HTML: [Marks; 9] = [
    // Text between tags.
    ["\"", "'", "/", "+", "`", "="],
    ["&quot;", "&#39;", "/", "+", "`", "="],
    // PHP.
    ["&quot;", "&#039;", "/", "+", "`", "="],
    // XML.
    ["&quot;", "&apos;", "/", "+", "`", "="],
    // Python, React.
    ["&quot;", "&#x27;", "/", "+", "`", "="],
    // Go, in text and in attributes.
    ["&#34;", "&#39;", "/", "+", "`", "="],
    ["&#34;", "&#39;", "/", "&#43;", "&#96;", "="],
    // OWASP.
    ["&quot;", "&#x27;", "&#x2F;", "+", "`", "="],
    // Mustache.
    ["&quot;", "&#39;", "&#x2F;", "+", "&#x60;", "&#x3D;"],
];

fn html(text: &str, marks: &Marks) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match (c, "\"'/+`=".find(c)) {
            ('&', _) => out.push_str("&amp;"),
            ('<', _) => out.push_str("&lt;"),
            ('>', _) => out.push_str("&gt;"),
            (_, Some(at)) => out.push_str(marks[at]),
            (c, None) => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoders_own_escapes_are_known() {
        let secret = "a/b+c&<\"'\u{e9}\u{1f600}";
        let known: Vec<_> = forms(secret.as_bytes())
            .into_iter()
            .map(|form| String::from_utf8(form).expect("text"))
            .collect();
        for form in [
            // PHP, Python, Go, .NET.
            "a\\/b+c&<\\\"'\\u00e9\\ud83d\\ude00",
            "a\\/b+c&<\\\"'\u{e9}\u{1f600}",
            "a/b+c&<\\\"'\\u00e9\\ud83d\\ude00",
            "a/b+c\\u0026\\u003c\\\"'\u{e9}\u{1f600}",
            "a/b\\u002Bc\\u0026\\u003C\\u0022\\u0027\\u00E9\\uD83D\\uDE00",
            // HTML.
            "a/b+c&amp;&lt;&#34;&#39;\u{e9}\u{1f600}",
            "a/b&#43;c&amp;&lt;&#34;&#39;\u{e9}\u{1f600}",
            "a/b+c&amp;&lt;&quot;&#x27;\u{e9}\u{1f600}",
            "a&#x2F;b+c&amp;&lt;&quot;&#x27;\u{e9}\u{1f600}",
        ] {
            assert!(known.iter().any(|other| other == form), "{form} in {known:#?}");
        }
    }

    #[test]
    fn forms_are_those_of_the_encoders() {
        assert_eq!(percent(b"a b/\xff~"), "a%20b%2F%FF~");
        assert_eq!(lower_escapes("A%2FB%20C%C3%A4Z"), "A%2fB%20C%c3%a4Z");
        assert_eq!(json("a\"b\\\n")[0], "a\\\"b\\\\\\n");
        assert_eq!(html("<a & \"b\">", &HTML[1]), "&lt;a &amp; &quot;b&quot;&gt;");
        assert_eq!(forms(b"plain").len(), 2);
    }
}
