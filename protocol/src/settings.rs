//! Configuration: a TOML file, then the environment, then flags.
//!
//! Every program reads its settings through [`layered`], so precedence and
//! messages are the same everywhere. Environment variables are
//! `HYPERVERGE_SECTION__KEY`; for a secret, `…_FILE` names a file that holds it
//! (the caller reads it: this crate does no I/O). An unknown key is an error
//! that names the nearest known one, because a silently ignored key is a
//! setting somebody believes in.

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// The prefix of environment variables that set configuration.
pub const ENV_PREFIX: &str = "HYPERVERGE_";
/// Under that prefix too, but no key: it names the configuration file.
const ENV_FILE: &str = "HYPERVERGE_CONFIG";
/// What the test suites leave in the environment of the programs they start.
const ENV_TESTS: &str = "HYPERVERGE_TEST_";

/// Why settings are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("configuration is not valid TOML: {0}")]
    Syntax(String),
    #[error("{source_name}: unknown key `{key}`{}", .nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownKey { source_name: String, key: String, nearest: Option<String> },
    #[error("configuration value is not usable: {0}")]
    Value(String),
}

/// One setting from outside the file: its dotted key, its text and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    pub key: String,
    pub text: String,
    pub source_name: String,
}

impl Override {
    /// An override by dotted key.
    pub fn new(key: &str, text: impl Into<String>, source_name: impl Into<String>) -> Self {
        Self { key: key.to_owned(), text: text.into(), source_name: source_name.into() }
    }

    /// The override an environment variable makes, if it is one of ours:
    /// `HYPERVERGE_DATABASE__URL` sets `database.url`.
    pub fn from_env(name: &str, text: &str) -> Option<Self> {
        if name == ENV_FILE || name.starts_with(ENV_TESTS) {
            return None;
        }
        let key = name.strip_prefix(ENV_PREFIX)?.to_ascii_lowercase().replace("__", ".");
        Some(Self::new(&key, text, name))
    }
}

/// Lays `overrides` (later wins) over `file` over `T`'s defaults. `T` must
/// serialise every key it knows; an absent one as an empty string or list.
pub fn layered<T>(file: Option<&str>, overrides: &[Override]) -> Result<T, SettingsError>
where
    T: Serialize + DeserializeOwned + Default,
{
    let mut merged =
        Table::try_from(T::default()).map_err(|e| SettingsError::Value(e.to_string()))?;
    let known = dotted_keys(&merged);
    if let Some(text) = file {
        let table: Table =
            text.parse().map_err(|e: toml::de::Error| SettingsError::Syntax(e.to_string()))?;
        for key in dotted_keys(&table) {
            require_known(&key, &known, "configuration file")?;
        }
        overlay(&mut merged, table, "")?;
    }
    for over in overrides {
        require_known(&over.key, &known, &over.source_name)?;
        set(&mut merged, &over.key, &over.text).map_err(|rule| {
            SettingsError::Value(format!("{}: {} {rule}", over.source_name, over.key))
        })?;
    }
    Value::Table(merged)
        .try_into()
        .map_err(|e: toml::de::Error| SettingsError::Value(e.message().to_owned()))
}

fn require_known(key: &str, known: &[String], source_name: &str) -> Result<(), SettingsError> {
    if known.iter().any(|k| k == key) {
        return Ok(());
    }
    let nearest = known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(k, key), k))
        .min()
        .filter(|(distance, k)| *distance <= 2 + k.len() / 4)
        .map(|(_, k)| k.clone());
    Err(SettingsError::UnknownKey {
        source_name: source_name.to_owned(),
        key: key.to_owned(),
        nearest,
    })
}

fn dotted_keys(table: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) => {
                keys.extend(dotted_keys(inner).into_iter().map(|k| format!("{name}.{k}")))
            }
            _ => keys.push(name.clone()),
        }
    }
    keys
}

fn overlay(base: &mut Table, over: Table, section: &str) -> Result<(), SettingsError> {
    for (name, value) in over {
        match (base.get_mut(&name), value) {
            (Some(Value::Table(inner)), Value::Table(over)) => {
                overlay(inner, over, &format!("{section}{name}."))?
            }
            (Some(old), value) if old.type_str() != value.type_str() => {
                let rule = rule_of_type(old);
                return Err(SettingsError::Value(format!(
                    "configuration file: {section}{name} {rule}"
                )));
            }
            (_, value) => {
                base.insert(name, value);
            }
        }
    }
    Ok(())
}

fn rule_of_type(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "must be a whole number",
        Value::Boolean(_) => "must be true or false",
        Value::Array(_) => "must be a list",
        Value::Table(_) => "must be a section",
        _ => "must be text in quotes",
    }
}

/// Reads `text` as the type the default has: lists are separated by commas.
fn set(table: &mut Table, key: &str, text: &str) -> Result<(), &'static str> {
    let Some((section, rest)) = key.split_once('.') else {
        let value = table.get_mut(key).ok_or("is not known")?;
        *value = match value {
            Value::Integer(_) => {
                Value::Integer(text.parse().map_err(|_| "must be a whole number")?)
            }
            Value::Boolean(_) => Value::Boolean(text.parse().map_err(|_| "must be true or false")?),
            Value::Array(_) => Value::Array(
                text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(Value::from).collect(),
            ),
            _ => Value::String(text.to_owned()),
        };
        return Ok(());
    };
    match table.get_mut(section) {
        Some(Value::Table(inner)) => set(inner, rest, text),
        _ => Err("is not known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        state_dir: String,
        server: Server,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Server {
        listen: String,
        workers: u32,
        allow: Vec<String>,
    }
    impl Default for Settings {
        fn default() -> Self {
            let server = Server { listen: "127.0.0.1:1".into(), workers: 2, allow: vec![] };
            Self { state_dir: "/var/lib/x".into(), server }
        }
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_defaults() {
        let env: Vec<_> = [
            ("HYPERVERGE_SERVER__WORKERS", "9"),
            ("HYPERVERGE_SERVER__ALLOW", "a, b"),
            ("PATH", "/bin"),
        ]
        .into_iter()
        .filter_map(|(name, text)| Override::from_env(name, text))
        .collect();
        let settings: Settings =
            layered(Some("[server]\nlisten = \"[::]:4\"\nworkers = 3"), &env).expect("good");
        assert_eq!(
            settings.server,
            Server { listen: "[::]:4".into(), workers: 9, allow: vec!["a".into(), "b".into()] }
        );
        assert_eq!(settings.state_dir, "/var/lib/x");
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = layered::<Settings>(Some("[server]\nlisen = \"x\""), &[]).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "configuration file: unknown key `server.lisen`; did you mean `server.listen`?"
        );
        assert_eq!(Override::from_env("HYPERVERGE_TEST_BIN_DIR", "/x"), None);
        let over = Override::from_env("HYPERVERGE_STATE_DRI", "x").expect("ours");
        let error = layered::<Settings>(None, &[over]).expect_err("unknown");
        assert!(
            error.to_string().contains(
                "HYPERVERGE_STATE_DRI: unknown key `state_dri`; did you mean `state_dir`?"
            )
        );
    }

    #[test]
    fn a_wrong_type_names_its_key() {
        let over = Override::from_env("HYPERVERGE_SERVER__WORKERS", "many").expect("ours");
        let error = layered::<Settings>(None, &[over]).expect_err("not a number");
        assert!(error.to_string().contains("server.workers must be a whole number"), "{error}");
        for (file, rule) in [
            ("[server]\nworkers = \"two\"", "server.workers must be a whole number"),
            ("[server]\nlisten = 4", "server.listen must be text in quotes"),
            ("[server]\nallow = \"x\"", "server.allow must be a list"),
        ] {
            let error = layered::<Settings>(Some(file), &[]).expect_err("a wrong type").to_string();
            assert!(error.contains(rule), "{error}");
        }
        assert!(matches!(
            layered::<Settings>(Some("server = 3 ="), &[]),
            Err(SettingsError::Syntax(_))
        ));
    }
}
