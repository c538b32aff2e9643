//! Where notices go: the kinds of channel and what each must be told.

use super::limits::{EMAIL_BYTES, EMAIL_RECIPIENTS};
use hyperverge_protocol::egress::{self, AddressRule, EgressPolicy};
use hyperverge_protocol::limits::TARGET_BYTES;
use hyperverge_protocol::problem::FieldProblem;
use serde::{Deserialize, Serialize};

/// How a channel speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// Standard Webhooks: a signed POST.
    Webhook,
    /// SMTP.
    Email,
}

/// A word that is no kind of channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of webhook, email")]
pub struct UnknownChannelKind;

impl ChannelKind {
    /// The word in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Email => "email",
        }
    }
}

impl std::fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for ChannelKind {
    type Err = UnknownChannelKind;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Webhook, Self::Email]
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or(UnknownChannelKind)
    }
}

/// What a channel must know to speak, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ChannelConfig {
    Webhook(WebhookConfig),
    Email(EmailConfig),
}

/// Where a webhook is posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// https; plain http only to addresses that `[egress] allow` lists, judged on sending.
    pub url: String,
}

/// Who is written to; each address gets a message of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    pub to: Vec<String>,
}

impl ChannelConfig {
    /// Reads what somebody wrote as `config` of a channel of this kind, and judges it.
    pub fn read(kind: ChannelKind, config: serde_json::Value) -> Result<Self, Vec<FieldProblem>> {
        let config = Self::stored(kind, config)
            .map_err(|error| vec![FieldProblem::new("config", shape_rule(kind, &error))])?;
        let problems = config.check();
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// Reads what was judged when it was stored.
    pub fn stored(kind: ChannelKind, config: serde_json::Value) -> Result<Self, serde_json::Error> {
        match kind {
            ChannelKind::Webhook => serde_json::from_value(config).map(Self::Webhook),
            ChannelKind::Email => serde_json::from_value(config).map(Self::Email),
        }
    }

    /// Which kind this configures.
    pub fn kind(&self) -> ChannelKind {
        match self {
            Self::Webhook(_) => ChannelKind::Webhook,
            Self::Email(_) => ChannelKind::Email,
        }
    }

    /// One delivery is made for each; a channel with a single end has one, empty.
    pub fn recipients(&self) -> Vec<String> {
        match self {
            Self::Webhook(_) => vec![String::new()],
            Self::Email(email) => email.to.clone(),
        }
    }

    fn check(&self) -> Vec<FieldProblem> {
        match self {
            Self::Webhook(webhook) => check_url(&webhook.url),
            Self::Email(email) => check_recipients(&email.to),
        }
    }
}

fn shape_rule(kind: ChannelKind, error: &serde_json::Error) -> String {
    let shape = match kind {
        ChannelKind::Webhook => r#"{"url": "https://…"}"#,
        ChannelKind::Email => r#"{"to": ["somebody@example.com"]}"#,
    };
    format!("must be {shape} for a channel of kind {kind}: {error}")
}

fn check_url(url: &str) -> Vec<FieldProblem> {
    if url.len() > TARGET_BYTES {
        return vec![FieldProblem::new(
            "config.url",
            format!("must be at most {TARGET_BYTES} bytes"),
        )];
    }
    // Private addresses are judged on sending, by what the operator allows then;
    // metadata is allowed nowhere, so it is not worth storing.
    let rule = match egress::parse_url(url).map(|url| EgressPolicy::default().judge_url_host(&url))
    {
        Err(rule) => rule.to_string(),
        Ok(Err(AddressRule::Metadata(_) | AddressRule::MetadataName(_))) => {
            "must not be a cloud metadata service".to_owned()
        }
        Ok(_) => return Vec::new(),
    };
    vec![FieldProblem::new("config.url", rule)]
}

fn check_recipients(to: &[String]) -> Vec<FieldProblem> {
    if !(1..=EMAIL_RECIPIENTS).contains(&to.len()) {
        let rule = format!("must hold 1 to {EMAIL_RECIPIENTS} addresses");
        return vec![FieldProblem::new("config.to", rule)];
    }
    let mut problems = Vec::new();
    for (index, address) in to.iter().enumerate() {
        let field = format!("config.to[{index}]");
        if !is_address(address) {
            problems.push(FieldProblem::new(field, "must be an e-mail address"));
        } else if to[..index].iter().any(|other| other.eq_ignore_ascii_case(address)) {
            problems.push(FieldProblem::new(field, "must not repeat"));
        }
    }
    problems
}

/// A plain `local@domain` in ASCII. Quoted local parts, comments and address
/// literals are legal mail and nobody's on-call address; refusing them leaves
/// no room for anything that a header or an SMTP command could trip over.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= EMAIL_BYTES
        && (1..=64).contains(&local.len())
        && local.bytes().all(atom)
        && local.split('.').all(|part| !part.is_empty())
        && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(kind: ChannelKind, config: serde_json::Value) -> Vec<String> {
        ChannelConfig::read(kind, config)
            .expect_err("refused")
            .into_iter()
            .map(|problem| problem.field)
            .collect()
    }

    #[test]
    fn a_webhook_needs_a_url_that_may_be_posted_to() {
        let config =
            ChannelConfig::read(ChannelKind::Webhook, json!({"url": "https://example.com/x"}));
        assert_eq!(config.map(|config| config.recipients()), Ok(vec![String::new()]));
        for url in [
            "",
            "example.com",
            "file:///etc/passwd",
            "gopher://x/",
            "https://a:b@c/",
            "http://169.254.169.254/",
            "https://[fd00:ec2::254]/",
        ] {
            assert_eq!(
                fields(ChannelKind::Webhook, json!({ "url": url })),
                ["config.url"],
                "{url}"
            );
        }
        assert_eq!(fields(ChannelKind::Webhook, json!({"to": ["a@b"]})), ["config"]);
        assert_eq!(
            fields(ChannelKind::Webhook, json!({"url": "https://a/", "secret": "x"})),
            ["config"]
        );
    }

    #[test]
    fn an_address_that_could_break_a_header_is_refused_by_its_index() {
        let good = json!({"to": ["on-call@example.com", "a.b+c@localhost", "x'y@sub.example.org"]});
        assert!(ChannelConfig::read(ChannelKind::Email, good).is_ok());
        for bad in [
            "",
            "a",
            "@example.com",
            "a@",
            "a@b@",
            "a b@example.com",
            "a@exa mple.com",
            "a@example.com\r\nBcc: x@example.com",
            "a@[127.0.0.1]",
            "\"a\"@example.com",
            "<a@example.com>",
            "a..b@example.com",
            ".a@example.com",
            "a@-b.com",
            "a@b..com",
            "ä@example.com",
            "a,b@example.com",
            "a@example.com,",
        ] {
            let found = fields(ChannelKind::Email, json!({ "to": ["ok@example.com", bad] }));
            assert_eq!(found, ["config.to[1]"], "{bad:?}");
        }
        assert_eq!(fields(ChannelKind::Email, json!({"to": []})), ["config.to"]);
        assert_eq!(fields(ChannelKind::Email, json!({"to": ["a@b", "A@B"]})), ["config.to[1]"]);
    }
}
