//! Lines into records. A server that is killed while it writes leaves half a line, which is no error.

use crate::explain::explain;
use crate::trace::record::{Record, Told, What};

/// Reads the records of a trace, in their order.
///
/// # Errors
/// Names the line that is no record, unless it is the last, or the last before the server started again.
pub fn read(name: &str, text: &str) -> Result<Vec<Record>, String> {
    let mut records: Vec<Record> = Vec::new();
    let mut half = None;
    for (line, number) in text.lines().zip(1..) {
        let record = match serde_json::from_str::<Record>(line) {
            Ok(record) => record,
            Err(error) if half.is_none() => {
                half = Some((number, error));
                continue;
            }
            Err(_) => break,
        };
        if half.is_some() && !matches!(record.what, What::Start { .. }) {
            break;
        }
        half = None;
        records.push(record);
    }
    match half {
        // The file's last line.
        Some((number, _)) if number == text.lines().count() && number > 1 => Ok(records),
        Some((number, error)) => Err(format!(
            "{name}, line {number} is not a line of a trace, which server --trace writes: {}",
            explain(&error)
        )),
        None if records.is_empty() => Err(format!("{name} is empty: no trace of any server")),
        None => Ok(records),
    }
}

/// Reads the trace of a play; none if it is a server's.
pub fn read_told(text: &str) -> Option<Vec<Told>> {
    let told = |line: &str| serde_json::from_str(line).ok();
    // The last line may be half written.
    told(text.lines().next()?).map(|_: Told| text.lines().filter_map(told).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str =
        r#"{"server":"A","clock":1,"us":5,"event":"start","life":"00000000000000ff"}"#;
    const ASKED: &str = r#"{"server":"A","clock":2,"us":6,"event":"asked","what":"transfer"}"#;

    fn count(lines: &[&str]) -> Result<usize, String> {
        read("a.jsonl", &lines.join("\n")).map(|records| records.len())
    }

    #[test]
    fn half_a_line_may_stand_where_a_server_was_killed() {
        assert_eq!(count(&[START, ASKED]), Ok(2));
        assert_eq!(count(&[START, ASKED, r#"{"server":"A","cl"#]), Ok(2));
        assert_eq!(count(&[START, r#"{"server":"A","cl"#, START, ASKED]), Ok(3));
    }

    #[test]
    fn nonsense_anywhere_else_is_named() {
        for lines in [
            &[START, "{", ASKED][..],
            &[START, "{", "{", START],
            &["hello"],
            &[START, r#"{"server":"A","clock":2,"us":6,"event":"danced"}"#, ASKED],
        ] {
            let wrong = count(lines).unwrap_err();
            let line = if lines.len() == 1 { 1 } else { 2 };
            assert!(wrong.starts_with(&format!("a.jsonl, line {line} is not")), "{wrong}");
        }
        assert!(count(&[]).unwrap_err().contains("empty"));
    }
}
