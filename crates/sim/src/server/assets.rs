//! The page's files: inside the program, or from a folder while it is written.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// What a browser may fetch; the same list as in build.rs.
const TYPES: &[(&str, &str)] = &[
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("ico", "image/x-icon"),
    ("json", "application/json"),
    ("webmanifest", "application/manifest+json"),
];

/// The content type of a file that may be served.
pub(super) fn content_type(path: &str) -> Option<&'static str> {
    let extension = path.rsplit_once('.')?.1;
    TYPES.iter().find(|(e, _)| *e == extension).map(|(_, t)| *t)
}

/// A file of the page by its path without the leading slash.
pub(super) async fn file(dir: Option<&Path>, path: &str) -> Option<Cow<'static, [u8]>> {
    content_type(path)?;
    match dir {
        None => FILES
            .iter()
            .find(|(name, _)| *name == path)
            .map(|(_, bytes)| Cow::Borrowed(*bytes)),
        Some(dir) => {
            let plain = path
                .split('/')
                .all(|part| !part.is_empty() && !part.starts_with('.'));
            if !plain {
                return None;
            }
            let full: PathBuf = dir.join(path);
            tokio::fs::read(full).await.ok().map(Cow::Owned)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_outside_the_folder_is_served() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        for path in [
            "../Cargo.toml",
            "../PROTOCOL.md",
            ".x.js",
            "a/../../x.js",
            "//etc/x.js",
        ] {
            assert!(file(Some(&dir), path).await.is_none(), "{path}");
            assert!(file(None, path).await.is_none(), "{path}");
        }
    }

    #[test]
    fn sources_of_tests_and_notes_are_not_inside() {
        assert!(FILES.iter().all(|(name, _)| !name.starts_with("test")
            && !name.contains("node_modules")
            && content_type(name).is_some()));
    }
}
