//! Sessions as they run in production: the supervisor over real browsers.

use crate::clock::{SystemRandom, random_bytes};
use crate::config::{Config, Conflict, Flavor, Pacing, Sandbox};
use crate::data_dir::DataDir;
use crate::delivery::DeliveryOptions;
use crate::serve::{Parts, ServeError, SessionsFactory};
use crate::sessions::Sessions;
use crate::supervisor::{Connectors, Supervisor, SupervisorOptions, UpkeepPolicy};
use async_trait::async_trait;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::backoff::Backoff;
use steadfast_core::failure::{Failure, Kind, Operation, Resend, Rung};
use steadfast_core::ids::{Epoch, SessionId};
use steadfast_core::inbound::{Happening, InboundMessage};
use steadfast_core::ladder::{Intensity, LadderPolicy};
use steadfast_core::outbox::DeliveryPolicy;
use steadfast_core::pacing;
use steadfast_core::port::{
    Close, Connector, Engine, EngineEvent, EventSink, InboundRefused, OpenStep,
};
use steadfast_core::proxy::ProxySetting;
use steadfast_core::session::{ConflictPolicy, Deadlines, Policy};
use steadfast_engine::{BrowserConnector, EngineOptions};

/// Sessions in Chromium.
pub fn sessions() -> SessionsFactory {
    Box::new(|parts| Box::pin(open(parts)))
}

async fn open(parts: Parts) -> Result<Arc<dyn Sessions>, ServeError> {
    let first = first_session()?;
    let connectors = BrowserConnectors {
        config: parts.config.clone(),
        data_dir: parts.data_dir.clone(),
    };
    // Whatever is wrong with the options is the same for every session: say
    // it now instead of in each one's incident.
    connectors
        .connect(&first, ProxySetting::default())
        .map_err(|error| ServeError::Browser {
            detail: error.to_string(),
            remedy: "correct that key; `steadfast config` shows where it comes from".to_owned(),
        })?;
    supervise(parts, Arc::new(connectors), &first).await
}

/// Sessions on engines of somebody else's.
pub fn sessions_on(connectors: Arc<dyn Connectors>) -> SessionsFactory {
    Box::new(|parts| {
        Box::pin(async move {
            let first = first_session()?;
            supervise(parts, connectors, &first).await
        })
    })
}

fn first_session() -> Result<SessionId, ServeError> {
    SessionId::parse(crate::app::DEFAULT_SESSION)
        .map_err(|e| ServeError::Interrupted(e.to_string()))
}

async fn supervise(
    parts: Parts,
    connectors: Arc<dyn Connectors>,
    first: &SessionId,
) -> Result<Arc<dyn Sessions>, ServeError> {
    let supervisor = Supervisor::start(
        supervisor_options(&parts.config),
        connectors,
        parts.store,
        parts.clock,
        parts.random,
        parts.metrics,
        first,
    )
    .await?;
    Ok(supervisor)
}

/// How the configuration says that sessions live.
pub fn supervisor_options(config: &Config) -> SupervisorOptions {
    let session = &config.session;
    let delivery = &config.delivery;
    let ladder = LadderPolicy::default();
    SupervisorOptions {
        policy: Policy {
            deadlines: Deadlines {
                starting_ms: session.starting_timeout_ms,
                linking_ms: session.linking_timeout_ms,
                syncing_ms: session.syncing_timeout_ms,
                resync_ms: session.resync_timeout_ms,
                reconnect_ms: session.reconnect_timeout_ms,
                stable_ms: session.stable_after_ms,
                close_ms: config.browser.close_timeout_ms,
                drain_ms: session.drain_timeout_ms,
            },
            ladder: LadderPolicy {
                take_over: Intensity {
                    uses: session.takeover_limit,
                    ..ladder.take_over
                },
                relink: Intensity {
                    uses: session.relink_limit,
                    ..ladder.relink
                },
                backoff: Backoff {
                    base_ms: session.backoff_min_ms,
                    max_ms: session.backoff_max_ms,
                },
                ..ladder
            },
            network_backoff: Backoff {
                base_ms: session.network_probe_min_ms,
                max_ms: session.network_probe_max_ms,
            },
            conflict: match session.conflict {
                Conflict::Yield => ConflictPolicy::Yield,
                Conflict::Takeover => ConflictPolicy::TakeOver,
            },
        },
        delivery: DeliveryOptions {
            max_in_flight: delivery.max_in_flight,
            policy: DeliveryPolicy {
                recheck_ms: delivery.recheck_ms,
                max_attempts: delivery.max_attempts,
                backoff: Backoff {
                    base_ms: delivery.retry_min_ms,
                    max_ms: delivery.retry_max_ms,
                },
                ..DeliveryPolicy::default()
            },
            pacing: paced(&config.pacing),
        },
        upkeep: UpkeepPolicy {
            memory_limit_bytes: Some(config.browser.memory_limit_mib)
                .filter(|mib| *mib > 0)
                .map(|mib| mib.saturating_mul(1024 * 1024)),
            max_age_ms: Some(session.recycle_after_hours)
                .filter(|hours| *hours > 0)
                .map(|hours| hours.saturating_mul(3_600_000)),
            quiet_ms: session.recycle_quiet_ms,
            ..UpkeepPolicy::default()
        },
        canary_interval: Some(session.canary_interval_ms)
            .filter(|ms| *ms > 0)
            .map(Duration::from_millis),
        heartbeat_interval: Duration::from_millis(session.heartbeat_interval_ms),
        heartbeat_misses: session.heartbeat_misses,
        max_sessions: session.max_sessions,
        start_stagger: Duration::from_millis(session.start_stagger_ms),
        number_cache: Duration::from_millis(session.number_cache_ms),
    }
}

/// Makes one browser connector a session.
struct BrowserConnectors {
    config: Arc<Config>,
    data_dir: DataDir,
}

impl BrowserConnectors {
    fn connect(
        &self,
        session: &SessionId,
        proxy: ProxySetting,
    ) -> Result<BrowserConnector, steadfast_engine::Error> {
        let profile = self.data_dir.profile(session);
        BrowserConnector::new(EngineOptions {
            proxy,
            media_dir: Some(self.data_dir.media()),
            ..engine_options(&self.config, &profile)
        })
    }
}

impl Connectors for BrowserConnectors {
    fn connector(&self, session: &SessionId, proxy: ProxySetting) -> Arc<dyn Connector> {
        match self.connect(session, proxy) {
            Ok(connector) => Arc::new(connector),
            // A file named in the configuration went away since the start.
            Err(error) => Arc::new(Unusable(error.to_string())),
        }
    }
}

/// What a window can be shown on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Display {
    /// An X server, real or Wayland's own.
    X11,
    /// Wayland alone: Chromium must be told.
    Wayland,
}

impl Display {
    /// By the variables that every desktop sets; `None` where there is no desktop.
    pub(crate) fn of(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let set = |name| variable(name).is_some_and(|value| !value.is_empty());
        if set("DISPLAY") {
            Some(Self::X11)
        } else if set("WAYLAND_DISPLAY") {
            Some(Self::Wayland)
        } else {
            None
        }
    }
}

fn engine_options(config: &Config, profile: &Path) -> EngineOptions {
    let browser = &config.browser;
    let mut options = EngineOptions::new(profile);
    options.browser_path.clone_from(&browser.path);
    options.flavor = match browser.flavor {
        Flavor::Auto | Flavor::Chromium => steadfast_engine::Flavor::NewHeadless,
        Flavor::HeadlessShell => steadfast_engine::Flavor::HeadlessShell,
        Flavor::Headed => steadfast_engine::Flavor::Headed,
    };
    options.extra_args.clone_from(&browser.extra_args);
    if browser.flavor == Flavor::Headed {
        // A person sits before the window, and the system asks them itself.
        options.hold_passkeys = false;
        if Display::of(|name| std::env::var_os(name)) == Some(Display::Wayland) {
            options
                .extra_args
                .push("--ozone-platform=wayland".to_owned());
        }
    }
    options.no_sandbox = match browser.sandbox {
        Sandbox::Auto => None,
        Sandbox::On => Some(false),
        Sandbox::Off => Some(true),
    };
    options.web_resolve.clone_from(&browser.web_resolve);
    options.web_spki.clone_from(&browser.web_spki);
    options.library.clone_from(&browser.wa_js);
    options.wall_clock = crate::clock::wall_clock;
    options.deadlines.start = Duration::from_millis(browser.start_timeout_ms);
    options.deadlines.navigate = Duration::from_millis(browser.navigate_timeout_ms);
    options.deadlines.call = Duration::from_millis(browser.call_timeout_ms);
    options.deadlines.ack = Duration::from_millis(config.delivery.ack_timeout_ms);
    options
}

fn unusable(evidence: String) -> Failure {
    Failure {
        kind: Kind::Unknown,
        rung: Rung::Operator,
        resend: Resend::Yes,
        operation: Operation::Launch,
        evidence,
    }
}

/// Stands in for a connector that could not be made, and says why.
struct Unusable(String);

#[async_trait]
impl Connector for Unusable {
    async fn open(
        &self,
        _: OpenStep,
        _: Epoch,
        _: Arc<dyn EventSink>,
    ) -> Result<Arc<dyn Engine>, Failure> {
        Err(unusable(self.0.clone()))
    }

    async fn close(&self, _: Close) {}

    async fn erase(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn network_reachable(&self) -> bool {
        true
    }
}

/// Starts a browser as a session's would be, on a profile that is thrown away
/// and with nothing to reach, and ends it again.
///
/// # Errors
/// Why it does not start, classified as in an incident.
pub async fn probe_browser(config: &Config) -> Result<(), Failure> {
    let tag: [u8; 8] = random_bytes(&SystemRandom).unwrap_or_default();
    let folder =
        std::env::temp_dir().join(format!("steadfast-check-{:x}", u64::from_le_bytes(tag)));
    let mut options = engine_options(config, &folder);
    // The discard port: nobody listens there, so the page cannot be reached.
    options.web_resolve = Some("127.0.0.1:9".to_owned());
    let started = match BrowserConnector::new(options) {
        Ok(connector) => {
            let opened = connector
                .open(OpenStep::Launch, Epoch(1), Arc::new(NoSink))
                .await;
            let runs = connector.browser_pid().await.is_some();
            let grace = Close::Graceful {
                deadline_ms: config.browser.close_timeout_ms,
            };
            connector.close(grace).await;
            match opened {
                // That the page cannot be reached is no fault of the browser.
                Err(failure) if !runs => Err(failure),
                Ok(_) | Err(_) => Ok(()),
            }
        }
        Err(error) => Err(unusable(error.to_string())),
    };
    // What stays in the folder for temporary files is the system's to clear.
    let _ = std::fs::remove_dir_all(&folder);
    started
}

/// Hears nothing.
struct NoSink;

#[async_trait]
impl EventSink for NoSink {
    fn event(&self, _: Epoch, _: EngineEvent) {}

    async fn happened(&self, _: Epoch, _: Happening) -> Result<(), InboundRefused> {
        Err(InboundRefused::StaleEpoch)
    }

    async fn inbound(&self, _: Epoch, _: InboundMessage) -> Result<(), InboundRefused> {
        Err(InboundRefused::StaleEpoch)
    }
}

/// How fast the configuration says that messages may begin.
pub(crate) fn paced(pacing: &Pacing) -> pacing::Policy {
    pacing::Policy {
        per_minute: pacing.per_minute,
        burst: pacing.burst,
        jitter_ms: pacing.jitter_ms,
        quiet: pacing::QuietHours::parse(&pacing.quiet_hours),
        utc_offset_min: pacing::Policy::parse_offset(&pacing.utc_offset).unwrap_or_default(),
        per_day: pacing.per_day,
        warm_up_per_day: pacing.warm_up_per_day,
        warm_up_days: pacing.warm_up_days,
        high_skips: pacing::Exempt {
            rate: pacing.high_skips_rate,
            jitter: pacing.high_skips_jitter,
            quiet: pacing.high_skips_quiet_hours,
            per_day: pacing.high_skips_per_day,
        },
        heeds_refusals: pacing.slow_down,
        recover_ms: pacing.recover_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desktop_is_known_by_its_variables() {
        let on = |x11: &str, wayland: &str| {
            Display::of(|name| match name {
                "DISPLAY" => Some(x11.into()),
                "WAYLAND_DISPLAY" => Some(wayland.into()),
                _ => None,
            })
        };
        assert_eq!(on(":0", "wayland-0"), Some(Display::X11));
        assert_eq!(on("", "wayland-0"), Some(Display::Wayland));
        assert_eq!(on("", ""), None);
        assert_eq!(Display::of(|_| None), None);
    }

    #[test]
    fn passkeys_are_held_where_there_is_no_window() {
        let mut config = Config::defaults().unwrap();
        assert!(engine_options(&config, Path::new("/p")).hold_passkeys);
        config.browser.flavor = Flavor::Headed;
        let headed = engine_options(&config, Path::new("/p"));
        assert!(!headed.hold_passkeys);
        assert_eq!(headed.flavor, steadfast_engine::Flavor::Headed);
    }
}
