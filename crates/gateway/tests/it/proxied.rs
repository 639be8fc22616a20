//! A session that goes through a proxy: real browser, simulator, and a small
//! CONNECT proxy between them.

use crate::binary::Serving;
use crate::cli_link::{DEADLINE, PHONE, World};
use crate::client::{Reply, call};
use hyper::Method;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Between two looks at what tells nobody when it changes.
const PAUSE: Duration = Duration::from_millis(50);

/// Whatever it is asked for, it connects to one address.
struct Proxy {
    address: SocketAddr,
    /// What it was asked to connect to.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(world: &World) -> Self {
        let to = world.simulator.addr();
        let listener = world.runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
        };
        let asked = Arc::clone(&proxy.asked);
        // Ends with the runtime.
        drop(world.runtime.spawn(async move {
            let mut tunnels = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tunnels.spawn(tunnel(stream, to, Arc::clone(&asked)));
            }
        }));
        proxy
    }

    /// How often it was asked for WhatsApp Web. A browser has errands of its own.
    fn asked(&self) -> usize {
        let asked = self.asked.lock().unwrap();
        let site = |target: &&String| *target == "web.whatsapp.com:443";
        asked.iter().filter(site).count()
    }
}

async fn tunnel(
    stream: TcpStream,
    to: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first).await?;
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 2 {
        line.clear();
    }
    let target = first.strip_prefix("CONNECT ").unwrap_or(&first);
    let target = target.split(' ').next().unwrap_or_default().to_owned();
    asked.lock().unwrap().push(target);
    let mut upstream = TcpStream::connect(to).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut stream, &mut upstream).await?;
    Ok(())
}

struct Client<'a> {
    world: &'a World,
    serving: &'a Serving,
    token: String,
}

impl Client<'_> {
    fn ask(&self, method: Method, path: &str, body: &Value) -> Reply {
        let headers = [
            ("x-api-key", self.token.as_str()),
            ("content-type", "application/json"),
        ];
        let body = body.to_string();
        let address = self.serving.address();
        self.world
            .runtime
            .block_on(call(address, method, path, &headers, body))
    }

    /// Asks for the session until it is so.
    fn until(&self, what: &str, is: impl Fn(&Value) -> bool) {
        let until = Instant::now() + DEADLINE;
        loop {
            let session = self
                .ask(Method::GET, "/v1/sessions/shop", &Value::Null)
                .json();
            if is(&session) {
                return;
            }
            assert!(
                Instant::now() < until,
                "waited in vain for {what}: {session}"
            );
            let pause = async { tokio::time::sleep(PAUSE).await };
            self.world.runtime.block_on(pause);
        }
    }
}

#[test]
fn a_session_reaches_whatsapp_through_its_proxy_and_no_other_way() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(&world);
    let mut command = world.command(dir.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    let serving = Serving::start_as(&mut command);
    let client = Client {
        world: &world,
        serving: &serving,
        token: serving.token().to_owned(),
    };
    // One browser is enough for a small machine.
    let stop = client.ask(Method::POST, "/v1/sessions/default/stop", &Value::Null);
    assert_eq!(stop.status, 200);
    assert_eq!(proxy.asked(), 0);

    let server = format!("http://{}", proxy.address);
    let made = json!({"name": "shop", "proxy": {"server": server}});
    let made = client.ask(Method::POST, "/v1/sessions", &made);
    assert_eq!((made.status, &made.json()["proxy"]), (201, &json!(server)));
    client.until("a code", |session| session["has_qr"] == true);
    let qr = client.ask(Method::GET, "/v1/sessions/shop/qr", &Value::Null);
    let code = qr.json()["code"].as_str().unwrap().to_owned();
    world.simulator.control().scan(PHONE, &code).unwrap();
    client.until("ready", |session| session["ready"] == true);
    assert!(proxy.asked() > 0, "it went another way");

    // Without it the browser starts anew, and goes straight there.
    let since = |session: &Value| session["since"].as_str().unwrap().to_owned();
    let before = client.ask(Method::GET, "/v1/sessions/shop", &Value::Null);
    let before = since(&before.json());
    let none = json!({"proxy": null});
    let none = client.ask(Method::PATCH, "/v1/sessions/shop", &none);
    assert_eq!((none.status, &none.json()["proxy"]), (200, &Value::Null));
    let through = proxy.asked();
    client.until("ready again", |session| {
        session["ready"] == true && since(session) != before
    });
    assert_eq!(proxy.asked(), through, "it still went through the proxy");

    // Through one that is not there nothing goes, whatever is there directly.
    let nobody = json!({"proxy": {"server": "http://127.0.0.1:9"}});
    let changed = client.ask(Method::PATCH, "/v1/sessions/shop", &nobody);
    assert_eq!(changed.status, 200);
    client.until("an incident", |session| {
        session["ready"] == false && session["incident"].is_object()
    });
    let token = client.token;
    assert_eq!(serving.end("TERM").0, Some(0));

    // The next gateway knows it too.
    let mut command = world.command(dir.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    let serving = Serving::start_as(&mut command);
    let client = Client {
        world: &world,
        serving: &serving,
        token,
    };
    let kept = client.ask(Method::GET, "/v1/sessions/shop", &Value::Null);
    assert_eq!(kept.json()["proxy"], "http://127.0.0.1:9");
    assert_eq!(serving.end("TERM").0, Some(0));
    world.end();
}
