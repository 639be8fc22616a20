//! What WAHA's clients may ask and this gateway does not do: 501 with a
//! problem that says what, so that nobody takes it for a wrong address.

use super::super::HttpState;
use super::super::auth::{Caller, ToRead};
use super::super::problem::Problem;
use super::not_supported;
use axum::Router;
use axum::extract::MatchedPath;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use std::sync::Arc;

const GET: MethodFilter = MethodFilter::GET;
const POST: MethodFilter = MethodFilter::POST;
const PUT: MethodFilter = MethodFilter::PUT;
const DELETE: MethodFilter = MethodFilter::DELETE;

/// Addresses of one kind: what they are for, and which they are.
type Kind = (&'static str, &'static [(MethodFilter, &'static str)]);

/// Every address of WAHA that the clients `waha-py` and `waha` know and that
/// does nothing here. docs/MOVING-FROM-WAHA.md names each kind.
const KINDS: &[Kind] = &[
    ("sending by GET", &[(GET, "/api/sendText")]),
    (
        "buttons, lists and list votes",
        &[
            (POST, "/api/sendButtons"),
            (POST, "/api/sendList"),
            (POST, "/api/send/buttons/reply"),
            (POST, "/api/sendPollVote"),
        ],
    ),
    (
        "link previews of the caller's own",
        &[
            (POST, "/api/send/link-custom-preview"),
            (POST, "/api/sendLinkPreview"),
        ],
    ),
    (
        "message ids of the caller's own",
        &[
            (GET, "/api/{session}/new-message-id"),
            (GET, "/api/{session}/status/new-message-id"),
        ],
    ),
    ("stars", &[(PUT, "/api/star")]),
    (
        "chat overviews, archiving, clearing and pinning",
        &[
            (GET, "/api/{session}/chats/overview"),
            (POST, "/api/{session}/chats/overview"),
            (DELETE, "/api/{session}/chats/{chat}"),
            (DELETE, "/api/{session}/chats/{chat}/messages"),
            (POST, "/api/{session}/chats/{chat}/messages/{message}/pin"),
            (POST, "/api/{session}/chats/{chat}/messages/{message}/unpin"),
            (POST, "/api/{session}/chats/{chat}/archive"),
            (POST, "/api/{session}/chats/{chat}/unarchive"),
            (POST, "/api/{session}/chats/{chat}/unread"),
        ],
    ),
    (
        "confirming a passkey by a code",
        &[
            (GET, "/api/{session}/auth/passkey/confirmation"),
            (POST, "/api/{session}/auth/passkey/confirm"),
        ],
    ),
    (
        "API keys (steadfast token new makes tokens)",
        &[
            (GET, "/api/keys"),
            (POST, "/api/keys"),
            (POST, "/api/keys/media"),
            (POST, "/api/keys/control"),
            (PUT, "/api/keys/{id}"),
            (DELETE, "/api/keys/{id}"),
        ],
    ),
    (
        "WhatsApp's caps and locks",
        &[
            (GET, "/api/sessions/{session}/capping"),
            (GET, "/api/sessions/{session}/timelock"),
        ],
    ),
    (
        "the picture of the profile",
        &[
            (PUT, "/api/{session}/profile/picture"),
            (DELETE, "/api/{session}/profile/picture"),
        ],
    ),
    ("calls", &[(POST, "/api/{session}/calls/reject")]),
    (
        "channels",
        &[
            (GET, "/api/{session}/channels"),
            (POST, "/api/{session}/channels"),
            (POST, "/api/{session}/channels/follow"),
            (GET, "/api/{session}/channels/{id}"),
            (DELETE, "/api/{session}/channels/{id}"),
            (GET, "/api/{session}/channels/{id}/messages/preview"),
            (POST, "/api/{session}/channels/{id}/follow"),
            (POST, "/api/{session}/channels/{id}/unfollow"),
            (POST, "/api/{session}/channels/{id}/mute"),
            (POST, "/api/{session}/channels/{id}/unmute"),
            (POST, "/api/{session}/channels/search/by-view"),
            (POST, "/api/{session}/channels/search/by-text"),
            (GET, "/api/{session}/channels/search/views"),
            (GET, "/api/{session}/channels/search/countries"),
            (GET, "/api/{session}/channels/search/categories"),
        ],
    ),
    (
        "status broadcasts",
        &[
            (GET, "/api/{session}/status/stories"),
            (POST, "/api/{session}/status/text"),
            (POST, "/api/{session}/status/image"),
            (POST, "/api/{session}/status/voice"),
            (POST, "/api/{session}/status/video"),
            (POST, "/api/{session}/status/delete"),
        ],
    ),
    (
        "labels",
        &[
            (GET, "/api/{session}/labels"),
            (POST, "/api/{session}/labels"),
            (PUT, "/api/{session}/labels/{id}"),
            (DELETE, "/api/{session}/labels/{id}"),
            (GET, "/api/{session}/labels/chats/{chat}"),
            (PUT, "/api/{session}/labels/chats/{chat}"),
            (GET, "/api/{session}/labels/{id}/chats"),
        ],
    ),
    (
        "about texts of others and changes of the address book",
        &[
            (GET, "/api/contacts/about"),
            (PUT, "/api/{session}/contacts/{contact}"),
        ],
    ),
    (
        "hidden ids",
        &[
            (GET, "/api/{session}/lids"),
            (GET, "/api/{session}/lids/count"),
            (GET, "/api/{session}/lids/{id}"),
            (GET, "/api/{session}/lids/pn/{id}"),
        ],
    ),
    (
        "pictures, join requests and further settings of groups, and their deletion",
        &[
            (GET, "/api/{session}/groups/join-info"),
            (POST, "/api/{session}/groups/refresh"),
            (DELETE, "/api/{session}/groups/{group}"),
            (GET, "/api/{session}/groups/{group}/picture"),
            (PUT, "/api/{session}/groups/{group}/picture"),
            (DELETE, "/api/{session}/groups/{group}/picture"),
            (
                GET,
                "/api/{session}/groups/{group}/settings/security/member-add-mode",
            ),
            (
                PUT,
                "/api/{session}/groups/{group}/settings/security/member-add-mode",
            ),
            (
                GET,
                "/api/{session}/groups/{group}/settings/security/member-share-history-mode",
            ),
            (
                PUT,
                "/api/{session}/groups/{group}/settings/security/member-share-history-mode",
            ),
            (
                GET,
                "/api/{session}/groups/{group}/settings/security/membership-approval",
            ),
            (
                PUT,
                "/api/{session}/groups/{group}/settings/security/membership-approval",
            ),
            (
                GET,
                "/api/{session}/groups/{group}/participants/join-requests",
            ),
            (
                POST,
                "/api/{session}/groups/{group}/participants/join-requests/approve",
            ),
            (
                POST,
                "/api/{session}/groups/{group}/participants/join-requests/reject",
            ),
        ],
    ),
    (
        "the presence of others",
        &[
            (GET, "/api/presence"),
            (GET, "/api/{session}/presence"),
            (GET, "/api/{session}/presence/{chat}"),
            (POST, "/api/{session}/presence/{chat}/subscribe"),
        ],
    ),
    ("calendar events", &[(POST, "/api/{session}/events")]),
    (
        "uploading and converting files (POST /v1/media uploads)",
        &[
            (POST, "/api/media/upload"),
            (POST, "/api/{session}/media/convert/voice"),
            (POST, "/api/{session}/media/convert/video"),
        ],
    ),
    (
        "a look into the process (see /metrics and docs/OPERATIONS.md)",
        &[
            (GET, "/api/screenshot"),
            (GET, "/api/server/environment"),
            (POST, "/api/server/stop"),
            (GET, "/api/server/debug/cpu"),
            (GET, "/api/server/debug/heapsnapshot"),
            (GET, "/api/server/debug/browser/trace/{session}"),
        ],
    ),
    (
        "WAHA's apps",
        &[
            (GET, "/api/apps"),
            (POST, "/api/apps"),
            (GET, "/api/apps/{id}"),
            (PUT, "/api/apps/{id}"),
            (DELETE, "/api/apps/{id}"),
            (POST, "/api/apps/{id}/purge"),
            (POST, "/api/apps/{id}/{session}/purge"),
            (GET, "/api/apps/{id}/{session}/cache/memory"),
            (GET, "/api/apps/{id}/{session}/cache/db"),
            (GET, "/api/apps/{id}/{session}/cache/stats"),
            (DELETE, "/api/apps/{id}/{session}/cache/purge"),
            (POST, "/mcp"),
        ],
    ),
];

/// Adds them. Other methods of the same addresses may do something.
pub(in super::super) fn add_to(router: Router<Arc<HttpState>>) -> Router<Arc<HttpState>> {
    let all = KINDS.iter().flat_map(|(_, addresses)| *addresses);
    all.fold(router, |router, (method, path)| {
        router.route(path, on(*method, refuse))
    })
}

/// A stranger learns nothing here: a token is asked for first.
async fn refuse(_: Caller<ToRead>, method: Method, path: MatchedPath) -> Problem {
    let asked = MethodFilter::try_from(method).ok();
    let is_it = |(m, p): &(MethodFilter, &str)| Some(*m) == asked && *p == path.as_str();
    let kind = KINDS.iter().find(|(_, all)| all.iter().any(is_it));
    not_supported(kind.map_or("this", |(what, _)| *what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_names_every_kind() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/MOVING-FROM-WAHA.md"
        );
        let page = std::fs::read_to_string(path).unwrap();
        for (what, _) in KINDS {
            assert!(
                page.contains(what),
                "docs/MOVING-FROM-WAHA.md lacks: {what}"
            );
        }
    }
}
