//! `ETag` out, `If-Match` in: a change is made to what its author has seen.
//!
//! The tag is the row's revision. Without `If-Match` the last writer wins,
//! which is what a script that sets a known state wants.

use super::{Api, Problem};
use axum::extract::FromRequestParts;
use http::HeaderValue;
use http::header::IF_MATCH;
use http::request::Parts;

/// The revisions a client would accept; `None`: any.
#[derive(Debug, Clone)]
pub struct IfMatch(Option<Vec<String>>);

impl IfMatch {
    /// Refuses (412) unless `revision` is one the client named.
    pub fn require(&self, revision: i64) -> Result<(), Problem> {
        let Some(tags) = &self.0 else { return Ok(()) };
        let present = format!("\"{revision}\"");
        if tags.iter().any(|tag| tag == "*" || *tag == present) {
            return Ok(());
        }
        Err(Problem::precondition_failed(format!("the present revision is {revision}")))
    }
}

impl FromRequestParts<Api> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().map_err(|_| Problem::malformed("If-Match cannot be read"))?;
        // Some proxies that compress weaken a tag; the revision behind it is the same.
        let tags = text.split(',').map(|tag| tag.trim().trim_start_matches("W/").to_owned());
        Ok(Self(Some(tags.collect())))
    }
}

/// The tag of `revision`.
pub fn etag(revision: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_present_revision_matches() {
        let tags = |text: &str| IfMatch(Some(vec![text.to_owned()]));
        assert!(IfMatch(None).require(3).is_ok());
        assert!(tags("\"3\"").require(3).is_ok() && tags("*").require(3).is_ok());
        assert!(tags("\"2\"").require(3).is_err() && tags("3").require(3).is_err());
    }
}
