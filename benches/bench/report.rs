//! What a scenario found: figures of each run, what was asked for, curves.

use std::fmt::Display;
use std::path::Path;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::Fallible;
use super::check::Checked;
use super::tally::{Ran, new_histogram, seconds};

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Something a second.
    PerSecond,
    /// Nanoseconds.
    Nanos,
    /// One figure by another.
    Ratio,
    /// Things.
    Count,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// A value for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Unit::PerSecond => format!("{} /s", thousands(value)),
            Unit::Count => thousands(value),
            Unit::Ratio => format!("{value:.2}"),
            Unit::Nanos if value < 1e6 => format!("{:.0} µs", value / 1e3),
            Unit::Nanos if value < 1e9 => format!("{:.1} ms", value / 1e6),
            Unit::Nanos => format!("{:.2} s", value / 1e9),
            Unit::Bytes if value.abs() < 1e6 => format!("{value:.1} bytes"),
            Unit::Bytes => format!("{:.1} MB", value / 1e6),
        }
    }
}

/// A measured number: with a decimal where it is small.
fn thousands(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { grouped(format_args!("{value:.0}")) }
}

/// A whole number, its digits in groups of three.
fn grouped(number: impl Display) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

/// The values that a figure had, run by run.
pub struct Figure {
    pub name: String,
    pub unit: Unit,
    pub values: Vec<f64>,
}

impl Figure {
    /// The median.
    pub fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        }
    }

    fn print(&self) {
        let (least, most) = self.least_and_most();
        let show = |value| self.unit.show(value);
        let (name, median) = (&self.name, show(self.median()));
        println!("{name:58} {median:>14}   {} … {}", show(least), show(most));
    }

    fn least_and_most(&self) -> (f64, f64) {
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        self.values.iter().fold(ends, |(least, most), value| (least.min(*value), most.max(*value)))
    }
}

/// What was asked of a figure.
#[derive(Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    /// For people.
    pub fn show(self, unit: Unit) -> String {
        let (word, bound) = match self {
            Bound::AtLeast(bound) => ("at least", bound),
            Bound::AtMost(bound) => ("at most", bound),
        };
        format!("{word} {}", unit.show(bound))
    }

    /// Whether a value is within it; what is no number is not.
    pub fn is_reached(self, value: f64) -> bool {
        match self {
            Bound::AtLeast(bound) => value >= bound,
            Bound::AtMost(bound) => value <= bound,
        }
    }
}

struct Asked {
    what: String,
    figure: String,
    bound: Bound,
}

/// A figure of two builds, round by round.
struct Compared {
    other: Figure,
    this: Figure,
    ratio: Figure,
}

/// Times of many requests, for a plot.
pub struct Latency {
    pub name: String,
    pub times: Histogram<u64>,
}

/// Something a second, slice of time by slice of time.
pub struct Timeline {
    pub name: String,
    /// Seconds of a slice.
    pub slice: f64,
    pub values: Vec<f64>,
}

/// All of one scenario.
pub struct Report {
    pub scenario: &'static str,
    pub figures: Vec<Figure>,
    pub latencies: Vec<Latency>,
    pub timelines: Vec<Timeline>,
    checked: Vec<String>,
    notes: Vec<String>,
    asked: Vec<Asked>,
    compared: Vec<Compared>,
    /// Figures of two builds.
    beside: Vec<Value>,
}

impl Report {
    /// One with nothing in it yet.
    pub fn new(scenario: &'static str) -> Report {
        let (figures, latencies, timelines) = (Vec::new(), Vec::new(), Vec::new());
        let (checked, notes) = (Vec::new(), Vec::new());
        let (asked, compared, beside) = (Vec::new(), Vec::new(), Vec::new());
        Report { scenario, figures, latencies, timelines, checked, notes, asked, compared, beside }
    }

    /// Adds this run's value of a figure.
    pub fn add(&mut self, name: &str, unit: Unit, value: f64) {
        match self.figures.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.values.push(value),
            None => self.figures.push(Figure { name: name.into(), unit, values: vec![value] }),
        }
    }

    /// Adds this run's median, 99th and 99.9th percentile, and all of it to the plot.
    pub fn add_latency(&mut self, name: &str, times: &Histogram<u64>) {
        for (word, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            let value = times.value_at_quantile(quantile) as f64;
            self.add(&format!("{name}: {word}"), Unit::Nanos, value);
        }
        if !self.latencies.iter().any(|latency| latency.name == name) {
            self.latencies.push(Latency { name: name.into(), times: new_histogram() });
        }
        let all = self.latencies.iter_mut().find(|latency| latency.name == name);
        all.expect("it is there").times.add(times).expect("the bounds are the same");
    }

    /// Sets the plot of throughput over time to that of this run.
    pub fn add_timeline(&mut self, name: &str, ran: &Ran) {
        let slice = (seconds(ran.until) / 40.0).clamp(0.02, 1.0);
        let ids: Vec<&str> = ran.tallies.keys().map(String::as_str).collect();
        self.set_timeline(name, slice, ran.timeline(slice, &ids));
    }

    /// The same with slices of one's own.
    pub fn set_timeline(&mut self, name: &str, slice: f64, values: Vec<f64>) {
        self.timelines.retain(|timeline| timeline.name != name);
        self.timelines.push(Timeline { name: name.into(), slice, values });
    }

    /// Adds a line of a table of two builds, for programs.
    pub fn add_beside(&mut self, line: Value) {
        self.beside.push(line);
    }

    /// Adds this round's values of a figure of two builds.
    pub fn compare(&mut self, name: &str, unit: Unit, other: f64, this: f64) {
        let known = self.compared.iter().position(|known| known.this.name == name);
        let place = known.unwrap_or_else(|| {
            let figure = |unit| Figure { name: name.into(), unit, values: Vec::new() };
            let (other, this) = (figure(unit), figure(unit));
            self.compared.push(Compared { other, this, ratio: figure(Unit::Ratio) });
            self.compared.len() - 1
        });
        let compared = &mut self.compared[place];
        compared.other.values.push(other);
        compared.this.values.push(this);
        compared.ratio.values.push(this / other);
    }

    /// Takes over what another report says was checked.
    pub fn copy_checks(&mut self, other: &Report) {
        self.checked.extend_from_slice(&other.checked);
    }

    /// This run's value of a figure.
    pub fn last(&self, name: &str) -> f64 {
        let figure = self.figures.iter().find(|figure| figure.name == name);
        *figure.and_then(|figure| figure.values.last()).expect("a figure of this run")
    }

    /// The median of a figure by that of another one, if both are there.
    pub fn ratio(&self, numerator: &str, denominator: &str) -> Option<f64> {
        let median = |name: &str| {
            let figure = self.figures.iter().find(|figure| figure.name == name);
            figure.map(Figure::median)
        };
        Some(median(numerator)? / median(denominator)?)
    }

    /// Takes down something in words.
    pub fn note(&mut self, words: &str) {
        self.notes.push(words.to_owned());
    }

    /// Takes down what a check has found in order.
    pub fn checked(&mut self, checked: &Checked) {
        let Checked { entries, in_chain, blocks, how } = checked;
        self.checked.push(format!(
            "{} entries are there once, {} of them in {} equal blocks; total conserved ({how})",
            grouped(entries),
            grouped(in_chain),
            grouped(blocks)
        ));
    }

    /// Says what was asked of a figure; of one that there is not, as with a bank that runs already,
    /// nothing.
    pub fn ask(&mut self, what: &str, figure: &str, bound: Bound) {
        if self.figures.iter().any(|known| known.name == figure) {
            self.asked.push(Asked { what: what.into(), figure: figure.into(), bound });
        }
    }

    /// Prints one figure at once.
    pub fn say(&self, name: &str) {
        self.figures.iter().filter(|figure| figure.name == name).for_each(Figure::print);
    }

    /// The figures as a table.
    pub fn print(&self) {
        println!("\n── {} {}", self.scenario, "─".repeat(90 - self.scenario.len()));
        self.figures.iter().for_each(Figure::print);
        self.notes.iter().for_each(|note| println!("{note}"));
        for checked in &self.checked {
            println!("checked: {checked}");
        }
    }

    fn rows(&self) -> impl Iterator<Item = [String; 5]> {
        self.asked.iter().map(|asked| {
            let figure = self.figures.iter().find(|figure| figure.name == asked.figure);
            let figure = figure.expect("only known figures are asked for");
            let (measured, unit) = (figure.median(), figure.unit);
            let (Bound::AtLeast(bound) | Bound::AtMost(bound)) = asked.bound;
            [
                asked.what.clone(),
                asked.bound.show(unit),
                unit.show(measured),
                format!("{:.2}", measured / bound),
                if asked.bound.is_reached(measured) { "reached" } else { "NOT reached" }.into(),
            ]
        })
    }

    fn json(&self) -> Value {
        let figure = |figure: &Figure| {
            json!({"name": figure.name, "unit": format!("{:?}", figure.unit), "median": figure.median(),
                "runs": figure.values})
        };
        let timeline =
            |one: &Timeline| json!({"name": one.name, "slice": one.slice, "values": one.values});
        json!({
            "scenario": self.scenario,
            "figures": self.figures.iter().map(figure).collect::<Vec<_>>(),
            "timelines": self.timelines.iter().map(timeline).collect::<Vec<_>>(),
            "asked": self.rows().collect::<Vec<_>>(),
            "notes": self.notes,
            "checked": self.checked,
            "beside": self.beside,
            "compared": self.compared.iter().map(Compared::json).collect::<Vec<_>>(),
        })
    }
}

impl Compared {
    fn print(&self) {
        let Compared { other, this, ratio } = self;
        let (least, most) = ratio.least_and_most();
        let show = |figure: &Figure| figure.unit.show(figure.median());
        println!(
            "{:48} {:>14} {:>14} {:>6.2}   {least:.2} … {most:.2}",
            this.name,
            show(other),
            show(this),
            ratio.median()
        );
    }

    fn json(&self) -> Value {
        let Compared { other, this, ratio } = self;
        let unit = format!("{:?}", this.unit);
        json!({"name": this.name, "unit": unit, "other": other.values, "this": this.values,
            "ratios": ratio.values, "median_ratio": ratio.median()})
    }
}

/// Prints the figures of two builds: medians, and the median of the rounds' ratios with the least and the greatest.
pub fn print_compared(reports: &[Report]) {
    for Report { scenario, compared, .. } in reports.iter().filter(|one| !one.compared.is_empty()) {
        println!("\n{scenario:48} {:>14} {:>14} {:>6}", "the other", "this build", "ratio");
        compared.iter().for_each(Compared::print);
    }
}

/// What was asked for, and what was measured.
pub fn asked(reports: &[Report]) -> Vec<[String; 5]> {
    reports.iter().flat_map(Report::rows).collect()
}

/// The same as a table.
pub fn print_asked(reports: &[Report]) {
    let rows = asked(reports);
    if rows.is_empty() {
        return;
    }
    println!("\n{:42} {:>24} {:>16} {:>7}", "what", "asked", "measured", "ratio");
    for [what, bound, measured, ratio, reached] in rows {
        println!("{what:42} {bound:>24} {measured:>16} {ratio:>7}  {reached}");
    }
}

/// Writes all figures down for programs.
pub fn write_json(reports: &[Report], about: &str, folder: &Path) -> Fallible<()> {
    let reports: Vec<Value> = reports.iter().map(Report::json).collect();
    let text = format!("{:#}\n", json!({"about": about, "scenarios": reports}));
    let path = folder.join("results.json");
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}
