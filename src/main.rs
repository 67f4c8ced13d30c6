//! Arguments -> configuration -> run. All exit statuses are decided here.

#![forbid(unsafe_code)]

mod cli;

fn main() {
    println!("{:?}", cli::parse(std::env::args_os()).unwrap_or_else(|error| error.exit()));
}
