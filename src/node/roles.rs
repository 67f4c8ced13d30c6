//! Which keys are operators' and auditors' at this server, by a file in the manner of `authorized_keys`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::bank::asker::Role;
use crate::bank::fingerprint::Fingerprint;

/// The longest file of roles, in bytes.
const TOO_LONG: u64 = 1 << 20;
/// What a line has to be.
const RIGHT: &str = "a line is: operator SHA256:… NAME, or: auditor SHA256:… NAME";

/// The role of each key that has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles(BTreeMap<Fingerprint, Role>);

impl Roles {
    /// Reads them from a file.
    ///
    /// # Errors
    /// What is wrong, with the file's name and the number of the line.
    pub(crate) fn read(path: &Path) -> Result<Roles, String> {
        let cant = |why: String| format!("can't read the roles in {}: {why}", path.display());
        let metadata = fs::metadata(path).map_err(|error| cant(error.to_string()))?;
        if !metadata.is_file() || metadata.len() > TOO_LONG {
            return Err(cant(format!("it is no file of at most {TOO_LONG} bytes")));
        }
        let text = fs::read_to_string(path).map_err(|error| cant(error.to_string()))?;
        Roles::parse(&text)
            .map_err(|(line, wrong)| format!("{}, line {line}: {wrong}", path.display()))
    }

    /// Parses a file.
    fn parse(text: &str) -> Result<Roles, (usize, String)> {
        let mut roles = BTreeMap::new();
        for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, role) = parse_line(line).map_err(|wrong| (number, wrong))?;
            if roles.insert(key, role).is_some() {
                return Err((number, format!("{key} is there twice; a key has one role")));
            }
        }
        Ok(Roles(roles))
    }

    /// Returns the role of a key.
    pub(crate) fn of(&self, key: Fingerprint) -> Option<Role> {
        self.0.get(&key).copied()
    }

    /// True if some key is an operator's.
    pub(crate) fn has_operator(&self) -> bool {
        self.0.values().any(|role| *role == Role::Operator)
    }

    /// Returns how many keys have a role.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn parse_line(line: &str) -> Result<(Fingerprint, Role), String> {
    let mut words = line.split_whitespace();
    let role = match words.next() {
        Some("operator") => Role::Operator,
        Some("auditor") => Role::Auditor,
        other => return Err(format!("{:?} is no role; {RIGHT}", other.unwrap_or_default())),
    };
    let key = words.next().ok_or_else(|| format!("a key is missing; {RIGHT}"))?;
    let key = key.parse().map_err(|error| format!("{key:?}: {error}; {RIGHT}"))?;
    Ok((key, role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_the_role_of_its_line() {
        let [one, other, third] = ["1", "2", "3"].map(|key| Fingerprint::of(key.as_bytes()));
        let text = format!(
            "# The desk\n\n  operator {one} Ann of the desk\n#operator {third} gone\nauditor\t{other}\n"
        );
        let roles = Roles::parse(&text).unwrap();
        assert_eq!(
            [one, other, third].map(|key| roles.of(key)),
            [Some(Role::Operator), Some(Role::Auditor), None]
        );
        assert_eq!(roles.len(), 2);
    }

    #[test]
    fn a_bad_line_is_told_by_its_number() {
        let key = Fingerprint::of(b"1");
        for (line, words) in [
            (format!("admin {key} Ann"), "\"admin\" is no role"),
            ("operator".to_owned(), "a key is missing"),
            ("operator SHA256:short Ann".to_owned(), "43 digits"),
            (format!("Operator {key}"), "no role"),
            (format!("operator {key}\nauditor {key}"), "twice"),
        ] {
            let (number, wrong) = Roles::parse(&format!("# one\n\n{line}\n")).unwrap_err();
            assert_eq!(number, 2 + line.lines().count());
            assert!(wrong.contains(words), "{wrong}");
        }
    }
}
