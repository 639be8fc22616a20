//! A number whose account asks for a passkey, linked by the real binary. A
//! second browser is the person's own: it has the passkey, and shows another
//! page of the same origin.

use crate::binary::{Serving, run, steadfast_on};
use crate::client::{Reply, call};
use hyper::Method;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use steadfast_cdp::{Binary, Browser, Flavor, LaunchOptions, Page};
use steadfast_gateway::passkey::console_snippet;
use steadfast_sim::journal::Event;
use steadfast_sim::world::{NewAccount, Passkey};
use steadfast_sim::{SimConfig, Simulator};

const PHONE: &str = "4915112345678";
/// A browser starts, a page loads and syncs, on a machine that does other things too.
const LONG: Duration = Duration::from_mins(2);
const CALL: Duration = Duration::from_secs(20);

/// The person's browser.
struct Own {
    browser: Browser,
    page: Page,
    _profile: tempfile::TempDir,
}

impl Own {
    async fn open(simulator: &Simulator) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let binary = Binary::find(Flavor::NewHeadless).unwrap();
        let address = simulator.addr();
        let options = LaunchOptions {
            no_sandbox: rustix::process::geteuid().is_root(),
            extra_args: vec![
                format!(
                    "--host-resolver-rules=MAP web.whatsapp.com:443 {address},MAP * ~NOTFOUND,EXCLUDE {}",
                    address.ip()
                ),
                format!("--ignore-certificate-errors-spki-list={}", simulator.spki()),
            ],
            ..LaunchOptions::new(binary, profile.path())
        };
        let browser = Browser::launch(&options).await.unwrap();
        let page = browser.first_page(CALL).await.unwrap();
        // Any document of that origin does; this one runs nothing.
        page.navigate("https://web.whatsapp.com/app/style.css", CALL)
            .await
            .unwrap();
        let _: Value = page.call("WebAuthn.enable", json!({}), CALL).await.unwrap();
        let authenticator = json!({"options": {"protocol": "ctap2", "transport": "internal",
            "hasResidentKey": true, "hasUserVerification": true, "isUserVerified": true,
            "automaticPresenceSimulation": true}});
        let _: Value = page
            .call("WebAuthn.addVirtualAuthenticator", authenticator, CALL)
            .await
            .unwrap();
        Self {
            browser,
            page,
            _profile: profile,
        }
    }

    async fn make_passkey(&self) -> Passkey {
        let create = "(async () => {
            const made = await navigator.credentials.create({ publicKey: {
              challenge: new Uint8Array(16), rp: { id: 'whatsapp.com', name: 'WhatsApp' },
              user: { id: new Uint8Array([1]), name: 'shop', displayName: 'Shop' },
              pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
              authenticatorSelection: { residentKey: 'required' } } });
            const text = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
              .replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
            return { id: made.id, public_key: text(made.response.getPublicKey()) };
          })()";
        self.page.evaluate_as(create, CALL).await.unwrap()
    }

    /// What a person does in the console.
    async fn answer(&self, options: &Value) -> Value {
        let line = format!("(async () => {})()", console_snippet(options));
        let text: String = self.page.evaluate_as(&line, CALL).await.unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

struct World {
    simulator: Simulator,
    own: Own,
}

impl World {
    async fn new(knobs: Value) -> Self {
        let config = SimConfig {
            knobs: serde_json::from_value(knobs).unwrap(),
            ..SimConfig::default()
        };
        let simulator = Simulator::start(config).await.unwrap();
        let own = Own::open(&simulator).await;
        let control = simulator.control();
        control
            .create_account(NewAccount {
                phone: PHONE.to_owned(),
                push_name: Some("Shop".to_owned()),
                addressing: None,
                passkey: true,
            })
            .unwrap();
        let passkey = own.make_passkey().await;
        control.register_passkey(PHONE, &passkey).unwrap();
        Self { simulator, own }
    }

    fn command(&self, data_dir: &Path) -> Command {
        steadfast_on(&self.simulator, data_dir)
    }

    fn serve(&self, data_dir: &Path) -> Serving {
        let mut command = self.command(data_dir);
        command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
        Serving::start_as(&mut command)
    }

    /// The phone scans whatever code is on show, until one is taken.
    async fn scan(&self, gateway: &Gateway<'_>) {
        let scanned = async |gateway: &Gateway<'_>| {
            let qr = gateway.get("/qr").await;
            let code = (qr.status == 200).then(|| qr.json()["code"].as_str().unwrap().to_owned());
            code.is_some_and(|code| self.simulator.control().scan(PHONE, &code).is_ok())
                .then_some(())
        };
        gateway.until("a code that is taken", scanned).await;
    }

    /// The simulator's own word on the last answer.
    fn verdict(&self) -> Option<String> {
        let ended = &[Event::PasskeyEnded];
        let entries = self
            .simulator
            .control()
            .journal(0, usize::MAX, ended)
            .entries;
        entries.last()?.kind.clone()
    }

    async fn end(self) {
        self.own.browser.kill();
        self.own.browser.exited().await;
        self.simulator.shutdown().await;
    }
}

struct Gateway<'a>(&'a Serving);

impl Gateway<'_> {
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Reply {
        let headers = [
            ("x-api-key", self.0.token()),
            ("content-type", "application/json"),
        ];
        let path = format!("/v1/sessions/default{path}");
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        call(self.0.address(), method, &path, &headers, body).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, &Value::Null).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask(Method::POST, path, body).await
    }

    async fn until<T>(&self, what: &str, find: impl AsyncFn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(found) = find(self).await {
                return found;
            }
            let session = self.get("").await.json();
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}: {session}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn challenge(&self) -> Value {
        self.until("a passkey wanted", async |gateway| {
            let asked = gateway.get("/passkey").await;
            (asked.status == 200).then(|| asked.json())
        })
        .await
    }

    async fn session(&self, what: &str, suits: impl Fn(&Value) -> bool) -> Value {
        self.until(what, async |gateway| {
            Some(gateway.get("").await.json()).filter(|session| suits(session))
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_made_elsewhere_links_and_a_wrong_one_does_not() {
    let world = World::new(json!({})).await;
    let dir = tempfile::tempdir().unwrap();
    let serving = world.serve(dir.path());
    let gateway = Gateway(&serving);
    world.scan(&gateway).await;
    let asked = gateway.challenge().await;
    assert_eq!(asked["origin"], "https://web.whatsapp.com");
    let session = gateway.get("").await.json();
    assert_eq!(session["state"], "linking", "{session}");
    assert_eq!(session["reason"], "passkey_wanted");
    assert_eq!(session["has_passkey_challenge"], true);
    let health = gateway.get("/health").await.json();
    assert!(
        health["checks"]["login"]["detail"]
            .as_str()
            .unwrap()
            .contains("passkey")
    );
    assert!(
        health["recommendations"][0]
            .as_str()
            .unwrap()
            .contains("docs/LINKING.md")
    );

    // For another challenge: the gateway itself says no, and the question stands.
    let mut other = asked["options"].clone();
    other["challenge"] = json!("b3RoZXI");
    let answer = json!({"assertion": world.own.answer(&other).await});
    let refused = gateway.post("/passkey", &answer).await;
    refused.problem(422, "passkey_refused");
    // By another key: only WhatsApp can tell.
    let mut answer = world.own.answer(&asked["options"]).await;
    answer["response"]["signature"] = json!(
        "MEQCIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAiABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ"
    );
    let handed = gateway
        .post("/passkey", &json!({"assertion": answer}))
        .await;
    assert_eq!(handed.status, 200, "{}", handed.json());
    gateway
        .session("the refusal", |s| s["reason"] == "passkey_refused")
        .await;
    assert_eq!(world.verdict().as_deref(), Some("refused"));
    gateway.get("/passkey").await.problem(404, "no_passkey");

    world.scan(&gateway).await;
    let again = gateway.challenge().await;
    assert_ne!(again["options"]["challenge"], asked["options"]["challenge"]);
    let answer = json!({"assertion": world.own.answer(&again["options"]).await});
    let handed = gateway.post("/passkey", &answer).await;
    assert_eq!(handed.status, 200, "{}", handed.json());
    assert_ne!(handed.json()["reason"], "passkey_wanted");
    gateway.session("ready", |s| s["ready"] == true).await;
    assert_eq!(world.verdict().as_deref(), Some("verified"));
    gateway
        .post("/passkey", &answer)
        .await
        .problem(404, "no_passkey");
    let mut command = world.command(dir.path());
    let sent = run(command.args(["send", "4915198765432", "hello", "--wait", "60"]));
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    assert_eq!(serving.end("TERM").0, Some(0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_nobody_answers_ends_and_can_be_had_again() {
    let world = World::new(json!({"passkey_timeout_ms": 4_000})).await;
    let dir = tempfile::tempdir().unwrap();
    let serving = world.serve(dir.path());
    let gateway = Gateway(&serving);
    world.scan(&gateway).await;
    let asked = gateway.challenge().await;
    let late = json!({"assertion": world.own.answer(&asked["options"]).await});
    gateway
        .session("its end", |s| s["reason"] == "passkey_missed")
        .await;
    gateway.get("/passkey").await.problem(404, "no_passkey");
    let refused = gateway.post("/passkey", &late).await;
    refused.problem(404, "no_passkey");
    let longer = json!({"passkey_timeout_ms": 60_000});
    let control = world.simulator.control();
    control.turn(longer.as_object().unwrap()).unwrap();
    world.scan(&gateway).await;
    let asked = gateway.challenge().await;
    // The late one does not answer the new question.
    gateway
        .post("/passkey", &late)
        .await
        .problem(422, "passkey_refused");
    let answer = json!({"assertion": world.own.answer(&asked["options"]).await});
    assert_eq!(gateway.post("/passkey", &answer).await.status, 200);
    gateway.session("ready", |s| s["ready"] == true).await;
    assert_eq!(serving.end("TERM").0, Some(0));
    world.end().await;
}

/// One line of what `init` says, which must come in time.
async fn next(lines: &mut tokio::sync::mpsc::Receiver<Value>) -> Option<Value> {
    tokio::time::timeout(LONG, lines.recv())
        .await
        .expect("init said no more")
}

#[tokio::test(flavor = "multi_thread")]
async fn init_says_what_to_do_and_takes_the_answer_from_a_file() {
    let world = World::new(json!({})).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("answer.json");
    let mut command = world.command(dir.path());
    command
        .args(["init", "--json", "--passkey-answer"])
        .arg(&file);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (send, mut lines) = tokio::sync::mpsc::channel(64);
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let _ = send.blocking_send(serde_json::from_str(&line).unwrap());
        }
    });
    let mut said = Vec::new();
    while let Some(value) = next(&mut lines).await {
        let event = value["event"].as_str().unwrap_or_default().to_owned();
        let control = world.simulator.control();
        match event.as_str() {
            "qr" => control
                .scan(PHONE, value["code"].as_str().unwrap())
                .unwrap(),
            "passkey" => std::fs::write(&file, "{\"half\":").unwrap(),
            "passkey_not_taken" => {
                let asked = &said
                    .iter()
                    .find(|v: &&Value| v["event"] == "passkey")
                    .unwrap();
                let answer = world.own.answer(&asked["options"]).await;
                std::fs::write(&file, answer.to_string()).unwrap();
            }
            _ => {}
        }
        said.push(value);
    }
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said:?}");
    let events: Vec<&str> = said.iter().filter_map(|v| v["event"].as_str()).collect();
    for wanted in ["qr", "passkey", "passkey_not_taken", "passkey_answered"] {
        assert!(events.contains(&wanted), "{wanted}: {events:?}");
    }
    assert_eq!(events.last(), Some(&"linked"));
    assert_eq!(world.verdict().as_deref(), Some("verified"));
    world.end().await;
}
