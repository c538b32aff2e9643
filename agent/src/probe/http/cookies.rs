//! Cookies of one check: what an answer sets is sent along its redirects, and
//! forgotten with the check.
//!
//! Which cookie goes where (domain, path, `Secure`, expiry) is RFC 6265's, by
//! way of the `cookie_store` crate. Stricter here: what came in the clear may
//! not set a `Secure` cookie, and nobody may set one for a whole top level. There
//! is no list of public suffixes: a cookie for `co.uk` reaches, within
//! one check, only hosts that this check was redirected to.

use crate::probe::limits;
use ::http::HeaderMap;
use ::http::HeaderValue;
use ::http::header::SET_COOKIE;
use cookie_store::{CookieStore, RawCookie};
use url::Url;

/// Empty, and without cost, until an answer sets something.
#[derive(Debug, Default)]
pub(super) struct Jar {
    store: Option<Box<CookieStore>>,
    taken: usize,
}

impl Jar {
    /// Takes what an answer from `from` sets, up to the limits.
    pub(super) fn take(&mut self, from: &Url, headers: &HeaderMap) {
        for value in headers.get_all(SET_COOKIE) {
            if self.taken >= limits::COOKIES || value.len() > limits::COOKIE_BYTES {
                continue;
            }
            self.taken += 1;
            let Ok(text) = value.to_str() else { continue };
            let Ok(cookie) = RawCookie::parse(text) else { continue };
            if lawful(&cookie, from) {
                // One that its own rules refuse is not kept.
                drop(self.store.get_or_insert_default().insert_raw(&cookie, from));
            }
        }
    }

    /// What to send to `to`, after `own`, which the monitor itself sends.
    pub(super) fn header(&self, to: &Url, own: Option<&HeaderValue>) -> Option<HeaderValue> {
        let mut text = String::new();
        for (name, value) in self.store.as_ref()?.get_request_values(to) {
            if text.len() + name.len() + value.len() > limits::COOKIE_HEADER_BYTES {
                break;
            }
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
        if text.is_empty() {
            return None;
        }
        let mut bytes = own.map(|own| [own.as_bytes(), b"; "].concat()).unwrap_or_default();
        bytes.extend_from_slice(text.as_bytes());
        let mut value = HeaderValue::from_bytes(&bytes).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn lawful(cookie: &RawCookie<'_>, from: &Url) -> bool {
    let in_the_clear = from.scheme() != "https";
    if cookie.secure() == Some(true) && in_the_clear {
        return false;
    }
    let Some(domain) = cookie.domain() else { return true };
    let domain = domain.trim_start_matches('.');
    domain.contains('.') || from.host_str() == Some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    fn jar(from: &str, cookies: &[&str]) -> Jar {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(SET_COOKIE, HeaderValue::from_str(cookie).expect("a value"));
        }
        let mut jar = Jar::default();
        jar.take(&url(from), &headers);
        jar
    }

    fn sent(jar: &Jar, to: &str) -> String {
        let value = jar.header(&url(to), None);
        value.map_or_else(String::new, |value| value.to_str().expect("text").to_owned())
    }

    #[test]
    fn a_cookie_goes_where_its_rules_say() {
        for (from, cookie, to, goes) in [
            ("https://a.example.com/", "s=1", "https://a.example.com/x", true),
            ("https://a.example.com/", "s=1", "https://b.example.com/", false),
            ("https://a.example.com/", "s=1", "https://x.a.example.com/", false),
            ("https://a.example.com/", "s=1; Domain=example.com", "https://b.example.com/", true),
            ("https://a.example.com/", "s=1; Domain=.example.com", "https://b.example.com/", true),
            ("https://a.example.com/", "s=1; Domain=other.com", "https://other.com/", false),
            ("https://a.example.com/", "s=1; Domain=com", "https://other.com/", false),
            ("https://a.example.com/", "s=1; Secure", "https://a.example.com/", true),
            ("https://a.example.com/", "s=1; Secure", "http://a.example.com/", false),
            ("http://a.example.com/", "s=1; Secure", "https://a.example.com/", false),
            ("http://a.example.com/", "s=1", "http://a.example.com:81/", true),
            ("http://a.example.com/", "s=1; Path=/in", "http://a.example.com/in/x", true),
            ("http://a.example.com/", "s=1; Path=/in", "http://a.example.com/out", false),
            ("http://a.example.com/", "s=1; Max-Age=0", "http://a.example.com/", false),
            (
                "http://a.example.com/",
                "s=1; HttpOnly; SameSite=Strict",
                "http://a.example.com/",
                true,
            ),
            ("http://a.example.com/", "=1", "http://a.example.com/", false),
        ] {
            let sent = sent(&jar(from, &[cookie]), to);
            assert_eq!(sent, if goes { "s=1" } else { "" }, "{from} {cookie} {to}");
        }
    }

    #[test]
    fn a_later_cookie_replaces_an_earlier_one() {
        let jar = jar("http://a.test/", &["s=1", "t=2", "s=3"]);
        let mut cookies: Vec<String> =
            sent(&jar, "http://a.test/").split("; ").map(str::to_owned).collect();
        cookies.sort();
        assert_eq!(cookies, ["s=3", "t=2"]);
        let own = HeaderValue::from_static("mine=0");
        let both = jar.header(&url("http://a.test/"), Some(&own)).expect("cookies");
        assert!(both.to_str().expect("text").starts_with("mine=0; "), "{both:?}");
    }

    #[test]
    fn a_jar_is_bounded() {
        let many: Vec<String> = (0..limits::COOKIES * 3).map(|n| format!("c{n}={n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let kept = sent(&jar("http://a.test/", &many), "http://a.test/");
        assert_eq!(kept.split("; ").count(), limits::COOKIES);
        let huge = format!("c={}", "x".repeat(limits::COOKIE_BYTES));
        assert_eq!(sent(&jar("http://a.test/", &[&huge]), "http://a.test/"), "");
        let large: Vec<String> = (0..limits::COOKIES)
            .map(|n| format!("c{n}={}", "x".repeat(limits::COOKIE_BYTES - 10)))
            .collect();
        let large: Vec<&str> = large.iter().map(String::as_str).collect();
        let kept = sent(&jar("http://a.test/", &large), "http://a.test/");
        assert!(kept.len() <= limits::COOKIE_HEADER_BYTES + 256, "{}", kept.len());
    }
}
