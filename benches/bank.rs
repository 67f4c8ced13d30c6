//! The load generator and benchmark: `./dev.sh bench --help` says how to use it, doc/FIGURES.md
//! what it measures.

mod bench;

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::main()
}
