//! Pictures of the page: what of people may be read on them (nothing), and
//! what else they do to the page (nothing).

use crate::harness::{FRIEND, Heard, LONG, PHONE, Scene, chat, eventually, knobs, run, send_ok};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use steadfast_cdp::{Binary, Browser, Flavor, LaunchOptions, Page};
use steadfast_core::inbound::InboundMessage;
use steadfast_core::port::{Engine, EngineEvent, OpenStep};
use steadfast_sim::frames::PageFault;
use tempfile::TempDir;

/// The function that hides, as the engine brings it.
const HIDE: &str = include_str!("../../page/hide.js");

async fn picture(engine: &Arc<dyn Engine>) -> Vec<u8> {
    let png = engine.picture().await.unwrap().png;
    assert!(png.starts_with(b"\x89PNG"), "this is no PNG");
    png
}

/// The picture of a page that has drawn what it has to, which is more than `before`.
async fn settled(engine: &Arc<dyn Engine>, before: &[u8]) -> Vec<u8> {
    let deadline = Instant::now() + LONG;
    let (mut last, mut times) = (picture(engine).await, 0);
    while times < 4 {
        assert!(Instant::now() < deadline, "the page draws on and on");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let next = picture(engine).await;
        times = if next == last && next != before {
            times + 1
        } else {
            0
        };
        last = next;
    }
    last
}

/// A page on which a friend of this name has written this.
async fn written(name: &str, text: &str) -> (Scene, Arc<dyn Engine>, Vec<u8>) {
    let (scene, engine) = Scene::linked().await;
    let empty = picture(&engine).await;
    let control = scene.sim.control();
    control.save_contact(PHONE, FRIEND, name).unwrap();
    let message = serde_json::from_value(json!({"from": FRIEND, "text": text})).unwrap();
    control.outside_message(PHONE, &message).unwrap();
    // The name came before it: the page has all that it is to draw.
    let told = |_: &[Heard], told: &[InboundMessage]| told.first().map(|_| ());
    scene.sink.until("the message", told).await;
    (scene, engine, empty)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pages_that_differ_in_names_and_texts_alone_look_the_same() {
    let (one, of_one, empty) = written("Shop 1234567890", "The code is 112233").await;
    let first = settled(&of_one, &empty).await;
    one.end().await;
    let (other, of_other, _) = written("Shop 9081726354", "The code is 332211").await;
    eventually("a page that looks like the first", || {
        let (of_other, first) = (of_other.clone(), first.clone());
        async move { picture(&of_other).await == first }
    })
    .await;
    other.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_code_to_scan_is_on_a_picture() {
    let scene = Scene::with(knobs(json!({"qr_ttl_ms": 4_000})), |_| {}).await;
    let engine = scene.open(OpenStep::Launch).await;
    let codes = |heard: &[Heard]| {
        let is_code = |h: &&Heard| matches!(h.event, EngineEvent::Qr { .. });
        heard.iter().filter(is_code).count()
    };
    scene.sink.qr(engine.epoch()).await;
    let first = settled(&engine, b"").await;
    let shown = codes(&scene.sink.heard());
    let more = |heard: &[Heard], _: &[_]| (codes(heard) > shown).then_some(());
    scene.sink.until("another code", more).await;
    assert!(settled(&engine, b"").await == first, "the code shows");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_out_while_pictures_are_taken() {
    let (scene, engine) = Scene::linked().await;
    let camera = engine.clone();
    let pictures = run(async move {
        let mut taken = 0;
        for _ in 0..10 {
            picture(&camera).await;
            taken += 1;
        }
        taken
    });
    for n in 0..5 {
        let id = send_ok(&scene, &engine, &chat(FRIEND), &format!("{n}")).await;
        scene.delivered(&id).await;
    }
    assert_eq!(pictures.await.unwrap(), 10);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_page_has_no_picture_and_a_freed_one_has() {
    let (scene, engine) = Scene::linked().await;
    scene.page_fault(PageFault::Hang { ms: 0 });
    eventually("the hang", || {
        let engine = engine.clone();
        async move { engine.health().await.is_err() }
    })
    .await;
    let begun = Instant::now();
    let failure = engine.picture().await.unwrap_err();
    println!("no picture after {:?}: {failure:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(20));
    let (freed, _) = scene.ready_by(OpenStep::TerminateScript).await;
    picture(&freed).await;
    scene.end().await;
}

// ---------------------------------------------------------------- a page of our own

/// A browser that shows a page of the test's own.
struct Sheet {
    browser: Browser,
    page: Page,
    _profile: TempDir,
}

impl Sheet {
    async fn of(html: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let binary = Binary::find(Flavor::NewHeadless).unwrap();
        let mut options = LaunchOptions::new(binary, profile.path());
        options.no_sandbox = rustix::process::geteuid().is_root();
        options.start_deadline = LONG;
        let browser = Browser::launch(&options).await.unwrap();
        let page = browser.first_page(LONG).await.unwrap();
        let sheet = Self {
            browser,
            page,
            _profile: profile,
        };
        // With its images, which would come into the picture late otherwise.
        let loaded = "document.close();
            new Promise((resolve) => {
              if (document.readyState === 'complete') resolve();
              else addEventListener('load', () => resolve());
            })";
        let written = format!("document.write({}); {loaded}", json!(html));
        sheet.does(&written).await;
        sheet
    }

    async fn does(&self, script: &str) -> Value {
        self.page.evaluate(script, LONG).await.unwrap()
    }

    async fn hide(&self, stand_ms: u64) -> Value {
        let args = [
            json!("hide"),
            json!(1),
            json!(20_000),
            json!(20_000),
            json!(stand_ms),
        ];
        self.page.call_function(HIDE, &args, LONG).await.unwrap()
    }

    async fn show(&self) -> Value {
        let args = [json!("show"), json!(1)];
        self.page.call_function(HIDE, &args, LONG).await.unwrap()
    }

    /// What can be seen, in Base64.
    async fn looks(&self) -> Value {
        let params = json!({"format": "png"});
        let shot: Value = self
            .page
            .call("Page.captureScreenshot", params, LONG)
            .await
            .unwrap();
        shot["data"].clone()
    }

    async fn end(self) {
        self.browser.close(LONG).await;
    }
}

/// A page with a bit of everything that can show something; `digits` stand in
/// all of it, and are the only difference between two of them.
fn everything(digits: &str, colour: &str) -> String {
    let image = format!(
        "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='20' height='20'>\
         <rect width='20' height='20' fill='{colour}'/></svg>"
    );
    format!(
        r#"<!doctype html><style>
        body {{ font: 15px monospace; margin: 8px }} * {{ transition: all 2s }}
        #important#important {{ color: {colour} !important }}
        .clipped {{ background: linear-gradient({colour}, black); -webkit-background-clip: text; color: transparent }}
        .image {{ background-image: url("{image}"); width: 20px; height: 20px }}
        .shadow {{ color: transparent; text-shadow: 0 0 {colour} }}
        .generated::before {{ content: "{digits}" !important; color: {colour} !important }}
        .first::first-letter {{ color: {colour} !important }}
        .bullet {{ list-style-image: url("{image}") }}
        .replaced {{ content: url("{image}") }}
        ::placeholder {{ color: {colour} !important }}
        ::highlight(found) {{ color: {colour} }}
        </style>
        <p id=important>{digits}</p><p class=clipped>{digits}</p><p class=image></p><p class=shadow>{digits}</p>
        <p class=generated>x</p><p class=first>{digits}</p><ul><li class=bullet>{digits}</ul>
        <p class=replaced></p><p id=found>{digits}</p>
        <input value="{digits}"><input placeholder="{digits}"><textarea>{digits}</textarea>
        <input type=submit value="{digits}"><select><option>{digits}</select>
        <img src="{image}" width=20 height=20><img alt="{digits}" width=90 height=20>
        <svg width=90 height=20><text y=15>{digits}</text></svg><math><mn>{digits}</mn></math>
        <canvas id=canvas width=20 height=20></canvas>
        <iframe srcdoc="{digits}" width=90 height=30></iframe>
        <object type="image/svg+xml" data="{image}" width=20 height=20></object>
        <div id=host></div><dialog open>{digits}</dialog>
        <script>
        const context = document.getElementById('canvas').getContext('2d');
        context.fillStyle = '{colour}';
        context.fillRect(0, 0, 20, 20);
        const host = document.getElementById('host');
        host.attachShadow({{ mode: 'open' }}).innerHTML = '<b style="color: {colour}">{digits}</b>';
        const range = new Range();
        range.selectNodeContents(document.getElementById('found'));
        CSS.highlights.set('found', new Highlight(range));
        window.heard = 0;
        for (const name of ['resize', 'blur', 'transitioncancel']) addEventListener(name, () => {{ heard += 1; }}, true);
        new MutationObserver(() => {{ heard += 1; }})
          .observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});
        </script>"#
    )
}

/// A page as it looks by itself, and hidden; shown again, it looks as before.
async fn looked_at(digits: &str, colour: &str) -> [Value; 2] {
    let sheet = Sheet::of(&everything(digits, colour)).await;
    // The parser's own last changes are told in a moment; what comes after them counts.
    sheet
        .does("new Promise((resolve) => { requestAnimationFrame(() => setTimeout(() => { heard = 0; resolve(); }, 500)); })")
        .await;
    let plain = sheet.looks().await;
    let word = sheet.hide(60_000).await;
    assert_eq!((&word["hidden"], &word["why"]), (&json!(true), &json!("")));
    let hidden = sheet.looks().await;
    assert_eq!(sheet.show().await, json!({"stood": true}));
    // Its own transitions lead back.
    eventually("the page as it was", || async {
        sheet.looks().await == plain
    })
    .await;
    assert_eq!(sheet.does("heard").await, json!(0), "the page heard of it");
    sheet.end().await;
    [plain, hidden]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_can_show_something_shows_nothing() {
    let [plain, hidden] = looked_at("1234567890", "crimson").await;
    let [other, other_hidden] = looked_at("9081726354", "seagreen").await;
    assert_ne!(plain, other, "the pages do not differ at all");
    assert_eq!(hidden, other_hidden, "one can tell them apart");
    assert_ne!(hidden, plain);
    let blank = Sheet::of("").await;
    assert_ne!(blank.looks().await, hidden, "the layout is to be seen");
    blank.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_goes_on_showing_itself_has_no_picture() {
    let sheet = Sheet::of("<p id=p>text</p><img id=i width=9 height=9>").await;
    for (tricks, undone, what) in [
        (
            "p.style.setProperty('color', 'red', 'important')",
            "p.style = ''",
            "color of p",
        ),
        (
            "i.style.setProperty('opacity', '1', 'important')",
            "i.style = ''",
            "opacity of img",
        ),
        (
            "p.innerHTML = '<style>@layer a { p::before { content: \"x\" !important } }</style>text'",
            "p.innerHTML = 'text'",
            "::before of p",
        ),
        (
            "customElements.define('x-y', class extends HTMLElement {}); p.innerHTML = '<x-y></x-y>'",
            "p.innerHTML = ''",
            "what may be closed in an element of x-y",
        ),
    ] {
        sheet.does(&format!("{{ {tricks} }} null")).await;
        let why = format!("the page goes on showing {what}");
        let word = sheet.hide(60_000).await;
        assert_eq!(
            (&word["hidden"], &word["why"]),
            (&json!(false), &json!(why))
        );
        assert_eq!(
            sheet.show().await,
            json!({"stood": false}),
            "it is shown already"
        );
        sheet.does(&format!("{{ {undone} }} null")).await;
    }
    assert_eq!(sheet.hide(60_000).await["hidden"], true);
    sheet.does("document.adoptedStyleSheets = []; null").await;
    assert_eq!(
        sheet.show().await,
        json!({"stood": false}),
        "it threw the sheet away"
    );
    assert_eq!(sheet.hide(60_000).await["hidden"], true);
    sheet
        .does("document.body.attachShadow({mode: 'open'}); null")
        .await;
    assert_eq!(
        sheet.show().await,
        json!({"stood": false}),
        "a new tree was not hidden"
    );
    sheet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_nobody_shows_again_shows_itself() {
    let sheet = Sheet::of("<p>text</p>").await;
    let plain = sheet.looks().await;
    // Its timer for that is ours to let go off.
    let hold = "{ const later = window.setTimeout;
        window.setTimeout = (task, ms) => {
          if (ms === 77777) window.due = task;
          else return later(task, ms);
        };
      } null";
    sheet.does(hold).await;
    assert_eq!(sheet.hide(77_777).await["hidden"], true);
    assert_ne!(sheet.looks().await, plain);
    sheet.does("due(); null").await;
    assert_eq!(sheet.looks().await, plain);
    assert_eq!(sheet.show().await, json!({"stood": false}));
    sheet.end().await;
}
