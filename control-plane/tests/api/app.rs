//! A control plane's API over a fresh database, and a client for it.

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyperverge_control_plane::auth::{Role, password::Passwords};
use hyperverge_control_plane::keys::Keys;
use hyperverge_control_plane::settings::Settings;
use hyperverge_control_plane::shared::Shared;
use hyperverge_control_plane::store::users::User;
use hyperverge_control_plane::store::{Store, organisations, users};
use hyperverge_control_plane::{api, clock};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tempfile::TempDir;
use tower::ServiceExt;
use uuid::Uuid;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A running API.
pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) shared: Arc<Shared>,
    _dir: Option<TempDir>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// Asserts the status and hands the answer on.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    /// Asserts that the answer is a problem that names `field`.
    #[track_caller]
    pub(crate) fn names(self, field: &str) -> Self {
        let problem = self.json();
        let errors = problem["errors"].as_array().unwrap();
        let named = errors.iter().any(|e| e["field"] == field && e["rule"] != "");
        assert!(named, "{field} is not named in {problem}");
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json");
        self
    }
}

impl App {
    /// Over a new SQLite file.
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("api.db").display());
        Self { _dir: Some(dir), ..Self::over(Store::open(&url).await.unwrap()) }
    }

    /// Over a store that is open.
    pub(crate) fn over(store: Store) -> Self {
        let keys = Keys::generate(&mut clock::rng());
        Self::of(Shared::new(store, keys, Settings::default()))
    }

    /// Another replica of the same installation: the same database and keys.
    pub(crate) fn beside(other: &Self) -> Self {
        let Shared { store, keys, settings, .. } = &*other.shared;
        Self::of(Shared::new(store.clone(), keys.clone(), settings.clone()))
    }

    fn of(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        let peer = MockConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1)));
        let router = api::router(Arc::clone(&shared)).layer(peer);
        Self { router, shared, _dir: None }
    }

    /// Sends a request built by hand.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// Sends JSON, or nothing for `Value::Null`, as the bearer of `token`.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Value,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = match body {
            Value::Null => request.body(Body::empty()),
            body => {
                request.header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))
            }
        };
        self.send(request.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, token, Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call(Method::POST, path, token, body).await
    }

    /// An access token for somebody new in `organisation`.
    pub(crate) async fn member(&self, organisation: Uuid, role: Role) -> String {
        let email = format!("{}@example.com", clock::new_id());
        let hash = Passwords::default().hash(PASSWORD.into()).await.unwrap();
        let mut tx = self.shared.store.begin().await.unwrap();
        let created_at = tx.now().await.unwrap();
        let id = clock::new_id();
        let user = User { organisation, id, email: email.clone(), role, generation: 1, created_at };
        users::insert(&mut tx, &user, &hash).await.unwrap();
        tx.commit().await.unwrap();
        self.login(&email).await["access_token"].as_str().unwrap().to_owned()
    }

    /// A new organisation and its owner's access token.
    pub(crate) async fn organisation(&self) -> (Uuid, String) {
        let id = clock::new_id();
        let mut tx = self.shared.store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        organisations::insert(&mut tx, id, "test", now).await.unwrap();
        tx.commit().await.unwrap();
        (id, self.member(id, Role::Owner).await)
    }

    /// Signs in with [`PASSWORD`].
    pub(crate) async fn login(&self, email: &str) -> Value {
        let body = json!({ "email": email, "password": PASSWORD });
        self.post("/auth/login", "", body).await.expect(200).json()
    }
}
