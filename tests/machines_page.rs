//! doc/MACHINES.md, gone through on three loopback addresses: each command of the page is run, in its order, and says
//! what the page says; the units for systemd start what they name.
//!
//! What differs from the page is what follows here, and nothing else: addresses and ports ([`Machine::here`]), a
//! folder in the place of each machine's root, and [`STAND_INS`] for commands that need root or another machine.
//! `systemctl` is [`Machine::systemctl`], which goes by the unit's own lines.
#![cfg(all(feature = "noise", target_os = "linux"))]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use paxos_banking::play::guard::Guarded;
use support::cluster::{PATIENCE, wait_until};
use support::walkthrough::{are_lines, free_port};
use tempfile::TempDir;

/// What stands for commands that need root or another machine. Each has to be used by the page.
const STAND_INS: [(&str, &str); 7] = [
    ("apt-get", "true"),
    ("useradd", "true"),
    ("runuser", "shift 3; \"$@\""),
    // Without another owner; and the program is large.
    (
        "install",
        "local all=(); while [ $# -gt 0 ]; do case $1 in -o) shift ;; *) all+=(\"$1\") ;; esac; shift; done
         case \"${all[*]}\" in
         *target/release*) ln -sf \"$PROGRAM\" \"${all[-1]}\" ;;
         *) command install \"${all[@]}\" ;; esac",
    ),
    (
        "scp",
        "local all=(); shift
         for name in \"$@\"; do case $name in root@*) all+=(\"$(machine_of \"$name\")${name#*:}\") ;; *) all+=(\"$name\") ;; esac; done
         cp \"${all[@]}\"",
    ),
    ("ssh", "bash -c \"${2//\\/etc\\//$(machine_of \"$1\")/etc/}\""),
    ("journalctl", "cat \"$LOGS/$2.log\""),
];
/// The machines, and their addresses on the page and here.
const MACHINES: [(&str, &str, &str); 3] = [
    ("A", "10.0.0.1", "127.0.0.2"),
    ("B", "10.0.0.2", "127.0.0.3"),
    ("C", "10.0.0.3", "127.0.0.4"),
];
/// The operator's.
const DESK: &str = "desk";

/// A command, at whose prompt it is typed, and what it says.
#[derive(Debug)]
struct Step {
    at: String,
    command: String,
    says: Vec<String>,
}

/// The page's steps, and its blocks that are files.
fn parse(page: &str) -> (Vec<Step>, Vec<String>) {
    let (mut steps, mut files): (Vec<Step>, Vec<String>) = (Vec::new(), Vec::new());
    let (mut before, mut is_file) = ("", false);
    for line in page.lines() {
        let Some(text) = line.strip_prefix("    ") else {
            is_file &= line.is_empty();
            before = line;
            continue;
        };
        let prompt =
            ["each# ", "A# ", "B# ", "C# ", "desk$ "].into_iter().find(|at| text.starts_with(at));
        match prompt {
            Some(prompt) => {
                let (at, command) =
                    (prompt[..prompt.len() - 2].to_owned(), text[prompt.len()..].to_owned());
                steps.push(Step { at, command, says: Vec::new() });
            }
            None if before.is_empty() && is_file => {
                files.last_mut().unwrap().push_str(&format!("\n{text}\n"));
            }
            None if before.is_empty() => {
                is_file = true;
                files.push(format!("{text}\n"));
            }
            None if is_file => files.last_mut().unwrap().push_str(&format!("{text}\n")),
            None => {
                steps.last_mut().expect("a command before what it says").says.push(text.to_owned())
            }
        }
        before = line;
    }
    (steps, files)
}

/// A machine, or the operator's desk: a folder in the place of its root.
struct Machine {
    name: &'static str,
    root: PathBuf,
    /// What stands there for what is on the page.
    here: Vec<(&'static str, String)>,
    set: String,
    running: BTreeMap<String, Guarded>,
}

impl Machine {
    fn new(all: &Path, name: &'static str, ports: &[(&'static str, String)]) -> Machine {
        let (root, repository) = (all.join(name), Path::new(env!("CARGO_MANIFEST_DIR")));
        let mut here: Vec<(&str, String)> =
            MACHINES.iter().map(|(_, page, here)| (*page, here.to_string())).collect();
        let own = MACHINES.iter().find(|(machine, ..)| *machine == name);
        // Its loopback address is its own; the others' have other numbers.
        here.insert(0, ("127.0.0.1", own.map_or("127.0.0.1", |(.., here)| here).to_owned()));
        here.extend(ports.iter().cloned());
        let machine = Machine { name, root, here, set: String::new(), running: BTreeMap::new() };
        for folder in [
            "clone/systemd",
            "clone/target/release",
            "home",
            "etc/systemd/system",
            "logs",
            "usr/local/bin",
            "var/lib",
        ] {
            fs::create_dir_all(machine.root.join(folder)).unwrap();
        }
        let mut files: Vec<PathBuf> = fs::read_dir(repository.join("systemd"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        files.push(repository.join("redis.conf"));
        for file in files {
            let text = machine.rooted(&machine.local(&fs::read_to_string(&file).unwrap()));
            let name = file.strip_prefix(repository).unwrap();
            fs::write(machine.root.join("clone").join(name), text).unwrap();
        }
        machine
    }

    /// A text with the addresses and ports that are here.
    fn local(&self, text: &str) -> String {
        self.here.iter().fold(text.to_owned(), |text, (page, here)| text.replace(page, here))
    }

    /// A text with this machine's folder in the place of its root; paths on other machines follow a `:`.
    fn rooted(&self, text: &str) -> String {
        if self.name == DESK {
            return text.to_owned();
        }
        let mut rooted = String::new();
        for (at, character) in text.char_indices() {
            let is_ours = ["/etc/", "/var/lib/", "/usr/local/bin/"]
                .iter()
                .any(|path| text[at..].starts_with(path));
            let before = text[..at].chars().next_back();
            if is_ours && !before.is_some_and(|c| c == ':' || c.is_alphanumeric()) {
                rooted.push_str(self.root.to_str().unwrap());
            }
            rooted.push(character);
        }
        rooted.replace("/usr/bin/redis-server", "redis-server")
    }

    fn bash(&self, command: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_paxos-banking"));
        let stand_ins: Vec<String> =
            STAND_INS.iter().map(|(name, body)| format!("{name}() {{ {body}\n}}\n")).collect();
        let all = self.root.parent().unwrap().display().to_string();
        let places = MACHINES.map(|(name, _, at)| format!("*{at}*) echo {all}/{name} ;; "));
        let machine_of = format!("machine_of() {{ case $1 in {} esac; }}\n", places.concat());
        let mut bash = Command::new("bash");
        let script = format!("exec 2>&1\n{machine_of}{}{}{command}", stand_ins.concat(), self.set);
        let first = match self.name {
            DESK => program.parent().unwrap().to_owned(),
            _ => self.root.join("usr/local/bin"),
        };
        let path = format!("{}:{}", first.display(), std::env::var("PATH").unwrap_or_default());
        bash.args(["-c", &script]).current_dir(self.root.join("clone")).env("PATH", path);
        bash.env("HOME", self.root.join("home")).env_remove("XDG_CONFIG_HOME");
        bash.env("PROGRAM", program).env("LOGS", self.root.join("logs"));
        bash
    }

    fn run(&self, command: &str) -> (bool, String) {
        let output = self.bash(command).stdin(Stdio::null()).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    fn take(&mut self, step: &Step) {
        let command = self.rooted(&self.local(&step.command));
        let says: Vec<String> =
            step.says.iter().map(|line| self.rooted(&self.local(line))).collect();
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase());
        let first = command.split(' ').next().unwrap();
        if first.split_once('=').is_some_and(|(name, _)| is_name(name)) {
            // Set once, as in a shell, not each time.
            let names: Vec<&str> = command
                .split(' ')
                .filter_map(|word| word.split_once('='))
                .map(|(name, _)| name)
                .filter(|name| is_name(name))
                .collect();
            let shown: String =
                names.iter().map(|name| format!("; echo \"{name}=${name}\"")).collect();
            let (_, values) = self.run(&format!("{command}{shown}"));
            return self.set.push_str(&values);
        }
        if let Some(order) = command.strip_prefix("systemctl ") {
            assert!(says.is_empty(), "systemctl says nothing");
            return self.systemctl(order);
        }
        let is_right = |(success, said): &(bool, String)| {
            *success && are_lines(&says, &said.lines().collect::<Vec<_>>())
        };
        let mut said = self.run(&command);
        if command.ends_with("-c status") {
            wait_until(&format!("{command} says {says:#?}"), || {
                said = self.run(&command);
                is_right(&said)
            });
        }
        assert!(
            is_right(&said),
            "{}# {command}\n{said:?}\nis not what the page says: {says:#?}",
            self.name
        );
    }

    /// Does what systemd would by the units that are installed on this machine.
    fn systemctl(&mut self, order: &str) {
        let words: Vec<&str> = order.split(' ').filter(|word| *word != "--now").collect();
        for name in &words[1..] {
            // The package's own.
            if *name == "redis-server" {
                continue;
            }
            if name.ends_with(".timer") {
                assert!(
                    self.root.join("etc/systemd/system").join(name).exists(),
                    "{name} is installed"
                );
                continue;
            }
            match words[0] {
                "start" | "enable" => self.start(name),
                "stop" | "disable" => self.stop(name),
                "restart" => {
                    self.stop(name);
                    self.start(name);
                }
                "reload" => {
                    assert_eq!(self.unit(name, "ExecReload"), ["/bin/kill -HUP $MAINPID"]);
                    self.running[*name].signal("HUP").unwrap();
                }
                other => panic!("what is systemctl {other}?"),
            }
        }
    }

    /// The values of a setting in a unit.
    fn unit(&self, name: &str, setting: &str) -> Vec<String> {
        let path = self.root.join(format!("etc/systemd/system/{name}.service"));
        let text = fs::read_to_string(path).expect("it is installed");
        let value = |line: &str| Some(line.strip_prefix(setting)?.strip_prefix('=')?.to_owned());
        text.lines().filter_map(value).collect()
    }

    fn start(&mut self, name: &str) {
        let kind = self.unit(name, "Type").pop().unwrap_or_default();
        let mut first = self.unit(name, "ExecStartPre");
        let mut main = self.unit(name, "ExecStart");
        let last = if kind == "oneshot" { None } else { main.pop() };
        first.append(&mut main);
        for command in first {
            let (success, said) = self.run(&command);
            assert!(success, "{name}: {command}: {said}");
        }
        let Some(command) = last else { return };
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.root.join(format!("logs/{name}.log")));
        let environment = self.unit(name, "Environment").join(" ");
        let mut bash = self.bash(&format!("exec 2>&4 4>&- env {environment} {command}"));
        let notify = self.root.join("notify");
        let _ = fs::remove_file(&notify);
        let heard = UnixDatagram::bind(&notify).unwrap();
        bash.env("NOTIFY_SOCKET", &notify);
        let mut outer = Command::new("bash");
        outer
            .args(["-c", "exec 4>&2; exec \"$@\"", "bash"])
            .arg(bash.get_program())
            .args(bash.get_args());
        for (variable, value) in bash.get_envs() {
            match value {
                Some(value) => outer.env(variable, value),
                None => outer.env_remove(variable),
            };
        }
        outer.current_dir(bash.get_current_dir().unwrap());
        let process = Guarded::start(&outer, Stdio::from(log.unwrap())).unwrap();
        assert!(self.running.insert(name.to_owned(), process).is_none(), "{name} was running");
        if kind == "notify" {
            heard.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut told = [0; 64];
            let length = heard.recv(&mut told).expect("it says that it is ready");
            assert_eq!(&told[..length], b"READY=1");
        }
    }

    fn stop(&mut self, name: &str) {
        let mut process = self.running.remove(name).expect("it runs");
        process.signal("TERM").unwrap();
        wait_until(&format!("{name} ends"), || process.ended().is_some());
        let status = process.ended().unwrap();
        assert!(status.success(), "{name} of {} ended with {status}", self.name);
    }
}

#[test]
fn the_page_is_true_from_the_first_command_to_the_last() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(repository.join("doc/MACHINES.md")).unwrap();
    let (steps, files) = parse(&page);
    assert!(steps.len() > 35, "{} commands are found", steps.len());
    assert_eq!(files, [fs::read_to_string(repository.join("systemd/bank.toml")).unwrap()]);
    for (name, _) in STAND_INS {
        let is_used = steps.iter().any(|step| step.command.contains(&format!("{name} ")));
        assert!(is_used, "nothing on the page needs a stand-in for {name}");
    }
    let all = TempDir::new().unwrap();
    let ports = [("8001", free_port()), ("6379", free_port())];
    let names = MACHINES.map(|(name, ..)| name);
    let mut machines: Vec<Machine> = names
        .into_iter()
        .chain([DESK])
        .map(|name| Machine::new(all.path(), name, &ports))
        .collect();
    for step in &steps {
        let here = |machine: &&mut Machine| match &*step.at {
            "each" => machine.name != DESK,
            at => machine.name == at,
        };
        machines.iter_mut().filter(here).for_each(|machine| machine.take(step));
    }
    assert!(machines.iter().all(|machine| machine.running.is_empty()), "all has ended");
}

/// By systemd's own judgement, where it is installed. What it says of the program's path isn't about the units.
#[test]
fn the_units_are_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let is_unit =
        |path: &PathBuf| path.extension().is_some_and(|end| end == "service" || end == "timer");
    let units: Vec<PathBuf> = files.filter(is_unit).collect();
    assert_eq!(units.len(), 4);
    let there = TempDir::new().unwrap();
    for unit in &units {
        let text = fs::read_to_string(unit).unwrap();
        let text =
            text.replace("/usr/local/bin/paxos-banking", env!("CARGO_BIN_EXE_paxos-banking"));
        let text = text.replace("/usr/bin/redis-server", "/bin/true");
        fs::write(there.path().join(unit.file_name().unwrap()), text).unwrap();
    }
    let mut verify = Command::new("systemd-analyze");
    verify
        .arg("verify")
        .args(units.iter().map(|unit| there.path().join(unit.file_name().unwrap())));
    let Ok(output) = verify.output() else {
        return eprintln!("not tried: systemd-analyze isn't installed");
    };
    let said = String::from_utf8(output.stderr).unwrap();
    let own: Vec<&str> = said.lines().filter(|line| line.contains("paxos-banking")).collect();
    assert!(output.status.success() && own.is_empty(), "{said}");
}
