//! Scenes that are tests of their own, and that `tests/planted` plays with mistakes, too. Each panics if
//! something is wrong.

pub mod fair;
pub mod foretold;
pub mod going_on;
pub mod going_on_names;
pub mod issuing;
pub mod keyed_members;
pub mod keyed_stage;
pub mod keys;
pub mod leaving;
pub mod member_blocks;
pub mod members;
pub mod names;
pub mod pacing;
pub mod readmitting;
pub mod rejoining;
pub mod tenure;
pub mod trust;
