//! A real browser, driven over its DevTools protocol: `chromium --remote-debugging-pipe` takes and gives lines of
//! JSON, each with a zero byte at its end, through two pipes.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use paxos_banking::play::guard::Guarded;
use serde_json::{Value, json};

use super::cluster::wait_until;

/// A browser without a window. It ends with this value.
pub struct Browser {
    orders: File,
    answers: BufReader<File>,
    number: u64,
    session: String,
    /// What pages complained of: errors in their console, and exceptions.
    pub complaints: Vec<String>,
    _process: Guarded,
    _folder: tempfile::TempDir,
}

impl Browser {
    /// Starts one with an empty page; none if there is no Chromium here, which a run for a change doesn't accept.
    pub fn start() -> Option<Browser> {
        let program = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
            Command::new(name)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok()
        });
        let Some(program) = program else {
            assert!(std::env::var_os("CI").is_none(), ".ci/run installs chromium");
            eprintln!("left out: there is no chromium here");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let [to, from] = ["orders", "answers"].map(|name| folder.path().join(name));
        assert!(Command::new("mkfifo").args([&to, &from]).status().unwrap().success());
        let mut command = Command::new("sh");
        let script = r#"exec 3<>"$1" 4<>"$2"; shift 2; exec "$@""#;
        command.args(["-c", script, "sh"]).args([&to, &from]).arg(program);
        command.args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ]);
        command.args(["--no-first-run", "--disable-extensions", "--disable-background-networking"]);
        command.args(["--remote-debugging-pipe", "--window-size=1280,900", "about:blank"]);
        command.arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
        let process = Guarded::start(&command, Stdio::null()).unwrap();
        let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path).unwrap();
        let (orders, answers) = (open(&to), BufReader::new(open(&from)));
        let mut browser = Browser {
            orders,
            answers,
            number: 0,
            session: String::new(),
            complaints: Vec::new(),
            _process: process,
            _folder: folder,
        };
        let target = browser.say("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.say("Target.attachToTarget", attach)["sessionId"].clone();
        browser.session = session.as_str().unwrap().to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.say(domain, json!({}));
        }
        Some(browser)
    }

    /// Gives an order, and returns its result. What the pages say meanwhile is looked through for complaints.
    pub fn say(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut order = json!({"id": self.number, "method": method, "params": parameters});
        if !self.session.is_empty() {
            order["sessionId"] = self.session.as_str().into();
        }
        let mut text = order.to_string().into_bytes();
        text.push(0);
        self.orders.write_all(&text).unwrap();
        loop {
            let mut line = Vec::new();
            self.answers.read_until(0, &mut line).unwrap();
            line.pop();
            let said: Value = serde_json::from_slice(&line).unwrap();
            if said["id"] == json!(self.number) {
                assert!(said["error"].is_null(), "{method}: {}", said["error"]);
                return said["result"].clone();
            }
            self.listen(&said);
        }
    }

    fn listen(&mut self, said: &Value) {
        let parameters = &said["params"];
        let is_bad = match said["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => parameters["type"] == "error",
            Some("Log.entryAdded") => parameters["entry"]["level"] == "error",
            _ => false,
        };
        if is_bad {
            self.complaints.push(parameters.to_string());
        }
    }

    /// Opens a page.
    pub fn open(&mut self, url: &str) {
        self.say("Page.navigate", json!({ "url": url }));
        wait_until("the page is there", || {
            self.evaluate("document.readyState + location.href")
                .as_str()
                .is_some_and(|text| text.starts_with("complete") && !text.ends_with("about:blank"))
        });
    }

    /// The value of an expression on the page.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let said = self.say("Runtime.evaluate", parameters);
        assert!(said["exceptionDetails"].is_null(), "{expression}: {said}");
        said["result"]["value"].clone()
    }

    /// Polls until an expression is true.
    pub fn wait_until(&mut self, expression: &str) {
        wait_until(expression, || self.evaluate(expression) == json!(true));
    }

    /// The text of the first element of this selector.
    pub fn text(&mut self, selector: &str) -> String {
        let text =
            self.evaluate(&format!("document.querySelector({selector:?})?.textContent ?? ''"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Presses a key, such as `ArrowRight`.
    pub fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            self.say("Input.dispatchKeyEvent", json!({"type": kind, "key": key, "code": key}));
        }
    }

    /// Shows the page in a window of this size, light or dark.
    pub fn look(&mut self, width: u64, height: u64, scheme: &str) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.say("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.say("Emulation.setEmulatedMedia", json!({ "features": scheme }));
        std::thread::sleep(Duration::from_millis(100));
    }

    /// Takes a picture, into the folder that SCREENSHOTS names, if it names one.
    pub fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("SCREENSHOTS") else { return };
        let data = self.say("Page.captureScreenshot", json!({"format": "png"}));
        let path = Path::new(&folder).join(format!("{name}.png.base64"));
        std::fs::write(path, data["data"].as_str().unwrap()).unwrap();
    }

    /// True if the page is no wider than its window: nobody has to scroll sideways.
    pub fn fits(&mut self) -> bool {
        self.evaluate("document.documentElement.scrollWidth <= innerWidth") == json!(true)
    }

    /// Pairs of texts in a picture of which one stands on the other.
    pub fn texts_on_texts(&mut self, selector: &str) -> Value {
        self.evaluate(&format!(
            "(() => {{ const all = [...document.querySelectorAll({selector:?})].map((e) => [e.textContent, e.getBoundingClientRect()]); \
             return all.flatMap(([a, p], n) => all.slice(n + 1).filter(([b, q]) => p.width && q.width && \
             p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 4 && q.top < p.bottom - 4).map(([b]) => [a, b])); }})()"
        ))
    }
}
