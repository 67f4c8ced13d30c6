//! Stops between sets, or lines: whoever plays looks around, as any client, and goes on when done.

use std::io::{self, BufRead, IsTerminal, Write};
use std::rc::Rc;

use super::{Player, Stop};
use crate::bank::ids::{AccountId, ServerId};
use crate::client::commands::Command;
use crate::client::line_reader::LineReader;
use crate::client::parse::parse;
use crate::client::split::outside_quotes;
use crate::play::cast::list;
use crate::play::plain;
use crate::play::script::{Act, Step};

/// What may be typed at a stop.
const HELP: &str = "\
an empty line    plays on to the next stop
run              plays on to the end, without stops
quit             ends the play here
B                from now on speaks as B's client
log, chain, balance, transfer B 5, …    what that client says, as at its prompt
A: balance       what A's client says
show, kill B, start B, cut A B, expect …    any line of a scenario file";

/// The words by which a line of a scenario file begins, if no client says it.
const LINES: [&str; 20] = [
    "await", "kill", "start", "pause", "resume", "cut", "delay", "drop", "lose", "heal", "admit",
    "dismiss", "move", "promote", "demote", "wait", "show", "say", "expect", "LF",
];

/// How a play goes on after a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Onward {
    /// To the next stop, or the end.
    On,
    /// Not at all.
    End,
}

/// Where lines come from at a stop.
#[derive(Debug)]
pub(super) struct Stops {
    /// The prompt, if a person types them.
    prompt: Option<LineReader>,
    /// The server whose client speaks.
    client: Option<ServerId>,
}

impl Stops {
    /// Reads a line; none at the input's end.
    fn read(&mut self) -> io::Result<Option<String>> {
        let name = self.client.as_ref().map_or("", ServerId::as_str);
        if let Some(prompt) = &mut self.prompt {
            return prompt.read(&format!("{name} (Enter plays on, help)> "));
        }
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line)?;
        Ok((read > 0).then_some(line))
    }
}

impl<O: Write> Player<'_, O> {
    /// Stops from now on after each set; after each line, if the file has no sets.
    pub(in crate::play) fn stop_between(&mut self) {
        let person = io::stdin().is_terminal() && io::stdout().is_terminal();
        let client = self.script.servers.iter().next().cloned();
        let options = client.as_ref().filter(|_| person).and_then(|id| self.stage.client_of(id));
        self.stops =
            Some(Stops { prompt: options.map(|options| LineReader::open(&options)), client });
    }

    /// True if the play is to stop after this step.
    pub(super) fn stops_after(&self, step: &Step, ends_set: bool) -> bool {
        let has_sets = self.script.steps.iter().any(|step| matches!(step.act, Act::Set { .. }));
        let is_stop = if has_sets { ends_set } else { !matches!(step.act, Act::Title(_)) };
        self.stops.is_some() && is_stop
    }

    /// Does what is typed until the play is to go on.
    pub(super) fn look_around(&mut self, after: &Step) -> Result<Onward, Stop> {
        loop {
            let Some(stops) = &mut self.stops else { return Ok(Onward::On) };
            let read = stops.read();
            let line = read.map_err(|error| format!("the input can't be read: {error}"))?;
            let client = stops.client.clone();
            let Some(line) = line else {
                // Nobody is there any more to say when to go on.
                self.stops = None;
                return Ok(Onward::On);
            };
            match line.trim() {
                "" | "next" => return Ok(Onward::On),
                "run" => {
                    self.stops = None;
                    return Ok(Onward::On);
                }
                "quit" | "exit" | "q" | "\\q" => return Ok(Onward::End),
                "help" | "?" => self.report.text(HELP)?,
                text => self.obey(text, client.as_ref(), after)?,
            }
        }
    }

    /// Does what one line says. What is wrong with it is told, and harms nothing.
    fn obey(&mut self, text: &str, client: Option<&ServerId>, after: &Step) -> Result<(), Stop> {
        let servers: Vec<ServerId> = self.stage.servers().cloned().collect();
        if let Some(server) = servers.iter().find(|id| id.as_str() == text) {
            if let Some(stops) = &mut self.stops {
                stops.client = Some(server.clone());
            }
            return Ok(());
        }
        let act = match client.filter(|_| !is_line(text)) {
            Some(client) => as_client(text, client),
            None => plain::one(text).map_err(|wrong| wrong.what),
        };
        let act = act.and_then(|act| match stranger(&act, &servers) {
            Some(id) => {
                Err(format!("{id} is no server of this bank, which has {}", list(&servers)))
            }
            None => Ok(act),
        });
        match act {
            Ok(act) => {
                let step = Step { place: after.place, text: text.to_owned(), act };
                self.step(&Rc::new(step))
            }
            Err(wrong) => Ok(self.report.text(&wrong)?),
        }
    }
}

/// True if a text is a line of a scenario file, and not what a client says at its prompt.
fn is_line(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    // In quotes anything may stand.
    let bare = outside_quotes(text);
    bare.contains(':') || bare.contains('(') || LINES.contains(&first)
}

/// Reads what a client says. A transfer goes to the payer's home, whoever says it.
fn as_client(text: &str, client: &ServerId) -> Result<Act, String> {
    let command = match parse(text, &AccountId::of(client)) {
        Ok(command) => command.ok_or("a comment says nothing")?,
        Err(wrong) => return plain::one(text).map_err(|_| wrong),
    };
    let payer = match &command {
        Command::One(instruction) => instruction.action.payer().map(AccountId::home),
        Command::Watch(_) | Command::More | Command::Again => {
            return Err(format!("{text}: nobody stays at this prompt; status shows the same once"));
        }
        _ => None,
    };
    let server = payer.and_then(|home| home.parse().ok()).unwrap_or_else(|| client.clone());
    Ok(Act::Say { server, command, behind: false })
}

/// Returns a server that an act is about, and that the bank hasn't.
fn stranger(act: &Act, servers: &[ServerId]) -> Option<ServerId> {
    let named = match act {
        Act::Say { server, .. } | Act::Kill(server) | Act::Start(server) => vec![server],
        Act::Pause(server) | Act::Resume(server) | Act::Recover(server) => vec![server],
        Act::Await(Some(server)) | Act::Fail(Some(server)) => vec![server],
        Act::Break(faults) => faults.iter().flat_map(|(from, fault)| [from, &fault.peer]).collect(),
        Act::Heal(links) => links.iter().flat_map(|(from, to)| [from, to]).collect(),
        Act::Show(all) => all.iter().collect(),
        _ => Vec::new(),
    };
    named.into_iter().find(|id| !servers.contains(id)).cloned()
}
