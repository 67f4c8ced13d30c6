//! Curves as SVG: latency by percentile, throughput over time.

use std::path::Path;

use hdrhistogram::Histogram;
use plotters::prelude::*;

use super::Fallible;
use super::report::Report;

/// A curve: its name, and its points.
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Draws a report's plots, and returns the names of the files.
pub fn draw(report: &Report, folder: &Path) -> Fallible<Vec<String>> {
    let mut files = Vec::new();
    let latencies = report.latencies.iter().filter(|latency| !latency.times.is_empty());
    let curves =
        latencies.map(|one| Curve { name: one.name.clone(), points: percentiles(&one.times) });
    let curves: Vec<Curve> = curves.collect();
    if !curves.is_empty() {
        let file = format!("{}-latency.svg", report.scenario);
        draw_latency(
            &folder.join(&file),
            &format!("{}: latency by percentile", report.scenario),
            &curves,
        )
        .map_err(|error| format!("{file}: {error}"))?;
        files.push(file);
    }
    let timelines = report.timelines.iter().filter(|timeline| !timeline.values.is_empty());
    let curves = timelines.map(|one| {
        let at = |place: usize| (place as f64 + 0.5) * one.slice;
        let points =
            one.values.iter().enumerate().map(|(place, value)| (at(place), *value)).collect();
        Curve { name: one.name.clone(), points }
    });
    let curves: Vec<Curve> = curves.collect();
    if !curves.is_empty() {
        let file = format!("{}-throughput.svg", report.scenario);
        draw_throughput(
            &folder.join(&file),
            &format!("{}: transfers a second", report.scenario),
            &curves,
        )
        .map_err(|error| format!("{file}: {error}"))?;
        files.push(file);
    }
    Ok(files)
}

/// From the median on, ever rarer: where one in ten, in a hundred, in a thousand is slower. The first
/// of a pair is how many nines, the second milliseconds.
fn percentiles(times: &Histogram<u64>) -> Vec<(f64, f64)> {
    let most = (times.len() as f64).log10().min(5.0);
    let nines = (0..=50).map(|step| f64::from(step) / 10.0).take_while(|nines| *nines <= most);
    let at = |nines: f64| times.value_at_quantile(1.0 - 10f64.powf(-nines)) as f64 / 1e6;
    nines.map(|nines| (nines, at(nines).max(1e-3))).collect()
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw_latency(path: &Path, title: &str, curves: &[Curve]) -> Drawn {
    let values = || curves.iter().flat_map(|curve| &curve.points);
    let least = values().map(|(_, value)| *value).fold(f64::INFINITY, f64::min) / 1.5;
    let most = values().map(|(_, value)| *value).fold(0.0, f64::max) * 1.5;
    let right = values().map(|(at, _)| *at).fold(1.0, f64::max);
    let area = SVGBackend::new(path, (960, 480)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d(0.0..right, (least..most).log_scale())?;
    let percentile = |nines: &f64| format!("{}%", 100.0 - 100.0 * 10f64.powf(-nines.round()));
    let milliseconds = |value: &f64| format!("{value}");
    chart
        .configure_mesh()
        .x_labels(right as usize + 1)
        .x_label_formatter(&percentile)
        .y_label_formatter(&milliseconds)
        .y_desc("milliseconds")
        .draw()?;
    draw_curves(&mut chart, curves)?;
    area.present()?;
    Ok(())
}

fn draw_throughput(path: &Path, title: &str, curves: &[Curve]) -> Drawn {
    let values = || curves.iter().flat_map(|curve| &curve.points);
    let most = values().map(|(_, value)| *value).fold(1.0, f64::max) * 1.1;
    let right = values().map(|(at, _)| *at).fold(0.1, f64::max);
    let area = SVGBackend::new(path, (960, 480)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d(0.0..right, 0.0..most)?;
    chart.configure_mesh().x_desc("seconds").draw()?;
    draw_curves(&mut chart, curves)?;
    area.present()?;
    Ok(())
}

/// Curves, each in a colour of its own, and which is which.
fn draw_curves<'a, Y>(
    chart: &mut ChartContext<
        'a,
        SVGBackend<'a>,
        Cartesian2d<plotters::coord::types::RangedCoordf64, Y>,
    >,
    curves: &[Curve],
) -> Drawn
where
    Y: plotters::coord::ranged1d::Ranged<ValueType = f64>,
{
    for (place, curve) in curves.iter().enumerate() {
        let colour = Palette99::pick(place).mix(1.0);
        let line = LineSeries::new(curve.points.iter().copied(), colour.stroke_width(2));
        chart
            .draw_series(line)?
            .label(&curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    Ok(())
}
