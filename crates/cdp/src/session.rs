//! What is known of one session on a page, by level; shared by the
//! connection, which writes it, and the page handles, which read it.

use crate::event::{Context, PageEvent, PageEvents, Queue};
use crate::page::PageState;
use crate::wire::{ExceptionDetails, clip, read_text};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::watch;

/// A session on a page.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: Arc<str>,
    pub(crate) target_id: Arc<str>,
    /// Written only by the connection, under its lock.
    pub(crate) state: watch::Sender<PageState>,
    /// The main frame's own context.
    pub(crate) context: watch::Sender<Option<Context>>,
    receivers: Mutex<Vec<Weak<Queue>>>,
}

/// What an event asks the connection to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    None,
    Crashed,
    Revived,
    /// Answer a dialog box: accept it, or not.
    Dialog {
        accept: bool,
    },
}

impl Session {
    pub(crate) fn new(id: &str, target_id: &str) -> Self {
        Self {
            id: id.into(),
            target_id: target_id.into(),
            state: watch::Sender::new(PageState::Alive),
            context: watch::Sender::new(None),
            receivers: Mutex::new(Vec::new()),
        }
    }

    /// A new receiver of events from now on.
    pub(crate) fn subscribe(&self) -> PageEvents {
        let queue = Arc::new(Queue::default());
        let mut receivers = self
            .receivers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Read under the lock under which `finish` pushes: the last event is seen, once.
        match *self.state.borrow() {
            PageState::Detached => queue.push(PageEvent::Detached),
            PageState::BrowserGone => queue.push(PageEvent::BrowserGone),
            PageState::Alive | PageState::Crashed => receivers.push(Arc::downgrade(&queue)),
        }
        PageEvents::new(queue)
    }

    fn push(&self, event: &PageEvent) {
        self.receivers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|receiver| {
                receiver
                    .upgrade()
                    .map(|queue| queue.push(event.clone()))
                    .is_some()
            });
    }

    /// Sets the level, then tells the receivers. Gives whether it was a change.
    pub(crate) fn enter(&self, state: PageState) -> bool {
        let changed = self.state.send_if_modified(|now| {
            let moves = *now != state && !now.is_final();
            if moves {
                *now = state;
            }
            moves
        });
        if changed {
            if state != PageState::Alive {
                self.context.send_replace(None);
            }
            self.push(&match state {
                PageState::Alive => PageEvent::Revived,
                PageState::Crashed => PageEvent::Crashed,
                PageState::Detached => PageEvent::Detached,
                PageState::BrowserGone => PageEvent::BrowserGone,
            });
        }
        changed
    }

    /// Takes one event of this session. Unknown events are passed over; a
    /// known one that cannot be read is reported, never fatal.
    pub(crate) fn take(&self, method: &str, params: Option<&RawValue>) -> Reaction {
        let text = params.map_or("{}", RawValue::get);
        match self.read(method, text) {
            Ok(reaction) => reaction,
            Err(error) => {
                tracing::warn!(method, %error, "an event could not be read");
                Reaction::None
            }
        }
    }

    fn read(&self, method: &str, text: &str) -> Result<Reaction, serde_json::Error> {
        match method {
            "Inspector.targetCrashed" => return Ok(Reaction::Crashed),
            "Inspector.targetReloadedAfterCrash" => return Ok(Reaction::Revived),
            "Runtime.executionContextCreated" => {
                let context = self.context_of(read_text::<ContextCreated>(text)?);
                if context.is_default && context.is_main_frame {
                    self.context.send_replace(Some(context.clone()));
                }
                self.push(&PageEvent::ContextCreated(context));
            }
            "Runtime.executionContextDestroyed" => {
                let unique_id: Arc<str> = read_text::<ContextDestroyed>(text)?.unique_id.into();
                self.context.send_if_modified(|now| {
                    let ours = now.as_ref().is_some_and(|c| c.unique_id == unique_id);
                    if ours {
                        *now = None;
                    }
                    ours
                });
                self.push(&PageEvent::ContextDestroyed { unique_id });
            }
            "Runtime.executionContextsCleared" => {
                self.context.send_replace(None);
                self.push(&PageEvent::ContextsCleared);
            }
            "Runtime.bindingCalled" => {
                let called: BindingCalled = read_text(text)?;
                self.push(&PageEvent::BindingCalled {
                    name: called.name.into(),
                    payload: called.payload.into(),
                    context_id: called.context_id,
                });
            }
            "Runtime.exceptionThrown" => {
                let thrown: ExceptionThrown = read_text(text)?;
                let text = thrown.details.describe().into();
                self.push(&PageEvent::Exception { text });
            }
            "Page.frameNavigated" => {
                let frame = read_text::<FrameNavigated>(text)?.frame;
                if frame.parent_id.is_none() {
                    let url = clip(&frame.url).into();
                    self.push(&PageEvent::Navigated { url });
                }
            }
            "Page.loadEventFired" => self.push(&PageEvent::Loaded),
            "Page.javascriptDialogOpening" => {
                let dialog: DialogOpening = read_text(text)?;
                let accept = dialog.kind == "beforeunload";
                self.push(&PageEvent::Dialog {
                    kind: dialog.kind.into(),
                    message: clip(&dialog.message).into(),
                });
                return Ok(Reaction::Dialog { accept });
            }
            _ => {}
        }
        Ok(Reaction::None)
    }

    fn context_of(&self, created: ContextCreated) -> Context {
        let context = created.context;
        let aux = context.aux.unwrap_or_default();
        Context {
            id: context.id,
            unique_id: context.unique_id.into(),
            // The main frame of a page has the name of its target.
            is_main_frame: *aux.frame_id == *self.target_id,
            frame_id: aux.frame_id.into(),
            is_default: aux.is_default,
            origin: context.origin.into(),
        }
    }
}

#[derive(Deserialize)]
struct ContextCreated {
    context: ContextDescription,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContextDescription {
    id: i64,
    #[serde(default)]
    origin: String,
    unique_id: String,
    #[serde(rename = "auxData")]
    aux: Option<ContextAux>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ContextAux {
    is_default: bool,
    frame_id: String,
}

#[derive(Deserialize)]
struct ContextDestroyed {
    #[serde(rename = "executionContextUniqueId")]
    unique_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BindingCalled {
    name: String,
    payload: String,
    #[serde(rename = "executionContextId")]
    context_id: i64,
}

#[derive(Deserialize)]
struct ExceptionThrown {
    #[serde(rename = "exceptionDetails")]
    details: ExceptionDetails,
}

#[derive(Deserialize)]
struct FrameNavigated {
    frame: Frame,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    parent_id: Option<String>,
    url: String,
}

#[derive(Deserialize)]
struct DialogOpening {
    #[serde(rename = "type")]
    kind: String,
    message: String,
}
