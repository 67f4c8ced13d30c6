//! Plays a script: lets clients speak and faults happen, and checks what the file expects.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::bank::amount::Amount;
use crate::bank::ids::ServerId;
use crate::client::commands::{Command, Response};
use crate::client::session::{Ending, Failure};
use crate::play::check::{Last, chain, check};
use crate::play::figures::Figures;
use crate::play::look::Look;
use crate::play::promises;
use crate::play::report::Report;
use crate::play::script::{Act, Membership, Script, Step};
use crate::play::short::Short;
use crate::play::stage::Stage;
use crate::play::tally::Tally;
use crate::play::teller::{Done, Teller};
use crate::play::why::{Observed, why};

mod sets;
mod stops;
mod waiting;

use stops::{Onward, Stops};

/// Why a play does not go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// Nobody reads what is printed, as after `head`.
    Unread,
    /// The play can't go on, for this reason.
    Cannot(String),
}

impl From<String> for Stop {
    fn from(why: String) -> Stop {
        Stop::Cannot(why)
    }
}

impl From<&str> for Stop {
    fn from(why: &str) -> Stop {
        Stop::Cannot(why.into())
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        match error.kind() {
            ErrorKind::BrokenPipe => Stop::Unread,
            _ => Stop::Cannot(format!("the output can't be written: {error}")),
        }
    }
}

/// How a script is played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// True if transfers that follow each other are under way at once, except those of one client.
    pub concurrent: bool,
    /// True if a transfer that the bank can't cover waits for money.
    pub short_waits: bool,
    /// How long an expectation may take to come true.
    pub patience: Duration,
    /// How long to wait after each step.
    pub slow: Duration,
    /// The balance with which the script's accounts are opened.
    pub opening_of_accounts: Amount,
}

/// A question that is not answered yet.
struct Asked {
    step: Rc<Step>,
    server: ServerId,
    command: Command,
    /// The home's height at the time, and the length of its trace.
    height: Option<u64>,
    trace: u64,
    /// True if it was asked before, and has waited for money since.
    again: bool,
}

/// Plays one script. A fault of the play itself, rather than one in it, stops it.
pub(super) struct Player<'a, O> {
    script: &'a Script,
    manner: Manner,
    pub stage: Stage,
    pub report: Report<O>,
    pub figures: Figures,
    pub short: Short,
    pub tally: Tally,
    stops: Option<Stops>,
    tellers: BTreeMap<ServerId, Teller>,
    to_done: Sender<Done>,
    done: Receiver<Done>,
    under_way: BTreeMap<usize, Asked>,
    tickets: usize,
    last: Option<Last>,
    /// The endings of transfers that nobody waited for, in the order of their answers. A step that waits
    /// for them later finds them here.
    ended_before: Vec<(ServerId, Last)>,
    /// The height at which the script begins. Below it there are only openings of its accounts.
    began_at: u64,
}

impl<'a, O: Write> Player<'a, O> {
    pub(super) fn new(
        script: &'a Script,
        manner: Manner,
        stage: Stage,
        report: Report<O>,
    ) -> Player<'a, O> {
        let (to_done, done) = channel();
        Player {
            script,
            manner,
            stage,
            report,
            figures: Figures::default(),
            short: Short::default(),
            tally: Tally::default(),
            stops: None,
            tellers: BTreeMap::new(),
            to_done,
            done,
            under_way: BTreeMap::new(),
            tickets: 0,
            last: None,
            ended_before: Vec::new(),
            began_at: 0,
        }
    }

    /// Plays the entire script.
    pub(super) fn play(&mut self) -> Result<(), Stop> {
        let script = self.script;
        self.open_accounts()?;
        for (index, step) in script.steps.iter().enumerate() {
            self.stage.look_for_the_dead()?;
            self.step(&Rc::new(step.clone()))?;
            // Transfers that follow each other are awaited together, if they are to be concurrent.
            let next = script.steps.get(index + 1).map(|step| &step.act);
            let goes_on = is_transfer(&step.act) && next.is_some_and(is_transfer);
            if self.manner.concurrent && is_transfer(&step.act) && !goes_on {
                self.wait_for(|_| true)?;
            }
            if !goes_on || !self.manner.concurrent {
                self.look_again()?;
            }
            let ends_set = next.is_none_or(|next| matches!(next, Act::Set { .. }));
            if ends_set && next.is_some() {
                self.wait_for(|_| true)?;
                self.note_balances();
            }
            if next.is_some() {
                thread::sleep(self.manner.slow);
            }
            if self.stops_after(step, ends_set) && self.look_around(step)? == Onward::End {
                break;
            }
        }
        self.wait_for(|_| true)?;
        self.look_again()?;
        self.look_at_all_again()?;
        self.note_balances();
        Ok(())
    }

    fn step(&mut self, step: &Rc<Step>) -> Result<(), Stop> {
        self.stage.tell(step);
        match &step.act {
            Act::Say { server, command, behind } => {
                let ticket = self.say(step, server, command.clone(), false)?;
                let together = self.manner.concurrent && is_transfer(&step.act);
                match ticket {
                    Some(_) if *behind => self.done(step, "asked"),
                    Some(ticket) if !together => self.wait_for(|other| other == ticket),
                    _ => Ok(()),
                }
            }
            Act::Await(client) => self.wait_behind(client.as_ref()),
            Act::Kill(id) => {
                let did = self.stage.kill(id);
                self.done(step, if did { "killed" } else { "it doesn't run" })
            }
            Act::Start(id) => {
                let did = self.stage.start(id)?;
                self.done(step, if did { "started" } else { "it runs" })
            }
            Act::Pause(id) => {
                let did = self.stage.pause(id, true)?;
                self.done(step, if did { "stands still" } else { "it stands still already" })
            }
            Act::Resume(id) => {
                let did = self.stage.pause(id, false)?;
                self.done(step, if did { "goes on" } else { "it goes on already" })
            }
            Act::Break(faults) => {
                self.stage.break_links(faults)?;
                self.done(step, "done")
            }
            Act::Heal(links) => self.heal(step, links),
            Act::Wait(time) => {
                thread::sleep(*time);
                self.done(step, "done")
            }
            Act::Show(servers) => self.show(step, servers),
            Act::End => Ok(()),
            Act::Title(title) => told(self.report.title(step, title)),
            Act::Expect(expect) => {
                let (last, patience) = (self.last.as_ref(), self.manner.patience);
                let result = check(expect, last, &mut self.stage, patience);
                if let Err(found) = &result {
                    self.stage.tell_failure(step, found);
                }
                told(self.report.checked(step, &result))
            }
            Act::Members(change) => self.change_members(step, change),
            Act::Fail(server) => self.fail(step, server.as_ref()),
            Act::Recover(id) => self.recover(step, id),
            Act::Set { number, live } => self.begin_set(step, *number, live),
        }
    }

    /// Changes the members. A client whose server has moved or gone connects anew, unless it waits for an answer.
    fn change_members(&mut self, step: &Step, change: &Membership) -> Result<(), Stop> {
        let answer = self.stage.change_members(change)?;
        let waits = |id: &ServerId| self.under_way.values().any(|asked| asked.server == *id);
        if !waits(change.server()) {
            self.tellers.remove(change.server());
        }
        match answer {
            Ok(done) => self.done(step, done),
            Err(why) => self.done(step, &format!("not done: {why}")),
        }
    }

    fn done(&mut self, step: &Step, what: &str) -> Result<(), Stop> {
        told(self.report.done(step, what))
    }

    /// Shows logs, chains and balances of servers.
    fn show(&mut self, step: &Step, servers: &[ServerId]) -> Result<(), Stop> {
        let live = self.stage.live();
        let servers: Vec<ServerId> =
            if servers.is_empty() { live.into_iter().collect() } else { servers.to_vec() };
        let look = Look::at(&mut self.stage, servers);
        told(self.report.shown(step, &look, &look.in_words()))
    }

    // ── Clients ──────────────────────────────────────────────────────────────────────────────────

    /// Lets a client say something. None if its server doesn't run, which is then the answer.
    fn say(
        &mut self,
        step: &Rc<Step>,
        server: &ServerId,
        command: Command,
        again: bool,
    ) -> Result<Option<usize>, Stop> {
        // Nothing can be seen of a server that stands still.
        let status = self.stage.status(server).ok();
        let height = status.and_then(|status| status.height);
        let trace = promises::end_of(&self.stage.trace_of(server));
        let (step, server_id) = (Rc::clone(step), server.clone());
        let asked = Asked { step, server: server_id, command, height, trace, again };
        if !self.stage.runs(server) {
            let failure = Failure::NotSent(format!("{server} doesn't run"));
            let response = refuse(&asked.command, &failure);
            return self.answer(asked, response, Duration::ZERO).map(|()| None);
        }
        if !self.tellers.contains_key(server) {
            let options = self.stage.client_of(server).ok_or("no such server")?;
            let teller = Teller::new(&options, self.to_done.clone())?;
            self.tellers.insert(server.clone(), teller);
        }
        self.tickets += 1;
        self.tellers[server].tell(self.tickets, asked.command.clone())?;
        self.under_way.insert(self.tickets, asked);
        Ok(Some(self.tickets))
    }

    /// Waits for all answers that this client, or any client, is owed from earlier steps.
    fn wait_behind(&mut self, client: Option<&ServerId>) -> Result<(), Stop> {
        let is_of = |server: &ServerId| client.is_none_or(|client| client == server);
        for (_, last) in self.ended_before.extract_if(.., |(server, _)| is_of(server)) {
            self.last = Some(last);
        }
        let under_way = self.under_way.iter().filter(|(_, asked)| is_of(&asked.server));
        let tickets: Vec<usize> = under_way.map(|(ticket, _)| *ticket).collect();
        self.wait_for(|ticket| tickets.contains(&ticket))
    }

    /// Waits until all of these are answered.
    fn wait_for(&mut self, which: impl Fn(usize) -> bool) -> Result<(), Stop> {
        while self.under_way.keys().any(|ticket| which(*ticket)) {
            let done = self.done.recv().map_err(|_| "a client has ended")?;
            let Done { ticket, response, began, ended } = done;
            let Some(asked) = self.under_way.remove(&ticket) else { continue };
            if is_transfer(&asked.step.act) {
                self.figures.took(began, ended);
            }
            let (server, before) = (asked.server.clone(), self.last.take());
            self.answer(asked, response, ended - began)?;
            self.last = match self.last.take() {
                Some(last) if which(ticket) => Some(last),
                last => {
                    self.ended_before.extend(last.map(|last| (server, last)));
                    before
                }
            };
        }
        Ok(())
    }

    /// Takes an answer.
    fn answer(&mut self, asked: Asked, response: Response, took: Duration) -> Result<(), Stop> {
        let endings: &[Ending] = match &response {
            Response::One(ending) => std::slice::from_ref(ending),
            Response::Batch(endings) => endings,
            _ => &[],
        };
        let mut seen = Observed::default();
        if let (Some(height), false) = (asked.height, endings.is_empty()) {
            let blocks = chain(&mut self.stage, &asked.server, height + 1);
            seen.blocks = blocks.unwrap_or_default();
            seen.promised = promises::since(&self.stage.trace_of(&asked.server), asked.trace);
        }
        let mut why = endings.first().map(|first| why(&asked.server, first, &seen));
        if !endings.is_empty() {
            self.last = Some(Last { endings: endings.to_vec(), took });
        }
        if self.manner.short_waits && Short::concerns(endings) {
            let Asked { step, server, command, again, .. } = asked;
            self.short.wait(Rc::clone(&step), server, command, &mut self.stage);
            // That it waits is told once.
            let why = why.as_deref().filter(|_| !again);
            return why.map_or(Ok(()), |why| told(self.report.waits(&step, &response, why, took)));
        }
        self.figures.count(endings, took);
        self.tally.count(endings);
        if asked.again {
            why = why.map(|why| format!("it had waited: {why}"));
        }
        told(self.report.answered(&asked.step, &response, why.as_deref(), took))
    }
}

/// True if a step is one or several transfers.
fn is_transfer(act: &Act) -> bool {
    matches!(act, Act::Say { command: Command::One(_) | Command::Batch(_), .. })
}

/// Makes the response to a command that is not sent.
fn refuse(command: &Command, failure: &Failure) -> Response {
    match command {
        Command::One(_) => Response::One(Ending::NotDone(failure.clone())),
        Command::Batch(all) => {
            Response::Batch(all.iter().map(|_| Ending::NotDone(failure.clone())).collect())
        }
        _ => Response::Failed(failure.clone()),
    }
}

fn told(result: io::Result<()>) -> Result<(), Stop> {
    Ok(result?)
}
