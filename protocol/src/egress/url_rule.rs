//! Reading a target's URL, once.
//!
//! The WHATWG parser is lenient by design: it drops tabs and newlines, takes
//! `\` for `/` and repairs missing slashes. Other parsers do not, and guards
//! have been bypassed in the gap. So what it would repair is refused first,
//! by looking at the text; what it then understands is what is used.

use url::{Host, Url};

/// Why a target URL is refused; reads well after the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlRule {
    #[error("must be an absolute http or https URL, such as https://example.com/health")]
    NotUrl,
    #[error("must have the scheme http or https")]
    Scheme,
    #[error("must not carry a user name or password")]
    UserInfo,
    #[error("must name a host right after the two slashes")]
    Host,
    #[error("must name a host whose parts between dots are 1 to 63 bytes, 253 together")]
    HostName,
    #[error("must not carry a zone id in its address")]
    ZoneId,
    #[error("must have a port of 1 to 65535")]
    Port,
    #[error("must not contain control characters, white space or %00")]
    ControlCharacter,
    #[error("must not contain a backslash before its query")]
    Backslash,
}

/// Parses a target by WHATWG rules after refusing what they would repair.
/// Numbers in any base, full-width digits and international names come out as
/// the canonical host they mean; fragments stay and are never sent.
pub fn parse_url(text: &str) -> Result<Url, UrlRule> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) || text.contains("%00") {
        return Err(UrlRule::ControlCharacter);
    }
    judge_authority(authority(text)?)?;
    let url = Url::parse(text).map_err(|error| rule_for(error, text))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlRule::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlRule::UserInfo);
    }
    if url.port() == Some(0) {
        return Err(UrlRule::Port);
    }
    match url.host() {
        None => Err(UrlRule::Host),
        Some(Host::Domain(name)) if !is_host_name(name) => Err(UrlRule::HostName),
        Some(_) => Ok(url),
    }
}

/// The text between `scheme://` and the path.
fn authority(text: &str) -> Result<&str, UrlRule> {
    let (scheme, rest) = text.split_once(':').ok_or(UrlRule::NotUrl)?;
    let named = |word: &str| scheme.eq_ignore_ascii_case(word);
    if !named("http") && !named("https") {
        let scheme_like = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        return Err(if scheme_like { UrlRule::Scheme } else { UrlRule::NotUrl });
    }
    let before_query = rest.split(['?', '#']).next().unwrap_or(rest);
    if before_query.contains('\\') {
        return Err(UrlRule::Backslash);
    }
    let rest = rest.strip_prefix("//").ok_or(UrlRule::NotUrl)?;
    Ok(rest.split(['/', '?', '#']).next().unwrap_or(rest))
}

fn judge_authority(authority: &str) -> Result<(), UrlRule> {
    if authority.contains('@') {
        return Err(UrlRule::UserInfo);
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Err(UrlRule::Host);
    }
    if authority.starts_with('[') && authority.contains('%') {
        return Err(UrlRule::ZoneId);
    }
    Ok(())
}

fn rule_for(error: url::ParseError, text: &str) -> UrlRule {
    match error {
        url::ParseError::EmptyHost => UrlRule::Host,
        url::ParseError::InvalidPort => UrlRule::Port,
        url::ParseError::IdnaError | url::ParseError::InvalidDomainCharacter => UrlRule::HostName,
        _ if text.contains("[") && text.contains("%25") => UrlRule::ZoneId,
        _ => UrlRule::NotUrl,
    }
}

/// What DNS can hold (RFC 1035): the root may be written as a last dot.
fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()))
}
