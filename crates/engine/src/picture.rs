//! A picture of the page on which nothing of people can be read.
//!
//! What is somebody's is hidden in the page first (`page/hide.js`), the picture
//! is taken, and the page is shown again, which also tells whether it was
//! hidden all the while: a page that came in between, or threw our style sheet
//! away, may have shown a chat, and its picture is thrown away. All of it goes
//! beside what else is asked of the page; nothing waits for it.

use crate::Error;
use crate::conclude::{conclude, of};
use crate::link::Link;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use steadfast_cdp::{Context, Error as CdpError};
use steadfast_core::failure::{Evidence, Failure, Kind, Operation, Rung};
use steadfast_core::port::Picture;
use tokio::sync::Mutex;

/// The function that hides and shows. It comes with each picture, so that a page
/// on which none of our scripts run (an error of the browser's own) has one too.
const HIDE: &str = include_str!("../page/hide.js");
/// How long the page may take to paint itself hidden.
const PAINT: Duration = Duration::from_secs(2);
/// How long it may take to look whether all is hidden.
const LOOK: Duration = Duration::from_secs(3);
/// How long each question of ours may take beyond that.
const ANSWER: Duration = Duration::from_secs(2);
/// After this, which is longer than all of it takes, a page that nobody shows
/// again shows itself.
const STAND: Duration = PAINT
    .saturating_add(LOOK)
    .saturating_add(ANSWER.saturating_mul(4));
/// No side of a picture is longer than about this, in pixels.
const SIDE: f64 = 640.0;
/// A picture of a page without texts and images has a few thousand bytes.
const LARGEST: usize = 256 * 1024;

/// Takes the pictures of one epoch, one at a time.
#[derive(Default)]
pub(crate) struct Camera {
    /// How many were begun; names each one's style sheet.
    begun: Mutex<u64>,
}

/// The page's word on being hidden.
#[derive(Deserialize)]
struct Word {
    hidden: bool,
    why: String,
    width: f64,
    height: f64,
}

/// The page's word on being shown again.
#[derive(Deserialize)]
struct Shown {
    stood: bool,
}

/// What `Page.captureScreenshot` answers.
#[derive(Deserialize)]
struct Captured {
    data: String,
}

impl Camera {
    /// Takes one, within some 13 s at most.
    pub(crate) async fn take(&self, link: &Link) -> Result<Picture, Failure> {
        let Ok(mut begun) = self.begun.try_lock() else {
            return Err(none("another picture is being taken"));
        };
        *begun += 1;
        tokio::select! {
            biased;
            taken = shoot(link, *begun) => taken,
            () = link.ended() => Err(concluded(&Error::Over { in_flight: true })),
        }
    }
}

async fn shoot(link: &Link, token: u64) -> Result<Picture, Failure> {
    let Some(document) = link.page.context() else {
        return Err(concluded(&Error::NotLoaded));
    };
    let word: Word = ask(link, &document, "hide", token, PAINT + LOOK + ANSWER).await?;
    if !word.hidden {
        return Err(none(&word.why));
    }
    let captured = capture(link, &word).await;
    // The page is shown again however that ended.
    let shown: Shown = ask(link, &document, "show", token, ANSWER).await?;
    let captured = captured.map_err(|error| concluded(&Error::Cdp(error)))?;
    if !shown.stood {
        return Err(none("the page did not stay hidden"));
    }
    if captured.data.len() > LARGEST * 4 / 3 {
        return Err(none("the picture is larger than one without texts can be"));
    }
    match STANDARD.decode(captured.data) {
        Ok(png) => Ok(Picture { png }),
        Err(error) => Err(none(&format!("the picture cannot be read: {error}"))),
    }
}

/// Asks the document that is meant, and no other.
async fn ask<T: serde::de::DeserializeOwned>(
    link: &Link,
    document: &Context,
    step: &str,
    token: u64,
    deadline: Duration,
) -> Result<T, Failure> {
    let args: [Value; 5] = [
        json!(step),
        json!(token),
        millis(PAINT),
        millis(LOOK),
        millis(STAND),
    ];
    let answer = link.page.call_function_in(document, HIDE, &args, deadline);
    answer.await.map_err(|error| concluded(&Error::Cdp(error)))
}

async fn capture(link: &Link, of: &Word) -> Result<Captured, CdpError> {
    let scale = (SIDE / of.width.max(of.height).max(1.0)).min(1.0);
    let params = json!({
        "format": "png",
        "clip": {
            "x": 0, "y": 0, "width": of.width, "height": of.height, "scale": scale,
        },
    });
    let deadline = ANSWER * 2;
    link.page
        .call("Page.captureScreenshot", params, deadline)
        .await
}

fn millis(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn concluded(error: &Error) -> Failure {
    conclude(Operation::Evaluate, error)
}

/// There is no picture, for a reason that another try may not meet. Nothing is
/// wrong with the page for it.
fn none(why: &str) -> Failure {
    Failure {
        kind: Kind::TransientContext,
        rung: Rung::Retry,
        ..of(
            Operation::Evaluate,
            Evidence::text(format!("no picture: {why}")),
        )
    }
}
