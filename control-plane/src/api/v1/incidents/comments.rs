//! `GET` and `POST /incidents/{id}/comments`.

use super::people::{People, PersonView};
use crate::api::create::{Begun, Create, CreateRequest};
use crate::api::page::{Page, PageQuery};
use crate::api::{Api, Problem, Timestamp, input::Id, input::JsonBody, input::Params};
use crate::auth::{Editor, Viewer};
use crate::limits;
use crate::store::comments::{self, Comment};
use crate::store::incidents;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

/// What somebody wrote to an incident.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Comment)]
pub(super) struct CommentView {
    /// Of its event in the incident's timeline.
    number: i64,
    author: PersonView,
    at: Timestamp,
    text: String,
}

/// A comment to write.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewComment {
    /// Plain text, also of several lines: 1 to 4000 characters.
    text: String,
}

/// Writes a comment. It also stands in the timeline and in the post-mortem; a
/// resolved incident takes comments too.
#[utoipa::path(post, path = "/incidents/{id}/comments", tag = "incidents", operation_id = "comment_on_incident",
    params(("id" = Uuid, Path, description = "The incident"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key and body get the same answer for a day")),
    request_body = NewComment, responses((status = 201, body = CommentView)))]
pub(super) async fn comment(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
    request: CreateRequest,
    body: JsonBody,
) -> Result<Response, Problem> {
    let NewComment { text } = body.read()?;
    require_text(&text)?;
    let mut create = match Create::begin(&api, caller, request, &body.0).await? {
        Begun::Fresh(create) => create,
        Begun::Replayed(response) => return Ok(response),
    };
    let (organisation, now) = (caller.organisation, create.now);
    let written = comments::insert(&mut create.tx, organisation, id, caller.user, &text, now)
        .await?
        .ok_or_else(|| Problem::not_found("incident"))?;
    if comments::count(&mut create.tx, organisation, id).await? > limits::COMMENTS {
        let limit = limits::COMMENTS;
        return Err(Problem::conflict(format!("an incident may have {limit} comments")));
    }
    let people = People::of(&mut create.tx, organisation, [caller.user]).await?;
    create.finish(&api, &CommentView::new(written, &people)).await
}

/// What people wrote, in order.
#[utoipa::path(get, path = "/incidents/{id}/comments", tag = "incidents", operation_id = "list_incident_comments",
    params(("id" = Uuid, Path, description = "The incident"), PageQuery),
    responses((status = 200, body = Page<CommentView>)))]
pub(super) async fn comments(
    State(api): State<Api>,
    Viewer(caller): Viewer,
    Id(id): Id,
    Params(query): Params<PageQuery>,
) -> Result<Page<CommentView>, Problem> {
    let (organisation, after, rows) = (caller.organisation, query.after_number()?, query.rows()?);
    let mut tx = api.shared.store.read().await?;
    incidents::get(&mut tx, organisation, id)
        .await?
        .ok_or_else(|| Problem::not_found("incident"))?;
    let found = comments::page(&mut tx, organisation, id, after, rows).await?;
    let authors: Vec<_> = found.iter().map(|comment| comment.author_id).collect();
    let people = People::of(&mut tx, organisation, authors).await?;
    let page = Page::new(found, &query, |comment| comment.number.to_string())?;
    Ok(page.map(|comment| CommentView::new(comment, &people)))
}

impl CommentView {
    fn new(comment: Comment, people: &People) -> Self {
        Self {
            number: comment.number,
            author: people.person(comment.author_id),
            at: Timestamp(comment.created_at),
            text: comment.text,
        }
    }
}

fn require_text(text: &str) -> Result<(), Problem> {
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let fits = text.chars().count() <= limits::COMMENT_CHARS && !text.trim().is_empty();
    if fits && !text.chars().any(control) {
        return Ok(());
    }
    let limit = limits::COMMENT_CHARS;
    Err(Problem::field("text", format!("must be 1 to {limit} characters of plain text")))
}
