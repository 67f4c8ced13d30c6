//! The prompt at which a line can be edited: arrows, history, completion and hints, by rustyline.

use std::borrow::Cow;
use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter, HistoryHinter};
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, CompletionType, Config, Context, Helper};

use crate::client::completion::{Wanted, hint, wanted};
use crate::client::names::Names;
use crate::client::session::Session;
use crate::client::typed::Typed;

/// The most lines that the history keeps.
const MOST_LINES: usize = 1000;

/// Completes words and gives hints; asks the server for names.
struct Aid {
    names: Names,
    used_before: HistoryHinter,
}

impl Aid {
    fn of(asker: Session) -> Aid {
        Aid { names: Names::from(asker), used_before: HistoryHinter::new() }
    }

    fn again(&self) -> Aid {
        Aid { names: self.names.again(), used_before: HistoryHinter::new() }
    }
}

/// What could follow at the end of a line.
struct Following {
    text: String,
    /// True if it can be typed as it stands, and not only tells what is expected.
    is_typed: bool,
}

impl Hint for Following {
    fn display(&self) -> &str {
        &self.text
    }

    fn completion(&self) -> Option<&str> {
        self.is_typed.then_some(&self.text)
    }
}

impl Helper for Aid {}
impl Validator for Aid {}

impl Completer for Aid {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let Wanted { from, kinds } = wanted(&line[..pos]);
        let words = self.names.of(&kinds, &line[from..pos]);
        // What is complete needs no more letters.
        let end = if words.len() == 1 { " " } else { "" };
        let pair = |display: String| Pair { replacement: format!("{display}{end}"), display };
        Ok((from, words.into_iter().map(pair).collect()))
    }
}

impl Hinter for Aid {
    type Hint = Following;

    fn hint(&self, line: &str, pos: usize, context: &Context<'_>) -> Option<Following> {
        if pos < line.len() {
            return None;
        }
        let expected = hint(line).map(|text| Following { text, is_typed: false });
        let before = || self.used_before.hint(line, pos, context);
        expected.or_else(|| before().map(|text| Following { text, is_typed: true }))
    }
}

impl Highlighter for Aid {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        format!("\x1b[2m{hint}\x1b[0m").into()
    }
}

/// The line editor, with its history.
pub(super) struct Editor {
    editor: rustyline::Editor<Aid, DefaultHistory>,
    /// The file of the history, unless it can't be kept.
    file: Option<PathBuf>,
}

impl fmt::Debug for Editor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Editor").field("file", &self.file).finish_non_exhaustive()
    }
}

fn edit_with(aid: Aid) -> rustyline::Result<rustyline::Editor<Aid, DefaultHistory>> {
    let config = Config::builder()
        .max_history_size(MOST_LINES)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        // Hints are dim, which is no colour: NO_COLOR doesn't make them look like what was typed.
        .color_mode(ColorMode::Forced)
        .build();
    let mut editor = rustyline::Editor::with_config(config)?;
    editor.set_helper(Some(aid));
    Ok(editor)
}

impl Editor {
    /// Takes the terminal for prompts. Names are asked for by `asker`, and the history is in this file.
    ///
    /// # Errors
    /// If the terminal can't be used so.
    pub(super) fn open(asker: Session, file: Option<&Path>) -> io::Result<Editor> {
        let mut editor = edit_with(Aid::of(asker)).map_err(broken)?;
        let file = file.filter(|file| match load(&mut editor, file) {
            Ok(()) => true,
            Err(why) => {
                log::warn!("lines are not kept for the next time: {}: {why}", file.display());
                false
            }
        });
        Ok(Editor { file: file.map(Path::to_owned), editor })
    }

    /// Reads what a person types behind the prompt, which begins with `typed`.
    pub(super) fn read(&mut self, prompt: &str, typed: &str) -> io::Result<Typed> {
        match self.editor.readline_with_initial(prompt, (typed, "")) {
            Ok(text) => Ok(Typed::Text(text)),
            Err(ReadlineError::Interrupted) => Ok(Typed::Nothing),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(error) => Err(broken(error)),
        }
    }

    /// Keeps a line in the history.
    pub(super) fn keep(&mut self, line: &str) {
        let mut kept = self.editor.add_history_entry(line).map(drop);
        if let (Ok(()), Some(file)) = (&kept, &self.file) {
            kept = self.editor.append_history(file);
        }
        if let Err(why) = kept {
            log::info!("this line is not kept for the next time: {why}");
        }
    }

    /// Forgets keys that came together with the line before them and are not used yet.
    pub(super) fn forget_ahead(&mut self) {
        // The editor has them in a buffer that nobody else can reach.
        let aid = self.editor.helper().map(Aid::again);
        let Some(Ok(mut anew)) = aid.map(edit_with) else { return };
        std::mem::swap(anew.history_mut(), self.editor.history_mut());
        self.editor = anew;
    }

    /// Returns how many lines and columns the terminal has, if that can be known.
    pub(super) fn size(&mut self) -> Option<(usize, usize)> {
        let (columns, rows) = self.editor.dimensions()?;
        Some((rows.into(), columns.into()))
    }
}

/// Reads the history, which has a folder afterwards.
fn load(
    editor: &mut rustyline::Editor<Aid, DefaultHistory>,
    file: &Path,
) -> Result<(), ReadlineError> {
    if let Some(folder) = file.parent() {
        // What somebody pays is nobody else's business.
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match editor.load_history(file) {
        Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        loaded => loaded,
    }
}

fn broken(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        error => io::Error::other(error),
    }
}
