//! What runs in the page: our own scripts and wa-js, as text to be injected.

use crate::Error;
use serde_json::json;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use steadfast_core::ids::Epoch;

/// The version of wa-js that is built in.
pub const WA_JS_VERSION: &str = env!("WA_JS_VERSION");
/// The licence of wa-js (Apache-2.0), to be passed on with the binary.
pub const WA_JS_LICENCE: &str = include_str!(concat!(env!("OUT_DIR"), "/wa-licence.txt"));
/// The notices of the parts that wa-js itself contains.
pub const WA_JS_NOTICES: &str = include_str!(concat!(env!("OUT_DIR"), "/wa-parts.txt"));

const WA_JS: &str = include_str!(concat!(env!("OUT_DIR"), "/wa.js"));
const OURS: [&str; 12] = [
    include_str!("../page/base.js"),
    include_str!("../page/probe.js"),
    include_str!("../page/library.js"),
    include_str!("../page/inbox.js"),
    include_str!("../page/earlier.js"),
    include_str!("../page/happenings.js"),
    include_str!("../page/send.js"),
    include_str!("../page/actions.js"),
    include_str!("../page/passkey.js"),
    include_str!("../page/kinds.js"),
    include_str!("../page/files.js"),
    include_str!("../page/bridge.js"),
];

/// The function by which the page speaks to us.
pub(crate) const BINDING: &str = "__steadfastTell";
/// The property that holds the function by which we speak to the page.
const BRIDGE: &str = "__steadfast";
/// WhatsApp takes texts of up to 65,536 characters; no more is ever passed on.
const TEXT_CHARS: usize = 65_536;
/// No released bundle is near this; a larger file is something else.
const LARGEST_LIBRARY: u64 = 8 * 1024 * 1024;

/// Calls the bridge, and says in the same form where there is none.
pub(crate) const CALL: &str = "(name, epoch, args) => window.__steadfast ? window.__steadfast(name, epoch, args) \
     : '{\"error\":{\"name\":\"NoBridge\",\"message\":\"\"}}'";
/// Errors by which the page says that it is not (or not yet) the one that was meant.
pub(crate) const NOT_MEANT: [&str; 2] = ["NoBridge", "OtherEpoch"];

/// The in-page library with its settings, ready to be evaluated in a document.
///
/// It does not stand among the scripts that run before the page's own: to
/// read and run its half a megabyte held up every start of the page, and what is
/// needed to be ready is found by name. `page/library.js` decides when it comes.
#[derive(Clone)]
pub(crate) struct Library {
    source: Arc<str>,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("bytes", &self.source.len())
            .finish()
    }
}

impl Library {
    /// The one that is built in, or the file in its place.
    pub(crate) fn load(replacement: Option<&Path>, origin: &str) -> Result<Self, Error> {
        let text = match replacement {
            None => None,
            Some(path) => Some(read_library(path)?),
        };
        Ok(Self {
            source: once_on(origin, &with_settings(text.as_deref().unwrap_or(WA_JS))).into(),
        })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}

fn read_library(path: &Path) -> Result<String, Error> {
    let unusable = |detail: String| Error::Library {
        path: path.to_owned(),
        detail,
    };
    let size = std::fs::metadata(path)
        .map_err(|e| unusable(e.to_string()))?
        .len();
    if size > LARGEST_LIBRARY {
        return Err(unusable(format!("{size} bytes are too many for wa-js")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| unusable(e.to_string()))?;
    // The bundle's last act; whatever lacks it would leave the page without a library.
    if text.contains("WPP") {
        Ok(text)
    } else {
        Err(unusable(
            "this is no wa-js bundle: it never sets WPP".to_owned(),
        ))
    }
}

/// wa-js calls third parties unless told not to, before it runs: Google
/// Analytics, and servers that are told every link that is to be previewed.
fn with_settings(library: &str) -> String {
    format!(
        "window.WPPConfig = {{...(window.WPPConfig ?? {{}}), disableGoogleAnalytics: true, \
         linkPreviewApiServers: [], sendStatusToDevice: false}};\n{library}\n"
    )
}

/// Our own scripts, as one function, once in a document however often they were
/// added to its page. They tell nothing before [`epoch_script`].
pub(crate) fn own_script(origin: &str, hold_passkeys: bool) -> String {
    let config = json!({
        "binding": BINDING,
        "bridge": BRIDGE,
        "text_chars": TEXT_CHARS,
        "hold_passkeys": hold_passkeys,
    });
    let mut script = format!("(() => {{ 'use strict'; const CONFIG = {config};\n");
    for part in OURS {
        script.push_str(part);
        script.push('\n');
    }
    script.push_str("})();");
    only_on(
        origin,
        &format!("if (window.{BRIDGE} === undefined) {{\n{script}\n}}"),
    )
}

/// What tells a new document its epoch, right after [`own_script`]. Short, since
/// each epoch brings its own, and a page that has just been freed waits for it.
pub(crate) fn epoch_script(origin: &str, epoch: Epoch) -> String {
    let adopt = json!({ "epoch": epoch.0 });
    only_on(
        origin,
        &format!("window.{BRIDGE}('adopt', {}, {adopt});", epoch.0),
    )
}

/// wa-js as it is evaluated in a document that has started: there once, whoever
/// asks again. It answers with nothing that would have to be carried back.
fn once_on(origin: &str, library: &str) -> String {
    let guarded = format!("if (window.WPP === undefined) {{\n{library}\n}}");
    format!("{}\n;null", only_on(origin, &guarded))
}

/// Keeps a script to the main frame of WhatsApp Web's own documents.
fn only_on(origin: &str, script: &str) -> String {
    format!(
        "if (window === window.top && location.origin === {}) {{\n{script}\n}}",
        json!(origin)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridge_is_called_by_the_name_that_it_is_given() {
        assert!(CALL.contains(&format!("window.{BRIDGE}(name, epoch, args)")));
        assert!(CALL.contains(NOT_MEANT[0]));
        assert!(
            OURS.iter()
                .any(|part| part.contains(&format!("name: '{}'", NOT_MEANT[1])))
        );
    }

    #[test]
    fn our_scripts_run_on_whatsapp_web_alone() {
        let origin = "https://web.whatsapp.com";
        let epoch = epoch_script(origin, Epoch(42));
        assert!(epoch.contains("{\"epoch\":42}"));
        for script in [own_script(origin, true), epoch] {
            assert!(script.starts_with(
                "if (window === window.top && location.origin === \"https://web.whatsapp.com\")"
            ));
        }
    }

    #[test]
    fn analytics_are_off_before_the_library_runs() {
        let library = Library::load(None, "https://web.whatsapp.com").unwrap();
        let settings = library
            .source()
            .find("disableGoogleAnalytics: true")
            .unwrap();
        let bundle = library.source().find("self.WPP=").unwrap();
        assert!(settings < bundle);
    }

    #[test]
    fn a_replacement_must_be_a_library() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wa.js");
        assert!(matches!(
            Library::load(Some(&path), "https://web.whatsapp.com"),
            Err(Error::Library { .. })
        ));
        std::fs::write(&path, "alert(1)").unwrap();
        assert!(matches!(
            Library::load(Some(&path), "https://web.whatsapp.com"),
            Err(Error::Library { .. })
        ));
        std::fs::write(&path, "self.WPP = {};").unwrap();
        assert!(Library::load(Some(&path), "https://web.whatsapp.com").is_ok());
    }

    #[test]
    fn the_licence_of_the_library_comes_with_it() {
        assert!(WA_JS_LICENCE.contains("Apache License"));
        assert!(WA_JS_NOTICES.contains("WPPConnect"));
        assert!(WA_JS_VERSION.split('.').count() == 3);
    }
}
