//! What a row found with one build, and the two builds beside each other.

use serde_json::{Value, json};

use crate::bench::report::{Bound, Unit};

/// How wide a build's column is.
const COLUMN: usize = 18;

/// One thing that was found.
struct Figure {
    name: String,
    found: String,
    /// What was asked, and whether that was reached.
    asked: Option<(String, bool)>,
}

/// What a row found with one build.
#[derive(Default)]
pub struct Figures {
    all: Vec<Figure>,
}

impl Figures {
    /// A measured figure of which nothing is asked.
    pub fn measured(&mut self, name: &str, unit: Unit, value: f64) {
        self.add(name, shown(unit, value), None);
    }

    /// A measured figure and its bound.
    pub fn asked(&mut self, name: &str, unit: Unit, value: f64, bound: Bound) {
        let asked = (bound.show(unit), bound.is_reached(value));
        self.add(name, shown(unit, value), Some(asked));
    }

    /// What was seen, in words.
    pub fn seen(&mut self, name: &str, words: &str) {
        self.add(name, words.to_owned(), None);
    }

    /// What was seen, what was asked, both in words, and whether that was reached.
    pub fn expected(&mut self, name: &str, words: &str, asked: &str, reached: bool) {
        self.add(name, words.to_owned(), Some((asked.to_owned(), reached)));
    }

    /// Whether something is so that ought to be.
    pub fn is_so(&mut self, name: &str, so: bool) {
        self.expected(name, if so { "yes" } else { "NO" }, "yes", so);
    }

    fn add(&mut self, name: &str, found: String, asked: Option<(String, bool)>) {
        // One line of the table, whatever a server said.
        let found = found.lines().next().unwrap_or_default().to_owned();
        self.all.push(Figure { name: name.to_owned(), found, asked });
    }

    fn get(&self, name: &str) -> Option<&Figure> {
        self.all.iter().find(|figure| figure.name == name)
    }
}

/// A value for people; what was waited for in vain has no time.
fn shown(unit: Unit, value: f64) -> String {
    if value.is_infinite() { "not in time".to_owned() } else { unit.show(value) }
}

/// A figure of both builds.
pub struct Beside {
    row: String,
    name: String,
    old: String,
    new: String,
    asked: String,
    reached: String,
}

/// The table's first line; without a build to compare with it lacks that column.
pub fn heading(two: bool) -> String {
    let of = |text: &str| text.to_owned();
    let (row, name, old, new) = (of(""), of("what"), of("the other build"), of("this build"));
    Beside { row, name, old, new, asked: of("asked"), reached: of("") }.show(two)
}

/// The figures of a row, each of both builds; one that only the other build has comes last.
pub fn lines_beside(row: &str, old: Option<&Figures>, new: &Figures) -> Vec<Beside> {
    let only_old =
        old.into_iter().flat_map(|old| &old.all).filter(|one| new.get(&one.name).is_none());
    let names = new.all.iter().chain(only_old);
    let line = |Figure { name, asked, .. }: &Figure| {
        let found = |figures: Option<&Figures>| {
            figures
                .and_then(|figures| figures.get(name))
                .map_or("-".to_owned(), |f| f.found.clone())
        };
        let now = new.get(name).and_then(|figure| figure.asked.as_ref());
        let reached =
            now.map_or("", |(_, reached)| if *reached { "reached" } else { "NOT reached" });
        Beside {
            row: row.to_owned(),
            name: name.clone(),
            old: found(old),
            new: found(Some(new)),
            asked: asked.as_ref().map_or(String::new(), |(asked, _)| asked.clone()),
            reached: reached.to_owned(),
        }
    };
    names.map(line).collect()
}

impl Beside {
    /// The line for people. Words that are longer than a column have lines of their own below it.
    pub fn show(&self, two: bool) -> String {
        let Beside { name, old, new, asked, reached, .. } = self;
        let is_long = |text: &&String| text.chars().count() > COLUMN;
        let long: Vec<_> = [("the other build", old), ("this build", new)]
            .into_iter()
            .filter(|(_, text)| is_long(text))
            .collect();
        let cell = |text: &String| if is_long(&text) { "(below)".into() } else { text.clone() };
        let old = if two { format!(" {:>COLUMN$}", cell(old)) } else { String::new() };
        let line = format!("  {name:56}{old} {:>COLUMN$} {asked:>20}  {reached}", cell(new));
        let below = long.iter().map(|(build, words)| format!("\n      {build}: {words}"));
        format!("{}{}", line.trim_end(), below.collect::<String>())
    }

    /// The line for programs.
    pub fn json(&self) -> Value {
        let Beside { row, name, old, new, asked, reached } = self;
        json!({"row": row, "what": name, "beside": old, "this": new, "asked": asked, "reached": reached})
    }
}
