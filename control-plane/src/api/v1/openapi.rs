//! `GET /openapi.json`: this document.

use crate::api::{Problem, openapi_text};
use http::header::{CONTENT_TYPE, HeaderName};
use std::sync::OnceLock;

static TEXT: OnceLock<String> = OnceLock::new();

/// The OpenAPI document of this version.
#[utoipa::path(get, path = "/openapi.json", tag = "about", operation_id = "openapi", security(()),
    responses((status = 200, body = Object)))]
pub(super) async fn document() -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    let text = match TEXT.get() {
        Some(text) => text.clone(),
        None => {
            let made = openapi_text().map_err(Problem::internal)?;
            TEXT.get_or_init(|| made).clone()
        }
    };
    Ok(([(CONTENT_TYPE, "application/json")], text))
}
