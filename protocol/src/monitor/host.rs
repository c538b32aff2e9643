//! Which host a check asks: what monitors are capped and grouped by.

use super::{Kind, MonitorSpec};
use crate::egress::{parse_endpoint, parse_proxy, parse_url};

impl MonitorSpec {
    /// The host that a check opens connections to, as far as the specification
    /// says: a proxy before the target, a given address before a name, a name
    /// server before the name it is asked for.
    pub fn asked_host(&self) -> String {
        if self.kind == Kind::Http
            && let Some(proxy) = self.http.proxy.as_deref().and_then(|text| parse_proxy(text).ok())
            && let Some(host) = proxy.url.host_str()
        {
            return host.to_owned();
        }
        let asked = match (self.kind, &self.dns.server) {
            (Kind::Dns, Some(server)) => server,
            (Kind::Dns, None) => return self.target.clone(),
            _ => &self.target,
        };
        if let Some(address) = self.network.addresses.first() {
            return address.to_string();
        }
        let url = parse_url(asked).or_else(|_| parse_endpoint(asked).map(|endpoint| endpoint.url));
        match url.as_ref().ok().and_then(|url| url.host_str()) {
            Some(host) => host.to_owned(),
            None => asked.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitors_of_one_host_are_known_as_such() {
        let host = |spec: &str| {
            let spec = format!(r#"{{"name": "a", {spec}}}"#);
            let spec = MonitorSpec::from_json(spec.as_bytes()).expect("a good monitor");
            spec.asked_host()
        };
        for spec in [
            r#""target": "https://Example.com:8443/a""#,
            r#""target": "http://example.com/b?c=d""#,
            r#""kind": "tcp", "target": "example.com:22""#,
            r#""kind": "icmp", "target": "example.com""#,
            r#""kind": "dns", "target": "example.org", "dns": {"server": "example.com:53"}"#,
        ] {
            assert_eq!(host(spec), "example.com", "{spec}");
        }
        for spec in [
            r#""target": "https://a.test/", "network": {"addresses": ["192.0.2.1"]}"#,
            r#""target": "https://b.test/", "http": {"proxy": "http://192.0.2.1:3128"}"#,
            r#""target": "http://c.test/", "http": {"proxy": "socks5://u:p@192.0.2.1:1080"}"#,
            r#""kind": "tcp", "target": "192.0.2.1:22""#,
        ] {
            assert_eq!(host(spec), "192.0.2.1", "{spec}");
        }
        let asks_the_system = host(r#""kind": "dns", "target": "_sip._tcp.example.com""#);
        assert_eq!(asks_the_system, "_sip._tcp.example.com");
    }
}
