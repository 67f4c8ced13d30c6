//! A file of flags, in TOML: each flag by its name without dashes, as a line of its own for all commands that have it,
//! or below `[server]`, `[client]` and so on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The values that a source has for flags, by the flags' long names.
pub type Values = BTreeMap<String, Vec<String>>;

/// A file of flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub path: PathBuf,
    /// What holds for every command that has the flag.
    pub all: Values,
    /// What holds for one command, by its name.
    pub commands: BTreeMap<String, Values>,
}

/// Reads a file of flags.
///
/// # Errors
/// If it can't be read, or is no such file.
#[cfg(feature = "config-file")]
pub fn read(path: &Path) -> Result<Settings, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    read_text(path, &text).map_err(|why| format!("{}: {why}", path.display()))
}

/// Says that this build reads no file.
///
/// # Errors
/// Always.
#[cfg(not(feature = "config-file"))]
pub fn read(path: &Path) -> Result<Settings, String> {
    Err(format!(
        "{}: this program was built without files of flags (the feature config-file)",
        path.display()
    ))
}

#[cfg(feature = "config-file")]
fn read_text(path: &Path, text: &str) -> Result<Settings, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| text[..span.start].lines().count().max(1));
        let at = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{at}{}", error.message())
    })?;
    let mut settings = Settings { path: path.to_owned(), ..Settings::default() };
    for (name, value) in table {
        match value {
            toml::Value::Table(flags) => {
                let values = flags.into_iter().map(|(flag, value)| {
                    let values = values(&value).map_err(|why| format!("[{name}] {flag} {why}"))?;
                    Ok::<_, String>((flag, values))
                });
                settings.commands.insert(name.clone(), values.collect::<Result<_, _>>()?);
            }
            value => {
                let values = values(&value).map_err(|why| format!("{name} {why}"))?;
                settings.all.insert(name, values);
            }
        }
    }
    Ok(settings)
}

#[cfg(feature = "config-file")]
fn values(value: &toml::Value) -> Result<Vec<String>, String> {
    match value {
        toml::Value::String(text) => Ok(vec![text.clone()]),
        toml::Value::Integer(number) => Ok(vec![number.to_string()]),
        toml::Value::Boolean(yes) => Ok(vec![yes.to_string()]),
        toml::Value::Array(several) => {
            let several: Result<Vec<_>, _> = several.iter().map(values).collect();
            Ok(several?.concat())
        }
        other => Err(format!("is a {}, and no flag has such a value", other.type_str())),
    }
}
