//! The archive: the past of a chain in a folder, as files that any tool can read.
//!
//! A *segment* is a sealed file with the blocks from one height to another, a block a line, byte for byte as
//! the store holds them ([`segment`]). Segments never change. Beside a segment lie two files that are made
//! from it and can be made again at any time: where each block's line begins (`offsets`), and which blocks
//! touch an account ([`accounts`]).
//!
//! ```text
//! archive.json                          whose the folder is: {"server":"A","bank":"4be0…"}
//! lock                                  locked while a server uses the folder
//! 000000000000-000000000511.jsonl       a segment
//! 000000000000-000000000511.offsets
//! 000000000000-000000000511.accounts
//! part                                  the segment that is being written
//! ```
//!
//! The store records each segment's length and SHA-256. So a file that is missing, cut or changed is noticed,
//! whoever did it. A [`Claim`](claim::Claim) is what a running server has of its folder, and a
//! [`Folder`](folder::Folder) what everybody has who reads in it.

pub mod accounts;
pub mod claim;
pub(crate) mod disk;
pub mod error;
pub mod folder;
pub mod keeper;
pub(crate) mod names;
mod offsets;
pub mod owner;
pub mod reader;
pub mod record;
pub mod segment;
#[cfg(test)]
mod testing;
pub mod writer;
