//! Scenario files: a bank of processes, what clients say to it, what goes wrong, and what is to come
//! of it, from one file.
//!
//! [`script`] reads a file, in either of its dialects ([`plain`], [`csv`]), before anything is
//! started.

mod csv;
pub mod expect;
mod fault;
mod plain;
pub mod script;
