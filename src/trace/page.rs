//! A page that steps through a story: one file of HTML, with all that it needs.

use sha2::{Digest, Sha256};

use crate::bank::fingerprint::encode_base64;
use crate::trace::svg;
use crate::trace::told::StoryData;

/// The style of all pages.
pub const STYLE: &str = include_str!("page/style.css");
/// What draws a story and steps through it.
pub const STORY_SCRIPT: &str = include_str!("page/story.js");
/// The part of a page in which a story is shown.
pub const STORY_PART: &str = include_str!("page/story.html");

const START: &str = "new Story(document.getElementById('story')).show(JSON.parse(document.getElementById('data').textContent));";

/// Writes a page of its own. `title` may be any text.
pub fn write(title: &str, story: &StoryData) -> String {
    let script = format!("{STORY_SCRIPT}\n{START}\n");
    let title = escaped(title);
    let data = json_in_html(story);
    // Nothing but this script runs, whatever a name holds; and nothing is fetched.
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
        source(&script),
        source(STYLE)
    );
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>{title}</h1></header>\n<main>\n{STORY_PART}</main>\n\
         <script type=\"application/json\" id=\"data\">{data}</script>\n\
         <script>{script}</script>\n</body>\n</html>\n"
    )
}

/// The name of a text in a policy: its hash.
fn source(text: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    format!("sha256-{}=", encode_base64(&hash))
}

/// Writes a text so that HTML takes it for text, also between quotation marks.
pub fn escaped(text: &str) -> String {
    svg::escaped(text).replace('"', "&quot;").replace('\'', "&#39;")
}

/// Writes data so that no text in it ends the element that holds it.
fn json_in_html(story: &StoryData) -> String {
    let text = serde_json::to_string(story).expect("a story has only keys that are texts");
    text.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::told::EventData;

    #[test]
    fn no_text_of_a_story_becomes_markup() {
        let evil = "</script><script>alert(1)</script>";
        let event = EventData { kind: "told", text: evil.into(), ..EventData::default() };
        let story = StoryData { servers: vec!["<b>".into()], events: vec![event] };
        let page = write(evil, &story);
        assert!(!page.contains("alert(1)</script>"), "{page}");
        assert_eq!(page.matches("<script").count(), 2, "the data, and what draws them");
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(page.contains("script-src 'sha256-") && !page.contains("unsafe"));
    }
}
