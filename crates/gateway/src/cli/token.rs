//! `steadfast token`: access tokens, also beside a running gateway. The
//! change is in the shared database, so that it holds at once.

use super::Context;
use super::exit::Exit;
use super::out::CliError;
use crate::clock::{Clock as _, SystemClock, SystemRandom};
use crate::data_dir::DataDir;
use crate::token::{self, scope_name};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use steadfast_core::ids::SessionId;
use steadfast_core::port::{NewAudit, Rotation, Scope, Store, StoreError, TokenRecord};
use steadfast_core::time::UnixMs;
use steadfast_store::SqliteStore;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it, this once
    New(NewArgs),
    /// List all tokens, without their secrets
    List,
    /// Give a token a new secret and print it, this once
    Rotate {
        #[command(flatten)]
        named: Named,
        /// For how long the old secret is still taken: 30m, 12h, 7d; 0s ends it at once
        #[arg(long, value_name = "TIME", default_value = "24h")]
        grace: String,
        /// The token ends so long from now; else its end stays
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// Forget a token: it is refused from then on
    Revoke {
        #[command(flatten)]
        named: Named,
    },
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Its name
    #[arg(long)]
    name: String,
    /// What it may do
    #[arg(long, value_enum)]
    scope: ScopeArg,
    /// Only for this session; may be given again for more
    #[arg(long = "session", value_name = "NAME")]
    sessions: Vec<String>,
    /// It ends so long from now: 12h, 90d
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

/// A token's name, with or without `--name` before it.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// Its name
    #[arg(value_name = "NAME", required_unless_present = "name")]
    positional: Option<String>,
    /// Its name
    #[arg(long, conflicts_with = "positional")]
    name: Option<String>,
}

impl Named {
    fn get(self) -> String {
        self.positional.or(self.name).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ScopeArg {
    /// Everything
    Admin,
    /// Send and look
    Send,
    /// Look
    Read,
}

impl From<ScopeArg> for Scope {
    fn from(scope: ScopeArg) -> Self {
        match scope {
            ScopeArg::Admin => Self::Admin,
            ScopeArg::Send => Self::Send,
            ScopeArg::Read => Self::Read,
        }
    }
}

pub(super) async fn run(context: &Context, command: TokenCommand) -> Result<Exit, CliError> {
    let store = open(context)?;
    let done = match command {
        TokenCommand::New(args) => new(context, &store, args).await,
        TokenCommand::List => list(context, &store).await,
        TokenCommand::Rotate {
            named,
            grace,
            expires,
        } => rotate(context, &store, named.get(), &grace, expires.as_deref()).await,
        TokenCommand::Revoke { named } => revoke(context, &store, &named.get()).await,
    };
    store.close().await;
    done.map(|()| Exit::Done)
}

/// The store of the data folder; made where there is none, so that a token
/// can be had before the first start.
fn open(context: &Context) -> Result<SqliteStore, CliError> {
    let dir = DataDir::open_or_adopt(&context.data_dir()?)?;
    let path = dir.database();
    if path.exists() {
        return Ok(SqliteStore::open_existing_for_cli(path)?);
    }
    // Nobody else can be using a database that is not there yet; the lock
    // keeps a gateway from starting in this very moment.
    let _lock = dir.lock()?;
    Ok(SqliteStore::open(
        path,
        steadfast_store::Options::default(),
    )?)
}

fn usage(message: impl Into<String>) -> CliError {
    CliError::new(Exit::Usage, message, "")
}

/// A length of time within bounds, in seconds.
fn seconds(flag: &str, text: &str, least: u64, most: u64) -> Result<u64, CliError> {
    let read = token::seconds(text).filter(|seconds| (least..=most).contains(seconds));
    read.ok_or_else(|| {
        usage(format!(
            "{flag} {text:?} is no time of at most {} days: write a whole number and s, m, h or d (90d)",
            most / (24 * 3_600)
        ))
    })
}

fn expiry(text: Option<&str>, now: UnixMs) -> Result<Option<UnixMs>, CliError> {
    text.map(|text| {
        let seconds = seconds("--expires", text, 1, token::MAX_LIFETIME_S)?;
        Ok(now.plus(seconds * 1_000))
    })
    .transpose()
}

/// A secret with what is stored of it.
fn mint(scope: Scope) -> Result<(String, [u8; 32]), CliError> {
    let failed = |e: String| CliError::new(Exit::Failed, e, "");
    let secret = token::mint(scope, &SystemRandom).map_err(|e| failed(e.to_string()))?;
    let hash = token::hash(&secret).ok_or_else(|| failed("the token is no token".to_owned()))?;
    Ok((secret, hash))
}

/// Writes down what was done here, as what is done over HTTP is.
async fn audit(store: &SqliteStore, act: &str, target: &str) -> Result<(), CliError> {
    let entry = NewAudit {
        at: SystemClock.unix(),
        actor: token::LOCAL_NAME.to_owned(),
        act: act.to_owned(),
        target: Some(target.to_owned()),
        done: true,
        detail: Some("on the command line".to_owned()),
    };
    store.add_audit(entry).await?;
    Ok(())
}

async fn new(context: &Context, store: &SqliteStore, args: NewArgs) -> Result<(), CliError> {
    if let Some(problem) = token::name_problem(&args.name) {
        return Err(usage(problem));
    }
    let now = SystemClock.unix();
    let expires_at = expiry(args.expires.as_deref(), now)?;
    if args.sessions.len() > token::MAX_SESSIONS {
        return Err(usage(format!(
            "a token can be for {} named sessions at most",
            token::MAX_SESSIONS
        )));
    }
    let parse = |name: &String| SessionId::parse(name).map_err(|e| usage(e.to_string()));
    let sessions: Vec<SessionId> = args.sessions.iter().map(parse).collect::<Result<_, _>>()?;
    let scope = args.scope.into();
    let (secret, hash) = mint(scope)?;
    let record = TokenRecord {
        sessions: Some(sessions).filter(|named| !named.is_empty()),
        expires_at,
        ..TokenRecord::new(args.name, hash, scope, now)
    };
    match store.add_token(record.clone()).await {
        Ok(()) => {}
        Err(StoreError::Exists) => {
            let name = &record.name;
            return Err(CliError::new(
                Exit::Failed,
                format!("there is a token {name:?} already"),
                format!(
                    "take another name, give it a new secret (steadfast token rotate {name}), or revoke it first: \
                     steadfast token revoke {name}"
                ),
            ));
        }
        Err(error) => return Err(error.into()),
    }
    // The secret first: it is nowhere else.
    printed(context, &secret, &record);
    audit(store, "token_created", &record.name).await
}

/// The secret, on its own for people and with all about it for programs.
fn printed(context: &Context, secret: &str, record: &TokenRecord) {
    context.out.line(secret);
    let mut value = json(record);
    value["token"] = secret.into();
    context.out.value(&value);
}

fn json(token: &TokenRecord) -> Value {
    let sessions = token.sessions.as_ref().map(|named| names(named));
    json!({
        "name": token.name,
        "scope": scope_name(token.scope),
        "sessions": sessions,
        "created_at": token.created_at.rfc3339(),
        "expires_at": token.expires_at.map(UnixMs::rfc3339),
        "last_used_at": token.last_used_at.map(UnixMs::rfc3339),
        "previous_until": token.previous.as_ref().map(|previous| previous.until.rfc3339()),
    })
}

fn names(sessions: &[SessionId]) -> Vec<String> {
    sessions.iter().map(ToString::to_string).collect()
}

async fn list(context: &Context, store: &SqliteStore) -> Result<(), CliError> {
    let tokens = store.tokens().await?;
    let now = SystemClock.unix();
    let time = |at: Option<UnixMs>| at.map_or_else(|| "never".to_owned(), UnixMs::rfc3339);
    let row = |token: &TokenRecord| {
        let over = token.expires_at.is_some_and(|end| end <= now);
        let ends = time(token.expires_at);
        vec![
            token.name.clone(),
            scope_name(token.scope).to_owned(),
            token
                .sessions
                .as_ref()
                .map_or_else(|| "all".to_owned(), |named| names(named).join(",")),
            token.created_at.rfc3339(),
            if over { format!("{ends} (over)") } else { ends },
            time(token.last_used_at),
        ]
    };
    let rows: Vec<_> = tokens.iter().map(row).collect();
    let head = [
        "name",
        "scope",
        "sessions",
        "created",
        "expires",
        "last used",
    ];
    context.out.table(&head, &rows);
    for token in &tokens {
        context.out.value(&json(token));
    }
    Ok(())
}

fn no_such(name: &str) -> CliError {
    CliError::new(
        Exit::Failed,
        format!("there is no token {name:?}"),
        "`steadfast token list` shows their names",
    )
}

async fn rotate(
    context: &Context,
    store: &SqliteStore,
    name: String,
    grace: &str,
    expires: Option<&str>,
) -> Result<(), CliError> {
    let grace = seconds("--grace", grace, 0, token::MAX_GRACE_S)?;
    let now = SystemClock.unix();
    let tokens = store.tokens().await?;
    let before = tokens.into_iter().find(|token| token.name == name);
    let before = before.ok_or_else(|| no_such(&name))?;
    let expires_at = expiry(expires, now)?.or(before.expires_at);
    if expires_at.is_some_and(|end| end <= now) {
        return Err(CliError::new(
            Exit::Failed,
            format!("the time of the token {name:?} is up"),
            format!(
                "say for how long the new secret is taken: steadfast token rotate {name} --expires 90d"
            ),
        ));
    }
    let (secret, hash) = mint(before.scope)?;
    let rotation = Rotation {
        name: name.clone(),
        hash,
        previous_until: now.plus(grace * 1_000),
        expires_at,
    };
    let after = store.rotate_token(rotation).await?;
    let after = after.ok_or_else(|| no_such(&name))?;
    printed(context, &secret, &after);
    audit(store, "token_rotated", &name).await
}

async fn revoke(context: &Context, store: &SqliteStore, name: &str) -> Result<(), CliError> {
    if !store.remove_token(name).await? {
        return Err(no_such(name));
    }
    audit(store, "token_revoked", name).await?;
    context.out.line(format!("revoked {name}"));
    context.out.value(&json!({"revoked": name}));
    Ok(())
}
