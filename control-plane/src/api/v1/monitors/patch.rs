//! `PATCH /monitors/{id}`: a JSON merge patch (RFC 7396) of the specification.

use super::put::replace;
use super::{MonitorView, read_spec};
use crate::api::precondition::IfMatch;
use crate::api::{Api, Problem, input::Id, input::JsonBody};
use crate::auth::Editor;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value};

/// Changes the fields it names; null takes a field back to its default.
#[utoipa::path(patch, path = "/monitors/{id}", tag = "monitors", operation_id = "change_monitor",
    params(("id" = Uuid, Path, description = "The monitor"),
        ("If-Match" = Option<String>, Header, description = "The ETag it was read with; 412 when it has changed since")),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses((status = 200, body = MonitorView)))]
pub(super) async fn patch(
    State(api): State<Api>,
    Editor(caller): Editor,
    Id(id): Id,
    preconditions: IfMatch,
    body: JsonBody,
) -> Result<Response, Problem> {
    let patch: Map<String, Value> = body.read()?;
    replace(&api, caller, id, &preconditions, |present| {
        let mut target = serde_json::to_value(present).map_err(Problem::internal)?;
        merge(&mut target, Value::Object(patch));
        read_spec(target.to_string().as_bytes())
    })
    .await
}

/// RFC 7396. It goes as deep as the parser of the body let it: 128 levels.
pub(in crate::api::v1) fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The examples of RFC 7396, appendix A, whose patch is an object.
    #[test]
    fn as_the_rfc_shows() {
        for (mut original, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            merge(&mut original, patch.clone());
            assert_eq!(original, result, "{patch}");
        }
    }
}
