//! Clients: each is a thread with a session of its own, which runs its commands one after the other.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use crate::client::Options;
use crate::client::commands::{Command, Page, Response};
use crate::client::execute::execute;
use crate::client::session::Session;

/// A client's next command.
struct Job {
    ticket: usize,
    command: Command,
}

/// What came of a command.
#[derive(Debug)]
pub(super) struct Done {
    /// The number of the job.
    pub ticket: usize,
    /// The answer.
    pub response: Response,
    /// When it was asked.
    pub began: Instant,
    /// When it was answered.
    pub ended: Instant,
}

/// A client of one server.
#[derive(Debug)]
pub(super) struct Teller {
    jobs: Sender<Job>,
}

impl Teller {
    /// Starts a client that reports to `done`.
    pub(super) fn new(options: &Options, done: Sender<Done>) -> Result<Teller, String> {
        let (jobs, todo) = channel();
        let session = Session::new(options);
        let name = format!("client-{}", options.id);
        let thread = thread::Builder::new().name(name).spawn(move || work(session, &todo, &done));
        match thread {
            Ok(_) => Ok(Teller { jobs }),
            Err(error) => Err(format!("no thread for a client: {error}")),
        }
    }

    /// Has the client say this, after everything that it was told before.
    pub(super) fn tell(&self, ticket: usize, command: Command) -> Result<(), String> {
        self.jobs.send(Job { ticket, command }).map_err(|_| "a client has ended".into())
    }
}

fn work(mut session: Session, todo: &Receiver<Job>, done: &Sender<Done>) {
    let mut next: Option<Page> = None;
    for Job { ticket, command } in todo {
        let began = Instant::now();
        let Some(response) = execute(command, &mut session, next.as_ref()) else { return };
        let ended = Instant::now();
        if let Response::Page { next: page, .. } = &response {
            next.clone_from(page);
        }
        // The play may be over.
        if done.send(Done { ticket, response, began, ended }).is_err() {
            return;
        }
    }
}
