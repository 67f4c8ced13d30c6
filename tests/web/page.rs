//! The process of a page, and banks to show.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::cluster::free_address;
use crate::support::process::{Bank, Setup};

/// The process of a page. It ends with this value.
pub struct Page {
    process: Child,
    pub url: String,
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Page {
    pub fn of(bank: &Bank, flags: &[&str]) -> Page {
        let servers = bank.ids().into_iter().map(|id| format!("{id}={}", bank.address(&id)));
        let cluster = servers.collect::<Vec<_>>().join(",");
        Page::start(&[&["--cluster", &cluster], flags].concat(), &free_address())
    }

    pub fn start(flags: &[&str], listen: &str) -> Page {
        let mut program = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
        program.args(["web", "--listen", listen]).args(flags).stdout(Stdio::piped());
        Page::started(program.spawn().unwrap())
    }

    /// Waits until it says where it is.
    pub fn started(mut process: Child) -> Page {
        let mut said = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let url =
            said.trim().strip_prefix("the page is at ").expect("it says where it is").to_owned();
        Page { process, url }
    }

    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap().split('/').next().unwrap()
    }

    /// What comes back to these very bytes.
    pub fn said(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Has a server's client do something; returns what it prints.
pub fn pay(bank: &Bank, from: &str, command: &str) -> String {
    let output = bank.client_command(from).args(["-c", command]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A bank whose servers note down what happens in files in a folder.
pub fn traced(folder: &std::path::Path) -> Bank {
    let mut bank = Bank::set_up(&["A", "B", "C"], Setup { redis_each: true, ..Setup::default() });
    for id in ["A", "B", "C"] {
        let trace = folder.join(format!("{id}.jsonl"));
        bank.start_server_with(
            id,
            &["--trace", trace.to_str().unwrap(), "--allow-fault-injection"],
        );
    }
    bank.wait_until_connected();
    bank
}
