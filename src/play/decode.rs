//! A file's bytes into text: UTF-8, or UTF-16 where a mark says so. Pure.

use crate::play::wrong::Wrong;

/// Reads a file's bytes as text. Each line ends with a line feed alone, whatever ended it in the file.
///
/// # Errors
/// Names the first place that is neither.
pub(super) fn decode(bytes: &[u8]) -> Result<String, Wrong> {
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        bytes => utf8(bytes)?.to_owned(),
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

fn utf8(bytes: &[u8]) -> Result<&str, Wrong> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let what = "this is not UTF-8, in which files are written (UTF-16 begins with a mark)";
        after(&before, what)
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Wrong> {
    let (pairs, half) = bytes.as_chunks::<2>();
    let mut text = String::new();
    for character in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match character {
            Ok(character) => text.push(character),
            Err(_) => return Err(after(&text, "this is not UTF-16, as the file's mark says")),
        }
    }
    match half {
        [] => Ok(text),
        _ => Err(after(&text, "the file ends in the middle of a letter of UTF-16")),
    }
}

/// Returns the mistake that stands right after this text.
fn after(text: &str, what: &str) -> Wrong {
    let line = text.split('\n').count();
    let column = text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Wrong::new(line, column, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect()
    }

    #[test]
    fn what_a_spreadsheet_saves_is_read() {
        let text = "1,\"(é, B, 3)\"\n";
        for bytes in [
            text.as_bytes().to_vec(),
            format!("\u{feff}{}", text.replace('\n', "\r\n")).into_bytes(),
            text.replace('\n', "\r").into_bytes(),
            in_utf16(&text.replace('\n', "\r\n"), u16::to_le_bytes),
            in_utf16(text, u16::to_be_bytes),
        ] {
            assert_eq!(decode(&bytes).as_deref(), Ok(text));
        }
        assert_eq!(decode(b"").as_deref(), Ok(""));
    }

    #[test]
    fn what_is_no_text_is_told_with_its_place() {
        let mut cut = in_utf16("A: b\nx", u16::to_le_bytes);
        cut.pop();
        for (bytes, wrong) in [
            (b"A: balance\nA: \xff".to_vec(), "2:4: this is not UTF-8, in which files are written"),
            (cut, "2:1: the file ends in the middle of a letter of UTF-16"),
            (vec![0xff, 0xfe, b'A', 0, 0, 0xdc], "1:2: this is not UTF-16, as the file's mark"),
        ] {
            let told = decode(&bytes).unwrap_err().to_string();
            assert!(told.starts_with(wrong), "{told}");
        }
    }
}
