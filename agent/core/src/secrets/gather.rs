//! Where a specification may hold secrets, section by section.
//!
//! What certainly is none, such as the value of `Accept`, is left alone, so
//! that messages stay readable. When in doubt, it is a secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyperverge_protocol::monitor::{Auth, MonitorSpec, Step};
use url::Url;

/// Headers whose values are no secrets.
const OPEN_HEADERS: [&str; 12] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-language",
    "content-type",
    "origin",
    "pragma",
    "range",
    "referer",
    "user-agent",
];
/// Words in a name that make its value a secret; in lower case.
const TELLING: [&str; 16] = [
    "auth",
    "code",
    "cookie",
    "credential",
    "hash",
    "jwt",
    "key",
    "login",
    "otp",
    "pass",
    "pin",
    "pw",
    "secret",
    "session",
    "sig",
    "token",
];
/// Bytes of a part of a path that looks like a key, as in the address of a webhook.
const PATH_KEY_BYTES: usize = 16;

/// What stands between pairs of a name and a value on one line.
const PAIRS: &[char] = &[' ', ',', ';', '&', '?'];

/// Every value that may be a secret, of any length.
pub(super) fn gather(spec: &MonitorSpec) -> Vec<Vec<u8>> {
    let mut found = Found(Vec::new());
    found.url(&spec.target);
    if let Some(proxy) = &spec.http.proxy {
        found.url(proxy);
    }
    match &spec.http.auth {
        Some(Auth::Basic(basic)) => found.basic(&basic.username, &basic.password),
        Some(Auth::Bearer(token)) => found.text(token),
        None => {}
    }
    for (name, value) in &spec.http.headers {
        found.header(name, value);
    }
    if let Some(body) = &spec.http.body {
        found.body(body);
    }
    for step in &spec.tcp.steps {
        match step {
            Step::Send(text) => {
                // JSON, whose names and values may stand on lines of their own. If it is
                // none, its lines say all there is.
                let _no_json = found.documents(text);
                text.lines().for_each(|line| found.line(line));
            }
            Step::SendHex(digits) => found.0.extend(hex::decode(digits).ok()),
            _ => {}
        }
    }
    if let Some(server) = &spec.dns.server {
        found.url(server);
    }
    if let Some(key) = &spec.tls.key {
        key.lines().filter(|line| !line.starts_with("-----")).for_each(|line| found.text(line));
    }
    found.0
}

/// What was found so far.
pub(super) struct Found(pub(super) Vec<Vec<u8>>);

impl Found {
    pub(super) fn text(&mut self, text: &str) {
        self.0.push(text.as_bytes().to_vec());
    }

    /// Of some services the key is the user, and the password is empty.
    fn basic(&mut self, user: &str, password: &str) {
        self.text(user);
        self.text(password);
        self.text(&STANDARD.encode(format!("{user}:{password}")));
    }

    /// Its password, the values of its query, and what looks like a key in its path.
    fn url(&mut self, text: &str) {
        let Ok(url) = Url::parse(text) else { return };
        if !url.username().is_empty() {
            self.text(url.username());
            self.text(&decoded(url.username()));
        }
        if let Some(password) = url.password() {
            self.text(password);
            self.basic(&decoded(url.username()), &decoded(password));
        }
        for pair in url.query().unwrap_or_default().split('&') {
            self.text(pair.split_once('=').map_or(pair, |(_, value)| value));
        }
        for (_, value) in url.query_pairs() {
            self.text(&value);
        }
        let parts = url.path().split('/').filter(|part| part.len() >= PATH_KEY_BYTES);
        parts.for_each(|part| {
            self.text(part);
            self.text(&decoded(part));
        });
    }

    fn header(&mut self, name: &str, value: &str) {
        if OPEN_HEADERS.iter().any(|open| name.eq_ignore_ascii_case(open)) {
            return;
        }
        self.text(value);
        // A server may repeat any piece of it: `ApiKey id:secret`, `t=1,v1=signature`.
        self.parts(value);
        value.split(PAIRS).for_each(|pair| self.setting(pair));
        let name = name.to_ascii_lowercase();
        if name == "cookie" {
            for cookie in value.split(';') {
                self.text(cookie.split_once('=').map_or(cookie, |(_, value)| value).trim());
            }
        } else if let Some((scheme, rest)) = value.split_once(' ') {
            // `Bearer …`, `Basic …`, `Token …`.
            self.text(rest.trim());
            let pair = STANDARD.decode(rest.trim()).ok().and_then(|b| String::from_utf8(b).ok());
            if let Some((user, password)) = pair.as_deref().and_then(|pair| pair.split_once(':'))
                && scheme.eq_ignore_ascii_case("basic")
            {
                self.basic(user, password);
            }
        }
    }

    /// Of a dialogue: what follows a telling word, in one piece and in its parts, and the
    /// line as a whole.
    fn line(&mut self, line: &str) {
        // A header of HTTP that is spoken by hand.
        if let Some((name, value)) = line.split_once(':')
            && !name.contains(char::is_whitespace)
            && tells(name)
        {
            self.header(name, value.trim());
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.len() == 1 || tells(line) {
            words.iter().skip(1).for_each(|word| self.text(word));
            self.text(line.trim());
            self.parts(line);
            line.split(PAIRS).for_each(|pair| self.setting(pair));
        }
    }
}

/// Without percent encoding.
fn decoded(text: &str) -> String {
    let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    let value = url::form_urlencoded::parse(pair.as_bytes()).next();
    value.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Whether a name makes its value a secret.
pub(super) fn tells(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gathered(spec: serde_json::Value) -> Vec<String> {
        let mut base = json!({"name": "a", "target": "https://example.com"});
        for (key, value) in spec.as_object().expect("an object") {
            base[key] = value.clone();
        }
        let spec: MonitorSpec = serde_json::from_value(base).expect("a specification");
        let found = gather(&spec);
        found.iter().map(|secret| String::from_utf8_lossy(secret).into_owned()).collect()
    }

    #[test]
    fn every_place_that_may_hold_a_secret() {
        for (spec, secret) in [
            (json!({"target": "https://example.com/a?key=s3cret%21"}), "s3cret!"),
            (json!({"target": "https://example.com/a?key=s3cret%21"}), "s3cret%21"),
            (json!({"target": "https://example.com/?justakey"}), "justakey"),
            (
                json!({"target": "https://example.com/hook/T0123456789abcdef/x"}),
                "T0123456789abcdef",
            ),
            (
                json!({"target": "https://example.com/hook/T012345%2F89abcdef/x"}),
                "T012345/89abcdef",
            ),
            (json!({"http": {"auth": {"bearer": "tok.en"}}}), "tok.en"),
            (json!({"http": {"auth": {"basic": {"username": "sk_1", "password": ""}}}}), "sk_1"),
            (json!({"http": {"headers": {"authorization": "Basic c2tfMTo="}}}), "sk_1"),
            (json!({"http": {"body": "p%2Fw&token=t0k"}}), "t0k"),
            (json!({"tcp": {"steps": [{"send": "Cookie: a=b; sid=abcdef\r\n"}]}}), "abcdef"),
            (json!({"http": {"auth": {"basic": {"username": "u", "password": "pw12"}}}}), "pw12"),
            (
                json!({"http": {"auth": {"basic": {"username": "u", "password": "pw12"}}}}),
                "dTpwdzEy",
            ),
            (json!({"http": {"headers": {"X-Api-Key": "k123"}}}), "k123"),
            (json!({"http": {"headers": {"authorization": "Bearer abcd"}}}), "abcd"),
            (json!({"http": {"headers": {"authorization": "Basic dTpwdzEy"}}}), "pw12"),
            (json!({"http": {"headers": {"cookie": "a=b; sid=abcdef"}}}), "abcdef"),
            (json!({"http": {"proxy": "http://u:p%40ss@proxy:1"}}), "p@ss"),
            (json!({"tcp": {"steps": [{"send": "AUTH PLAIN AHUAcHc=\r\n"}]}}), "AHUAcHc="),
            (json!({"tcp": {"steps": [{"send": "justasecret\r\n"}]}}), "justasecret"),
            (json!({"tcp": {"steps": [{"send_hex": "6869"}]}}), "hi"),
            (json!({"tcp": {"steps": [{"send": "auth admin:hunter2\r\n"}]}}), "hunter2"),
            (json!({"tcp": {"steps": [{"send": "connect user=a;pwd=hunt\r\n"}]}}), "hunt"),
            (json!({"tcp": {"steps": [{"send": "GET /?key=hunter2 HTTP/1.0\r\n"}]}}), "hunter2"),
            (
                json!({"tcp": {"steps": [{"send": "{\"a\": {\"password\":\n\"hunt\"}}\r\n"}]}}),
                "hunt",
            ),
            (json!({"tcp": {"steps": [{"send": "{\"m\":1,\"pwd\":\"hunter2\"}\n"}]}}), "hunter2"),
            (json!({"http": {"headers": {"authorization": "ApiKey id:hunter2"}}}), "hunter2"),
            (
                json!({"http": {"headers": {
                    "authorization": "Digest username=\"u\", response=\"hunter2\""
                }}}),
                "hunter2",
            ),
            (json!({"http": {"headers": {"cookie": "sid=\"hunter2\"; b=1"}}}), "hunter2"),
            (json!({"http": {"headers": {"x-auth": "user=a;key=hunt"}}}), "hunt"),
            (json!({"http": {"headers": {"x-signature": "t=123,v1=hunter2"}}}), "hunter2"),
            (json!({"tls": {"key": "-----BEGIN KEY-----\nMIIabc\n-----END KEY-----"}}), "MIIabc"),
        ] {
            let found = gathered(spec.clone());
            assert!(found.iter().any(|other| other == secret), "{spec}: {secret} in {found:?}");
        }
    }

    #[test]
    fn what_is_no_secret_stays_readable() {
        for (spec, open) in [
            (json!({"http": {"headers": {"Accept": "text/html"}}}), "text/html"),
            (
                json!({"tcp": {"steps": [{"send": "EHLO probe.example.com\r\n"}]}}),
                "probe.example.com",
            ),
            (json!({"target": "https://example.com/v1/checkout"}), "checkout"),
        ] {
            let found = gathered(spec.clone());
            assert!(!found.iter().any(|other| other == open), "{spec}: {found:?}");
        }
    }
}
