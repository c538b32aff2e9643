//! A client of the REST API (design section 10).
//!
//! It logs in when it must: an access token lives for minutes, a person at a
//! terminal for longer. Problems (RFC 9457) come back as [`ClientError::Problem`]
//! with the fields at fault, so a command can print them as they are.

mod shapes;

use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::Mutex;

pub use shapes::{Agent, Incident, MonitorRegions, Page, RegionState, Subject};

/// One request, from connecting to the last byte.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The most of an answer that is not JSON that goes into an error message.
const QUOTED_CHARS: usize = 200;

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{base} is not reachable")]
    Unreachable { base: String, source: reqwest::Error },
    #[error("{method} {path} was answered {status}: {detail}")]
    Problem { method: Method, path: String, status: StatusCode, detail: String },
    #[error("{method} {path} was answered with something unexpected: {detail}")]
    Shape { method: Method, path: String, detail: String },
}

impl ClientError {
    /// Whether the other side may just be starting or restarting.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem { status, .. } => status.is_server_error(),
            Self::Shape { .. } => false,
        }
    }
}

/// Who logs in.
#[derive(Clone)]
pub struct Login {
    pub email: String,
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("email", &self.email).finish_non_exhaustive()
    }
}

/// A control plane's REST API, as one user.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    login: Login,
    access_token: Mutex<Option<String>>,
}

impl Client {
    /// A client of the control plane at `base` (`http://host:port`), as `login`.
    /// Nothing is sent yet. Proxies of the environment are not used.
    pub fn new(base: &str, login: Login) -> Result<Self, ClientError> {
        let http = connections(base, REQUEST_TIMEOUT)
            .map_err(|source| ClientError::Unreachable { base: base.to_owned(), source })?;
        Ok(Self { http, base: base.to_owned(), login, access_token: Mutex::new(None) })
    }

    /// Registers this client's user; on a new installation that makes it the owner.
    pub async fn register(&self) -> Result<(), ClientError> {
        self.send::<Value>(Method::POST, "/auth/register", Some(&self.credentials()), None)
            .await
            .map(drop)
    }

    /// One GET below `/api/v1`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.authenticated(Method::GET, path, None).await
    }

    /// One POST below `/api/v1`.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, ClientError> {
        self.authenticated(Method::POST, path, Some(body)).await
    }

    /// A token with which one agent may join `region`, which is made if new.
    pub async fn enrollment_token(&self, region: &str) -> Result<String, ClientError> {
        let answer: Value = self.post("enrollment-tokens", &json!({ "region": region })).await?;
        text(&answer, "token", "enrollment-tokens")
    }

    /// Makes a monitor and answers its id.
    pub async fn create_monitor(&self, spec: &Value) -> Result<String, ClientError> {
        let answer: Value = self.post("monitors", spec).await?;
        text(&answer, "id", "monitors")
    }

    /// Makes a channel and answers everything about it; a webhook's `secret` only here.
    pub async fn create_channel(&self, spec: &Value) -> Result<Value, ClientError> {
        self.post("channels", spec).await
    }

    /// What each region sees of a monitor, and what follows from it.
    pub async fn monitor_regions(&self, monitor: &str) -> Result<MonitorRegions, ClientError> {
        self.get(&format!("monitors/{monitor}/regions")).await
    }

    /// The newest incidents, resolved ones too.
    pub async fn incidents(&self) -> Result<Vec<Incident>, ClientError> {
        Ok(self.get::<Page<Incident>>("incidents?limit=100").await?.items)
    }

    /// The fleet.
    pub async fn agents(&self) -> Result<Vec<Agent>, ClientError> {
        Ok(self.get::<Page<Agent>>("agents?limit=100").await?.items)
    }

    async fn authenticated<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, ClientError> {
        let path = format!("/api/v1/{path}");
        let token = self.token(None).await?;
        match self.send(method.clone(), &path, body, Some(&token)).await {
            Err(ClientError::Problem { status: StatusCode::UNAUTHORIZED, .. }) => {
                let token = self.token(Some(&token)).await?;
                self.send(method, &path, body, Some(&token)).await
            }
            other => other,
        }
    }

    /// The access token at hand, or a new one if there is none or it is the `expired` one.
    async fn token(&self, expired: Option<&str>) -> Result<String, ClientError> {
        let mut held = self.access_token.lock().await;
        if let Some(token) = held.as_ref()
            && Some(token.as_str()) != expired
        {
            return Ok(token.clone());
        }
        let path = "/auth/login";
        let answer: Value = self.send(Method::POST, path, Some(&self.credentials()), None).await?;
        let token = text(&answer, "access_token", path)?;
        *held = Some(token.clone());
        Ok(token)
    }

    fn credentials(&self) -> Value {
        json!({ "email": self.login.email, "password": self.login.password })
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        token: Option<&str>,
    ) -> Result<T, ClientError> {
        let unreachable = |source| ClientError::Unreachable { base: self.base.clone(), source };
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(unreachable)?;
        if !status.is_success() {
            let detail = problem_detail(&bytes);
            return Err(ClientError::Problem { method, path: path.to_owned(), status, detail });
        }
        let bytes = if bytes.is_empty() { b"null".as_slice() } else { &bytes };
        serde_json::from_slice(bytes).map_err(|error| ClientError::Shape {
            method,
            path: path.to_owned(),
            detail: format!("{error} in {}", quoted(bytes)),
        })
    }
}

/// Connections to the control plane at `base`. Over plain HTTP no certificate
/// store is opened, since a bare container has none and need not.
pub(crate) fn connections(base: &str, timeout: Duration) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder().timeout(timeout).no_proxy();
    let plain = base.starts_with("http:");
    if plain { builder.tls_certs_only([]).build() } else { builder.build() }
}

fn text(answer: &Value, field: &str, path: &str) -> Result<String, ClientError> {
    answer[field].as_str().map(str::to_owned).ok_or_else(|| ClientError::Shape {
        method: Method::POST,
        path: path.to_owned(),
        detail: format!("no text `{field}` in the answer"),
    })
}

/// The detail of a problem and each field at fault, or the answer itself when it is no problem.
fn problem_detail(bytes: &[u8]) -> String {
    let Ok(problem) = serde_json::from_slice::<Value>(bytes) else {
        return quoted(bytes);
    };
    let words = problem["detail"].as_str().or(problem["title"].as_str());
    let mut detail = words.map_or_else(|| quoted(bytes), str::to_owned);
    for error in problem["errors"].as_array().into_iter().flatten() {
        detail.push_str(&format!("; {error}"));
    }
    detail
}

fn quoted(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(QUOTED_CHARS).collect()
}
