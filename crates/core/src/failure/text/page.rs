//! Exceptions from JavaScript: whose code threw, and before or after the
//! message went out.
//!
//! A TypeError says almost nothing by its words; what it was reading and the
//! frames of its stack say it. Three owners are told apart: the library that
//! was injected (gone after a navigation), WhatsApp's own code (changed by an
//! update), and the program outside the page (called with wrong arguments).

use super::super::verdict::{Handed, Verdict};
use super::super::{Kind, Operation as Op, Rung};
use super::Origin;
use super::fold::Folded;
use super::rule::{Match, Rule, first, rule};

/// Names that live on `window.WWebJS`, `window.WPP`, `window.WAPI`: reading
/// one of them from undefined means that the injected object itself is gone.
const INJECTED_MEMBERS: &[&str] = &[
    "getchat",
    "getchats",
    "getchatmodel",
    "getcontact",
    "getcontacts",
    "getcontactmodel",
    "getnumberid",
    "getlabels",
    "getlabel",
    "getprofilepicthumbtobase64",
    "processmediadata",
    "sendchatstate",
    "sendmessage",
    "sendmessagetoid",
    "sendtext",
    "sendtextmessage",
    "sendfilemessage",
    "sendrawmessage",
    "sendimage",
    "sendfile",
    "sendlocation",
    "sendseen",
    "sendclearchat",
    "senddeletechat",
    "checknumberstatus",
    "getallchats",
    "getmyself",
    "isloggedin",
    "isfullready",
    "isready",
    "webpack",
    "wwebjs",
    "wapi",
];

/// Names on `window.Store`, an older form of the same.
const STORE_MEMBERS: &[&str] = &[
    "chat",
    "msg",
    "contact",
    "conn",
    "cmd",
    "socket",
    "appstate",
    "user",
    "widfactory",
    "queryexist",
    "groupmetadata",
    "presence",
    "call",
    "wap",
    "numberinfo",
];

/// Of these, the names that nothing else has.
const ONLY_IN_THE_STORE: &[&str] = &["appstate", "widfactory", "queryexist", "wap", "numberinfo"];

/// What WhatsApp's code reads before it hands a message on.
const READ_BEFORE_SENDING: &[&str] = &[
    "markedunread",
    "getmaybemeuser",
    "getmaybemepnuser",
    "getmaybemeliduser",
    "findorcreatelatestchat",
    "createwid",
    "querywidexists",
    "queryexists",
    "islidmigrated",
    "isnewsletter",
    "getisnewsletter",
    "findchat",
    "getephemeralfields",
    "canreply",
    "cansend",
];

/// What is read while the return value is built, after the send.
const READ_AFTER_SENDING: &[&str] = &["serialize"];
const AFTER_SENDING_FRAMES: &[&str] = &["getmessagemodel", "message._patch", "new message ("];

/// Signs that the code ran inside the page.
const PAGE_FRAMES: &[&str] = &[
    "static.whatsapp.net",
    "web.whatsapp.com",
    "pptr:",
    "__puppeteer_evaluation_script__",
    "evaluat",
    "executioncontext",
    "window.wwebjs",
    "wapi.js",
    "wppconnect-wa",
    "<anonymous>:",
    "uncaught",
    "cdpframe",
    "cdppage",
    "cdpjshandle",
];

/// What a program outside calls on the page or browser that it holds: read
/// from nothing where there is none (any more).
const PAGE_METHODS: &[&str] = &[
    "evaluate",
    "evaluatehandle",
    "exposefunction",
    "goto",
    "screenshot",
    "waitforfunction",
    "waitforselector",
    "newpage",
    "pages",
    "isclosed",
    "mainframe",
    "setbypasscsp",
    "evaluateonnewdocument",
    "pupbrowser",
    "puppage",
    "close",
    "isconnected",
    "pid",
    "wsendpoint",
    "disconnect",
    "bringtofront",
    "addscripttag",
    "setuseragent",
    "setviewport",
    "setrequestinterception",
    "waitfornavigation",
];

/// How functions begin that look at a request before anything acts on it.
const ARGUMENT_FRAMES: &[&str] = &[
    "ensure",
    "validat",
    "normali",
    "sanitiz",
    "assert",
    "tojid",
    "tochatid",
    "createjid",
    "formatphone",
    "formatnumber",
    "formatjid",
    "parsephone",
    "parsenumber",
    "parsejid",
    "parsechat",
    "parsebody",
    "parseargs",
];

/// Libraries that wrap what the page gave them: a field that is missing there
/// is one that WhatsApp has renamed.
const LIBRARIES: &[&str] = &[
    "node_modules/whatsapp-web.js",
    "node_modules\\whatsapp-web.js",
    "/whatsapp-web.js/src/",
    "wppconnect/dist",
    "venom-bot/",
    "wa-automate/",
];

const RULES: &[Rule] = &[
    rule(
        "the injected library is not there any more",
        Kind::TransientContext,
        &[
            "wapi is not defined",
            "wpp is not defined",
            "store is not defined",
            "wwebjs is not defined",
            "wwebjs is undefined",
            "window.store is undefined",
            "called before startcomms",
            "wpp is undefined",
            "wapi|=wpp|wwebjs + não definid|nao definid|não está definid|no definid|no está definid|nicht definiert|non défini|non definito|tidak terdefinisi|не определен|tanımlı değil|未定义",
        ],
    )
    .rung(Rung::Reload)
    .handed(Handed::Before),
    rule(
        "the app has not booted, or its entry point has moved; one reload tells",
        Kind::WaIncompatible,
        &[
            "reading 'version'",
            "property 'version'",
            "debug is not defined",
        ],
    )
    // A session that sends has booted; keys and stores have versions too.
    .only(&[
        Op::Launch,
        Op::Navigate,
        Op::Auth,
        Op::RequestPairingCode,
        Op::Evaluate,
        Op::Listen,
        Op::Probe,
    ])
    .unless(&["libsignal|signalprotocol|session-record|session_record"])
    .rung(Rung::Reload)
    .handed(Handed::Before),
    rule(
        "the in-page library does not come up with this WhatsApp build",
        Kind::WaIncompatible,
        &[
            "wpp not found",
            "wapi not found",
            "store not found",
            "was not found with",
            "not found with e =>|not found with e=>",
            "invalid wid value for [object",
            "requiring unknown module",
            "unknown module",
            "waweb + not found",
            "module not found: waweb",
            "cannot|could not|couldn't|can't|unable to|failed to + find|resolve|load + module + waweb",
            "webpackchunk",
            "webpack chunk",
            "not be injected|failed to inject|injection failed",
            "moduleraid",
            "window.require is not a function",
            "require is not a function",
            "is not available in this session",
            "does not support + whatsapp web version",
            "bindings missing",
            "missing binding",
            "wa_incompatible",
            "browser is not supported",
            "browser not supported",
            "works with google chrome",
            "this browser version has problems",
        ],
    )
    .handed(Handed::Before),
    rule(
        "a getter of the page calls itself: it wraps what has changed",
        Kind::WaIncompatible,
        &["maximum call stack size exceeded", "too much recursion"],
    ),
    rule(
        "a table of WhatsApp Web lacks a field that it asks for",
        Kind::WaIncompatible,
        &[
            "origin type is missing",
            "missing in chat table + group|community",
        ],
    ),
    rule(
        "what is looked for in the page is not where it was",
        Kind::WaIncompatible,
        &[
            "nosuchelement",
            "no such element",
            "unable to locate element",
            "failed to find element matching selector",
            "no node found for selector",
            "no element found for selector",
        ],
    ),
    rule(
        "an id that cannot be taken apart is no id",
        Kind::RecipientInvalid,
        &["jiddecode"],
    ),
    rule(
        "an undefined key went to IndexedDB: a field has changed its name",
        Kind::WaIncompatible,
        &[
            "no key or key range specified",
            "not a valid key",
            "dataerror",
        ],
    ),
];

/// Reads an exception. `None`: this is no exception from JavaScript.
pub(super) fn read(text: &Folded, operation: Option<Op>, origin: Origin) -> Option<Match> {
    first(RULES, text, operation).or_else(|| {
        let missing = missing_name(text.as_str())?;
        Some(owner(missing, text, operation, origin))
    })
}

/// Whose code read `missing` from nothing, and when.
fn owner(missing: &str, text: &Folded, operation: Option<Op>, origin: Origin) -> Match {
    let name = missing.trim_start_matches("window.");
    let last = name.rsplit('.').next().unwrap_or(name);
    let root = name.split('.').next().unwrap_or(name);
    let sending = matches!(operation, Some(Op::Send | Op::SendMedia) | None);
    let says_any = |list: &[&str]| list.iter().any(|x| text.says(x));

    if sending && (READ_AFTER_SENDING.contains(&last) || says_any(AFTER_SENDING_FRAMES)) {
        changed("it failed while the return value was built", Handed::After)
    } else if origin == Origin::Anywhere
        && PAGE_METHODS.contains(&last.replace('_', "").as_str())
        && !text.says("is not a function")
    {
        Match {
            concept: "the program outside has no page to call",
            verdict: Verdict::of(Kind::BrowserGone).handed(Handed::Refused),
        }
    } else if missing.starts_with("window.on") && last.ends_with("event") {
        // A function that the program outside had given to the page.
        uninjected(Handed::ThisCall)
    } else if origin == Origin::Anywhere && asked(operation) && from_outside_the_page(text) {
        let early = thrown_while_looking_at_arguments(text.as_str());
        if !early && says_any(LIBRARIES) {
            return changed(
                "a library could not read what the page gave it",
                Handed::ThisCall,
            );
        }
        Match {
            concept: "the program outside the page was called with wrong arguments",
            verdict: Verdict::of(Kind::PermanentRequestError).handed(if early {
                Handed::Before
            } else {
                Handed::ThisCall
            }),
        }
    } else if root == "store" && text.says("is not a function|is not a constructor") {
        // The store is there, and WhatsApp's module in it has lost a function.
        changed("WhatsApp's code changed", Handed::ThisCall)
    } else if matches!(root, "wapi" | "wpp" | "wwebjs" | "store")
        || INJECTED_MEMBERS.contains(&last)
    {
        uninjected(Handed::Before)
    } else if STORE_MEMBERS.contains(&last) {
        match operation {
            Some(Op::Auth | Op::Launch) => changed(
                "a module that the library looks for is missing",
                Handed::Before,
            ),
            _ if ONLY_IN_THE_STORE.contains(&last) => uninjected(Handed::Before),
            // Plain properties have these names too, and some are read after the send.
            _ => uninjected(Handed::ThisCall),
        }
    } else if READ_BEFORE_SENDING.contains(&last) {
        changed(
            "WhatsApp's code changed; thrown before the send",
            Handed::Before,
        )
    } else {
        changed("WhatsApp's code changed", Handed::ThisCall)
    }
}

/// Whether the innermost frame is of code that looks at arguments. Further
/// out, every request has passed such code.
fn thrown_while_looking_at_arguments(text: &str) -> bool {
    text.split_once(" at ").is_some_and(|(_, frame)| {
        let frame = frame.strip_prefix("async ").unwrap_or(frame);
        let end = frame.find([' ', '(']).unwrap_or(frame.len());
        let function = frame.get(..end).unwrap_or_default();
        let function = function.rsplit('.').next().unwrap_or(function);
        ARGUMENT_FRAMES.iter().any(|x| function.starts_with(x))
    })
}

/// Whether somebody asked for something, so that what was asked can be wrong.
/// Nobody hands arguments to a start, a login or an event.
fn asked(operation: Option<Op>) -> bool {
    operation.is_none_or(|op| match op {
        Op::Send | Op::SendMedia | Op::Evaluate | Op::Lookup => true,
        Op::Launch
        | Op::Navigate
        | Op::Auth
        | Op::RequestPairingCode
        | Op::Listen
        | Op::Probe
        | Op::Shutdown => false,
    })
}

fn uninjected(handed: Handed) -> Match {
    Match {
        concept: "the injected object is gone from the page",
        verdict: Verdict::of(Kind::TransientContext)
            .rung(Rung::Reload)
            .handed(handed),
    }
}

fn changed(concept: &'static str, handed: Handed) -> Match {
    Match {
        concept,
        verdict: Verdict::of(Kind::WaIncompatible).handed(handed),
    }
}

/// WhatsApp's own code throws classes whose names its build has shortened:
/// `r: r`, `Evaluation failed: t`, `{"message":"a","name":"a"}`.
fn minified(text: &str) -> bool {
    let one_letter = |rest: &str| {
        let mut chars = rest.chars();
        let letter = chars.next().is_some_and(|c| c.is_ascii_lowercase());
        let rest = chars.as_str();
        let ends =
            |c: char| !c.is_alphanumeric() && !matches!(c, ':' | '.' | '\'' | '_' | '-' | '/');
        // A stack may follow; any other word makes the letter an article:
        // `error: a message`, `o número não existe`.
        let followed = rest.trim_start();
        let word = !followed.starts_with("at ") && followed.starts_with(char::is_alphabetic);
        letter && rest.chars().next().is_none_or(ends) && !word
    };
    let after_mark = ["evaluation failed: ", "\"message\":\"", "error: "]
        .iter()
        .flat_map(|mark| text.match_indices(mark))
        .any(|(at, mark)| one_letter(text.get(at + mark.len()..).unwrap_or_default()));
    let doubled = text
        .split(' ')
        .zip(text.split(' ').skip(1))
        .any(|(class, message)| {
            class.strip_suffix(':') == Some(message)
                && message.len() == 1
                && message.starts_with(|c: char| c.is_ascii_lowercase())
        });
    after_mark || doubled
}

/// Only the operation tells what a nameless exception is likely to mean.
/// Asked last: a line that says more may stand beside it.
pub(super) fn nameless(text: &Folded, operation: Option<Op>) -> Option<Match> {
    if !minified(text.as_str()) {
        return None;
    }
    let concept = "a nameless exception of WhatsApp's own code";
    let verdict = match operation {
        // The codec or the file.
        Some(Op::SendMedia) => Verdict::of(Kind::MediaInvalid).handed(Handed::ThisCall),
        // After some codes WhatsApp refuses to give more, for hours.
        Some(Op::RequestPairingCode) => Verdict::of(Kind::RateLimited).rung(Rung::Operator),
        _ => Verdict::of(Kind::WaIncompatible),
    };
    Some(Match { concept, verdict })
}

/// The name that was read from, called on or looked for in nothing.
fn missing_name(text: &str) -> Option<&str> {
    let quoted_after = |mark: &str| {
        let rest = text.split_once(mark)?.1;
        let end = rest.find(['\'', '"', ')', '`'])?;
        rest.get(..end)
    };
    let word_before = |mark: &str| {
        let before = text.split_once(mark)?.0.trim_end();
        let before = before.trim_end_matches(')');
        let start = before
            .rfind(|c: char| c.is_whitespace() || matches!(c, ':' | '"' | '\'' | '('))
            .map_or(0, |at| at + 1);
        before.get(start..)
    };
    // Python's words for the same, of which only a call on a page is ours.
    let of_python = || {
        quoted_after("'nonetype' object has no attribute '")
            .filter(|name| PAGE_METHODS.contains(&name.replace('_', "").as_str()))
    };
    quoted_after("(reading '")
        .or_else(|| quoted_after("can't access property \""))
        .or_else(|| quoted_after("(setting '"))
        .or_else(|| quoted_after("cannot read property '"))
        .or_else(|| quoted_after("cannot set property '"))
        .or_else(|| quoted_after("cannot destructure property '"))
        .or_else(|| quoted_after("(evaluating '"))
        .or_else(of_python)
        .or_else(|| word_before(" is not a function"))
        .or_else(|| word_before(" is not a constructor"))
        .or_else(|| word_before(" is not defined"))
        .or_else(|| word_before(" is not iterable"))
        // Another engine's words for the same; a bare name is left to others.
        .or_else(|| word_before(" is undefined").filter(|name| name.contains('.')))
        .or_else(|| text.contains("cannot read properties of").then_some(""))
}

/// Whether the stack has frames, and all are of the program outside.
fn from_outside_the_page(text: &Folded) -> bool {
    let has_file = [".js:", ".ts:", ".mjs:", ".cjs:"]
        .iter()
        .any(|x| text.says(x));
    has_file && text.says(" at ") && !PAGE_FRAMES.iter().any(|x| text.says(x))
}
