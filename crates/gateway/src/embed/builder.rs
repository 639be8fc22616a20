//! From settings to a gateway that runs.

use super::{Error, Gateway, scripted};
use crate::browser;
use crate::config::{ConfigError, FILE_NAME, Layers, Problem, find, load, nearest};
use crate::metrics::Metrics;
use crate::serve::{ServeOptions, SessionsFactory, serve};
use crate::supervisor::Connectors;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use steadfast_core::ids::SessionId;
use steadfast_core::port::Connector;
use steadfast_core::proxy::ProxySetting;

/// What a gateway is to be.
#[must_use = "nothing runs before `start`"]
pub struct Builder {
    data_dir: PathBuf,
    file: Option<PathBuf>,
    values: Vec<(String, String)>,
    http: bool,
    sessions: SessionsFactory,
}

impl Builder {
    pub(super) fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            file: None,
            values: Vec::new(),
            http: false,
            sessions: browser::sessions(),
        }
    }

    /// A configuration file; where none is named, `steadfast.toml` in the data
    /// folder is read if it is there. The environment is not looked at.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// One setting by its name in docs/CONFIGURATION.md (`delivery.max_in_flight`),
    /// over what the file says. Checked by [`Builder::start`].
    #[allow(
        clippy::needless_pass_by_value,
        reason = "numbers and texts are given as they stand"
    )]
    pub fn set(mut self, key: impl Into<String>, value: impl Display) -> Self {
        self.values.push((key.into(), format!("{value}")));
        self
    }

    /// Serves the HTTP interface too, at `server.listen`, so that `steadfast
    /// status` and other programs work beside this one.
    pub fn http(mut self, wanted: bool) -> Self {
        self.http = wanted;
        self
    }

    /// In place of browsers: engines of your own, one connector a session.
    pub fn engines(
        mut self,
        connector: impl Fn(&SessionId) -> Arc<dyn Connector> + Send + Sync + 'static,
    ) -> Self {
        self.sessions = browser::sessions_on(Arc::new(ByFunction(connector)));
        self
    }

    /// In place of browsers and WhatsApp: a world in memory, for tests.
    pub fn scripted(self, world: scripted::World) -> Self {
        let seed = AtomicU64::new(1);
        self.engines(move |_| {
            let (connector, _) = world.connector(seed.fetch_add(1, Ordering::Relaxed));
            Arc::new(connector)
        })
    }

    /// Starts it. Sessions that are wanted come up by themselves afterwards.
    ///
    /// Must be called within a tokio runtime with time and I/O, which must live on.
    ///
    /// # Errors
    /// [`Error::Config`] with every setting that is wrong; [`Error::Start`].
    pub async fn start(self) -> Result<Gateway, Error> {
        let mut flags = Vec::with_capacity(self.values.len());
        let mut problems = Vec::new();
        for (name, value) in self.values {
            match find(&name) {
                Some(key) => flags.push(("Builder::set", key.name, value)),
                None => problems.push(Problem {
                    what: match nearest(&name) {
                        Some(near) => format!("there is no such setting; did you mean {near}?"),
                        None => "there is no such setting".to_owned(),
                    },
                    place: name,
                }),
            }
        }
        if !problems.is_empty() {
            return Err(ConfigError { problems }.into());
        }
        let loaded = load(&Layers {
            file: self.file,
            fallback_file: Some(self.data_dir.join(FILE_NAME)),
            env: Vec::new(),
            flags,
        })?;
        let running = serve(ServeOptions {
            data_dir: self.data_dir,
            config: loaded.config,
            metrics: Arc::new(Metrics::default()),
            sessions: self.sessions,
            http: self.http,
        })
        .await?;
        Ok(Gateway { running })
    }
}

/// Connectors by a function of the caller's.
struct ByFunction<F>(F);

impl<F: Fn(&SessionId) -> Arc<dyn Connector> + Send + Sync> Connectors for ByFunction<F> {
    // A proxy is a browser's affair.
    fn connector(&self, session: &SessionId, _: ProxySetting) -> Arc<dyn Connector> {
        (self.0)(session)
    }
}
