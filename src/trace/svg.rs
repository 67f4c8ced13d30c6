//! The drawing itself: a sheet as one SVG that needs nothing else, readable on white and on dark.

use std::fmt::Write;

use crate::trace::sheet::{Arrow, Band, End, Line, Margin, Mark, Point, Sheet, Sign, Text};

/// The style of arrows: their class, the legend's words, and their kinds of message.
type Style = (&'static str, &'static str, &'static [&'static str]);

const STYLES: [Style; 8] = [
    ("prepare", "prepare", &["prepare"]),
    ("promise", "promise", &["promise"]),
    ("accept", "accept", &["accept"]),
    ("accepted", "accepted", &["accepted"]),
    ("commit", "commit", &["commit"]),
    ("nack", "nack", &["nack"]),
    (
        "blocks",
        "catching up",
        &["reconcile_request", "reconcile_ack", "blocks_request", "blocks_response"],
    ),
    ("other", "hello, heartbeat", &["hello", "reject", "heartbeat", "rejoin"]),
];

/// The forms, apart from the colours.
const FORMS: &str = "\
text{font:11px Helvetica,Arial,sans-serif;stroke-width:3px;stroke-linejoin:round;paint-order:stroke}\
.name{font-size:14px;font-weight:bold;text-anchor:middle}.left{text-anchor:end}\
.middle{text-anchor:middle}.life{stroke-width:1.5}.death{stroke-dasharray:2 4}\
.pause{stroke-dasharray:1 5}.told{font-weight:bold}.phase{stroke-width:1}.sign{stroke-width:1.5}.crash{stroke-width:2.5}.block{stroke-width:1.5}\
.arrow{fill:none;stroke-width:1.5}.promise,.accepted{stroke-dasharray:6 3}.nack{stroke-dasharray:2 3}\
.blocks{stroke-dasharray:9 3 2 3}.commit{stroke-width:2.2}.head{stroke:none}";

/// The colours of ink, pale ink and paper, and of [`STYLES`]. Each is readable on its paper.
struct Palette(&'static str, &'static str, &'static str, [&'static str; 8]);

const LIGHT: Palette = Palette(
    "#1f2328",
    "#59636e",
    "#ffffff",
    ["#0969da", "#0a7d8c", "#b35900", "#1a7f37", "#8250df", "#cf222e", "#6e5600", "#6e7781"],
);

const DARK: Palette = Palette(
    "#e6edf3",
    "#9198a1",
    "#0d1117",
    ["#58a6ff", "#39c5cf", "#ffa657", "#56d364", "#d2a8ff", "#ff7b72", "#e3b341", "#8b949e"],
);

impl Palette {
    fn rules(&self) -> String {
        let Palette(ink, pale, paper, colours) = self;
        let style = |((class, ..), colour): (&Style, &&str)| {
            format!(".{class}{{stroke:{colour}}}.head.{class}{{fill:{colour};stroke:none}}")
        };
        let styles: String = STYLES.iter().zip(colours).map(style).collect();
        format!(
            "text{{fill:{ink};stroke:{paper}}}.pale{{fill:{pale}}}.paper{{fill:{paper}}}\
             .life{{stroke:{ink}}}.death,.pause{{stroke:{pale}}}.sign{{stroke:{ink};fill:{paper}}}\
             .dot{{fill:{ink}}}.band{{stroke:{pale}}}.phase{{fill:{};stroke:{paper}}}.crash{{stroke:{}}}\
             .block{{fill:{paper};stroke:{}}}{styles}",
            colours[0], colours[5], colours[4]
        )
    }
}

/// Draws a sheet.
pub fn draw(sheet: &Sheet) -> String {
    let styles: Vec<_> = STYLES.iter().filter(|style| is_used(sheet, style.2)).collect();
    let legend = Legend::of(sheet, &styles);
    let (width, height) = (sheet.width.max(legend.width), sheet.height + legend.height);
    let mut svg = String::new();
    // Writing to a text can't fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\">\n<style>{FORMS}{}@media \
         (prefers-color-scheme:dark){{{}}}</style>\n\
         <rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n",
        LIGHT.rules(),
        DARK.rules()
    );
    sheet.margins.iter().for_each(|margin| draw_margin(&mut svg, margin, sheet));
    sheet.bands.iter().for_each(|band| draw_band(&mut svg, band, sheet));
    sheet.lines.iter().for_each(|line| draw_line(&mut svg, line, sheet.height));
    // Texts lie above everything else.
    sheet.arrows.iter().for_each(|arrow| draw_arrow(&mut svg, arrow));
    sheet.marks.iter().for_each(|mark| draw_mark(&mut svg, mark));
    sheet.arrows.iter().for_each(|arrow| draw_text(&mut svg, &arrow.label, ""));
    sheet
        .marks
        .iter()
        .flat_map(|mark| &mark.text)
        .for_each(|text| draw_text(&mut svg, text, "pale"));
    svg += &legend.text;
    svg += "</svg>\n";
    svg
}

fn is_used(sheet: &Sheet, kinds: &[&str]) -> bool {
    sheet.arrows.iter().any(|arrow| kinds.contains(&&*arrow.kind))
}

fn class_of(kind: &str) -> &'static str {
    let style = STYLES.iter().find(|(_, _, kinds)| kinds.contains(&kind));
    style.map_or("other", |(class, ..)| class)
}

fn draw_line(svg: &mut String, line: &Line, height: f64) {
    let Line { name, x, lives } = line;
    let bottom = height - 6.0;
    let _ = writeln!(svg, "<text class=\"name\" x=\"{x:.1}\" y=\"24\">{}</text>", escaped(name));
    let _ = writeln!(svg, "<path class=\"death\" d=\"M{x:.1} 36V{bottom:.1}\"/>");
    for (from, to) in lives {
        let to = to.min(bottom);
        let _ = writeln!(svg, "<path class=\"life\" d=\"M{x:.1} {from:.1}V{to:.1}\"/>");
    }
}

fn draw_margin(svg: &mut String, margin: &Margin, sheet: &Sheet) {
    let Margin { words, y, is_pause } = margin;
    if *is_pause {
        let right = sheet.width - 8.0;
        let _ = writeln!(svg, "<path class=\"pause\" d=\"M86 {:.1}H{right:.1}\"/>", y - 4.0);
    }
    let _ = writeln!(svg, "<text class=\"pale left\" x=\"80\" y=\"{y:.1}\">{words}</text>");
}

fn draw_band(svg: &mut String, band: &Band, sheet: &Sheet) {
    let Band { words, y } = band;
    let (line, right) = (y + 5.0, sheet.width - 8.0);
    let _ = writeln!(svg, "<path class=\"band\" d=\"M8 {line:.1}H{right:.1}\"/>");
    let words = escaped(words);
    let _ = writeln!(svg, "<text class=\"told\" x=\"8\" y=\"{y:.1}\">{words}</text>");
}

fn draw_arrow(svg: &mut String, arrow: &Arrow) {
    let Arrow { kind, from, to, parts, end, label } = arrow;
    let class = class_of(kind);
    let part =
        |((x, y), (to_x, to_y)): &(Point, Point)| format!("M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}");
    let way: String = parts.iter().map(part).collect();
    let title = escaped(&label.words);
    let _ =
        writeln!(svg, "<path class=\"arrow {class}\" d=\"{way}\"><title>{title}</title></path>");
    match end {
        End::Head => draw_head(svg, class, *from, *to),
        End::Cross => draw_cross(svg, &format!("arrow {class} lost"), *to, 5.0),
        End::Open => {}
    }
}

fn draw_head(svg: &mut String, class: &str, from: Point, to: Point) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1.0);
    let (dx, dy) = (dx / length, dy / length);
    let base = (to.0 - 9.0 * dx, to.1 - 9.0 * dy);
    let _ = writeln!(
        svg,
        "<path class=\"head {class}\" d=\"M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}Z\"/>",
        to.0,
        to.1,
        base.0 - 4.0 * dy,
        base.1 + 4.0 * dx,
        base.0 + 4.0 * dy,
        base.1 - 4.0 * dx
    );
}

fn draw_cross(svg: &mut String, class: &str, (x, y): Point, arm: f64) {
    let (left, right, top, bottom) = (x - arm, x + arm, y - arm, y + arm);
    let _ = writeln!(
        svg,
        "<path class=\"{class}\" style=\"stroke-dasharray:none;stroke-width:2.2\" \
         d=\"M{left:.1} {top:.1}L{right:.1} {bottom:.1}M{left:.1} {bottom:.1}L{right:.1} {top:.1}\"/>"
    );
}

fn draw_mark(svg: &mut String, mark: &Mark) {
    let Mark { at: (x, y), sign, detail, .. } = mark;
    let _ = write!(svg, "<g><title>{}</title>", escaped(detail));
    draw_sign(svg, sign, (*x, *y));
    *svg += "</g>\n";
}

fn draw_sign(svg: &mut String, sign: &Sign, (x, y): Point) {
    let _ = match sign {
        Sign::Start => write!(svg, "<circle class=\"sign\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>"),
        Sign::Crash => return draw_cross(svg, "crash", (x, y), 7.0),
        Sign::Client => write!(svg, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>"),
        Sign::Phase => write!(
            svg,
            "<path class=\"phase\" d=\"M{:.1} {y:.1}L{x:.1} {:.1}L{:.1} {y:.1}L{x:.1} {:.1}Z\"/>",
            x - 5.0,
            y - 5.0,
            x + 5.0,
            y + 5.0
        ),
        Sign::Write => {
            write!(svg, "<path class=\"sign\" d=\"M{:.1} {y:.1}H{:.1}\"/>", x - 5.0, x + 5.0)
        }
        Sign::Block(height) => write!(
            svg,
            "<rect class=\"block\" x=\"{:.1}\" y=\"{:.1}\" width=\"60\" height=\"16\" rx=\"3\"/>\
             <text class=\"middle\" x=\"{x:.1}\" y=\"{:.1}\">block {height}</text>",
            x - 30.0,
            y - 8.0,
            y + 4.0
        ),
    };
}

fn draw_text(svg: &mut String, text: &Text, class: &str) {
    let Text { words, x, y, is_left } = text;
    let side = if *is_left { " left" } else { "" };
    let words = escaped(words);
    let _ = writeln!(svg, "<text class=\"{class}{side}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>");
}

/// Writes a text so that XML takes it for text.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What the signs mean.
const SIGNS: [(Sign, &str); 6] = [
    (Sign::Block(0), "appends a block"),
    (Sign::Write, "durable write"),
    (Sign::Client, "client"),
    (Sign::Phase, "phase, majority"),
    (Sign::Start, "starts"),
    (Sign::Crash, "crashes"),
];

/// The legend: what the colours and signs mean.
struct Legend {
    text: String,
    width: f64,
    height: f64,
}

impl Legend {
    fn of(sheet: &Sheet, styles: &[&Style]) -> Legend {
        const COLUMN: f64 = 150.0;
        const ROW: f64 = 20.0;
        const LEFT: f64 = 16.0;
        let columns = ((sheet.width - LEFT) / COLUMN).floor().max(3.0) as usize;
        let mut text = String::new();
        let mut items = 0;
        let mut place = || {
            let (column, row) = (items % columns, items / columns);
            items += 1;
            (LEFT + column as f64 * COLUMN, sheet.height + 20.0 + row as f64 * ROW)
        };
        for (class, words, _) in styles {
            let (x, y) = place();
            let _ = writeln!(text, "<path class=\"arrow {class}\" d=\"M{x:.1} {y:.1}h22\"/>");
            draw_head(&mut text, class, (x, y), (x + 30.0, y));
            write_beside(&mut text, (x, y), words);
        }
        let is_there = |sign: &Sign| {
            let same =
                |mark: &Mark| std::mem::discriminant(&mark.sign) == std::mem::discriminant(sign);
            sheet.marks.iter().any(same)
        };
        for (sign, words) in SIGNS.iter().filter(|(sign, _)| is_there(sign)) {
            let (x, y) = place();
            match sign {
                Sign::Block(_) => {
                    let (x, y) = (x + 4.0, y - 7.0);
                    let _ = writeln!(
                        text,
                        "<rect class=\"block\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"22\" height=\"14\" rx=\"3\"/>"
                    );
                }
                sign => draw_sign(&mut text, sign, (x + 15.0, y)),
            }
            write_beside(&mut text, (x, y), words);
        }
        if sheet.arrows.iter().any(|arrow| arrow.end == End::Cross) {
            let (x, y) = place();
            let _ = writeln!(text, "<path class=\"arrow other\" d=\"M{x:.1} {y:.1}h24\"/>");
            draw_cross(&mut text, "arrow other", (x + 24.0, y), 5.0);
            write_beside(&mut text, (x, y), "is lost");
        }
        let rows = items.div_ceil(columns) as f64;
        let height = 24.0 + (rows + 1.0) * ROW;
        let _ = writeln!(
            text,
            "<text class=\"pale\" x=\"{LEFT}\" y=\"{:.1}\">prepare 3 [2.A] is for height 3, in A's \
             ballot of round 2; heights on paper are not times</text>",
            sheet.height + height - 14.0
        );
        Legend { text, width: LEFT + columns as f64 * COLUMN, height }
    }
}

fn write_beside(text: &mut String, (x, y): Point, words: &str) {
    let (x, y) = (x + 36.0, y + 4.0);
    let _ = writeln!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>");
}

#[cfg(test)]
#[path = "svg_tests.rs"]
mod tests;
