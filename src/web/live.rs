//! Has each server tell its trace while somebody looks, and shows what comes of it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::Builder;
use std::time::{Duration, Instant};

use crate::bank::ids::ServerId;
use crate::client::traces::Onlooker;
use crate::web::board::Board;
use crate::web::scene::Scene;
use crate::wire::traces::Noted;

/// How often the picture is made anew, if there is news…
const PACE: Duration = Duration::from_millis(250);
/// …how many times as long as it takes to make it the next one waits…
const REST: u32 = 9;
/// …and how long at most: who makes it may be kept waiting itself.
const LONGEST: Duration = Duration::from_secs(2);
/// How long somebody who looks is waited for before anything else is looked at, and how long a server that tells
/// nothing is left alone.
const PAUSE: Duration = Duration::from_millis(500);

/// Begins to show on the board what is told to the scene.
///
/// # Errors
/// If a thread can't be started.
pub(super) fn start(scene: &Arc<Scene>, board: &Arc<Board>) -> Result<(), String> {
    let (scene, board) = (Arc::clone(scene), Arc::clone(board));
    let work = move || {
        let mut last = String::new();
        loop {
            if !scene.wait_for_lookers(PAUSE) {
                last.clear();
                continue;
            }
            let begun = Instant::now();
            if let Some(story) = scene.news() {
                match serde_json::to_string(&story) {
                    Ok(text) if text == last => {}
                    Ok(text) => {
                        board.tell(text.clone());
                        last = text;
                    }
                    Err(error) => log::debug!("a story can't be told: {error}"),
                }
            }
            std::thread::sleep((begun.elapsed() * REST).clamp(PACE, LONGEST));
        }
    };
    let thread = Builder::new().name("scene".into()).spawn(work);
    thread.map(drop).map_err(|error| format!("can't start a thread: {error}"))
}

/// Listens to a server whenever somebody looks, as long as the server is wanted there.
pub(super) fn listen(
    scene: &Scene,
    id: &ServerId,
    is_wanted: impl Fn() -> bool,
    onlooker: impl Fn() -> Onlooker,
) {
    while is_wanted() {
        if !scene.wait_for_lookers(PAUSE) {
            continue;
        }
        let ended = onlooker().run(&mut |noted| {
            match noted {
                Noted::Record(text) => scene.take(id, &text),
                Noted::Missed(count) => scene.missed(id, count),
                Noted::Ended(..) => {}
            }
            match scene.is_looked_at() && is_wanted() {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        if let Err(failure) = ended {
            scene.lost(id, &failure.to_string());
            std::thread::sleep(PAUSE);
        }
    }
}
