//! Reads the file and the environment, and says where each value came from.

use super::{SettingProblem, Settings, check};
use hyperverge_protocol::settings::{ENV_PREFIX, Override, SettingsError, layered};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Variables without the prefix that other tools set by custom.
const ALIASES: [(&str, &str); 3] = [
    ("DATABASE_URL", "database.url"),
    ("JWT_SECRET", "keys.jwt_secret"),
    ("LOG_LEVEL", "log.level"),
];
/// Keys that may be given as the name of a file that holds them.
const SECRET_KEYS: [&str; 7] = [
    "database.url",
    "keys.link",
    "keys.assignment",
    "keys.session",
    "keys.wrapping",
    "keys.jwt_secret",
    "mail.smtp_url",
];
/// A key file, or a configuration file: nobody's is longer.
const FILE_BYTES: u64 = 1024 * 1024;

/// Why the program does not start with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{}: {source}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}: is larger than {FILE_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    #[error("{variable}: {}: {source}", .path.display())]
    SecretFile {
        variable: String,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{variable}: only secrets may be given as a file ({})", SECRET_KEYS.join(", "))]
    NotASecret { variable: String },
    #[error("{place}: {source}")]
    Layer {
        place: String,
        #[source]
        source: SettingsError,
    },
    #[error("PORT: must be a port, 0 to 65535, not {0:?}")]
    Port(String),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Rules(Vec<SettingProblem>),
}

/// Where values came from, to name the place in a message.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    places: BTreeMap<String, String>,
}

impl Sources {
    /// The file, variable or flag that set `key`.
    pub fn of(&self, key: &str) -> &str {
        self.places.get(key).map_or("defaults", String::as_str)
    }

    /// Whether anybody set `key`.
    pub fn is_set(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    fn note(&mut self, key: &str, place: &str) {
        self.places.insert(key.to_owned(), place.to_owned());
    }
}

/// This process's environment, without what is not Unicode.
pub fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
        .collect()
}

/// Lays flags over `environment` over `file` over the defaults, and checks every rule.
pub fn load(
    file: Option<&Path>,
    environment: &[(String, String)],
    flags: &[Override],
) -> Result<(Settings, Sources), LoadError> {
    let text = file.map(read_file).transpose()?;
    let mut overrides = from_environment(environment)?;
    overrides.extend_from_slice(flags);
    let place = file.map_or_else(|| "settings".to_owned(), |path| path.display().to_string());
    let mut settings: Settings = layered(text.as_deref(), &overrides)
        .map_err(|source| LoadError::Layer { place: place.clone(), source })?;
    let mut sources = Sources::default();
    for key in text.as_deref().map(dotted_keys).unwrap_or_default() {
        sources.note(&key, &place);
    }
    for over in &overrides {
        sources.note(&over.key, &over.source_name);
    }
    let listen_is_given = overrides.iter().any(|over| over.key == "server.listen");
    let port = environment.iter().find(|(name, _)| name == "PORT");
    if let Some((_, port)) = port.filter(|_| !listen_is_given) {
        let port: u16 = port.parse().map_err(|_| LoadError::Port(port.clone()))?;
        settings.server.listen = with_port(&settings.server.listen, port);
        sources.note("server.listen", "PORT");
    }
    let problems = check::check(&settings, &sources);
    if problems.is_empty() { Ok((settings, sources)) } else { Err(LoadError::Rules(problems)) }
}

/// The keys that a configuration file, already found good, sets.
fn dotted_keys(text: &str) -> Vec<String> {
    let table: toml::Table = text.parse().unwrap_or_default();
    let mut keys = Vec::new();
    for (section, value) in &table {
        for key in value.as_table().into_iter().flat_map(toml::Table::keys) {
            keys.push(format!("{section}.{key}"));
        }
    }
    keys
}

/// `listen` with another port.
pub(crate) fn with_port(listen: &str, port: u16) -> String {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _)| host);
    format!("{host}:{port}")
}

fn from_environment(environment: &[(String, String)]) -> Result<Vec<Override>, LoadError> {
    let mut overrides = Vec::new();
    for (name, text) in environment {
        if let Some((_, key)) = ALIASES.iter().find(|(alias, _)| alias == name) {
            overrides.push(Override::new(key, text.clone(), name));
        }
    }
    for (name, text) in environment {
        let stem = name.strip_suffix("_FILE").filter(|_| is_ours(name));
        if let Some(over) = Override::from_env(stem.unwrap_or(name), text) {
            overrides.push(match stem {
                None => over,
                Some(_) => from_secret_file(&over.key, name, text)?,
            });
        }
    }
    Ok(overrides)
}

fn is_ours(name: &str) -> bool {
    name.starts_with(ENV_PREFIX)
}

fn from_secret_file(key: &str, variable: &str, path: &str) -> Result<Override, LoadError> {
    if !SECRET_KEYS.contains(&key) {
        return Err(LoadError::NotASecret { variable: variable.to_owned() });
    }
    let path = PathBuf::from(path);
    let text = read_file(&path).map_err(|error| match error {
        LoadError::Read { path, source } => {
            LoadError::SecretFile { variable: variable.to_owned(), path, source }
        }
        other => other,
    })?;
    Ok(Override::new(key, text.trim(), variable))
}

fn read_file(path: &Path) -> Result<String, LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES {
        return Err(LoadError::TooLarge(path.to_owned()));
    }
    std::fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect()
    }

    #[test]
    fn flags_win_over_the_environment_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cp.toml");
        std::fs::write(&file, "[server]\nlisten = \"127.0.0.2:1\"\n[log]\nlevel = \"warn\"\n")
            .unwrap();
        let flags = [Override::new("log.level", "trace", "--set")];
        let environment = env(&[
            ("PORT", "7"),
            ("LOG_LEVEL", "debug"),
            ("DATABASE_URL", "sqlite:///a/b.db"),
            ("HYPERVERGE_DATABASE__URL", "sqlite:///c/d.db"),
            ("HYPERVERGE_TEST_POSTGRES_URL", "ignored"),
        ]);
        let (settings, sources) = load(Some(&file), &environment, &flags).unwrap();
        assert_eq!(settings.server.listen, "127.0.0.2:7");
        assert_eq!(settings.log.level, "trace");
        assert_eq!(settings.database.url.expose(), "sqlite:///c/d.db");
        assert_eq!(sources.of("server.listen"), "PORT");
        assert_eq!(sources.of("database.url"), "HYPERVERGE_DATABASE__URL");
    }

    #[test]
    fn a_secret_may_come_from_a_file_and_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        std::fs::write(&file, "postgres://user:hunter2@db/hv\n").unwrap();
        let path = file.display().to_string();
        let environment = env(&[("HYPERVERGE_DATABASE__URL_FILE", &path)]);
        let (settings, _) = load(None, &environment, &[]).unwrap();
        assert_eq!(settings.database.url.expose(), "postgres://user:hunter2@db/hv");
        assert!(!format!("{settings:?}").contains("hunter2"));

        let gone = env(&[("HYPERVERGE_DATABASE__URL_FILE", "/nonexistent/url")]);
        let error = load(None, &gone, &[]).unwrap_err().to_string();
        assert!(error.starts_with("HYPERVERGE_DATABASE__URL_FILE: /nonexistent/url: "), "{error}");
        let error = load(None, &env(&[("HYPERVERGE_LOG__LEVEL_FILE", &path)]), &[]).unwrap_err();
        assert!(error.to_string().contains("only secrets"), "{error}");
    }

    #[test]
    fn a_mistake_names_the_place_the_key_the_rule_and_the_nearest_key() {
        let error = load(None, &env(&[("HYPERVERGE_SERVER__LISTEM", "x")]), &[]).unwrap_err();
        assert!(
            error.to_string().contains("HYPERVERGE_SERVER__LISTEM: unknown key `server.listem`; did you mean `server.listen`?"),
            "{error}"
        );
        let environment = env(&[("HYPERVERGE_SERVER__LISTEN", "4000"), ("JWT_SECRET", "short")]);
        let error = load(None, &environment, &[]).unwrap_err().to_string();
        assert!(error.contains("HYPERVERGE_SERVER__LISTEN: server.listen must be"), "{error}");
        assert!(error.contains("JWT_SECRET: keys.jwt_secret must be"), "{error}");
        assert!(!error.contains("short"), "{error}");
    }

    #[test]
    fn a_wrong_type_in_the_file_names_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cp.toml");
        std::fs::write(&file, "[retention]\nresults_days = \"many\"\n").unwrap();
        let error = load(Some(&file), &[], &[]).unwrap_err().to_string();
        assert!(error.contains("cp.toml"), "{error}");
        assert!(error.contains("retention.results_days must be a whole number"), "{error}");
    }
}
