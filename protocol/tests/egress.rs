//! The egress rules against everything known to have slipped past a guard somewhere.

use hyperverge_protocol::egress::{AddressRule, Destination, EgressPolicy, UrlRule, parse_url};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn policy(allow: &[&str]) -> EgressPolicy {
    EgressPolicy { allow: allow.iter().map(|text| text.parse().expect(text)).collect() }
}

/// Refuses nothing but metadata.
fn wide_open() -> EgressPolicy {
    policy(&["0.0.0.0/0", "::/0"])
}

#[test]
fn texts_that_are_no_target() {
    let cases = [
        ("", UrlRule::NotUrl),
        ("example.com", UrlRule::NotUrl),
        ("//example.com/", UrlRule::NotUrl),
        ("/health", UrlRule::NotUrl),
        ("example.com:443", UrlRule::Scheme),
        ("https:example.com", UrlRule::NotUrl),
        ("https:/example.com", UrlRule::NotUrl),
        ("ht!tp://example.com", UrlRule::NotUrl),
        ("http://exa mple.com/", UrlRule::ControlCharacter),
        ("http://[::1/", UrlRule::NotUrl),
        ("http://256.256.256.256/", UrlRule::NotUrl),
        ("http://1.2.3.4.5/", UrlRule::NotUrl),
        ("http://09.1.1.1/", UrlRule::NotUrl),
        ("file:///etc/passwd", UrlRule::Scheme),
        ("gopher://example.com/", UrlRule::Scheme),
        ("ftp://example.com/", UrlRule::Scheme),
        ("javascript:alert(1)", UrlRule::Scheme),
        ("data:text/plain,x", UrlRule::Scheme),
        ("ws://example.com/", UrlRule::Scheme),
        ("unix:/run/x.sock", UrlRule::Scheme),
        ("http:///x", UrlRule::Host),
        ("http:////example.com", UrlRule::Host),
        ("http://", UrlRule::Host),
        ("http://?x", UrlRule::Host),
        ("http://#x", UrlRule::Host),
        ("http://:80/", UrlRule::Host),
        ("http://user@example.com/", UrlRule::UserInfo),
        ("http://user:secret@example.com/", UrlRule::UserInfo),
        ("http://@example.com/", UrlRule::UserInfo),
        ("http://:@example.com/", UrlRule::UserInfo),
        ("http://example.com:pass@169.254.169.254", UrlRule::UserInfo),
        ("http://[fe80::1%25eth0]/", UrlRule::ZoneId),
        ("http://[fe80::1%eth0]/", UrlRule::ZoneId),
        ("http://example.com:0/", UrlRule::Port),
        ("http://example.com:65536/", UrlRule::Port),
        ("http://example.com:x/", UrlRule::Port),
        ("http://example.com\\@169.254.169.254/", UrlRule::Backslash),
        ("http:\\\\example.com/", UrlRule::Backslash),
        ("http://example.com/a\r\nHost: internal", UrlRule::ControlCharacter),
        ("http://example.com/a\tb", UrlRule::ControlCharacter),
        (" http://example.com/", UrlRule::ControlCharacter),
        ("http://example.com/\u{7f}", UrlRule::ControlCharacter),
        ("http://example.com/\u{85}", UrlRule::ControlCharacter),
        ("http://example.com/\u{2028}", UrlRule::ControlCharacter),
        ("http://example.com\0/", UrlRule::ControlCharacter),
        ("http://example.com/%00", UrlRule::ControlCharacter),
        ("http://example.com%00.internal/", UrlRule::ControlCharacter),
        ("http://a..example.com/", UrlRule::HostName),
        ("http://localhost../", UrlRule::HostName),
        ("http://./", UrlRule::HostName),
    ];
    for (text, rule) in cases {
        assert_eq!(parse_url(text).expect_err(text), rule, "{text:?}");
        assert!(rule.to_string().starts_with("must "), "{rule}");
    }
    let long = format!("http://{}.example/", "a".repeat(64));
    assert_eq!(parse_url(&long), Err(UrlRule::HostName));
    let long = format!("http://{}example/", "abcdefg.".repeat(32));
    assert_eq!(parse_url(&long), Err(UrlRule::HostName));
}

#[test]
fn texts_that_are_a_target() {
    for (text, canonical) in [
        ("http://example.com", "http://example.com/"),
        ("HTTPS://Example.COM:443/Path?q=1#part", "https://example.com/Path?q=1#part"),
        ("http://example.com:8080/a?b=\\d+&mail=a@b", "http://example.com:8080/a?b=\\d+&mail=a@b"),
        ("https://example.com./", "https://example.com./"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("http://my_service.example/%0a", "http://my_service.example/%0a"),
        ("http://93.184.216.34/", "http://93.184.216.34/"),
        ("http://[2606:4700::1111]:8443/x", "http://[2606:4700::1111]:8443/x"),
    ] {
        assert_eq!(parse_url(text).expect(text).as_str(), canonical);
    }
}

/// What a host written in a URL comes to under `policy`.
fn judge_host(policy: &EgressPolicy, host: &str) -> Result<Destination, String> {
    let url = parse_url(&format!("http://{host}/")).map_err(|rule| rule.to_string())?;
    policy.judge_url_host(&url).map_err(|rule| rule.to_string())
}

#[test]
fn hosts_that_mean_metadata_are_refused_under_every_policy() {
    for host in [
        "169.254.169.254",
        "169.254.169.254:80",
        "2852039166",
        "0xa9fea9fe",
        "0xA9.0xFE.0xA9.0xFE",
        "0251.0376.0251.0376",
        "169.254.43518",
        "169.16689662",
        "169.254.169.254.",
        "１６９.２５４.１６９.２５４",
        "169。254。169。254",
        "169．254．169．254",
        "169%2e254%2e169%2e254",
        "①⑥⑨.②⑤④.①⑥⑨.②⑤④",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[0:0:0:0:0:ffff:a9fe:a9fe]",
        "[::169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[64:ff9b:1:a9fe:a9:fe00::]",
        "[64:ff9b:1:ffa9:fe:a9fe::]",
        "[64:ff9b:1:ffff:a9:fea9:fe00:0]",
        "[2002:a9fe:a9fe::]",
        "[2002:a9fe:a9fe::1]",
        "[2001:0:5ef5:79fd::5601:5601]",
        "[2001:0:a9fe:a9fe::1]",
        "[2606:4700::5efe:169.254.169.254]",
        "[2606:4700::200:5efe:169.254.169.254]",
        "169.254.170.2",
        "169.254.170.23",
        "168.63.129.16",
        "192.0.0.192",
        "100.100.100.200",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "metadata.google.internal",
        "METADATA.google.internal.",
        "169.254.169.254#.office.com",
        "169.254.169.254?.office.com",
        "169.254.169.254/latest/meta-data/#",
    ] {
        let error = judge_host(&wide_open(), host).expect_err(host);
        assert!(error.contains("metadata"), "{host}: {error}");
        let error = judge_host(&EgressPolicy::default(), host).expect_err(host);
        assert!(error.contains("metadata"), "{host}: {error}");
    }
}

#[test]
fn hosts_that_are_not_public_need_an_entry() {
    for host in [
        "0",
        "0.0.0.0",
        "127.1",
        "127.0.0.1",
        "0177.0.0.1",
        "0x7f000001",
        "0x7f.1",
        "2130706433",
        "127.255.255.255",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "169.254.0.1",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[::7f00:1]",
        "[::8.8.8.8]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::10.0.0.1]",
        "[64:ff9b:1::8.8.8.8]",
        "[2002:7f00:1::]",
        "[2002:808:808::]",
        "[2001:0:808:808::1]",
        "[2606:4700::5efe:10.0.0.1]",
        "[fe80::1]",
        "[febf::1]",
        "[fec0::1]",
        "[fc00::1]",
        "[fdff::1]",
        "[ff02::1]",
        "[2001:db8::1]",
        "[2001:2::1]",
        "[2001:10::1]",
        "[3fff::1]",
        "[100::1]",
        "[5f00::1]",
        "[4000::1]",
        "[1::1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "api.localhost",
        "a.b.localhost.",
        "ｌocalhost",
    ] {
        let error = judge_host(&EgressPolicy::default(), host).expect_err(host);
        assert!(error.contains("not a public address"), "{host}: {error}");
        assert!(judge_host(&wide_open(), host).is_ok(), "{host}");
    }
}

#[test]
fn neighbours_of_the_refused_ranges_are_public() {
    for address in [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.1",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.1",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "168.63.129.15",
        "168.63.129.17",
        "8.8.8.8",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2606:4700::1111",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2001:db7::1",
        "2001:db9::1",
        "2003::1",
        "2a00::1",
        "3ffe::1",
        "2606:4700::5efe:8.8.8.8",
    ] {
        assert_eq!(EgressPolicy::default().judge(ip(address)), Ok(()), "{address}");
    }
}

#[test]
fn a_listed_network_is_allowed_and_nothing_beside_it() {
    let home = policy(&["10.0.0.0/8", "::1", "fd00::/8"]);
    for address in ["10.1.2.3", "::ffff:10.1.2.3", "::1", "fd12::1", "8.8.8.8"] {
        assert_eq!(home.judge(ip(address)), Ok(()), "{address}");
    }
    for address in ["127.0.0.1", "192.168.0.1", "64:ff9b::10.1.2.3", "2002:a01:203::", "fe80::1"] {
        let address = ip(address);
        assert_eq!(home.judge(address), Err(AddressRule::NotPublic(address)));
    }
    let address = ip("fd00:ec2::254");
    assert_eq!(home.judge(address), Err(AddressRule::Metadata(address)));
}

#[test]
fn one_bad_answer_refuses_the_name() {
    let answers = [ip("8.8.8.8"), ip("10.0.0.1")];
    let refused = Err(AddressRule::NotPublic(answers[1]));
    assert_eq!(EgressPolicy::default().judge_all(&answers), refused);
    assert_eq!(EgressPolicy::default().judge_all(&answers[..1]), Ok(()));
}

#[test]
fn localhost_is_loopback_and_only_what_is_listed_of_it() {
    let only_v4 = policy(&["127.0.0.0/8"]);
    for host in ["localhost", "localhost.", "x.localhost"] {
        assert_eq!(
            judge_host(&only_v4, host),
            Ok(Destination::Addresses(vec![ip("127.0.0.1")])),
            "{host}"
        );
    }
    assert_eq!(
        judge_host(&wide_open(), "localhost"),
        Ok(Destination::Addresses(vec![ip("::1"), ip("127.0.0.1")]))
    );
    assert_eq!(
        judge_host(&only_v4, "notlocalhost"),
        Ok(Destination::Name("notlocalhost".to_owned()))
    );
}

#[test]
fn a_policy_reads_from_configuration() {
    let read: EgressPolicy = toml::from_str("allow = [\"10.0.0.0/8\", \"::1\"]").expect("a policy");
    assert_eq!(read, policy(&["10.0.0.0/8", "::1"]));
    let error = toml::from_str::<EgressPolicy>("allow = [\"10.0.0.1/8\"]").expect_err("host bits");
    assert!(error.message().contains("`10.0.0.1/8` must not have address bits"), "{error}");
    assert!(toml::from_str::<EgressPolicy>("alow = []").is_err());
    assert_eq!(toml::from_str::<EgressPolicy>("").expect("empty"), EgressPolicy::default());
}

proptest! {
    /// The standard library's own classification is a second opinion on IPv4.
    #[test]
    fn nothing_the_standard_library_calls_special_is_public(bits: u32) {
        let address = Ipv4Addr::from_bits(bits);
        let special = address.is_private() || address.is_loopback() || address.is_link_local()
            || address.is_multicast() || address.is_broadcast() || address.is_documentation()
            || address.is_unspecified();
        if special {
            prop_assert!(EgressPolicy::default().judge(IpAddr::V4(address)).is_err());
        }
    }

    #[test]
    fn mapping_an_address_changes_no_verdict(bits: u32) {
        let v4 = Ipv4Addr::from_bits(bits);
        let policy = policy(&["10.0.0.0/8"]);
        prop_assert_eq!(
            policy.judge(IpAddr::V4(v4)).is_ok(),
            policy.judge(IpAddr::V6(v4.to_ipv6_mapped())).is_ok()
        );
    }

    #[test]
    fn a_translated_address_is_no_freer_than_the_one_it_wraps(bits: u32, prefix in any::<u64>()) {
        let inner = u128::from(bits);
        let strict = EgressPolicy::default();
        let free = strict.judge(IpAddr::V4(Ipv4Addr::from_bits(bits))).is_ok();
        for outer in [
            0x0064_ff9b << 96 | inner,
            0x2002 << 112 | inner << 80,
            0x2001_0000 << 96 | u128::from(!bits),
            u128::from(prefix) << 64 | 0x5efe << 32 | inner,
            inner,
        ] {
            let outer = IpAddr::V6(Ipv6Addr::from_bits(outer));
            prop_assert!(free || strict.judge(outer).is_err(), "{}", outer);
        }
    }

    #[test]
    fn an_entry_for_an_address_is_enough_unless_it_is_metadata(address: IpAddr) {
        let one = policy(&[&address.to_string()]);
        let metadata = matches!(wide_open().judge(address), Err(AddressRule::Metadata(_)));
        prop_assert_eq!(one.judge(address).is_ok(), !metadata);
    }

    #[test]
    fn an_accepted_url_is_accepted_again_as_itself(text in "(?i:http)s?://[a-z0-9.:\\[\\]%@/?#\\\\_-]{0,24}") {
        if let Ok(url) = parse_url(&text) {
            prop_assert_eq!(parse_url(url.as_str()), Ok(url.clone()));
            prop_assert!(url.has_host() && url.username().is_empty());
        }
    }

    /// Parsing never panics, and what passes is always http or https.
    #[test]
    fn no_text_panics(text in any::<String>()) {
        for text in [text.clone(), format!("http://{text}")] {
            if let Ok(url) = parse_url(&text) {
                prop_assert!(matches!(url.scheme(), "http" | "https"));
            }
        }
    }
}
