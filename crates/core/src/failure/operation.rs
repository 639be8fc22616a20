//! What was being done when something failed. The same words mean different
//! things in different operations, so it is always part of the evidence.

use serde::{Deserialize, Serialize};

super::kind::named! {
    /// What was being done.
    Operation {
        /// Starting the browser.
        Launch = "launch",
        /// Loading WhatsApp Web.
        Navigate = "navigate",
        /// Linking the account, or opening it with a stored login.
        Auth = "auth",
        /// Asking for a pairing code.
        RequestPairingCode = "request_pairing_code",
        /// Running something in the page that sends nothing.
        Evaluate = "evaluate",
        /// Sending a text.
        Send = "send",
        /// Sending a file.
        SendMedia = "send_media",
        /// Looking a message up by its id.
        Lookup = "lookup",
        /// Nothing of ours: an event that came by itself.
        Listen = "listen",
        /// An active probe of liveness.
        Probe = "probe",
        /// Closing down.
        Shutdown = "shutdown",
    }
}
