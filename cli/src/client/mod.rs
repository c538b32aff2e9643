//! A client of the REST API (design section 10).
//!
//! It logs in when it must: an access token lives for minutes, a person at a
//! terminal for longer. Problems (RFC 9457) come back as [`ClientError::Problem`]
//! with the fields at fault, so a command can print them as they are.

mod shapes;
mod tokens;

use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::Mutex;

pub use shapes::{Agent, FieldAtFault, Incident, MonitorRegions, Page, RegionState, Subject};
pub use tokens::{TokenFile, Tokens};

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
    Problem {
        method: Method,
        path: String,
        status: StatusCode,
        detail: String,
        /// The sort of problem, for people.
        title: Option<String>,
        /// The fields at fault and the rule each broke.
        errors: Vec<FieldAtFault>,
    },
    #[error("{method} {path} was answered with something unexpected: {detail}")]
    Shape { method: Method, path: String, detail: String },
    #[error("nobody is signed in; `hyperverge login` does that")]
    NotSignedIn,
    #[error("the tokens in {path} cannot be used")]
    Tokens { path: String, source: std::io::Error },
}

impl ClientError {
    /// Whether the other side may just be starting or restarting.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem { status, .. } => status.is_server_error(),
            Self::Shape { .. } | Self::NotSignedIn | Self::Tokens { .. } => false,
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
    access: Access,
}

/// How it becomes somebody.
#[derive(Debug)]
enum Access {
    /// With a password, whenever it must.
    Login(Login, Mutex<Option<String>>),
    /// With the tokens of an earlier sign-in.
    Kept(TokenFile),
}

impl Client {
    /// A client of the control plane at `base` (`http://host:port`), as `login`.
    /// Nothing is sent yet. Proxies of the environment are not used.
    pub fn new(base: &str, login: Login) -> Result<Self, ClientError> {
        let http = connections(base, REQUEST_TIMEOUT)
            .map_err(|source| ClientError::Unreachable { base: base.to_owned(), source })?;
        let access = Access::Login(login, Mutex::new(None));
        Ok(Self { http, base: base.to_owned(), access })
    }

    /// A client of the control plane that somebody signed in to before.
    pub fn signed_in(file: TokenFile) -> Result<Self, ClientError> {
        let kept = read_tokens(&file)?;
        let http = connections(&kept.url, REQUEST_TIMEOUT)
            .map_err(|source| ClientError::Unreachable { base: kept.url.clone(), source })?;
        Ok(Self { http, base: kept.url, access: Access::Kept(file) })
    }

    /// Signs in and keeps the tokens in `file`.
    pub async fn sign_in(&self, login: &Login, file: &TokenFile) -> Result<(), ClientError> {
        let path = "/auth/login";
        let answer = self.send(Method::POST, path, Some(&credentials(login)), None).await?;
        save_tokens(file, &self.base, &login.email, &answer, path)
    }

    /// Registers this client's user; on a new installation that makes it the owner.
    pub async fn register(&self) -> Result<(), ClientError> {
        let Access::Login(login, _) = &self.access else { return Err(ClientError::NotSignedIn) };
        let body = credentials(login);
        self.send::<Value>(Method::POST, "/auth/register", Some(&body), None).await.map(drop)
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

    /// One GET below `/api/v1` whose answer is text.
    pub async fn get_text(&self, path: &str) -> Result<String, ClientError> {
        let bytes = self.authenticated_bytes(Method::GET, path, None).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn authenticated<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, ClientError> {
        let bytes = self.authenticated_bytes(method.clone(), path, body).await?;
        read(method, path, &bytes)
    }

    async fn authenticated_bytes(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Vec<u8>, ClientError> {
        let path = format!("/api/v1/{path}");
        let token = self.token(None).await?;
        match self.exchange(method.clone(), &path, body, Some(&token)).await {
            Err(ClientError::Problem { status: StatusCode::UNAUTHORIZED, .. }) => {
                let token = self.token(Some(&token)).await?;
                self.exchange(method, &path, body, Some(&token)).await
            }
            other => other,
        }
    }

    /// The access token at hand, or a new one if there is none or it is the `expired` one.
    async fn token(&self, expired: Option<&str>) -> Result<String, ClientError> {
        let (login, held) = match &self.access {
            Access::Login(login, held) => (login, held),
            Access::Kept(file) => return self.kept_token(file, expired).await,
        };
        let mut held = held.lock().await;
        if let Some(token) = held.as_ref()
            && Some(token.as_str()) != expired
        {
            return Ok(token.clone());
        }
        let path = "/auth/login";
        let answer: Value = self.send(Method::POST, path, Some(&credentials(login)), None).await?;
        let token = text(&answer, "access_token", path)?;
        *held = Some(token.clone());
        Ok(token)
    }

    async fn kept_token(
        &self,
        file: &TokenFile,
        expired: Option<&str>,
    ) -> Result<String, ClientError> {
        let kept = read_tokens(file)?;
        if expired.is_none_or(|expired| kept.access_token != expired) {
            return Ok(kept.access_token);
        }
        let failed =
            |source| ClientError::Tokens { path: file.path().display().to_string(), source };
        let _lock = file.lock().map_err(failed)?;
        // Another process may have refreshed while this one waited.
        let kept = read_tokens(file)?;
        if Some(kept.access_token.as_str()) != expired {
            return Ok(kept.access_token);
        }
        let path = "/auth/refresh";
        let body = json!({ "refresh_token": kept.refresh_token });
        let answer: Value = self.send(Method::POST, path, Some(&body), None).await?;
        save_tokens(file, &kept.url, &kept.email, &answer, path)?;
        text(&answer, "access_token", path)
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        token: Option<&str>,
    ) -> Result<T, ClientError> {
        let bytes = self.exchange(method.clone(), path, body, token).await?;
        read(method, path, &bytes)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        token: Option<&str>,
    ) -> Result<Vec<u8>, ClientError> {
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
        if status.is_success() {
            Ok(bytes.to_vec())
        } else {
            Err(problem(method, path, status, &bytes))
        }
    }
}

fn credentials(login: &Login) -> Value {
    json!({ "email": login.email, "password": login.password })
}

fn read<T: DeserializeOwned>(method: Method, path: &str, bytes: &[u8]) -> Result<T, ClientError> {
    let bytes = if bytes.is_empty() { b"null".as_slice() } else { bytes };
    serde_json::from_slice(bytes).map_err(|error| ClientError::Shape {
        method,
        path: path.to_owned(),
        detail: format!("{error} in {}", quoted(bytes)),
    })
}

fn read_tokens(file: &TokenFile) -> Result<Tokens, ClientError> {
    let failed = |source| ClientError::Tokens { path: file.path().display().to_string(), source };
    file.load().map_err(failed)?.ok_or(ClientError::NotSignedIn)
}

fn save_tokens(
    file: &TokenFile,
    url: &str,
    email: &str,
    answer: &Value,
    path: &str,
) -> Result<(), ClientError> {
    let tokens = Tokens {
        url: url.to_owned(),
        email: email.to_owned(),
        access_token: text(answer, "access_token", path)?,
        refresh_token: text(answer, "refresh_token", path)?,
    };
    let failed = |source| ClientError::Tokens { path: file.path().display().to_string(), source };
    file.save(&tokens).map_err(failed)
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

/// The problem in an answer, or the answer itself when it is none.
fn problem(method: Method, path: &str, status: StatusCode, bytes: &[u8]) -> ClientError {
    let body = serde_json::from_slice::<Value>(bytes).unwrap_or(Value::Null);
    let title = body["title"].as_str().map(str::to_owned);
    let words = body["detail"].as_str().map(str::to_owned).or_else(|| title.clone());
    let detail = words.unwrap_or_else(|| quoted(bytes));
    let errors = serde_json::from_value(body["errors"].clone()).unwrap_or_default();
    ClientError::Problem { method, path: path.to_owned(), status, detail, title, errors }
}

fn quoted(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(QUOTED_CHARS).collect()
}
