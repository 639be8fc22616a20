//! What must hold for every file of the tree: links lead somewhere, the book
//! leaves no page out, and no file names a package registry's host or a folder of one machine.

use std::path::{Path, PathBuf};

/// Folders that are made, not written.
const MADE: &[&str] = &[".git", "target", "node_modules"];

/// Every text file of the checkout, with its path from the root.
fn files() -> Vec<(PathBuf, String)> {
    let root = crate::root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the tree") {
            let entry = entry.expect("an entry of the tree");
            let kind = entry.file_type().expect("its kind");
            let path = entry.path();
            if kind.is_dir() {
                if !MADE.iter().any(|made| entry.file_name() == *made) {
                    folders.push(path);
                }
            } else if kind.is_file()
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                let path = path.strip_prefix(&root).expect("below the root").to_owned();
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

// ---------------------------------------------------------------- links

/// The targets of the Markdown links in a text, outside code.
fn links(markdown: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        // Odd pieces stand between backticks: code, not links.
        for piece in line.split('`').step_by(2) {
            for rest in piece.split("](").skip(1) {
                if let Some((target, _)) = rest.split_once(')') {
                    found.push(target.split_whitespace().next().unwrap_or(""));
                }
            }
        }
        // A link whose text holds code is cut in two by the split above.
        for rest in line.split("`](").skip(1) {
            if let Some((target, _)) = rest.split_once(')') {
                found.push(target);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The anchors of a Markdown text, as the usual viewers make them of headings.
fn anchors(markdown: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let title = line.trim_start_matches('#');
        if fenced || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        found.push(
            title
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect(),
        );
    }
    found
}

/// The links of one file that lead nowhere. `read` gives a file's text by its
/// path, an empty one for a folder, and nothing where there is neither.
fn broken_links<'a>(
    path: &Path,
    markdown: &'a str,
    read: impl Fn(&Path) -> Option<String>,
) -> Vec<&'a str> {
    let leads_nowhere = |link: &&str| {
        if link.contains("://") || link.starts_with("mailto:") {
            return false;
        }
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() {
            Some(markdown.to_owned())
        } else {
            read(&path.parent().unwrap_or(Path::new("")).join(file))
        };
        match target {
            None => true,
            Some(text) => !anchor.is_empty() && !anchors(&text).iter().any(|a| a == anchor),
        }
    };
    links(markdown).into_iter().filter(leads_nowhere).collect()
}

#[test]
fn every_link_in_the_docs_leads_somewhere() {
    let root = crate::root();
    let read = |path: &Path| {
        let path = root.join(path);
        if path.is_dir() {
            return Some(String::new());
        }
        // A picture is no text, and is there all the same.
        let bytes = std::fs::read(path).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut seen = 0;
    let mut broken = Vec::new();
    for (path, text) in files() {
        if path.extension().is_some_and(|e| e == "md") {
            seen += links(&text).len();
            for link in broken_links(&path, &text, read) {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(seen > 0, "no link was found at all");
    assert!(broken.is_empty(), "links that lead nowhere: {broken:#?}");
}

#[test]
fn a_broken_link_is_found() {
    let text = "\
# One, two: three\n\
[a](there.md) [b](gone.md) [c](https://example.org/x) [d](#one-two-three) [e](#four)\n\
[f](there.md#part) [g](there.md#no-part) [`h`](lost.md) `[i](code.md)` [j](dir/)\n\
```\n[k](fenced.md)\n```\n";
    let read = |path: &Path| match path.to_str() {
        Some("docs/there.md") => Some("## Part\n".to_owned()),
        Some("docs/dir/") => Some(String::new()),
        _ => None,
    };
    assert_eq!(
        broken_links(Path::new("docs/x.md"), text, read),
        ["#four", "gone.md", "lost.md", "there.md#no-part"]
    );
}

// ---------------------------------------------------------------- book

/// The pages that a book's summary names.
fn summary_pages(summary: &str) -> Vec<String> {
    let mut pages: Vec<String> = summary
        .lines()
        .filter_map(|line| Some(line.split_once("](")?.1.split_once(')')?.0.to_owned()))
        .collect();
    pages.sort_unstable();
    pages
}

/// mdBook leaves out what its summary does not name, and links to it with it.
#[test]
fn the_books_summary_names_each_page_once() {
    let files = files();
    let pages: Vec<(String, &String)> = files
        .iter()
        .filter_map(|(path, text)| Some((path.strip_prefix("docs").ok()?, text)))
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "md"))
        .map(|(path, text)| (path.display().to_string(), text))
        .collect();
    let summary = pages.iter().find(|(name, _)| name == "SUMMARY.md");
    let named = summary_pages(summary.expect("the book has a summary").1);
    let mut there: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    there.retain(|name| *name != "SUMMARY.md");
    there.sort_unstable();
    assert_eq!(named, there);
}

#[test]
fn a_summarys_pages_are_found_at_any_depth() {
    let summary = "# Book\n\n[Front](b.md)\n\n# Part\n\n- [A `c`](a/a.md)\n  - [D](a/d.md)\n";
    assert_eq!(summary_pages(summary), ["a/a.md", "a/d.md", "b.md"]);
}

// ---------------------------------------------------------------- words

/// Hosts of package registries and mirrors: where packages come from is each
/// machine's own setting. Written in pieces, so that this file may stand.
const REGISTRY_HOSTS: &[&str] = &[
    concat!("registry.npm", "js.org"),
    concat!("registry.yarn", "pkg.com"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("proxy.go", "lang.org"),
    concat!("files.python", "hosted.org"),
    concat!("deb.", "debian.org"),
    concat!("archive.", "ubuntu.com"),
];

/// What one text says that it must not: registry hosts, and folders of the
/// machine on which it was written.
fn forbidden_words(text: &str, checkout: &str) -> Vec<String> {
    let words = REGISTRY_HOSTS.iter().map(|w| (*w).to_owned());
    words
        .chain([checkout.to_owned()])
        .filter(|word| text.contains(word.as_str()))
        .collect()
}

#[test]
fn no_file_names_a_registry_or_a_folder_of_this_machine() {
    let checkout = format!("{}/", crate::root().display());
    let mut wrong = Vec::new();
    for (path, text) in files() {
        for word in forbidden_words(&text, &checkout) {
            wrong.push(format!("{}: {word}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "must not stand in the tree: {wrong:#?}");
}

#[test]
fn a_forbidden_word_is_found() {
    let registry = format!("https://{}/x", REGISTRY_HOSTS[0]);
    assert_eq!(
        forbidden_words(&registry, "/checkout/"),
        REGISTRY_HOSTS[..1]
    );
    assert_eq!(
        forbidden_words("see /checkout/src", "/checkout/"),
        ["/checkout/"]
    );
    assert!(forbidden_words("/usr/bin/chromium", "/checkout/").is_empty());
}
