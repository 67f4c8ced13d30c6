//! Tests of [`super`].

use super::*;

fn arrow(kind: &str, end: End) -> Arrow {
    let label = Text { words: format!("{kind} <1>"), x: 10.0, y: 20.0, is_left: false };
    let (from, to) = ((0.0, 30.0), (100.0, 50.0));
    Arrow { kind: kind.into(), from, to, parts: vec![(from, to)], end, label }
}

fn sheet(arrows: Vec<Arrow>) -> Sheet {
    let line = Line { name: "A".into(), x: 0.0, lives: vec![(10.0, 90.0)] };
    let sign = Sign::Block(3);
    let mark = Mark { at: (0.0, 60.0), sign, text: None, detail: "by A & B".into() };
    let margins = vec![Margin { words: "1.00 s later".into(), y: 70.0, is_pause: true }];
    let bands = vec![Band { words: "set 2 & more".into(), y: 80.0 }];
    Sheet {
        width: 500.0,
        height: 100.0,
        lines: vec![line],
        arrows,
        marks: vec![mark],
        margins,
        bands,
    }
}

#[test]
fn every_tag_is_closed_and_nothing_is_taken_for_one() {
    let svg = draw(&sheet(vec![arrow("prepare", End::Head), arrow("nack", End::Cross)]));
    for tag in ["svg", "style", "text", "title", "g"] {
        let (opened, closed) = (format!("<{tag}"), format!("</{tag}>"));
        let opened =
            svg.matches(&format!("{opened} ")).count() + svg.matches(&format!("{opened}>")).count();
        assert_eq!(opened, svg.matches(&closed).count(), "{tag}");
    }
    assert!(svg.contains("prepare &lt;1&gt;") && svg.contains("by A &amp; B"));
    assert!(svg.contains(">set 2 &amp; more</text>"));
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}

#[test]
fn each_kind_of_arrow_looks_different() {
    let every: Vec<Arrow> =
        STYLES.iter().flat_map(|style| style.2).map(|kind| arrow(kind, End::Head)).collect();
    let svg = draw(&sheet(every));
    for (class, words, _) in STYLES {
        assert!(svg.contains(&format!("class=\"arrow {class}\"")), "{class}");
        assert!(svg.contains(&format!(">{words}</text>")), "{words} is in the legend");
    }
    for Palette(ink, pale, paper, colours) in [LIGHT, DARK] {
        let mut all: Vec<&str> = colours.into_iter().chain([ink, pale, paper]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 11, "no colour is there twice");
    }
}

/// The Web Content Accessibility Guidelines ask for 3 to 1 for a picture's parts, 4.5 to 1 for texts.
#[test]
fn all_colours_are_readable_on_their_paper() {
    let luminance = |colour: &str| -> f64 {
        let part = |at: usize| {
            let share = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    };
    for Palette(ink, pale, paper, colours) in [LIGHT, DARK] {
        let contrast = |colour: &str| {
            let (one, other) = (luminance(colour), luminance(paper));
            (one.max(other) + 0.05) / (one.min(other) + 0.05)
        };
        for text in [ink, pale] {
            assert!(contrast(text) >= 4.5, "{text} on {paper}: {}", contrast(text));
        }
        for colour in colours {
            assert!(contrast(colour) >= 4.5, "{colour} on {paper}: {}", contrast(colour));
        }
    }
}

#[test]
fn the_legend_holds_what_is_there() {
    let svg = draw(&sheet(vec![arrow("prepare", End::Head)]));
    assert!(svg.contains(">prepare</text>") && svg.contains(">appends a block</text>"));
    assert!(!svg.contains(">commit</text>") && !svg.contains(">is lost</text>"));
    assert!(draw(&sheet(vec![arrow("commit", End::Cross)])).contains(">is lost</text>"));
}
