//! Every scenario of the benchmark, with small sizes: that it works, and that its checks find the bank
//! in order. What it measures here means nothing.

#[path = "../benches/bench/mod.rs"]
mod bench;

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::smoke()
}
