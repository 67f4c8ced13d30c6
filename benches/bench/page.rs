//! One page that shows everything.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::Fallible;
use super::plots;
use super::report::{Report, asked};

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}\
    table{border-collapse:collapse}td,th{padding:.15rem .8rem;text-align:right;border-bottom:1px solid #ddd}\
    td:first-child,th:first-child{text-align:left}.missed{color:#b00}svg,img{max-width:100%;height:auto}";

/// Draws the plots and writes the page, and says where it is.
pub fn write(reports: &[Report], about: &str, folder: &Path) -> Fallible<PathBuf> {
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>PAXOS-Banking: figures</title>\
         <style>{STYLE}</style><h1>PAXOS-Banking: figures</h1><p>{}</p>",
        escaped(about)
    );
    let rows = asked(reports);
    if !rows.is_empty() {
        page.push_str(
            "<h2>Asked and measured</h2><table><tr><th>what<th>asked<th>measured<th>ratio<th>",
        );
        for row in &rows {
            let class = if row[4] == "reached" { "reached" } else { "missed" };
            let _ = write!(page, "<tr class={class}>");
            for cell in row {
                let _ = write!(page, "<td>{}", escaped(cell));
            }
        }
        page.push_str("</table>");
    }
    for report in reports {
        let _ = write!(page, "<h2>{}</h2><table><tr><th>figure<th>median<th>runs", report.scenario);
        for figure in &report.figures {
            let runs: Vec<String> =
                figure.values.iter().map(|value| figure.unit.show(*value)).collect();
            let (name, median) = (escaped(&figure.name), figure.unit.show(figure.median()));
            let _ = write!(page, "<tr><td>{name}<td>{median}<td>{}", runs.join(" · "));
        }
        page.push_str("</table>");
        for file in plots::draw(report, folder)? {
            let path = folder.join(&file);
            let svg = std::fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
            // As part of the page, so that the page alone can be passed on.
            page.push_str(svg.split_once("<svg").map_or(&svg, |(before, _)| &svg[before.len()..]));
        }
    }
    let path = folder.join("index.html");
    std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
