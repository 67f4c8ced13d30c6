//! The client: a session with a server, and a prompt that is typed at.
