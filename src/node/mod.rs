//! The threads of a server: they carry events to the state machine and its effects to the world.
