//! The control side over HTTP, for other processes. CONTROL.md describes it.

use crate::control::Control;
use crate::error::Error;
use crate::journal::Event;
use crate::playground;
use crate::world::{Fault, NewAccount, OutsideMessage, Passkey, PersonPatch};
use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Must be in every request, with any value. A page in a browser cannot set
/// it across origins without a permission that is never given.
pub const HEADER: &str = "x-steadfast-sim";

/// The most journal entries in one answer.
const MAX_PAGE: usize = 10_000;
/// The longest wait for new entries.
const MAX_WAIT_MS: u64 = 30_000;
/// The largest request.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// What a client wants to know first.
#[derive(Clone)]
pub(crate) struct About {
    pub(crate) addr: SocketAddr,
    pub(crate) spki: String,
}

#[derive(Clone)]
struct App {
    control: Control,
    about: About,
}

pub(crate) async fn bind(addr: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(addr).await.map_err(|source| Error::Io {
        what: "control port",
        source,
    })
}

pub(crate) async fn serve(
    control: Control,
    about: About,
    listener: TcpListener,
    cancel: CancellationToken,
) {
    let app = App { control, about };
    let serving = axum::serve(listener, router(app)).into_future();
    tokio::select! {
        () = cancel.cancelled() => {}
        served = serving => {
            if let Err(error) = served {
                tracing::error!(%error, "the simulator's control port failed");
            }
        }
    }
}

fn router(app: App) -> Router {
    Router::new()
        .route("/", get(playground::page))
        .route("/playground/{file}", get(playground::file))
        .route("/state", get(state))
        .route("/codes", get(codes))
        .route("/accounts", get(accounts).post(create_account))
        .route("/accounts/{phone}", get(account))
        .route("/accounts/{phone}/scan", post(scan))
        .route("/accounts/{phone}/pairing-code", post(pairing_code))
        .route("/accounts/{phone}/unlink", post(unlink))
        .route("/accounts/{phone}/online", post(online))
        .route("/accounts/{phone}/ban", post(ban))
        .route("/accounts/{phone}/unban", post(unban))
        .route("/accounts/{phone}/passkey", post(passkey))
        .route("/accounts/{phone}/messages", post(messages))
        .route("/accounts/{phone}/send", post(phone_send))
        .route("/accounts/{phone}/chatstate", post(chatstate))
        .route("/accounts/{phone}/contacts", post(contacts))
        .route("/accounts/{phone}/lid-migration", post(lid_migration))
        .route("/people/{phone}", patch(person))
        .route("/groups", post(group))
        .route("/faults", post(fault))
        .route("/knobs", get(knobs).patch(turn))
        .route("/journal", get(journal))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .layer(axum::middleware::from_fn(keep_other_pages_out))
        .with_state(app)
}

/// Lets programs in, and the playground: its own files to anybody, all else
/// with our header and from no page but ours.
async fn keep_other_pages_out(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let path = request.uri().path();
    let file = request.method() == Method::GET && (path == "/" || path.starts_with("/playground/"));
    if !file && (!headers.contains_key(HEADER) || !from_here(headers)) {
        return (
            StatusCode::FORBIDDEN,
            Json(json!({"code": "header", "error": format!("send the header {HEADER}, and no Origin")})),
        )
            .into_response();
    }
    next.run(request).await
}

/// Whether no page asks, or our own does. It is under an address of this
/// machine: a name that somebody else lets point here is not ours.
fn from_here(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let local = host.is_some_and(|host| {
        let address = host.parse::<SocketAddr>();
        address.is_ok_and(|address| address.ip().is_loopback()) || host.starts_with("localhost:")
    });
    local && host.is_some_and(|host| origin.as_bytes() == format!("http://{host}").as_bytes())
}

struct Problem(Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = match &self.0 {
            Error::Missing { .. } => StatusCode::NOT_FOUND,
            Error::Exists(_) | Error::PhoneRefuses(_) => StatusCode::CONFLICT,
            Error::Knobs(_) | Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
            Error::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Error::Io { .. } | Error::Tls(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let body = json!({"code": self.0.code(), "error": self.0.to_string()});
        (status, Json(body)).into_response()
    }
}

/// JSON whatever the content type says; nothing at all is `{}`. Errors as the others.
struct Body<T>(T);

impl<T: serde::de::DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let invalid = |text: String| Problem(Error::Invalid(text));
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|e| invalid(e.body_text()))?;
        let bytes = if bytes.is_empty() { &b"{}"[..] } else { &bytes };
        serde_json::from_slice(bytes)
            .map(Self)
            .map_err(|e| invalid(e.to_string()))
    }
}

type Answer = Result<Json<Value>, Problem>;

fn value(result: impl serde::Serialize) -> Answer {
    serde_json::to_value(result)
        .map(Json)
        .map_err(|e| Problem(Error::Invalid(e.to_string())))
}

fn done(result: Result<(), Error>) -> Answer {
    result?;
    Ok(Json(json!({})))
}

async fn state(State(app): State<App>) -> Answer {
    Ok(Json(json!({
        "addr": app.about.addr.to_string(),
        "spki": app.about.spki,
        "network": app.control.hub().with(|w| w.network()),
        "accounts": app.control.accounts(),
    })))
}

async fn codes(State(app): State<App>) -> Answer {
    Ok(Json(json!({"codes": app.control.codes()})))
}

async fn accounts(State(app): State<App>) -> Answer {
    value(json!({"accounts": app.control.accounts()}))
}

async fn create_account(State(app): State<App>, Body(new): Body<NewAccount>) -> Answer {
    value(app.control.create_account(new)?)
}

async fn account(State(app): State<App>, Path(phone): Path<String>) -> Answer {
    value(app.control.account(&phone)?)
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

async fn scan(State(app): State<App>, Path(phone): Path<String>, Body(b): Body<Code>) -> Answer {
    done(app.control.scan(&phone, &b.code))
}

async fn pairing_code(
    State(app): State<App>,
    Path(phone): Path<String>,
    Body(b): Body<Code>,
) -> Answer {
    done(app.control.enter_pairing_code(&phone, &b.code))
}

#[derive(Deserialize)]
struct Unlink {
    #[serde(default)]
    device: Option<String>,
    #[serde(default)]
    logout_reason: u8,
}

async fn unlink(
    State(app): State<App>,
    Path(phone): Path<String>,
    Body(b): Body<Unlink>,
) -> Answer {
    let unlinked = app
        .control
        .unlink(&phone, b.device.as_deref(), b.logout_reason)?;
    Ok(Json(json!({"unlinked": unlinked})))
}

#[derive(Deserialize)]
struct Online {
    online: bool,
}

async fn online(
    State(app): State<App>,
    Path(phone): Path<String>,
    Body(b): Body<Online>,
) -> Answer {
    done(app.control.set_phone_online(&phone, b.online))
}

#[derive(Deserialize)]
struct Ban {
    #[serde(default)]
    ms: Option<u64>,
}

async fn ban(State(app): State<App>, Path(phone): Path<String>, Body(b): Body<Ban>) -> Answer {
    done(app.control.ban(&phone, b.ms))
}

async fn unban(State(app): State<App>, Path(phone): Path<String>) -> Answer {
    done(app.control.unban(&phone))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasskeyDemand {
    asked: bool,
    #[serde(default)]
    credential: Option<Passkey>,
}

async fn passkey(
    State(app): State<App>,
    Path(phone): Path<String>,
    Body(b): Body<PasskeyDemand>,
) -> Answer {
    let registered = match &b.credential {
        Some(passkey) => app.control.register_passkey(&phone, passkey),
        None => Ok(()),
    };
    done(registered.and_then(|()| app.control.set_passkey(&phone, b.asked)))
}

async fn messages(
    State(app): State<App>,
    Path(phone): Path<String>,
    Body(b): Body<OutsideMessage>,
) -> Answer {
    let ids = app.control.outside_message(&phone, &b)?;
    Ok(Json(json!({"ids": ids})))
}

#[derive(Deserialize)]
struct PhoneSend {
    to: String,
    text: String,
}

async fn phone_send(
    State(app): State<App>,
    Path(phone): Path<String>,
    Body(b): Body<PhoneSend>,
) -> Answer {
    let id = app.control.phone_send(&phone, &b.to, &b.text)?;
    Ok(Json(json!({"id": id})))
}

#[derive(Deserialize)]
struct Typing {
    from: String,
    #[serde(default)]
    group: Option<String>,
    state: String,
}

async fn chatstate(
    State(app): State<App>,
    Path(phone): Path<String>,
    Body(b): Body<Typing>,
) -> Answer {
    done(
        app.control
            .outside_chatstate(&phone, &b.from, b.group.as_deref(), &b.state),
    )
}

#[derive(Deserialize)]
struct Contact {
    phone: String,
    name: String,
}

async fn contacts(
    State(app): State<App>,
    Path(phone): Path<String>,
    Body(b): Body<Contact>,
) -> Answer {
    done(app.control.save_contact(&phone, &b.phone, &b.name))
}

async fn lid_migration(State(app): State<App>, Path(phone): Path<String>) -> Answer {
    done(app.control.migrate_to_lid(&phone))
}

async fn person(
    State(app): State<App>,
    Path(phone): Path<String>,
    Body(b): Body<PersonPatch>,
) -> Answer {
    done(app.control.patch_person(&phone, b))
}

#[derive(Deserialize)]
struct NewGroup {
    subject: String,
    owner: String,
    #[serde(default)]
    members: Vec<String>,
}

async fn group(State(app): State<App>, Body(b): Body<NewGroup>) -> Answer {
    let id = app.control.create_group(&b.subject, &b.owner, &b.members)?;
    Ok(Json(json!({"id": id})))
}

async fn fault(State(app): State<App>, Body(fault): Body<Fault>) -> Answer {
    done(app.control.fault(fault))
}

async fn knobs(State(app): State<App>) -> Answer {
    value(app.control.knobs())
}

async fn turn(State(app): State<App>, Body(patch): Body<Map<String, Value>>) -> Answer {
    value(app.control.turn(&patch)?)
}

#[derive(Deserialize)]
struct JournalQuery {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    wait_ms: u64,
    /// Comma-separated names.
    #[serde(default)]
    events: String,
}

async fn journal(State(app): State<App>, Query(q): Query<JournalQuery>) -> Answer {
    let only = q
        .events
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| {
            serde_json::from_value::<Event>(Value::from(name))
                .map_err(|_| Error::Invalid(format!("{name:?} is no event")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let limit = q.limit.unwrap_or(1_000).clamp(1, MAX_PAGE);
    let mut page = app.control.journal(q.after, limit, &only);
    if q.wait_ms > 0 && page.entries.is_empty() {
        let wait = Duration::from_millis(q.wait_ms.min(MAX_WAIT_MS));
        // Nothing new in time is an empty page, not an error.
        let _ = app
            .control
            .wait_for_entry(page.next, "journal", wait, |e| {
                only.is_empty() || only.contains(&e.event)
            })
            .await;
        page = app.control.journal(page.next, limit, &only);
    }
    value(page)
}
