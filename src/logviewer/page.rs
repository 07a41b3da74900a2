//! The viewer's pages: a part of a log with ways to the rest of it, and lists of dumps.
//!
//! Every text in them is somebody else's and is escaped; there is no script at all.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::text::Part;
use crate::http::page::{self, escape};
use crate::percent::{encode, encode_part};

/// What a page about a log shows.
pub(super) struct LogPage<'a> {
    /// `log` or `daemonlog`.
    pub route: &'static str,
    /// `download` or `daemondownload`.
    pub download: &'static str,
    pub file: &'a str,
    /// Others to change to.
    pub others: &'a [String],
    /// None for what is no text.
    pub part: Option<&'a Part>,
    /// Of a page, and of the file.
    pub length: u64,
    pub file_length: u64,
    /// Only lines with this in them.
    pub grep: Option<&'a str>,
}

// === impl LogPage ===

impl LogPage<'_> {
    pub fn respond(&self) -> Response {
        respond(StatusCode::OK, self.file, &self.body())
    }

    fn body(&self) -> String {
        let mut body = self.forms();
        let pager = self.pager();
        let download = format!("{}?file={}", self.download, encode(self.file));
        let _ = write!(
            body,
            "<p><a href=\"{download}\">Download the file</a></p>{pager}"
        );
        match self.part {
            Some(part) => {
                let text = escape(&self.shown(&part.text));
                // By this id scripts find the text in Storm's page.
                let _ = write!(body, "<pre id=\"logContent\">{text}</pre>{pager}");
            }
            None => body += "<p>This is no text. Download it instead.</p>",
        }
        body
    }

    fn shown(&self, text: &str) -> String {
        let Some(grep) = self.grep else {
            return text.to_owned();
        };
        let lines = text.lines().filter(|line| line.contains(grep));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn forms(&self) -> String {
        let (route, file) = (self.route, escape(self.file));
        let grep = escape(self.grep.unwrap_or_default());
        let mut body = format!(
            "<form action=\"{route}\"><input type=\"hidden\" name=\"file\" value=\"{file}\">\
             <label>Lines of this part with <input name=\"grep\" value=\"{grep}\"></label> \
             <button>Show</button></form>\
             <form action=\"{route}\"><label>File <select name=\"file\">"
        );
        for other in self.others {
            let is_shown = match other == self.file {
                true => " selected",
                false => "",
            };
            let _ = write!(body, "<option{is_shown}>{}</option>", escape(other));
        }
        body + "</select></label> <button>Open</button></form>"
    }

    fn pager(&self) -> String {
        let Some(Part { start, .. }) = self.part else {
            return String::new();
        };
        let last = self.file_length.saturating_sub(self.length);
        let links = [
            ("First", 0),
            ("Previous", start.saturating_sub(self.length)),
            ("Next", start.saturating_add(self.length).min(last)),
            ("Last", last),
        ];
        let mut pager = "<p>".to_owned();
        for (name, to) in links {
            let address = format!(
                "{}?file={}&amp;start={to}&amp;length={}",
                self.route,
                encode(self.file),
                self.length
            );
            let _ = write!(pager, "<a href=\"{address}\">{name}</a> ");
        }
        let end = start.saturating_add(self.length).min(self.file_length);
        let _ = write!(pager, "bytes {start} to {end} of {}</p>", self.file_length);
        pager
    }
}

/// A slot's dumps.
pub(super) fn dumps(topology: &str, worker: &str, files: &[String]) -> Response {
    let title = format!("Dumps of {worker}, {topology}");
    let mut body = "<ul>".to_owned();
    for file in files {
        let address = [topology, worker, file].map(encode_part).join("/");
        let _ = write!(
            body,
            "<li><a href=\"/api/v1/dumps/{address}\">{}</a></li>",
            escape(file)
        );
    }
    body += "</ul>";
    if files.is_empty() {
        body += "<p>There are none.</p>";
    }
    respond(StatusCode::OK, &title, &body)
}

/// Why there is nothing to see.
pub(super) fn refusal(status: StatusCode, text: &str) -> Response {
    let title = format!(
        "{} {}",
        status.as_u16(),
        status.canonical_reason().unwrap_or("Error")
    );
    respond(status, &title, &format!("<p>{}</p>", escape(text)))
}

fn respond(status: StatusCode, title: &str, body: &str) -> Response {
    let title = escape(title);
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>"
    );
    page::html(status, text, &POLICY)
}

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = page::source_hash(STYLE);
    let policy = format!(
        "default-src 'none'; style-src {style}; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

const STYLE: &str = ":root{color-scheme:light dark}\
body{font:15px/1.45 system-ui,sans-serif;margin:1rem 1.5rem}\
h1{font-size:1.1rem;overflow-wrap:anywhere}form{display:inline-block;margin:0 1.5rem .5rem 0}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid #8886;border-radius:6px;\
padding:.8rem;font:12.5px/1.4 ui-monospace,Menlo,Consolas,monospace}a{margin-right:.6rem}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_log_or_its_name_is_markup() {
        let evil = "<img src=x onerror=alert(1)>\"'";
        let part = Part {
            start: 10,
            text: format!("{evil}\nsecond\n"),
        };
        let page = LogPage {
            route: "log",
            download: "download",
            file: evil,
            others: &[evil.to_owned()],
            part: Some(&part),
            length: 5,
            file_length: 100,
            grep: Some("img"),
        };
        let body = page.body();
        assert!(!body.contains("<img") && !body.contains("\"'\""), "{body}");
        assert!(body.contains("start=15&amp;length=5"), "{body}");
        assert_eq!(page.shown(&part.text), evil);
        let text = format!("<pre id=\"logContent\">{}</pre>", escape(evil));
        assert!(body.contains(&text), "{body}");
    }
}
