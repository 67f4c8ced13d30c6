//! A store in memory, for in-process tests.
