//! Everything about the simulated WhatsApp that can be turned while it runs.

use crate::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How people and their chats are named to the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addressing {
    /// By number, `@c.us`.
    Pn,
    /// By hidden id, `@lid`.
    Lid,
}

/// The knobs. Times are in milliseconds. The first group takes effect with
/// the next page load, the second at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each knob is one independent yes or no, turned by name"
)]
pub struct Knobs {
    /// WhatsApp Web's version as the page says it.
    pub web_version: String,
    /// Between the page's load and its first module.
    pub boot_delay_ms: u64,
    /// Whether `window.Debug` exists.
    pub debug_present: bool,
    /// The name of the property under which a message key's text stands.
    pub msgkey_field: String,
    /// Refuse browsers that call themselves HeadlessChrome.
    pub refuse_headless: bool,
    /// The content security policy is WhatsApp's own strict one; `false` sends none.
    pub csp_strict: bool,
    /// Modules without function, to make the loader's table as large as the real one.
    pub filler_modules: u32,
    /// Modules that the page must not define.
    pub modules_removed: Vec<String>,
    /// Exports that the page must leave out, as `Module.export`.
    pub exports_removed: Vec<String>,

    /// How often the page pings.
    pub ping_ms: u64,
    /// How long it waits for the pong.
    pub ping_timeout_ms: u64,
    /// First pause before the page reconnects.
    pub reconnect_min_ms: u64,
    /// Longest pause before the page reconnects.
    pub reconnect_max_ms: u64,
    /// After how long the page gives up waiting for an ack (0: never).
    pub send_timeout_ms: u64,

    /// How long one QR ref is shown.
    pub qr_ttl_ms: u64,
    /// How many refs are given at once, 1 to 20.
    pub qr_refs: u32,
    /// How long a pairing code is good.
    pub pair_code_ttl_ms: u64,
    /// How long a passkey is waited for.
    pub passkey_timeout_ms: u64,
    /// How many companions a phone links; 4 in the real thing.
    pub max_devices: u32,
    /// Between the last offline item and the end of the sync.
    pub sync_delay_ms: u64,
    /// Messages a chat in the first history sync.
    pub history_messages: u32,
    /// From taking a message to its ack.
    pub ack_delay_ms: u64,
    /// From taking a message to the recipient's phone.
    pub delivery_delay_ms: u64,
    /// From the recipient's phone to its owner's eyes.
    pub read_delay_ms: u64,
    /// Whether recipients read at all.
    pub auto_read: bool,
    /// From read to played, for voice notes and videos.
    pub played_delay_ms: u64,
    /// Whether recipients play voice notes and videos.
    pub auto_play: bool,
    /// The server drops a second message with an id that it has seen.
    pub drop_repeats: bool,
    /// Recipients drop a second message with an id that they have seen.
    pub recipients_drop_repeats: bool,
    /// Whether a number that nobody declared is on WhatsApp.
    pub unknown_numbers_exist: bool,
    /// Addressing of accounts made from now on.
    pub addressing: Addressing,
    /// Largest upload in bytes; also bounded by the server at 64 MiB.
    pub max_media_bytes: u64,
    /// The page's version is too old: every login fails with 405.
    pub deprecated: bool,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            web_version: "2.3000.1029384756".to_owned(),
            boot_delay_ms: 0,
            debug_present: true,
            msgkey_field: "_serialized".to_owned(),
            refuse_headless: false,
            csp_strict: true,
            filler_modules: 0,
            modules_removed: Vec::new(),
            exports_removed: Vec::new(),
            ping_ms: 15_000,
            ping_timeout_ms: 10_000,
            reconnect_min_ms: 250,
            reconnect_max_ms: 10_000,
            send_timeout_ms: 0,
            qr_ttl_ms: 20_000,
            qr_refs: 6,
            pair_code_ttl_ms: 180_000,
            passkey_timeout_ms: 60_000,
            max_devices: 4,
            sync_delay_ms: 100,
            history_messages: 20,
            ack_delay_ms: 5,
            delivery_delay_ms: 20,
            read_delay_ms: 200,
            auto_read: true,
            played_delay_ms: 200,
            auto_play: true,
            drop_repeats: true,
            recipients_drop_repeats: true,
            unknown_numbers_exist: true,
            addressing: Addressing::Pn,
            max_media_bytes: 16 * 1024 * 1024,
            deprecated: false,
        }
    }
}

impl Knobs {
    /// These knobs with some turned: `patch` names them with their new values.
    ///
    /// # Errors
    ///
    /// [`Error::Knobs`] where a name is unknown or a value does not fit; nothing is turned then.
    pub fn patched(&self, patch: &Map<String, Value>) -> Result<Self, Error> {
        let bad = |e: serde_json::Error| Error::Knobs(e.to_string());
        let mut all = serde_json::to_value(self).map_err(bad)?;
        if let Value::Object(all) = &mut all {
            for (name, value) in patch {
                all.insert(name.clone(), value.clone());
            }
        }
        let new: Self = serde_json::from_value(all).map_err(bad)?;
        if !(1..=20).contains(&new.qr_refs) {
            return Err(Error::Knobs("qr_refs: 1 to 20".to_owned()));
        }
        if new.qr_ttl_ms == 0 {
            return Err(Error::Knobs("qr_ttl_ms: at least 1".to_owned()));
        }
        Ok(new)
    }

    /// What the page obeys before any socket is open.
    pub(crate) fn boot(&self) -> Value {
        json!({
            "web_version": self.web_version,
            "boot_delay_ms": self.boot_delay_ms,
            "debug_present": self.debug_present,
            "msgkey_field": self.msgkey_field,
            "refuse_headless": self.refuse_headless,
            "filler_modules": self.filler_modules,
            "modules_removed": self.modules_removed,
            "exports_removed": self.exports_removed,
            "ws_path": crate::server::WS_PATH,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_turns_what_it_names_and_nothing_else() {
        let patch = json!({"ack_delay_ms": 900, "addressing": "lid"});
        let new = Knobs::default()
            .patched(patch.as_object().unwrap())
            .unwrap();
        assert_eq!(new.ack_delay_ms, 900);
        assert_eq!(new.addressing, Addressing::Lid);
        assert_eq!(new.read_delay_ms, Knobs::default().read_delay_ms);
    }

    #[test]
    fn unknown_names_and_misfits_are_refused() {
        for patch in [
            json!({"ack_dealy_ms": 1}),
            json!({"ack_delay_ms": "soon"}),
            json!({"qr_refs": 0}),
            json!({"qr_ttl_ms": 0}),
        ] {
            assert!(
                Knobs::default()
                    .patched(patch.as_object().unwrap())
                    .is_err(),
                "{patch}"
            );
        }
    }
}
