//! `steadfast token`: access tokens, also beside a running gateway. The
//! change is in the shared database, so that it holds at once.

use super::Context;
use super::exit::Exit;
use super::out::CliError;
use crate::clock::{Clock as _, SystemClock, SystemRandom};
use crate::data_dir::DataDir;
use crate::token::{self, scope_name};
use clap::{Subcommand, ValueEnum};
use serde_json::json;
use steadfast_core::port::{Scope, Store, StoreError, TokenRecord};
use steadfast_core::time::UnixMs;
use steadfast_store::SqliteStore;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it, this once
    New {
        /// Its name
        #[arg(long)]
        name: String,
        /// What it may do
        #[arg(long, value_enum)]
        scope: ScopeArg,
    },
    /// List the names of all tokens
    List,
    /// Forget a token: it is refused from then on
    Revoke {
        /// Its name
        #[arg(long)]
        name: String,
    },
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
        TokenCommand::New { name, scope } => new(context, &store, name, scope.into()).await,
        TokenCommand::List => list(context, &store).await,
        TokenCommand::Revoke { name } => revoke(context, &store, &name).await,
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

async fn new(
    context: &Context,
    store: &SqliteStore,
    name: String,
    scope: Scope,
) -> Result<(), CliError> {
    if let Some(problem) = token::name_problem(&name) {
        return Err(CliError::new(Exit::Usage, problem, ""));
    }
    let failed = |e: String| CliError::new(Exit::Failed, e, "");
    let secret = token::mint(scope, &SystemRandom).map_err(|e| failed(e.to_string()))?;
    let hash = token::hash(&secret).ok_or_else(|| failed("the token is no token".to_owned()))?;
    let record = TokenRecord {
        name: name.clone(),
        hash,
        scope,
        created_at: SystemClock.unix(),
    };
    match store.add_token(record).await {
        Ok(()) => {}
        Err(StoreError::Exists) => {
            return Err(CliError::new(
                Exit::Failed,
                format!("there is a token {name:?} already"),
                format!(
                    "take another name, or revoke it first: steadfast token revoke --name {name}"
                ),
            ));
        }
        Err(error) => return Err(error.into()),
    }
    context.out.line(&secret);
    context
        .out
        .value(&json!({"token": secret, "name": name, "scope": scope_name(scope)}));
    Ok(())
}

async fn list(context: &Context, store: &SqliteStore) -> Result<(), CliError> {
    let tokens = store.tokens().await?;
    let row = |token: &TokenRecord| {
        vec![
            token.name.clone(),
            scope_name(token.scope).to_owned(),
            UnixMs::rfc3339(token.created_at),
        ]
    };
    let rows: Vec<_> = tokens.iter().map(row).collect();
    context.out.table(&["name", "scope", "created"], &rows);
    for token in &tokens {
        context.out.value(&json!({
            "name": token.name,
            "scope": scope_name(token.scope),
            "created_at": token.created_at.rfc3339(),
        }));
    }
    Ok(())
}

async fn revoke(context: &Context, store: &SqliteStore, name: &str) -> Result<(), CliError> {
    if !store.remove_token(name).await? {
        return Err(CliError::new(
            Exit::Failed,
            format!("there is no token {name:?}"),
            "`steadfast token list` shows their names",
        ));
    }
    context.out.line(format!("revoked {name}"));
    context.out.value(&json!({"revoked": name}));
    Ok(())
}
