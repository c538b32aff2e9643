//! The client that commands use: whoever `hyperverge login` signed in.

use crate::client::{Client, ClientError, TokenFile};
use anyhow::{Context, Result};
use serde_json::Value;

/// Pages of monitors that are looked through for a name.
const PAGES: usize = 500;

/// How a command answers.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Output {
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The client of whoever is signed in.
pub(crate) fn client() -> Result<Client> {
    let file = TokenFile::of_user().context("finding the tokens")?;
    Ok(Client::signed_in(file)?)
}

/// The id of a monitor that is named by its id or its name.
pub(crate) async fn monitor_id(client: &Client, named: &str) -> Result<String> {
    let mut path = "monitors?limit=200".to_owned();
    for _ in 0..PAGES {
        let page: Value = client.get(&path).await?;
        for monitor in crate::print::list(&page, "/items") {
            let id = crate::print::at(monitor, "/id");
            if crate::print::at(monitor, "/name") == named || id == named {
                return Ok(id.to_owned());
            }
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("monitors?limit=200&cursor={cursor}"),
            None => break,
        }
    }
    // One that was deleted has a past, and its id still names it.
    Ok(in_path(named)?.to_owned())
}

/// Text that may stand in a path as it is.
pub(crate) fn in_path(id: &str) -> Result<&str, ClientError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !id.is_empty() && id.chars().all(is_plain) {
        return Ok(id);
    }
    Err(ClientError::Problem {
        method: reqwest::Method::GET,
        path: String::new(),
        status: reqwest::StatusCode::NOT_FOUND,
        detail: "that is neither an id nor a name".to_owned(),
        title: Some("Not found".to_owned()),
        errors: Vec::new(),
    })
}

/// `text` as the value of a query parameter.
pub(crate) fn in_query(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let each = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_into_a_path_or_a_query_stays_there() {
        assert!(in_path("0198-ab").is_ok() && in_path("shop-2").is_ok());
        for text in ["", "../x", "a/b", "a?b", "a b"] {
            assert!(in_path(text).is_err(), "{text}");
        }
        assert_eq!(in_query("2026-01-31T13:00:00+01:00"), "2026-01-31T13%3A00%3A00%2B01%3A00");
    }
}
