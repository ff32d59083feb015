//! Headless Chromium in the world, driven over a pipe by its DevTools protocol: opens a file, clicks, presses keys, and tells what the
//! page says on its console and asks for on a network.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::{Value, json};
use support::run::LIMIT;
use support::scratch::unique;
use support::skip::Missing;
use support::until::as_busy;
use support::world::World;

/// Chromium reads what it is to do from descriptor 3, and answers on 4. Its sandbox is not for root; the world is one.
const START: &str = r#"exec chromium "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;
const OPTIONS: [&str; 7] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--remote-debugging-pipe",
    "about:blank",
];

/// A browser with one page. It ends when this is dropped, for its pipe does.
pub struct Browser {
    chromium: Child,
    commands: Option<ChildStdin>,
    messages: Receiver<Value>,
    last: u64,
    session: Option<String>,
    /// What it told without being asked.
    events: Vec<Value>,
    profile: PathBuf,
}

/// Light or dark, as a reader prefers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scheme {
    Light,
    Dark,
}

impl Browser {
    /// Starts it with an empty page of 1300 × 800.
    pub fn start(world: &World) -> Result<Self, Missing> {
        let profile = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique("chromium-"));
        let mut command = world.command("sh");
        // It makes its home where there is none, and the tests' is meant to be none.
        command
            .env("HOME", &profile)
            .args(["-c", START, "chromium"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(OPTIONS);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut chromium = command.spawn().map_err(|error| Missing::Fixable(format!("chromium: {error}")))?;
        let (said, messages) = mpsc::channel();
        let mut output = BufReader::new(chromium.stdout.take().unwrap());
        thread::spawn(move || {
            let mut bytes = Vec::new();
            while output.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
                bytes.pop();
                let Ok(message) = serde_json::from_slice(&bytes) else { return };
                if said.send(message).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
        let commands = chromium.stdin.take();
        let mut browser =
            Browser { chromium, commands, messages, last: 0, session: None, events: vec![], profile };
        let targets = browser.call("Target.getTargets", json!({}));
        let is_page = |target: &&Value| target["type"] == "page";
        let page = targets["targetInfos"].as_array().unwrap().iter().find(is_page).expect("a page");
        let attached =
            browser.call("Target.attachToTarget", json!({"targetId": page["targetId"], "flatten": true}));
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.call("Performance.enable", json!({"timeDomain": "threadTicks"}));
        browser.size(1300, 800);
        Ok(browser)
    }

    /// Asks for something, and waits for the answer.
    #[track_caller]
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = Value::from(session.as_str());
        }
        let commands = self.commands.as_mut().unwrap();
        commands.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.next(method);
            if answer["id"] == self.last {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    #[track_caller]
    fn next(&mut self, what: &str) -> Value {
        let message = self.messages.recv_timeout(as_busy(LIMIT));
        message.unwrap_or_else(|error| panic!("waited for Chromium in vain ({what}): {error}"))
    }

    pub fn size(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    pub fn prefer(&mut self, scheme: Scheme) {
        let value = if scheme == Scheme::Dark { "dark" } else { "light" };
        let feature = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.call("Emulation.setEmulatedMedia", feature);
    }

    /// Opens a file, and waits until it is drawn.
    pub fn open(&mut self, file: &Path) {
        self.events.clear();
        self.call("Page.navigate", json!({"url": format!("file://{}", file.display())}));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.next("the page is loaded");
            self.events.push(event);
        }
        self.evaluate(
            "new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(() => drawn(0))))",
        );
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", parameters);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// The same of one that is a text.
    #[track_caller]
    pub fn text(&mut self, expression: &str) -> String {
        let value = self.evaluate(expression);
        value.as_str().unwrap_or_else(|| panic!("{expression}: {value}")).to_owned()
    }

    /// Presses the key of that name: `Escape`, `/`.
    pub fn press(&mut self, key: &str) {
        let text = match key {
            "Enter" => "\r",
            key if key.chars().count() == 1 => key,
            _ => "",
        };
        let mut down = json!({"type": "keyDown", "key": key});
        if !text.is_empty() {
            down["text"] = Value::from(text);
        }
        self.call("Input.dispatchKeyEvent", down);
        self.call("Input.dispatchKeyEvent", json!({"type": "keyUp", "key": key}));
    }

    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Clicks in the middle of what the expression is.
    #[track_caller]
    pub fn click(&mut self, element: &str) {
        let middle = self.evaluate(&format!(
            "(() => {{ const box = ({element}).getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let click =
                json!({"type": kind, "x": middle[0], "y": middle[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", click);
        }
    }

    /// The PNG as base64. `NETNS_TOOLBOX_PICTURES=DIR` keeps it, for people to look at, as `NAME.png.base64`.
    pub fn screenshot(&mut self, name: &str) -> String {
        let shot = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let data = shot["data"].as_str().unwrap().to_owned();
        if let Some(dir) = std::env::var_os("NETNS_TOOLBOX_PICTURES") {
            std::fs::write(Path::new(&dir).join(format!("{name}.png.base64")), &data).unwrap();
        }
        data
    }

    /// How long the page's thread has worked since it was opened, in milliseconds: of the processor's time, not of the clock's.
    pub fn work_ms(&mut self) -> f64 {
        let metrics = self.call("Performance.getMetrics", json!({}));
        let mut metrics = metrics["metrics"].as_array().unwrap().iter();
        let work = metrics.find(|metric| metric["name"] == "TaskDuration").expect("TaskDuration");
        work["value"].as_f64().unwrap() * 1000.0
    }

    /// What a page that is in order never does: speak on the console, throw, open a dialog, ask for another file.
    pub fn complaints(&mut self) -> Vec<String> {
        // Whatever it was about to say is said before the answer.
        self.evaluate("new Promise(done => setTimeout(done, 0))");
        let is_complaint = |event: &&Value| match event["method"].as_str().unwrap_or_default() {
            "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded" => true,
            "Page.javascriptDialogOpening" => true,
            "Network.requestWillBeSent" => event["params"]["type"] != "Document",
            _ => false,
        };
        self.events.iter().filter(is_complaint).map(Value::to_string).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.chromium.kill();
        let _ = self.chromium.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
