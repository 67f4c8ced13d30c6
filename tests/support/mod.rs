//! What several integration tests need.

#![allow(dead_code, unused_macros, reason = "each test uses a part of it")]

pub mod browser;
pub mod checker;
pub mod cluster;
pub mod damage;
pub mod disk;
pub mod doors;
pub mod pages;
pub mod person;
pub mod process;
pub mod redis;
pub mod relay;
pub mod run_sh;
pub mod samples;
pub mod stores;
pub mod tunnel;
pub mod walkthrough;
