//! Tells one browser what has changed, by server-sent events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::http::{Events, Next};
use crate::web::board::{Board, Told};
use crate::web::scene::Looker;

/// The least time between two events: what changes more often is told together.
const PACE: Duration = Duration::from_millis(150);

/// The events for one browser. A slow one misses what is in between, and nothing waits for it.
#[derive(Debug)]
pub(super) struct Feed {
    board: Arc<Board>,
    told: Told,
    last: Option<Instant>,
    /// True if it is told the story as well.
    shows_story: bool,
    /// Has the servers tell what they do, while this browser looks.
    _looker: Option<Looker>,
}

impl Feed {
    /// The feed of a browser that wants to see the story or not.
    pub(super) fn new(board: Arc<Board>, shows_story: bool, looker: Option<Looker>) -> Feed {
        Feed { board, told: (0, 0), last: None, shows_story, _looker: looker }
    }
}

impl Events for Feed {
    fn next(&mut self, most: Duration) -> Next {
        if let Some(last) = self.last {
            std::thread::sleep(PACE.saturating_sub(last.elapsed()));
        }
        let (board, story) = self.board.news(&mut self.told, most);
        let story = story.filter(|_| self.shows_story);
        self.last = Some(Instant::now());
        let mut text = String::new();
        for (name, data) in [("board", board), ("story", story)] {
            if let Some(data) = data {
                // The data are one line: JSON escapes the ends of lines.
                text.push_str(&format!("event: {name}\ndata: {data}\n\n"));
            }
        }
        if text.is_empty() { Next::Nothing } else { Next::Bytes(text.into_bytes()) }
    }
}
