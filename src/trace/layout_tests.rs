//! Tests of [`super`].

use super::*;
use crate::trace::record::Brief;

/// Makes a story of `messages` messages between five servers, some of which are lost.
fn story(seed: u64, messages: usize) -> Story {
    let mut dice = fastrand::Rng::with_seed(seed);
    let servers = ["A", "B", "C", "D", "E"].map(|id| id.parse().unwrap()).to_vec();
    let mut events = Vec::new();
    let mut under_way: Vec<(usize, usize)> = Vec::new();
    let mut sent = 0;
    while sent < messages || !under_way.is_empty() {
        let time = Duration::from_millis(events.len() as u64 * dice.u64(1..3));
        let mut happens = |server, deed| {
            events.push(Event { server, time, clock: 1, deed });
            events.len() - 1
        };
        if !under_way.is_empty() && (sent == messages || dice.bool()) {
            let (departure, to) = under_way.remove(dice.usize(..under_way.len()));
            let message = brief(departure);
            let arrival = happens(to, Deed::Received { sent: Some(departure), message });
            let Deed::Sent { fate, .. } = &mut events[departure].deed else { panic!() };
            *fate = Delivery::Arrived(arrival);
            continue;
        }
        let (from, step) = (dice.usize(..5), dice.usize(1..5));
        match dice.u8(..10) {
            0 => drop(happens(from, Deed::Started { again: true })),
            1 => drop(happens(from, Deed::Crashed)),
            2 => {
                let (hash, proposer) = ("00ff00ff".into(), None);
                let what = What::Appended { height: 7, hash, proposer, entries: 3 };
                happens(from, Deed::Noted(what));
            }
            3 if dice.bool() => drop(happens(5, Deed::Told(format!("set {sent}")))),
            3 => drop(happens(from, Deed::Noted(What::Asked { what: "transfer B 90".into() }))),
            4 => drop(happens(from, Deed::Noted(What::Durable { turn: 3, writes: 1 }))),
            kind => {
                let to = (from + step) % 5;
                let fate = Delivery::Lost;
                let number = happens(from, Deed::Sent { to, message: brief(sent), fate });
                sent += 1;
                if kind > 5 {
                    under_way.push((number, to));
                }
            }
        }
    }
    Story { servers, events }
}

fn brief(number: usize) -> Brief {
    let (ballot, before) = (Some("12.A".into()), Some("11.B".into()));
    match number % 3 {
        0 => Brief { kind: "prepare".into(), height: Some(7), ballot, ..Brief::default() },
        1 => Brief { kind: "nack".into(), height: Some(7), ballot, before, ..Brief::default() },
        _ => Brief { kind: "commit".into(), height: Some(7), ..Brief::default() },
    }
}

/// Returns all texts, and their places.
fn texts(sheet: &Sheet) -> Vec<(String, Ground)> {
    let labels = sheet.arrows.iter().map(|arrow| &arrow.label);
    let besides = sheet.marks.iter().filter_map(|mark| mark.text.as_ref());
    let beside_lines = labels.chain(besides).map(|text| (text.words.clone(), text.ground()));
    let bands = sheet.bands.iter().map(|band| {
        let right = band.words.chars().count() as f64 * LETTER;
        let (top, bottom) = (band.y - LINE + 3.0, band.y + 3.0);
        (band.words.clone(), Ground { left: 0.0, right, top, bottom })
    });
    let in_boxes = sheet.marks.iter().filter_map(|mark| match mark.sign {
        Sign::Block(height) => {
            let ((x, y), half) = (mark.at, BOX);
            let (left, right, top, bottom) = (x - half, x + half, y - 8.0, y + 8.0);
            Some((format!("block {height}"), Ground { left, right, top, bottom }))
        }
        _ => None,
    });
    beside_lines.chain(in_boxes).chain(bands).collect()
}

#[test]
fn no_text_stands_on_another_or_beyond_the_paper() {
    for seed in 0..20 {
        let sheet = lay_out(&story(seed, 120));
        let texts = texts(&sheet);
        assert!(texts.len() >= 120);
        for (number, (words, ground)) in texts.iter().enumerate() {
            assert!(ground.left >= 0.0 && ground.right <= sheet.width, "{words}: {ground:?}");
            assert!(ground.top >= 30.0 && ground.bottom <= sheet.height, "{words}: {ground:?}");
            let under = texts[..number].iter().find(|(_, other)| other.touches(ground));
            assert_eq!(under, None, "seed {seed}: under {words} at {ground:?}");
        }
        let mut margins: Vec<f64> = sheet.margins.iter().map(|margin| margin.y).collect();
        margins.sort_by(f64::total_cmp);
        assert!(margins.windows(2).all(|pair| pair[1] - pair[0] >= LINE), "{margins:?}");
    }
}

/// However the story goes: where a text is in the way, the arrow goes on behind it.
#[test]
fn no_arrow_goes_through_a_text() {
    let mut interrupted = 0;
    for seed in 0..20 {
        let sheet = lay_out(&story(seed, 120));
        let texts = texts(&sheet);
        for arrow in &sheet.arrows {
            interrupted += usize::from(arrow.parts.len() > 1);
            for (from, to) in &arrow.parts {
                // Points of the line, a tenth of a letter apart.
                let steps = (to.0 - from.0).hypot(to.1 - from.1).ceil() as usize + 1;
                for step in 0..=steps {
                    let share = step as f64 / steps as f64;
                    let x = from.0 + share * (to.0 - from.0);
                    let y = from.1 + share * (to.1 - from.1);
                    let inside = |ground: &Ground| {
                        ground.left < x - 0.01
                            && x + 0.01 < ground.right
                            && ground.top < y - 0.01
                            && y + 0.01 < ground.bottom
                    };
                    let through = texts.iter().find(|(_, ground)| inside(ground));
                    assert_eq!(through, None, "seed {seed}: at {x} {y}: {arrow:?}");
                }
            }
        }
    }
    assert!(interrupted > 10, "{interrupted}");
}

#[test]
fn times_that_are_close_are_written_finely_enough_to_differ() {
    let story = story(1, 1);
    let mut work = Work::new(&story);
    let us = [1_000, 1_004, 1_004, 2_000_000, 2_000_400].map(Duration::from_micros);
    let words = us.map(|time| work.time_in_words(time));
    assert_eq!(words, ["0.001 s", "0.001004 s", "0.001004 s", "2.000 s", "2.0004 s"]);
}

#[test]
fn what_a_play_tells_stands_below_all_that_happened_before() {
    let at = |server, ms, deed| Event { server, time: Duration::from_millis(ms), clock: 1, deed };
    let begun = || Deed::Started { again: false };
    let servers = ["A", "B"].map(|id| id.parse().unwrap()).to_vec();
    let told = Deed::Told("say <both> are there".into());
    let events =
        vec![at(0, 0, begun()), at(1, 1, begun()), at(2, 2, told), at(0, 3, Deed::Crashed)];
    let sheet = lay_out(&Story { servers, events });
    let [a, b, crash] = &sheet.marks[..] else { panic!("{sheet:?}") };
    let [band] = &sheet.bands[..] else { panic!("{sheet:?}") };
    assert!(a.at.1.max(b.at.1) < band.y - LINE && band.y + LINE < crash.at.1, "{sheet:?}");
}

#[test]
fn time_goes_down() {
    let story = story(7, 120);
    let mut work = Work::new(&story);
    story.events.iter().for_each(|event| work.place(event));
    let mut last = [0.0; 6];
    for (event, &y) in story.events.iter().zip(&work.places) {
        let is_drawn_apart = !matches!(event.deed, Deed::Noted(_));
        assert!(y > last[event.server] || !is_drawn_apart, "{event:?}");
        last[event.server] = y;
        if let Deed::Received { sent: Some(sent), .. } = event.deed {
            assert!(y >= work.places[sent] + SLOPE, "{event:?}");
        }
    }
    let heads = work.sheet.arrows.iter().filter(|arrow| arrow.end == End::Head);
    assert!(heads.clone().count() > 40 && heads.clone().all(|arrow| arrow.to.1 > arrow.from.1));
}

#[test]
fn a_long_pause_is_written_between() {
    let started = |server, ms| Event {
        server,
        time: Duration::from_millis(ms),
        clock: 1,
        deed: Deed::Started { again: false },
    };
    let servers = ["A", "B"].map(|id| id.parse().unwrap()).to_vec();
    let sheet = lay_out(&Story { servers, events: vec![started(0, 0), started(1, 1_250)] });
    let pauses: Vec<&Margin> = sheet.margins.iter().filter(|margin| margin.is_pause).collect();
    assert_eq!(pauses.len(), 1);
    assert_eq!(pauses[0].words, "1.25 s later");
    assert!(sheet.marks[0].at.1 < pauses[0].y && pauses[0].y < sheet.marks[1].at.1);
}

#[test]
fn a_server_s_line_is_drawn_while_it_lives() {
    let at = |ms, deed| Event { server: 0, time: Duration::from_millis(ms), clock: 1, deed };
    let servers = vec!["A".parse().unwrap()];
    let begun = Deed::Started { again: false };
    let events = vec![at(0, begun), at(1, Deed::Crashed), at(2, Deed::Started { again: true })];
    let sheet = lay_out(&Story { servers, events });
    let [(start, crash), (restart, end)] = sheet.lines[0].lives[..] else { panic!("{sheet:?}") };
    assert!(start < crash && crash < restart && restart < end);
    assert_eq!([start, crash, restart], [0, 1, 2].map(|mark: usize| sheet.marks[mark].at.1));
}
