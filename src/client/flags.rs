//! The flags of what moves money, opens accounts and gives them keys. Pure.

use std::fmt;

use crate::bank::ledger::entry::Action;
use crate::bank::reference::Reference;
use crate::bank::request::Instruction;
use crate::client::split::{Word, in_quotes};
use crate::client::text::cut;
use crate::client::time::parse_time;

/// The flags of a line, or of a part of it. An opening's key is no flag, but a part of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Flags {
    pub settled: bool,
    pub wait_ms: Option<u64>,
    /// What it is for. In a line with several parts it is that of its own part alone.
    pub reference: Option<Reference>,
}

impl Flags {
    /// Takes the flags out of a line's words.
    ///
    /// # Errors
    /// If a flag is unknown, or its value is missing or wrong.
    pub fn of<'a>(words: &'a [Word<'_>]) -> Result<(Flags, Vec<&'a str>), String> {
        let (mut flags, mut others) = (Flags::default(), Vec::new());
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            match &*word.text {
                other if !is_flag(word) => others.push(other),
                "--settled" => flags.settled = true,
                "--wait" => {
                    let time = rest.next().ok_or("expected: --wait TIME, such as --wait 10s")?;
                    let time =
                        parse_time(&time.text).map_err(|wrong| format!("--wait: {wrong}"))?;
                    flags.wait_ms = Some(time.as_millis() as u64);
                }
                "--for" if flags.reference.is_some() => {
                    return Err("--for stands there twice, and one thing is for one".into());
                }
                "--for" => flags.reference = Some(reference(rest.next(), rest.as_slice())?),
                "--key" => {
                    let key = rest.next().map(|key| &*key.text);
                    others.extend([&*word.text].into_iter().chain(key));
                }
                unknown => {
                    let unknown = cut(unknown);
                    return Err(format!(
                        "{unknown} is not known here; --for TEXT, --settled and --wait TIME are"
                    ));
                }
            }
        }
        Ok((flags, others))
    }

    /// Makes the instruction that has these flags.
    pub fn on(self, action: Action) -> Instruction {
        let Flags { settled, wait_ms, reference } = self;
        // What needs no money has nothing to wait for.
        let wait_ms = wait_ms.filter(|_| action.payer().is_some());
        Instruction { settled, wait_ms, reference, ..Instruction::plain(action) }
    }
}

/// Displays the flags as they are typed, each with a space before it.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reference) = &self.reference {
            write!(f, " --for {}", in_quotes(reference.as_str()))?;
        }
        if self.settled {
            f.write_str(" --settled")?;
        }
        self.wait_ms.map_or(Ok(()), |wait| write!(f, " --wait {wait}ms"))
    }
}

fn is_flag(word: &Word<'_>) -> bool {
    !word.quoted && word.text.starts_with("--")
}

/// Reads what `--for` takes. A text of several words without quotes would leave words behind that look like an amount
/// or an account; so one without quotes has to be the last word, or followed by a flag.
fn reference(text: Option<&Word<'_>>, after: &[Word<'_>]) -> Result<Reference, String> {
    let text = text.filter(|text| !is_flag(text));
    let text = text.ok_or("expected: --for TEXT, such as --for rent or --for \"invoice 17\"")?;
    let more = after.iter().take_while(|next| !text.quoted && !is_flag(next));
    let all: Vec<&str> = [text].into_iter().chain(more).map(|word| &*word.text).collect();
    if all.len() > 1 {
        let all: String = all.join(" ").chars().take(80).collect();
        return Err(format!(
            "--for comes last, and its text stands in quotes, unless it is one word: --for {}",
            in_quotes(&all)
        ));
    }
    text.text.parse().map_err(|wrong| format!("--for {}: {wrong}", cut(&text.text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::split::words;

    fn flags(line: &str) -> Result<(String, String), String> {
        let words = words(line)?;
        let (flags, others) = Flags::of(&words)?;
        Ok((flags.to_string(), others.join("|")))
    }

    #[test]
    fn flags_are_taken_out_and_displayed_as_they_are_typed() {
        for (line, shown, others) in [
            ("B 30", "", "B|30"),
            ("B 30 --for rent", " --for \"rent\"", "B|30"),
            ("B --for \"invoice 17\" 30", " --for \"invoice 17\"", "B|30"),
            ("--for 'a \"b\"' B --settled 30", " --for \"a \\\"b\\\"\" --settled", "B|30"),
            ("B 30 --for rent --wait 1s", " --for \"rent\" --wait 1000ms", "B|30"),
            ("B 30 --for \"--settled\"", " --for \"--settled\"", "B|30"),
            ("A/x --key \"my key.pub\"", "", "A/x|--key|my key.pub"),
            ("\"--wait\" 30", "", "--wait|30"),
        ] {
            assert_eq!(flags(line), Ok((shown.into(), others.into())), "{line}");
            let again = flags(&format!("C 1{shown}"));
            assert_eq!(again, Ok((shown.into(), "C|1".into())), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_text_names_its_flag() {
        let long = format!("B 30 --for {}", "x".repeat(65));
        let very_long = format!("B 30 --for {}", "x".repeat(1 << 20));
        for (line, said) in [
            ("B 30 --for", "expected: --for TEXT, such as --for rent"),
            ("B 30 --for --settled", "expected: --for TEXT"),
            ("B 30 --for #17", "expected: --for TEXT"),
            ("B 30 --for invoice 17", "unless it is one word: --for \"invoice 17\""),
            ("--for rent B 30", "--for comes last, and its text stands in quotes"),
            ("B 1 --for a b c --settled", "--for \"a b c\""),
            ("B 30 --for a --for b", "--for stands there twice"),
            ("B 30 --for \"\"", "--for \"\": it is empty; a reference is 1 to 64 characters"),
            ("B 30 --for \"a\tb\"", "it holds the control character '\\t'"),
            (&*long, "it has 65 characters; a reference is 1 to 64 characters"),
            (&*very_long, "it has 1048576 characters"),
        ] {
            let wrong = flags(line).unwrap_err();
            assert!(wrong.contains(said) && wrong.len() < 400, "{line}: {wrong}");
        }
    }
}
