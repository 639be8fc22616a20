//! One running browser.

use crate::connection::{self, Connection, OnCrashed, Phase};
use crate::deadline::Deadline;
use crate::options::{LaunchOptions, UserAgent};
use crate::page::Page;
use crate::process::{self, Process, Started};
use crate::{Error, LaunchError, flags, wire};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long the system may take to end a process after SIGKILL.
const AFTER_KILL: Duration = Duration::from_secs(10);

/// How the browser's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The last of what it wrote to stderr (at most 16 KiB).
    pub stderr_tail: Arc<str>,
}

/// What the browser says it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// For example `Chrome/156.0.8078.79`.
    pub product: String,
    /// The user agent that pages send.
    pub user_agent: String,
}

/// A page as the browser lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The name to attach by.
    pub id: String,
    /// The address that it shows.
    pub url: String,
}

/// A running browser. Clones are handles to the same one; when the last is
/// dropped without [`Browser::close`], the browser is killed.
#[derive(Debug, Clone)]
pub struct Browser {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connection: Arc<Connection>,
    process: Arc<Process>,
    version: Version,
    /// Reader, writer and watcher; they end with the browser, or with us.
    _tasks: Tasks,
}

/// The loops of one browser. Dropping them ends the browser too, and fails
/// what page handles still wait for: nobody else would.
#[derive(Debug)]
struct Tasks {
    process: Arc<Process>,
    connection: Arc<Connection>,
    _set: JoinSet<()>,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.process.kill();
        self.connection.die();
    }
}

impl Browser {
    /// Starts a browser and waits until it answers.
    ///
    /// # Errors
    /// [`Error::Launch`]; nothing is left running then.
    pub async fn launch(options: &LaunchOptions) -> Result<Self, Error> {
        let until = Deadline::after(options.start_deadline);
        let user_data_dir = make_profile_folder(&options.user_data_dir)?;
        let user_agent = user_agent(options, until).await?;
        let args = flags::command_line(options, &user_data_dir, user_agent.as_deref())?;
        let Started {
            process,
            child,
            to,
            from,
        } = process::start(options, &args, &user_data_dir)?;
        let connection = Arc::new(Connection::new());
        let mut set = JoinSet::new();
        set.spawn(connection::read_loop(Arc::clone(&connection), from));
        set.spawn(connection::write_loop(Arc::clone(&connection), to));
        set.spawn(process::watch_loop(
            Arc::clone(&process),
            Arc::clone(&connection),
            child,
        ));
        let tasks = Tasks {
            process: Arc::clone(&process),
            connection: Arc::clone(&connection),
            _set: set,
        };
        match greet(&connection, until).await {
            Ok(version) => Ok(Self {
                inner: Arc::new(Inner {
                    connection,
                    process,
                    version,
                    _tasks: tasks,
                }),
            }),
            Err(error) => Err(launch_error(error, &process, until).await.into()),
        }
    }

    /// The browser's process id.
    pub fn pid(&self) -> u32 {
        self.inner.process.pid()
    }

    /// What the browser says it is.
    pub fn version(&self) -> &Version {
        &self.inner.version
    }

    /// Calls a method of the browser itself. Give `json!({})` where it takes no parameters.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Serialize,
        deadline: Duration,
    ) -> Result<T, Error> {
        call(&self.inner.connection, method, params, deadline).await
    }

    /// Opens a page, attaches to it and shows `url` in it. Give `about:blank`
    /// to add scripts and bindings before the first document.
    pub async fn new_page(&self, url: &str, deadline: Duration) -> Result<Page, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            target_id: String,
        }
        let until = Deadline::after(deadline);
        let created: Created = self
            .call(
                "Target.createTarget",
                json!({ "url": "about:blank" }),
                until.left(),
            )
            .await?;
        let page = self.attach_until(&created.target_id, until).await?;
        if url != "about:blank" {
            page.navigate(url, until.left()).await?;
        }
        Ok(page)
    }

    /// Attaches to the first page there is, as a rule the empty one that the
    /// browser opens at its start; opens one where there is none.
    pub async fn first_page(&self, deadline: Duration) -> Result<Page, Error> {
        let until = Deadline::after(deadline);
        match self.pages(until.left()).await?.into_iter().next() {
            Some(target) => self.attach_until(&target.id, until).await,
            None => self.new_page("about:blank", until.left()).await,
        }
    }

    /// The pages that are open.
    pub async fn pages(&self, deadline: Duration) -> Result<Vec<Target>, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Targets {
            target_infos: Vec<Info>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Info {
            target_id: String,
            r#type: String,
            url: String,
        }
        let targets: Targets = self.call("Target.getTargets", json!({}), deadline).await?;
        Ok(targets
            .target_infos
            .into_iter()
            .filter(|info| info.r#type == "page")
            .map(|info| Target {
                id: info.target_id,
                url: info.url,
            })
            .collect())
    }

    /// Attaches to an open page by its [`Target::id`].
    pub async fn attach(&self, target_id: &str, deadline: Duration) -> Result<Page, Error> {
        self.attach_until(target_id, Deadline::after(deadline))
            .await
    }

    async fn attach_until(&self, target_id: &str, until: Deadline) -> Result<Page, Error> {
        const METHOD: &str = "Target.attachToTarget";
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Attached {
            session_id: String,
        }
        let attached: Attached = self
            .call(
                METHOD,
                json!({ "targetId": target_id, "flatten": true }),
                until.left(),
            )
            .await?;
        // The event that made it known came before the answer; if it is not
        // there any more, the page has been closed meanwhile.
        let session =
            self.inner
                .connection
                .session(&attached.session_id)
                .ok_or(Error::PageGone {
                    method: METHOD,
                    in_flight: true,
                })?;
        Page::open(Arc::clone(&self.inner.connection), session, until).await
    }

    /// Whether the browser is gone: its pipe or its process ended.
    pub fn is_gone(&self) -> bool {
        self.inner.connection.phase() == Phase::Gone
    }

    /// Waits until the browser is gone. Its [`Exit`] is known a little later.
    pub async fn gone(&self) {
        self.inner.connection.reached(Phase::Gone).await;
    }

    /// Waits until the process has ended and been reaped.
    pub async fn exited(&self) -> Exit {
        exited(&self.inner.process).await
    }

    /// Ends the browser so that its profile is complete: `Browser.close`,
    /// then the pipe is closed, then SIGKILL at the deadline. The process is
    /// reaped when this returns; should the system not end it within 10 s of
    /// SIGKILL, an [`Exit`] with neither code nor signal is given.
    pub async fn close(&self, deadline: Duration) -> Exit {
        let Inner {
            connection,
            process,
            ..
        } = &*self.inner;
        process.kill_at(Instant::now() + deadline);
        // Half the time for the answer: where the browser does not hear it,
        // the end of the pipe may still tell it.
        let asked: Result<IgnoredAny, _> =
            call(connection, "Browser.close", json!({}), deadline / 2).await;
        if let Err(error) = asked {
            tracing::debug!(%error, "the browser was not closed by command");
        }
        connection.hang_up();
        tokio::time::timeout(deadline + AFTER_KILL, exited(process))
            .await
            .unwrap_or_else(|_| Exit::unknown(process))
    }

    /// Kills the browser and all its processes now. [`Browser::exited`] tells
    /// when it is reaped. What it had not yet written to its profile is lost.
    pub fn kill(&self) {
        self.inner.process.kill();
    }

    /// The last of what it wrote to stderr so far (at most 16 KiB).
    pub fn stderr_tail(&self) -> String {
        self.inner.process.stderr_tail()
    }

    /// Waits until a line among the last of what it wrote to stderr (at most
    /// 16 KiB) is `wanted`. Where none ever is, this never ends.
    pub async fn said(&self, wanted: impl Fn(&str) -> bool) {
        self.inner.process.said(wanted).await;
    }
}

impl Exit {
    fn unknown(process: &Process) -> Self {
        Self {
            code: None,
            signal: None,
            stderr_tail: process.stderr_tail().into(),
        }
    }
}

async fn exited(process: &Process) -> Exit {
    let mut exit = process.exit();
    // The sender lives in `process`, so the wait cannot fail.
    exit.wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|exit| exit.clone())
        .unwrap_or_else(|| Exit::unknown(process))
}

async fn call<T: DeserializeOwned>(
    connection: &Connection,
    method: &'static str,
    params: impl Serialize,
    deadline: Duration,
) -> Result<T, Error> {
    let answer = connection
        .call(None, method, params, deadline, OnCrashed::Refuse)
        .await?;
    wire::read(method, &answer)
}

/// The first words, written together: the browser starts to tell of its
/// pages, and says what it is.
async fn greet(connection: &Connection, until: Deadline) -> Result<Version, Error> {
    let discover = call::<IgnoredAny>(
        connection,
        "Target.setDiscoverTargets",
        json!({ "discover": true }),
        until.left(),
    );
    let version = call(connection, "Browser.getVersion", json!({}), until.left());
    let (_, version) = tokio::try_join!(discover, version)?;
    Ok(version)
}

/// Ends what was started and says why it did not become a browser.
async fn launch_error(error: Error, process: &Process, until: Deadline) -> LaunchError {
    let ended_by_itself = matches!(error, Error::BrowserGone { .. });
    if !ended_by_itself {
        process.kill();
    }
    // A pipe that ended with the process still running: it has a moment to end itself.
    process.kill_at(Instant::now() + Duration::from_secs(1));
    let exit = tokio::time::timeout(AFTER_KILL, exited(process))
        .await
        .unwrap_or_else(|_| Exit::unknown(process));
    let stderr = exit.stderr_tail.to_string();
    match error {
        Error::BrowserGone { .. } => LaunchError::Exited {
            code: exit.code,
            signal: exit.signal,
            stderr,
        },
        Error::Timeout { .. } => LaunchError::NoAnswer {
            after: until.given(),
            stderr,
        },
        other => LaunchError::Handshake {
            detail: other.to_string(),
            stderr,
        },
    }
}

fn make_profile_folder(path: &Path) -> Result<PathBuf, LaunchError> {
    let made = std::path::absolute(path).and_then(|path| {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)?;
        Ok(path)
    });
    made.map_err(|error| LaunchError::Spawn {
        path: path.to_owned(),
        kind: error.kind(),
        text: error.to_string(),
    })
}

async fn user_agent(
    options: &LaunchOptions,
    until: Deadline,
) -> Result<Option<String>, LaunchError> {
    match (&options.user_agent, options.flavor) {
        (UserAgent::Fixed(text), _) => Ok(Some(text.clone())),
        (UserAgent::Unchanged, _) | (UserAgent::AsHeaded, crate::Flavor::Headed) => Ok(None),
        (UserAgent::AsHeaded, _) => {
            // A browser that cannot tell its version most likely cannot start
            // either, and the start says better why not.
            let asked = tokio::time::timeout(until.left() / 2, options.binary.headed_user_agent());
            match asked.await {
                Ok(Ok(text)) => Ok(Some(text)),
                Ok(Err(error @ (LaunchError::NotFound { .. } | LaunchError::Spawn { .. }))) => {
                    Err(error)
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the browser's version is unknown; it will call itself headless");
                    Ok(None)
                }
                Err(_) => Ok(None),
            }
        }
    }
}
