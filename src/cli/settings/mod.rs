//! Flags that are not on the command line: from the environment, or else from a file.
//!
//! They are put into the command line before it is read, so that a value means the same wherever it comes from.

pub mod check;
mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};
use paxos_banking::client::find::distance;

pub use file::{Settings, read};

use super::environment::{Environment, PREFIX};

/// The name of the user's own file, in the folder of keys.
const USUAL_FILE: &str = "config.toml";
/// The flag that names the file.
pub const FLAG: &str = "config";
/// The flag whose variable is read where the flag is (`redis`): for some commands it only counts if nothing else is
/// named.
const READ_ELSEWHERE: &str = "redis";
/// The most letters that a mistyped flag may have wrong.
const FEW_LETTERS: usize = 3;
/// Flags that no other source can set: they are for one time.
const FOR_ONE_TIME: [&str; 5] = [FLAG, "help", "version", "rejoin", "found-from"];
/// What a variable or a file says of a flag without a value.
const YES: [&str; 4] = ["true", "1", "yes", "on"];
const NO: [&str; 4] = ["false", "0", "no", "off"];

/// A flag that was put into the command line, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// Its long name.
    pub flag: String,
    /// What stands in the command line for it.
    pub words: Vec<String>,
    /// The variable or file that says so.
    pub origin: String,
}

/// A command line with what it doesn't say itself.
#[derive(Debug)]
pub struct Complete {
    /// All of it.
    pub words: Vec<OsString>,
    /// What was added.
    pub added: Vec<Added>,
}

/// Returns the value of `--config` and the name and place of the command, as far as they are there.
pub fn look(words: &[OsString]) -> (Option<PathBuf>, Option<(usize, String)>) {
    let (mut file, mut command) = (None, None);
    let mut next = 1;
    while let Some(word) = words.get(next) {
        let text = word.to_string_lossy();
        let flag = format!("--{FLAG}");
        if text == "--" {
            break;
        }
        if text == flag {
            file = words.get(next + 1).map(PathBuf::from);
            next += 1;
        } else if let Some(path) = text.strip_prefix(&format!("{flag}=")) {
            file = Some(path.into());
        } else if command.is_none() && !text.starts_with('-') {
            command = Some((next, text.into_owned()));
        }
        next += 1;
    }
    (file, command)
}

/// Returns the file that sets flags, if there is one. The user's own is not for what others rely on: a server and a play
/// read only one that is named.
pub fn find(words: &[OsString], environment: &Environment) -> Option<PathBuf> {
    let (named, command) = look(words);
    let by_variable = environment.variables.get(&variable(FLAG));
    if let Some(file) = named.or_else(|| by_variable.map(PathBuf::from)) {
        return Some(file).filter(|file| !file.as_os_str().is_empty());
    }
    let is_own = |name: &str| !["server", "play"].contains(&name);
    let usual = environment.keys.as_ref().map(|folder| folder.join(USUAL_FILE));
    let usual = usual.filter(|_| command.is_some_and(|(_, name)| is_own(&name)));
    usual.filter(|file| cfg!(feature = "config-file") && file.is_file())
}

/// Returns the name of the variable for a flag.
pub fn variable(flag: &str) -> String {
    format!("{PREFIX}{}", flag.to_uppercase().replace('-', "_"))
}

/// Adds to a command line what the environment says, and what the file says and the environment doesn't. What is on the
/// command line, or can't stand beside it, is left as it is.
///
/// # Errors
/// If a value is none that its flag can have.
pub fn complete(
    words: Vec<OsString>,
    program: &Command,
    variables: &BTreeMap<String, String>,
    file: Option<&Settings>,
) -> Result<Complete, String> {
    let found = look(&words).1.and_then(|(at, name)| Some((at, program.find_subcommand(&name)?)));
    let Some((at, command)) = found else { return Ok(Complete { words, added: Vec::new() }) };
    let given = given(command, &words[at + 1..]);
    let excluded = |arg: &Arg| {
        let excludes = |one: &Arg, other: &Arg| {
            command.get_arg_conflicts_with(one).iter().any(|found| found.get_id() == other.get_id())
        };
        given
            .iter()
            .any(|one| one.get_id() == arg.get_id() || excludes(one, arg) || excludes(arg, one))
    };
    let mut added = Vec::new();
    for arg in command.get_arguments().filter(|arg| may_be_set(arg) && !excluded(arg)) {
        added.extend(words_of(arg, command.get_name(), variables, file)?);
    }
    let mut words = words;
    let new = added.iter().flat_map(|added: &Added| &added.words).map(OsString::from);
    words.splice(at + 1..at + 1, new.collect::<Vec<_>>());
    Ok(Complete { words, added })
}

/// True if a variable or a file may set a flag.
fn may_be_set(arg: &Arg) -> bool {
    arg.get_long().is_some_and(|long| !FOR_ONE_TIME.contains(&long))
}

/// Returns the flags that a command line has.
fn given<'a>(command: &'a Command, words: &[OsString]) -> Vec<&'a Arg> {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let names: BTreeSet<&str> = words
        .iter()
        .take_while(|word| *word != "--")
        .filter_map(|word| word.strip_prefix("--"))
        .map(|word| word.split_once('=').map_or(word, |(name, _)| name))
        .collect();
    let is_short = |arg: &&Arg| {
        let short = arg.get_short().map(|short| format!("-{short}"));
        short.is_some_and(|short| words.iter().any(|word| *word == short))
    };
    let is_long = |arg: &&Arg| arg.get_long().is_some_and(|long| names.contains(long));
    command.get_arguments().filter(|arg| is_long(arg) || is_short(arg)).collect()
}

fn words_of(
    arg: &Arg,
    command: &str,
    variables: &BTreeMap<String, String>,
    file: Option<&Settings>,
) -> Result<Option<Added>, String> {
    let flag = arg.get_long().unwrap_or_default();
    let variable = variable(flag);
    // Of several stores a command picks by flags that may be repeated: what holds for all commands is not for these.
    let is_one = !matches!(arg.get_action(), ArgAction::Append);
    let by_variable = variables.get(&variable).filter(|value| is_one && !value.is_empty());
    let (values, origin) = match (by_variable, file) {
        (Some(_), _) if flag == READ_ELSEWHERE => return Ok(None),
        (Some(value), _) => (vec![value.clone()], variable),
        (None, Some(file)) => {
            let of_command = file.commands.get(command).and_then(|values| values.get(flag));
            let of_all = || file.all.get(flag).filter(|_| is_one);
            let Some(values) = of_command.or_else(of_all) else { return Ok(None) };
            (values.clone(), file.path.display().to_string())
        }
        (None, None) => return Ok(None),
    };
    let words = match arg.get_action() {
        ArgAction::SetTrue => match &values[..] {
            [yes] if YES.contains(&&yes[..]) => vec![format!("--{flag}")],
            [no] if NO.contains(&&no[..]) => return Ok(None),
            _ => {
                let said = values.join(", ");
                return Err(format!("{origin}: {flag} is true or false, not {said:?}"));
            }
        },
        _ => values.iter().map(|value| format!("--{flag}={value}")).collect(),
    };
    Ok(Some(Added { flag: flag.to_owned(), words, origin }))
}

/// Says in an error where the value came from that it is about, if it was not on the command line.
pub fn explain(error: clap::Error, added: &[Added], program: &mut Command) -> clap::Error {
    let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let is_it = |added: &&Added| {
        let rest = named.strip_prefix("--").and_then(|rest| rest.strip_prefix(&added.flag));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '=']))
    };
    let Some(Added { origin, .. }) = added.iter().find(is_it) else { return error };
    let text = error.to_string();
    let what = text.lines().next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(what);
    program.error(ErrorKind::ValueValidation, format!("{origin} sets this: {what}"))
}

/// Checks the names in a file: each is a command, or a flag that it has.
///
/// # Errors
/// What is none, and what is near.
pub fn check_names(file: &Settings, program: &Command) -> Result<(), String> {
    let at = |name: &str| format!("{}: {name}", file.path.display());
    let flags = |command: &Command| -> Vec<String> {
        let flags = command.get_arguments().filter(|arg| may_be_set(arg));
        flags.filter_map(|arg| arg.get_long().map(str::to_owned)).collect()
    };
    let all: Vec<String> = program.get_subcommands().flat_map(flags).collect();
    if let Some(flag) = file.all.keys().find(|flag| !all.contains(flag)) {
        return Err(unknown(&at(flag), flag, &all));
    }
    for (name, values) in &file.commands {
        let Some(command) = program.find_subcommand(name) else {
            let names: Vec<_> =
                program.get_subcommands().map(|c| c.get_name().to_owned()).collect();
            return Err(format!("{} is no command: {}", at(name), names.join(", ")));
        };
        let flags = flags(command);
        if let Some(flag) = values.keys().find(|flag| !flags.contains(flag)) {
            return Err(unknown(&at(&format!("[{name}] {flag}")), flag, &flags));
        }
    }
    Ok(())
}

/// Says that a place in the file names no flag.
fn unknown(place: &str, name: &str, flags: &[String]) -> String {
    if FOR_ONE_TIME.contains(&name) {
        return format!("{place} is said on the command line only, since it is for one time");
    }
    let near = flags.iter().min_by_key(|flag| distance(flag, name));
    match near.filter(|near| distance(near, name) <= FEW_LETTERS) {
        Some(near) => format!("{place} is no flag; did you mean {near}?"),
        None => {
            format!("{place} is no flag (--help lists them; here they have no dashes before them)")
        }
    }
}

/// Returns the names of variables that begin as ours do, and set no flag.
pub fn strange_variables(variables: &BTreeMap<String, String>, program: &Command) -> Vec<String> {
    let flags = program.get_subcommands().flat_map(Command::get_arguments);
    let known: BTreeSet<String> = flags
        .filter(|arg| may_be_set(arg))
        .filter_map(|arg| arg.get_long())
        .map(variable)
        .collect();
    let others = [variable(FLAG), variable("bin")];
    let is_known = |name: &&String| known.contains(*name) || others.contains(name);
    variables.keys().filter(|name| !is_known(name)).cloned().collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
