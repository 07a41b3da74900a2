//! HTML pages in which only what we wrote runs: escaping, and headers that hold browsers to it.
//!
//! Knows no page.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

/// Text that stands for itself in HTML, between tags and inside quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// How a content security policy names a script or a style within the page.
pub(crate) fn source_hash(content: &str) -> String {
    let hash = digest::digest(&digest::SHA256, content.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(hash))
}

/// A page that may do only what the policy says, and stands in nobody's frame.
pub(crate) fn html(status: StatusCode, body: String, policy: &HeaderValue) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html;charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache, no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        let escaped = escape("<script>\"&'");
        assert_eq!(escaped, "&lt;script&gt;&quot;&amp;&#39;");
    }

    #[test]
    fn a_script_is_named_by_its_hash() {
        let empty = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='";
        assert_eq!(source_hash(""), empty);
    }
}
