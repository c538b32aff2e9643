//! Every route against every sort of caller.
//!
//! A route that the document knows and this table does not fails the test. So
//! does a caller of another organisation who gets anything but 404, and a list
//! that shows one organisation's things to another.

use crate::app::{Answer, App};
use crate::channels::dead_letter;
use crate::fleet::enrolled;
use crate::groups::grouped;
use crate::incidents::opened;
use http::Method;
use hyperverge_control_plane::api;
use hyperverge_control_plane::auth::Role;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

const CHANNEL: &str = "everywhere";

/// One route: who may call it at least, what it is sent, what it answers then.
struct Row {
    method: Method,
    path: &'static str,
    /// `None`: everybody, signed in or not.
    least: Option<Role>,
    body: fn() -> Value,
    status: u16,
}

fn row(method: Method, path: &'static str, least: Role, body: fn() -> Value, status: u16) -> Row {
    Row { method, path, least: Some(least), body, status }
}

fn public(method: Method, path: &'static str, body: fn() -> Value, status: u16) -> Row {
    Row { method, path, least: None, body, status }
}

fn nothing() -> Value {
    Value::Null
}

fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", hyperverge_control_plane::clock::new_id().simple())
}

fn monitor() -> Value {
    json!({ "name": unique("m"), "target": "https://example.com/" })
}

/// A webhook that our own rules keep from being reached.
fn channel() -> Value {
    json!({ "name": unique("c"), "kind": "webhook", "config": { "url": "https://127.0.0.1:1/" } })
}

/// A route to the channel that each organisation of [`World`] has.
fn route() -> Value {
    json!({ "name": unique("r"), "channels": [CHANNEL] })
}

fn silence() -> Value {
    json!({ "comment": "known", "matchers": { "monitors": ["*"] }, "ends_at": "2998-12-31T00:00:00Z",
        "starts_at": "2998-12-01T00:00:00Z" })
}

fn window() -> Value {
    json!({ "name": "move", "matchers": { "monitors": ["*"] }, "ends_at": "2998-12-31T00:00:00Z",
        "starts_at": "2998-12-01T00:00:00Z" })
}

fn login() -> Value {
    json!({ "email": format!("{}@example.com", unique("u")), "password": "not the password" })
}

fn rows() -> Vec<Row> {
    use Role::{Admin, Editor, Viewer};
    let (get, post) = (Method::GET, Method::POST);
    let mut rows = vec![
        public(get.clone(), "/api/v1/openapi.json", nothing, 200),
        row(post.clone(), "/api/v1/auth/logout", Viewer, nothing, 204),
        row(get.clone(), "/api/v1/regions", Viewer, nothing, 200),
        row(post.clone(), "/api/v1/regions", Admin, || json!({ "name": unique("r") }), 201),
        row(Method::DELETE, "/api/v1/regions/{id}", Admin, nothing, 204),
        row(get.clone(), "/api/v1/agents", Viewer, nothing, 200),
        row(get.clone(), "/api/v1/agents/{id}", Viewer, nothing, 200),
        row(post.clone(), "/api/v1/agents/{id}/revoke", Admin, nothing, 200),
        row(get.clone(), "/api/v1/enrollment-tokens", Admin, nothing, 200),
        row(
            post.clone(),
            "/api/v1/enrollment-tokens",
            Admin,
            || json!({ "region": unique("r") }),
            201,
        ),
        row(Method::DELETE, "/api/v1/enrollment-tokens/{id}", Admin, nothing, 204),
        row(get.clone(), "/api/v1/channels", Viewer, nothing, 200),
        row(post.clone(), "/api/v1/channels", Editor, channel, 201),
        row(get.clone(), "/api/v1/channels/{id}", Viewer, nothing, 200),
        row(Method::PATCH, "/api/v1/channels/{id}", Editor, || json!({ "default": false }), 200),
        row(Method::DELETE, "/api/v1/channels/{id}", Editor, nothing, 204),
        row(post.clone(), "/api/v1/channels/{id}/test", Editor, nothing, 200),
        row(post.clone(), "/api/v1/channels/{id}/rotate-secret", Editor, nothing, 200),
        row(get.clone(), "/api/v1/dead-letters", Viewer, nothing, 200),
        row(Method::DELETE, "/api/v1/dead-letters/{id}", Editor, nothing, 204),
        row(post.clone(), "/api/v1/dead-letters/{id}/replay", Editor, nothing, 200),
        row(post.clone(), "/api/v1/dead-letters/{id}/discard", Editor, nothing, 204),
    ];
    rows.extend([
        row(get.clone(), "/api/v1/overview", Viewer, nothing, 200),
        row(get.clone(), "/api/v1/incidents", Viewer, nothing, 200),
        row(get.clone(), "/api/v1/incidents/{id}", Viewer, nothing, 200),
        row(get.clone(), "/api/v1/incidents/{id}/timeline", Viewer, nothing, 200),
        row(get.clone(), "/api/v1/incidents/{id}/explain", Viewer, nothing, 200),
        row(get.clone(), "/api/v1/monitors/{id}/explain", Viewer, nothing, 200),
        // The monitor stands in the body; `backtests.rs` tells of one that is there.
        row(post.clone(), "/api/v1/backtests", Viewer, || json!({ "monitor": "m" }), 422),
        row(post.clone(), "/api/v1/incidents/{id}/acknowledge", Editor, nothing, 200),
        row(get.clone(), "/api/v1/groups", Viewer, nothing, 200),
        row(get.clone(), "/api/v1/groups/{id}", Viewer, nothing, 200),
        row(get.clone(), "/api/v1/incidents/{id}/comments", Viewer, nothing, 200),
        row(
            post.clone(),
            "/api/v1/incidents/{id}/comments",
            Editor,
            || json!({ "text": "on it" }),
            201,
        ),
        row(get.clone(), "/api/v1/incidents/{id}/post-mortem", Viewer, nothing, 200),
        row(post.clone(), "/api/v1/routes/test", Viewer, || json!({}), 200),
        row(Method::PUT, "/api/v1/routes/{id}", Editor, route, 200),
    ]);
    type Body = fn() -> Value;
    let of_notification: [(&str, &str, Body); 3] = [
        ("/api/v1/routes", "/api/v1/routes/{id}", route),
        ("/api/v1/silences", "/api/v1/silences/{id}", silence),
        ("/api/v1/maintenance-windows", "/api/v1/maintenance-windows/{id}", window),
    ];
    for (list, one, body) in of_notification {
        rows.extend([
            row(get.clone(), list, Viewer, nothing, 200),
            row(post.clone(), list, Editor, body, 201),
            row(get.clone(), one, Viewer, nothing, 200),
            row(Method::PATCH, one, Editor, || json!({}), 200),
            row(Method::DELETE, one, Editor, nothing, 204),
        ]);
    }
    for (list, one) in
        [("/api/v1/monitors", "/api/v1/monitors/{id}"), ("/monitors", "/monitors/{id}")]
    {
        rows.extend([
            row(get.clone(), list, Viewer, nothing, 200),
            row(post.clone(), list, Editor, monitor, 201),
            row(get.clone(), one, Viewer, nothing, 200),
            row(Method::PUT, one, Editor, monitor, 200),
            row(Method::PATCH, one, Editor, || json!({ "interval": "30s" }), 200),
            row(Method::DELETE, one, Editor, nothing, 204),
        ]);
    }
    for path in ["/api/v1/monitors/{id}/regions", "/monitors/{id}/regions"] {
        rows.push(row(get.clone(), path, Viewer, nothing, 200));
    }
    for path in ["/api/v1/monitors/{id}/results", "/monitors/{id}/results"] {
        rows.push(row(get.clone(), path, Viewer, nothing, 200));
    }
    for path in ["/api/v1/auth/login", "/auth/login"] {
        rows.push(public(post.clone(), path, login, 401));
    }
    for path in ["/api/v1/auth/register", "/auth/register"] {
        // Registering has its own story; here it must only not ask for a token.
        rows.push(public(post.clone(), path, || json!({ "email": "x", "password": "x" }), 422));
    }
    for path in ["/api/v1/auth/refresh", "/auth/refresh"] {
        rows.push(public(post.clone(), path, || json!({ "refresh_token": "x" }), 401));
    }
    rows
}

/// Two organisations and the people of one.
struct World {
    app: App,
    organisation: Uuid,
    admin: String,
    editor: String,
    viewer: String,
    stranger: String,
}

impl World {
    async fn new() -> Self {
        let app = App::new().await;
        let (organisation, _) = app.organisation().await;
        let (elsewhere, _) = app.organisation().await;
        for organisation in [organisation, elsewhere] {
            let admin = app.member(organisation, Role::Admin).await;
            let mut body = channel();
            body["name"] = json!(CHANNEL);
            app.post("/api/v1/channels", &admin, body).await.expect(201);
        }
        Self {
            organisation,
            admin: app.member(organisation, Role::Admin).await,
            editor: app.member(organisation, Role::Editor).await,
            viewer: app.member(organisation, Role::Viewer).await,
            stranger: app.member(elsewhere, Role::Owner).await,
            app,
        }
    }

    /// Makes a new thing of the sort that `path` is about; its id.
    async fn thing(&self, path: &str) -> String {
        let resource = path.trim_start_matches("/api/v1").split('/').nth(1).unwrap();
        let (path, body) = match resource {
            "monitors" => ("/api/v1/monitors", monitor()),
            "regions" => ("/api/v1/regions", json!({ "name": unique("r") })),
            "enrollment-tokens" => ("/api/v1/enrollment-tokens", json!({ "region": unique("r") })),
            "channels" => ("/api/v1/channels", channel()),
            "routes" => ("/api/v1/routes", route()),
            "silences" => ("/api/v1/silences", silence()),
            "maintenance-windows" => ("/api/v1/maintenance-windows", window()),
            "dead-letters" => {
                let made = self.app.post("/api/v1/channels", &self.admin, channel()).await.json();
                let channel = made["id"].as_str().unwrap();
                return dead_letter(&self.app, self.organisation, channel).await.to_string();
            }
            "incidents" => return opened(&self.app, self.organisation, &unique("m")).await.0,
            "groups" => {
                let (incident, _) = opened(&self.app, self.organisation, &unique("m")).await;
                let members = [incident.parse().unwrap()];
                return grouped(&self.app, self.organisation, &members).await.to_string();
            }
            "agents" => return enrolled(&self.app, self.organisation, &unique("r")).await,
            _ => return String::new(),
        };
        let made = self.app.post(path, &self.admin, body).await.expect(201).json();
        made["id"].as_str().unwrap().to_owned()
    }

    /// Calls the row about a thing of its own; the answer and the thing's id.
    async fn call(&self, row: &Row, token: &str) -> (Answer, String) {
        let thing = self.thing(row.path).await;
        let path = row.path.replace("{id}", &thing);
        (self.app.call(row.method.clone(), &path, token, (row.body)()).await, thing)
    }
}

#[tokio::test]
async fn each_route_answers_each_caller_as_it_should() {
    let world = World::new().await;
    for row in rows() {
        let name = format!("{} {}", row.method, row.path);
        let Some(least) = row.least else {
            let (answer, _) = world.call(&row, "").await;
            assert_eq!(answer.status, row.status, "{name}, anonymous: {answer:?}");
            continue;
        };
        let (answer, _) = world.call(&row, "").await;
        assert_eq!(answer.status, 401, "{name}, anonymous: {answer:?}");
        if !row.path.ends_with("/auth/logout") {
            let (answer, thing) = world.call(&row, &world.stranger).await;
            let expected = if row.path.contains('{') { 404 } else { row.status };
            assert_eq!(answer.status, expected, "{name}, stranger: {answer:?}");
            assert!(thing.is_empty() || !answer.text.contains(&thing), "{name}: {answer:?}");
        }
        let callers = [
            (Role::Viewer, &world.viewer),
            (Role::Editor, &world.editor),
            (Role::Admin, &world.admin),
        ];
        for (role, token) in callers {
            if row.path.ends_with("/auth/logout") {
                let token = world.app.member(world.organisation, role).await;
                assert_eq!(world.call(&row, &token).await.0.status, row.status, "{name}");
                continue;
            }
            let (answer, _) = world.call(&row, token).await;
            let expected = if role >= least { row.status } else { 403 };
            assert_eq!(answer.status, expected, "{name}, {role:?}: {answer:?}");
        }
    }
}

#[test]
fn every_route_has_its_row() {
    let document: Value = serde_json::from_str(&api::openapi_text().unwrap()).unwrap();
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            routes.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let rows: BTreeSet<String> =
        rows().iter().map(|row| format!("{} {}", row.method, row.path)).collect();
    let missing: Vec<_> = routes.difference(&rows).collect();
    assert!(missing.is_empty(), "routes without a row: {missing:?}");
    let stale: Vec<_> = rows.difference(&routes).filter(|row| row.contains("/api/v1/")).collect();
    assert!(stale.is_empty(), "rows without a route: {stale:?}");
}
