//! The load generator and benchmark: `./run.sh bench --help` says how to use it, README's "Figures"
//! what it measures.

mod bench;

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::main()
}
