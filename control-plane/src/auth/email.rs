//! Addresses that people sign in with.
//!
//! Judged only as far as mail and the database need: one `@`, a plausible
//! domain, printable ASCII, bounded. Whether it belongs to somebody only a
//! message can tell. Compared in lower case.

use hyperverge_protocol::problem::FieldProblem;

/// RFC 5321: the longest path, without its angle brackets.
const EMAIL_BYTES: usize = 254;
const LOCAL_BYTES: usize = 64;

const RULE: &str = "must be an e-mail address such as name@example.com, at most 254 characters";

/// Reads `text` into the form that is stored and compared.
pub fn normalise(text: &str) -> Result<String, FieldProblem> {
    let problem = || FieldProblem::new("email", RULE);
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@').ok_or_else(problem)?;
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"\"(),:;<>[]\\".contains(&b));
    let local_fits = (1..=LOCAL_BYTES).contains(&local.len())
        && !local.contains('@')
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    if plain && text.len() <= EMAIL_BYTES && local_fits && is_domain(domain) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(problem())
    }
}

fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_people_have() {
        for (text, stored) in [
            ("Ann@Example.com", "ann@example.com"),
            (" a.b+tag@sub.example.co ", "a.b+tag@sub.example.co"),
            ("root@localhost", "root@localhost"),
        ] {
            assert_eq!(normalise(text).expect(text), stored);
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "a@b@c.d",
            "ann @example.com",
            "ann@exa mple.com",
            "ann@-x.com",
            "ann@x..com",
            ".ann@x.com",
            "a\r\nBcc:x@y.z",
            "\"a b\"@x.com",
            "änn@example.com",
            &long,
        ] {
            assert_eq!(normalise(text).expect_err(text).field, "email", "{text}");
        }
    }
}
