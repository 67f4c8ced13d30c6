use serde_json::json;

use super::*;

fn server(id: &str) -> ServerId {
    id.parse().unwrap()
}

/// A record of a server at a time, as it is told.
fn record(id: &str, us: u64, what: serde_json::Value) -> String {
    let mut record = json!({"id": 1, "server": id, "clock": 1, "us": us});
    record.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    record.to_string()
}

fn start(id: &str, us: u64, life: u64) -> String {
    record(id, us, json!({"event": "start", "life": format!("{life:016x}")}))
}

fn message(id: &str, us: u64, event: &str, other: &str, number: u64) -> String {
    let place = json!({"connection": "1-2", "queue": "small", "number": number});
    let (word, message) = (if event == "sent" { "to" } else { "from" }, json!({"kind": "prepare"}));
    record(id, us, json!({"event": event, word: other, "place": place, "message": message}))
}

/// The kinds of what is shown, and whether it was lost.
fn seen(scene: &Scene) -> Vec<(&'static str, bool)> {
    let story = scene.news().expect("something new");
    story.events.iter().map(|event| (event.kind, event.lost)).collect()
}

#[test]
fn a_message_is_lost_only_if_its_receiver_told_all_that_time() {
    let scene = Arc::new(Scene::default());
    let (_looker, is_first) = scene.look();
    assert!(is_first && !scene.look().1);
    let now = clock::micros();
    let (a, b) = (server("A"), server("B"));
    let at = |seconds: u64| now + seconds * 1_000_000;
    scene.take(&a, &start("A", at(0) - 60_000_000, 1));
    scene.take(&a, &message("A", at(1), "sent", "B", 1));
    // B begins to tell after that, so nobody knows of the first one.
    scene.take(&b, &start("B", at(0) - 60_000_000, 1));
    scene.take(&b, &record("B", at(2), json!({"event": "asked", "what": "settle"})));
    scene.take(&a, &message("A", at(3), "sent", "B", 2));
    scene.take(&a, &message("A", at(4), "sent", "B", 3));
    scene.take(&b, &message("B", at(5), "received", "A", 3));
    scene.take(&a, &message("A", at(6), "sent", "B", 4));
    scene.take(&b, &record("B", at(7) - 100_000, json!({"event": "asked", "what": "settle"})));
    // The last one has had no time to arrive.
    let [told, asked, sent, lost] =
        [("told", false), ("asked", false), ("sent", false), ("sent", true)];
    assert_eq!(seen(&scene), [told, asked, lost, sent, ("received", false), sent, asked]);
    // What is left out is said, and nothing is said to be lost in it.
    scene.missed(&b, 0);
    scene.missed(&b, 7);
    scene.take(&a, &message("A", at(8), "sent", "B", 5));
    scene.take(&b, &record("B", at(20), json!({"event": "asked", "what": "settle"})));
    let story = scene.news().unwrap();
    let words: Vec<&str> = story.events.iter().map(|event| &*event.text).collect();
    assert!(words.contains(&"B is too busy to tell all: 7 events are left out"), "{words:?}");
    assert_eq!(story.events.iter().filter(|event| event.lost).count(), 2, "{words:?}");
}

#[test]
fn another_life_is_a_return_and_the_same_one_is_not() {
    let scene = Arc::new(Scene::default());
    let (looker, _) = scene.look();
    let (a, now) = (server("A"), clock::micros());
    let asked = |us: u64| record("A", us, json!({"event": "asked", "what": "settle"}));
    scene.take(&a, &start("A", now - 9_000_000, 1));
    scene.take(&a, &asked(now + 1));
    scene.lost(&a, "no answer");
    scene.lost(&a, "no answer");
    scene.take(&a, &start("A", now - 9_000_000, 1));
    scene.take(&a, &asked(now + 2));
    scene.take(&a, &start("A", now + 3, 2));
    scene.take(&a, &asked(now + 4));
    let story = scene.news().unwrap();
    let count = |kind: &str| story.events.iter().filter(|event| event.kind == kind).count();
    assert_eq!((count("start"), count("crash"), count("asked")), (1, 1, 3));
    let told: Vec<&str> =
        story.events.iter().filter(|e| e.kind == "told").map(|event| &*event.text).collect();
    assert_eq!(told.len(), 3, "the beginning, the silence, the return: {told:?}");
    // Once nobody has looked all begins anew, but it is known whose life went on.
    drop(looker);
    assert!(!scene.is_looked_at() && !scene.wait_for_lookers(Duration::ZERO));
    let (_looker, is_first) = scene.look();
    scene.take(&a, &start("A", now + 3, 2));
    scene.take(&a, &asked(clock::micros()));
    assert!(is_first);
    let story = scene.news().unwrap();
    let kinds: Vec<&str> = story.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["told", "asked"]);
}
