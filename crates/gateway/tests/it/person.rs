//! A person with a browser: sees what is shown, clicks where it is, and types.

use base64::Engine as _;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use steadfast_cdp::{Binary, Browser, Flavor, LaunchOptions, Page};

/// A browser starts, a page loads and syncs, on a machine that does other things too.
pub(crate) const LONG: Duration = Duration::from_mins(2);
const CALL: Duration = Duration::from_secs(30);
/// How often a person looks whether something is there.
const LOOK: Duration = Duration::from_millis(50);

/// Notes what a page may not do, and what broke in it.
const WATCH: &str = "window.trouble = [];
  addEventListener('securitypolicyviolation', (e) => trouble.push(`${e.violatedDirective} ${e.blockedURI}`));
  addEventListener('error', (e) => trouble.push(String(e.message)));
  addEventListener('unhandledrejection', (e) => trouble.push(String(e.reason)));";

/// Finds what can be clicked by the name that it goes by.
const FIND: &str = "(name) => {
  const fits = (e) => (e.getAttribute('aria-label') ?? e.textContent).trim() === name || e.textContent.trim() === name;
  const scope = document.querySelector('dialog[open]') ?? document;
  // What the page is about goes before what leads elsewhere.
  const all = [...scope.querySelectorAll('main :is(button, a, summary)'), ...scope.querySelectorAll('button, a, summary')];
  const found = all.find((e) => fits(e) && !e.disabled && e.checkVisibility());
  if (!found) return null;
  found.scrollIntoView({ block: 'center' });
  const box = found.getBoundingClientRect();
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  const top = document.elementFromPoint(x, y);
  return top && (found.contains(top) || top.contains(found)) ? { x, y } : null;
}";

/// The same for what is filled in, by its label.
const FIELD: &str = "(name) => {
  const labels = [...document.querySelectorAll('label')].filter((l) => l.checkVisibility());
  const label = labels.find((l) => l.textContent.trim() === name);
  const input = label?.control;
  if (!input) return null;
  input.scrollIntoView({ block: 'center' });
  const box = input.getBoundingClientRect();
  return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
}";

pub(crate) struct Person {
    browser: Browser,
    pub(crate) page: Page,
    _profile: tempfile::TempDir,
}

impl Person {
    pub(crate) async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let binary = Binary::find(Flavor::NewHeadless).unwrap();
        let options = LaunchOptions {
            no_sandbox: rustix::process::geteuid().is_root(),
            extra_args: vec!["--host-resolver-rules=MAP * ~NOTFOUND,EXCLUDE 127.0.0.1".to_owned()],
            ..LaunchOptions::new(binary, profile.path())
        };
        let browser = Browser::launch(&options).await.unwrap();
        let page = browser.first_page(CALL).await.unwrap();
        page.add_script_on_new_document(WATCH, CALL).await.unwrap();
        let person = Self {
            browser,
            page,
            _profile: profile,
        };
        person.look_through(1_280, 860, false).await;
        person
    }

    /// The size of the screen, and whether it is a phone's.
    pub(crate) async fn look_through(&self, width: u32, height: u32, phone: bool) {
        let screen = json!({"width": width, "height": height, "mobile": phone,
            "deviceScaleFactor": if phone { 2 } else { 1 }});
        self.call("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }

    /// Whether the system is set to dark.
    pub(crate) async fn in_the_dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let media = json!({"features": [
            {"name": "prefers-color-scheme", "value": value},
            {"name": "prefers-reduced-motion", "value": "reduce"}]});
        self.call("Emulation.setEmulatedMedia", media).await;
    }

    pub(crate) async fn call(&self, method: &'static str, params: Value) -> Value {
        self.page.call(method, params, CALL).await.unwrap()
    }

    pub(crate) async fn open(&self, url: &str) {
        self.page.navigate(url, CALL).await.unwrap();
    }

    pub(crate) async fn reloads(&self) {
        self.page.reload(CALL).await.unwrap();
    }

    pub(crate) async fn reads(&self, expression: &str) -> Value {
        self.page.evaluate(expression, CALL).await.unwrap()
    }

    /// Waits until an expression is something.
    pub(crate) async fn until(&self, what: &str, expression: &str) -> Value {
        let guarded =
            format!("(() => {{ try {{ return ({expression}); }} catch {{ return null; }} }})()");
        let deadline = Instant::now() + LONG;
        loop {
            let value = self.page.evaluate(&guarded, CALL).await.unwrap_or_default();
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return value;
            }
            if Instant::now() > deadline {
                let shown = self.reads("document.body.innerText").await;
                let trouble = self.reads("window.trouble").await;
                panic!("waited in vain for {what}; shown is {shown}; {trouble}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until a text is shown.
    pub(crate) async fn sees(&self, text: &str) {
        let expression = format!("document.body.innerText.includes({})", json!(text));
        self.until(text, &expression).await;
    }

    async fn place(&self, find: &str, name: &str) -> (f64, f64) {
        let place = self
            .until(name, &format!("({find})({})", json!(name)))
            .await;
        (place["x"].as_f64().unwrap(), place["y"].as_f64().unwrap())
    }

    async fn click_at(&self, (x, y): (f64, f64)) {
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({"type": kind, "x": x, "y": y, "button": button, "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Clicks what goes by this name.
    pub(crate) async fn clicks(&self, name: &str) {
        let place = self.place(FIND, name).await;
        self.click_at(place).await;
    }

    /// Puts a text into the field of this label, in place of what stands there.
    pub(crate) async fn types(&self, label: &str, text: &str) {
        let place = self.place(FIELD, label).await;
        self.click_at(place).await;
        self.reads("document.activeElement.select?.()").await;
        self.call("Input.insertText", json!({"text": text})).await;
    }

    pub(crate) async fn presses(&self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            _ => 0,
        };
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// A picture of what is on the screen.
    pub(crate) async fn keeps(&self, path: &Path) {
        let shot = self
            .call("Page.captureScreenshot", json!({"format": "png"}))
            .await;
        let data = shot["data"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(data)
            .unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// What axe-core finds that is serious or critical.
    pub(crate) async fn barriers(&self) -> Vec<Value> {
        if self.reads("typeof axe").await != "object" {
            let path = root().join("node_modules/axe-core/axe.min.js");
            let axe = std::fs::read_to_string(path)
                .expect("this test needs axe-core: ./test installs it, or npm ci");
            self.reads(&format!("{axe}; true")).await;
        }
        let found = "axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations
            .filter((v) => ['serious', 'critical'].includes(v.impact))
            .map((v) => ({ id: v.id, help: v.help, nodes: v.nodes.slice(0, 5).map((n) => [n.html.slice(0, 200), n.failureSummary]) })))";
        match self.reads(found).await {
            Value::Array(found) => found,
            other => panic!("{other}"),
        }
    }

    /// One view, in both lights and on a phone: without barriers, no wider than
    /// the screen, and in pictures. Of those, `shown` are the ones in docs/img,
    /// made anew where STEADFAST_TEST_PICTURES is set.
    pub(crate) async fn inspects(&self, name: &str, shown: &[&str]) {
        let folder = root().join("target/dashboard");
        let kept = std::env::var_os("STEADFAST_TEST_PICTURES").is_some();
        for (look, dark, phone) in [
            ("light", false, false),
            ("dark", true, false),
            ("phone", false, true),
        ] {
            self.in_the_dark(dark).await;
            let (width, height) = if phone { (390, 844) } else { (1_280, 860) };
            self.look_through(width, height, phone).await;
            self.reads(
                "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
            )
            .await;
            let file = format!("{name}-{look}.png");
            self.keeps(&folder.join(&file)).await;
            if kept && shown.contains(&file.as_str()) {
                self.keeps(&root().join("docs/img").join(&file)).await;
            }
            let found = self.barriers().await;
            assert!(found.is_empty(), "{name}, {look}: {found:#?}");
            let wider = self
                .reads("document.documentElement.scrollWidth > innerWidth")
                .await;
            assert_eq!(wider, false, "{name}, {look}: wider than the screen");
        }
        self.in_the_dark(false).await;
        self.look_through(1_280, 860, false).await;
    }

    /// Nothing was refused by the page's policy, and nothing broke in it.
    pub(crate) async fn met_no_trouble(&self) {
        assert_eq!(self.reads("window.trouble").await, json!([]));
    }

    pub(crate) async fn end(self) {
        self.browser.kill();
        self.browser.exited().await;
    }
}

/// The checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
