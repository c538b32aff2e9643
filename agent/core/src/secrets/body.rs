//! What of a request's body may be a secret, whatever language the body is in.
//!
//! A server repeats single values of what it was sent, and there is no list of the
//! languages and names in which monitors send passwords. So every string of
//! JSON counts, every value of a form, and of whatever text it is every run between
//! marks, whatever it is called, if it is long enough; values with telling
//! names count at any length. To understand one more language is only needed
//! where it writes a value in another way than the server will.

use super::gather::{Found, tells};

/// Bytes of the shortest part of a body that is a secret whatever its name. Shorter
/// ones are words such as `user` or `true`, without which no answer could be read;
/// what longer words of a body repeat in an answer is no loss.
const PART_BYTES: usize = 6;
/// What stands around a value in most languages, beside white space and [`QUOTES`].
const MARKS: &[char] = &[':', '=', '<', '>', '&', ',', ';', '(', ')', '{', '}', '[', ']'];
const QUOTES: &[char] = &['"', '\'', '`'];

impl Found {
    /// All of it, its parts, and values with telling names.
    pub(super) fn body(&mut self, body: &str) {
        self.text(body);
        self.parts(body);
        if self.documents(body).is_err() {
            for (name, value) in url::form_urlencoded::parse(body.as_bytes()) {
                self.value(tells(&name), &value);
                // Another language within.
                self.parts(&value);
            }
            body.lines().for_each(|line| self.setting(line));
            self.markup(body);
        }
    }

    /// Of JSON, or of several documents of it one after another.
    pub(super) fn documents(&mut self, body: &str) -> Result<(), serde_json::Error> {
        for document in serde_json::Deserializer::from_str(body).into_iter() {
            self.json(&document?, false);
        }
        Ok(())
    }

    fn json(&mut self, json: &serde_json::Value, named: bool) {
        match json {
            serde_json::Value::String(text) => {
                self.value(named, text);
                // Another language within.
                self.parts(text);
            }
            serde_json::Value::Number(number) if named => self.text(&number.to_string()),
            serde_json::Value::Array(values) => {
                values.iter().for_each(|value| self.json(value, named));
            }
            serde_json::Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| self.json(value, named || tells(name)));
            }
            _ => {}
        }
    }

    /// `name: value`, as in YAML and in files of settings.
    pub(super) fn setting(&mut self, line: &str) {
        if let Some((name, value)) = line.split_once([':', '=']) {
            let value = value.trim();
            self.value(tells(name), value);
            self.value(tells(name), value.trim_matches(QUOTES));
        }
    }

    /// `named`: its name tells that it is a secret.
    fn value(&mut self, named: bool, value: &str) {
        if named || value.len() >= PART_BYTES {
            self.text(value);
        }
    }

    /// Every run of `text`: between quotes, which may hold spaces; between spaces, since a
    /// password may hold marks; and between marks.
    pub(super) fn parts(&mut self, text: &str) {
        for quote in QUOTES {
            text.split(*quote).skip(1).step_by(2).for_each(|run| self.value(false, run));
        }
        for word in text.split(|c: char| c.is_whitespace() || QUOTES.contains(&c)) {
            self.value(false, word);
            for run in word.split(MARKS) {
                self.value(false, run);
                // Behind it may be a quote of a language within this one.
                run.split('\\').for_each(|run| self.value(false, run));
            }
        }
    }

    /// Of XML: the text after a tag, and the values of attributes.
    fn markup(&mut self, body: &str) {
        let mut named = false;
        for tag in body.split('<').skip(1) {
            if let Some(data) = tag.strip_prefix("![CDATA[") {
                self.value(named, data.split("]]>").next().unwrap_or(data).trim());
                continue;
            }
            let (tag, text) = tag.split_once('>').unwrap_or((tag, ""));
            let name = tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or(tag);
            named = tells(name);
            self.value(named, text.trim());
            self.value(named, &unescaped(text.trim()));
            // `name="value"`: pieces between quotes are values by turns.
            let mut before = "";
            for (at, piece) in tag.split(['"', '\'']).enumerate() {
                if at % 2 == 1 {
                    self.value(tells(before), piece);
                    self.value(tells(before), &unescaped(piece));
                }
                let name = piece.trim_end().trim_end_matches('=');
                before = name.split_whitespace().last().unwrap_or("");
            }
        }
    }
}

/// Without XML's own escapes.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(body: &str) -> Vec<String> {
        let mut found = Found(Vec::new());
        found.body(body);
        found.0.iter().map(|secret| String::from_utf8_lossy(secret).into_owned()).collect()
    }

    #[test]
    fn a_value_of_any_language_is_found() {
        for (body, secret) in [
            (r#"{"pwd": "pw1", "otp": 123456}"#, "123456"),
            (r#"{"user": "u", "password": "pw"}"#, "pw"),
            (r#"{"tokens": [{"v": "deep"}]}"#, "deep"),
            (r#"{"pw": "hunt"}"#, "hunt"),
            (r#"{"x": ["hunter 2"]}"#, "hunter 2"),
            (r#"{"x": "h\u00fcnter2"}"#, "h\u{fc}nter2"),
            (r#"{"x": 12345678}"#, "12345678"),
            (r#"{"query": "mutation { login(u: \"me\", p: \"hunter2\") { id } }"}"#, "hunter2"),
            (r#"{"inner": "{\"x\": \"hunter2\"}"}"#, "hunter2"),
            (r#"{"inner": "{\"in\": \"{\\\"x\\\": \\\"hunter2\\\"}\"}"}"#, "hunter2"),
            ("{\"a\": 1}\n{\"secret\": \"hunt\"}\n", "hunt"),
            ("{\"a\": 1}\n{\"p\": \"hunter 2\"}\n", "hunter 2"),
            (
                "--b\r\nContent-Disposition: form-data; name=\"p\"\r\n\r\nhunter2\r\n--b--",
                "hunter2",
            ),
            ("login:\n  pass: hunt\n", "hunt"),
            ("login:\n  pass: 'hun t'\n", "hun t"),
            ("login:\n  x: hunter 2\n", "hunter 2"),
            ("AUTH me hunter2\n", "hunter2"),
            ("x: a:b(c)d,e", "a:b(c)d,e"),
            ("x(`hunter 2`)", "hunter 2"),
            ("jwt=a.b.c&sig=abc", "a.b.c"),
            ("a=1&api_key=k%2F1", "k/1"),
            ("a=1&x=hunter+2", "hunter 2"),
            ("<a><Password x='1'>p&amp;w</Password></a>", "p&w"),
            ("<token> <![CDATA[t0k]]></token>", "t0k"),
            ("<login user=\"u\" apikey = 'k&lt;1'/>", "k<1"),
            ("<a><b>hunter2</b></a>", "hunter2"),
            ("<a><b>h&amp;nter2 3</b></a>", "h&nter2 3"),
            ("<a b='h&lt;nter2'/>", "h<nter2"),
            ("payload=%7B%22p%22%3A%22hunter2%22%7D", "hunter2"),
        ] {
            let found = gathered(body);
            assert!(found.iter().any(|other| other == secret), "{body}: {secret} in {found:?}");
        }
    }

    #[test]
    fn short_words_with_plain_names_stay_readable() {
        for (body, open) in [
            (r#"{"user": "carol", "active": true}"#, "carol"),
            (r#"{"user": "carol", "active": true}"#, "true"),
            ("user=carol&a=true", "carol"),
            ("user: carol\nlogin: now\n", "carol"),
            ("<user>carol</user>", "user"),
            ("select name from users", "name"),
        ] {
            let found = gathered(body);
            assert!(!found.iter().any(|other| other == open), "{body}: {found:?}");
        }
    }
}
