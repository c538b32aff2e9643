//! The page at `/`: monitors by regions, live, with open incidents and agents.
//!
//! Plain files, embedded; no build step. `main.js` polls the API and hands the
//! answers to one module for each part of the page. Everything is served under
//! a policy that allows no inline script or style, and what comes from outside
//! becomes text nodes, never markup. To add a file: a line in [`FILES`].

use crate::api::{Api, Problem};
use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Name, type and text of every file under `/page/`.
const FILES: [(&str, &str, &str); 10] = [
    ("page.css", CSS, include_str!("page.css")),
    ("main.js", JS, include_str!("main.js")),
    ("session.js", JS, include_str!("session.js")),
    ("dom.js", JS, include_str!("dom.js")),
    ("words.js", JS, include_str!("words.js")),
    ("incidents.js", JS, include_str!("incidents.js")),
    ("monitors.js", JS, include_str!("monitors.js")),
    ("details.js", JS, include_str!("details.js")),
    ("agents.js", JS, include_str!("agents.js")),
    ("icon.svg", SVG, include_str!("icon.svg")),
];

/// The page and its files.
pub(crate) fn router() -> Router<Api> {
    Router::new()
        .route("/", get(async || answer(HTML, include_str!("index.html"))))
        .route("/page/{file}", get(file))
}

async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let known = FILES.iter().find(|(file, _, _)| *file == name);
    let (_, kind, text) = known.ok_or_else(|| Problem::not_found("file"))?;
    Ok(answer(kind, text))
}

fn answer(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text).into_response()
}
