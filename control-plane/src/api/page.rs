//! Keyset pages: `?limit=&cursor=` in, `{items, next_cursor}` and `Link` out.
//!
//! A cursor is the key of the last item in opaque clothes, so that a page costs
//! the same wherever it begins, and what comes or goes meanwhile neither shifts
//! nor repeats others. A store is asked for one row more than fits
//! ([`PageQuery::rows`]): if it comes, there is a next page.

use super::Problem;
use crate::limits;
use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, Uri};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use uuid::Uuid;

/// The two parameters of every list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items on a page: 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    pub limit: Option<i64>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// Items that fit.
    pub fn limit(&self) -> Result<i64, Problem> {
        match self.limit {
            None => Ok(limits::PAGE_DEFAULT),
            Some(limit) if (1..=limits::PAGE_MAX).contains(&limit) => Ok(limit),
            Some(_) => Err(Problem::field("limit", "must be 1 to 200")),
        }
    }

    /// Rows to ask the store for.
    pub fn rows(&self) -> Result<i64, Problem> {
        Ok(self.limit()? + 1)
    }

    /// The key after which the page begins; `None` on the first one.
    pub fn after(&self) -> Result<Option<String>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let problem = || Problem::field("cursor", "must be the next_cursor of the page before");
        if cursor.len() > limits::CURSOR_BYTES {
            return Err(problem());
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| problem())?;
        let text = String::from_utf8(bytes).map_err(|_| problem())?;
        text.strip_prefix(CURSOR_VERSION).map(|key| Some(key.to_owned())).ok_or_else(problem)
    }

    /// As [`Self::after`], for lists whose key is an id.
    pub fn after_id(&self) -> Result<Option<Uuid>, Problem> {
        let Some(key) = self.after()? else { return Ok(None) };
        let problem = |_| Problem::field("cursor", "must be the next_cursor of the page before");
        key.parse().map(Some).map_err(problem)
    }

    /// As [`Self::after`], for lists whose key is a number from 1 upward; 0 on the first page.
    pub fn after_number(&self) -> Result<i64, Problem> {
        let Some(key) = self.after()? else { return Ok(0) };
        let problem = |_| Problem::field("cursor", "must be the next_cursor of the page before");
        key.parse().map_err(problem)
    }
}

/// A later form of cursors gets another letter, and old ones are refused with their field.
const CURSOR_VERSION: &str = "k";

/// One page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page begins; null on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of `rows`, which may hold one more than fits; `key` names the key of an item.
    pub fn new(
        mut rows: Vec<T>,
        query: &PageQuery,
        key: impl Fn(&T) -> String,
    ) -> Result<Self, Problem> {
        let limit = usize::try_from(query.limit()?).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next_cursor =
            last.map(|item| URL_SAFE_NO_PAD.encode(format!("{CURSOR_VERSION}{}", key(item))));
        Ok(Self { items: rows, next_cursor })
    }

    /// A list that is always whole.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }

    /// The same page of other items.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next_cursor: self.next_cursor }
    }
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let next = self.next_cursor.clone().map(NextCursor);
        let mut response = Json(self).into_response();
        if let Some(next) = next {
            // `exchange` knows the request's path and other parameters.
            response.extensions_mut().insert(next);
        }
        response
    }
}

/// The cursor of a page's successor, on its way to the `Link` header.
#[derive(Debug, Clone)]
pub(super) struct NextCursor(String);

impl NextCursor {
    /// `Link` to the next page of what `uri` asked for.
    pub(super) fn link(&self, uri: &Uri) -> Option<HeaderValue> {
        let asked = form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(asked.filter(|(name, _)| name != "cursor"))
            .append_pair("cursor", &self.0)
            .finish();
        HeaderValue::from_str(&format!("<{}?{query}>; rel=\"next\"", uri.path())).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(limit: i64, cursor: Option<String>) -> PageQuery {
        PageQuery { limit: Some(limit), cursor }
    }

    #[test]
    fn a_cursor_leads_to_the_key_it_was_made_of() {
        let page = Page::new(vec!["a", "b", "c"], &query(2, None), |s| (*s).to_owned());
        let page = page.expect("a page");
        assert_eq!(page.items, ["a", "b"]);
        let next = query(2, page.next_cursor);
        assert_eq!(next.after().expect("a key"), Some("b".to_owned()));
        let last = Page::new(vec!["c"], &next, |s| (*s).to_owned()).expect("a page");
        assert_eq!(last.next_cursor, None);
    }

    #[test]
    fn limits_and_cursors_that_are_none_are_refused() {
        for limit in [0, -1, 201] {
            assert!(query(limit, None).limit().is_err(), "{limit}");
        }
        for cursor in ["%", "YQ", &"A".repeat(5000)] {
            assert!(query(1, Some(cursor.to_owned())).after().is_err(), "{cursor}");
        }
    }
}
