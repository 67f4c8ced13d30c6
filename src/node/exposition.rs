//! Text as Prometheus reads it (its text format, version 0.0.4).

use std::fmt::{Display, Write};

use crate::node::figures::{BUCKETS_US, Histogram};

/// The name and version of the format, as a content type.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4";

/// A page of figures. Each family has its help and its type, whether it has samples or not, and its samples
/// follow each other: nothing else can be written.
#[derive(Debug, Default)]
pub(crate) struct Page(String);

/// A family of samples, which is being written.
#[derive(Debug)]
pub(crate) struct Family<'a> {
    page: &'a mut String,
    name: &'static str,
}

impl Page {
    /// Begins a family of numbers that go up and down.
    pub(crate) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, help, "gauge")
    }

    /// Begins a family of numbers that only grow, until the process ends.
    pub(crate) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, help, "counter")
    }

    fn family(&mut self, name: &'static str, help: &str, kind: &str) -> Family<'_> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a text can't fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { page: &mut self.0, name }
    }

    /// Adds how long things took, in seconds.
    pub(crate) fn histogram(&mut self, name: &'static str, help: &str, times: &Histogram) {
        let mut family = self.family(name, help, "histogram");
        let mut below = 0;
        for (count, end) in times.counts.iter().zip(BUCKETS_US) {
            below += count;
            family.sample("_bucket", &[("le", &seconds(end))], below);
        }
        below += times.counts[BUCKETS_US.len()];
        family.sample("_bucket", &[("le", "+Inf")], below);
        family.sample("_sum", &[], seconds(times.sum_us));
        family.sample("_count", &[], below);
    }

    /// Returns all of it.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// Adds the one number of a family without labels, if it is known.
    pub(crate) fn is(&mut self, value: impl Into<Option<u64>>) {
        if let Some(value) = value.into() {
            self.sample("", &[], value);
        }
    }

    /// Adds a number with its label.
    pub(crate) fn of(&mut self, label: (&str, &str), value: u64) {
        self.sample("", &[label], value);
    }

    /// Adds a number with its labels and what its name ends with.
    pub(crate) fn sample(&mut self, end: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.page, "{}{end}", self.name);
        for (place, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.page, "{}{label}=\"{text}\"", if place == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.page, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

/// Writes microseconds as seconds, without a rounding.
pub(crate) fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn texts_are_escaped_and_families_are_whole() {
        let mut page = Page::default();
        page.gauge("a", "one\\two\nthree").of(("why", "say \"no\"\\\n"), 3);
        page.counter("b_total", "nothing yet").is(None);
        page.gauge("c", "two").sample("", &[("x", "1"), ("y", "2")], seconds(1_500_000));
        assert_eq!(
            page.into_text(),
            "# HELP a one\\\\two\\nthree\n# TYPE a gauge\na{why=\"say \\\"no\\\"\\\\\\n\"} 3\n\
             # HELP b_total nothing yet\n# TYPE b_total counter\n\
             # HELP c two\n# TYPE c gauge\nc{x=\"1\",y=\"2\"} 1.5\n"
        );
    }

    #[test]
    fn a_histogram_s_buckets_add_up() {
        let mut times = Histogram::default();
        [30, 70, 70_000_000].into_iter().for_each(|us| times.add(Duration::from_micros(us)));
        let mut page = Page::default();
        page.histogram("t_seconds", "times", &times);
        let text = page.into_text();
        let lines = ["{le=\"0.00005\"} 1", "{le=\"0.0001\"} 2", "{le=\"10\"} 2", "{le=\"+Inf\"} 3"];
        for line in lines {
            assert!(text.contains(&format!("t_seconds_bucket{line}\n")), "{text}");
        }
        assert!(text.ends_with("t_seconds_sum 70.0001\nt_seconds_count 3\n"), "{text}");
    }
}
