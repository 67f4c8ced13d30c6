//! The flags about a server's log.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(next_help_heading = "Log")]
pub struct Log {
    /// Append the log to this file. SIGHUP has it opened anew, after it was given another name, by logrotate say
    /// [default: the log goes to the standard error]
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,

    /// What the log's lines are
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    pub log_format: LogFormat,
}

/// What the log's lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people: time, server, level, message
    Text,
    /// An object a line: time, server, level, target, message
    Json,
}
