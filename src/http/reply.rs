//! JSON replies as Storm UI gives them (control-plane 11.1): headers, callbacks, errors.
//!
//! Knows nothing of what they say.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A reply of 200 or another status. A callback that is no name of a function counts as none.
pub(crate) fn json(status: StatusCode, value: &Value, callback: Option<&str>) -> Response {
    let text = value.to_string();
    let (kind, body) = match callback.filter(|callback| is_function(callback)) {
        Some(callback) => (SCRIPT, format!("{callback}({text});")),
        None => (JSON, text),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache, no-store"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An error: `{"error": "<code> <reason>", "errorMessage": ...}`.
pub(crate) fn failure(status: StatusCode, message: &str, callback: Option<&str>) -> Response {
    let error = format!("{} {}", status.as_u16(), reason(status));
    let body = json!({ "error": error, "errorMessage": message });
    json(status, &body, callback)
}

/// The reason phrase: Storm's server has shorter ones for some.
fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::INTERNAL_SERVER_ERROR => "Server Error",
        status => status.canonical_reason().unwrap_or("Error"),
    }
}

/// Names of JavaScript with dots between, 128 characters at most.
fn is_function(callback: &str) -> bool {
    let is_name = |name: &str| {
        let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$';
        let is_rest = |c: char| is_start(c) || c.is_ascii_digit();
        name.starts_with(is_start) && name.chars().all(is_rest)
    };
    callback.len() <= 128 && callback.split('.').all(is_name)
}

const JSON: &str = "application/json;charset=utf-8";
const SCRIPT: &str = "application/javascript;charset=utf-8";
/// Letter by letter, the misspelt one included.
pub(crate) const ALLOWED_HEADERS: &str = "Content-Type, Access-Control-Allow-Headers, \
     Access-Controler-Allow-Origin, X-Requested-By, X-Csrf-Token, Authorization, X-Requested-With";

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(response: &Response) -> &str {
        let kind = response.headers().get(header::CONTENT_TYPE);
        kind.and_then(|kind| kind.to_str().ok()).expect("a type")
    }

    #[test]
    fn callbacks_are_names_of_functions_or_nothing() {
        for good in ["f", "jQuery1_2", "a.b.$c", &"x".repeat(128)] {
            let reply = json(StatusCode::OK, &json!(1), Some(good));
            assert_eq!(kind(&reply), SCRIPT, "{good}");
        }
        let long = "x".repeat(129);
        for bad in [
            "", "a.", ".a", "1a", "a b", "alert(1)", "a<b", "f\u{e9}", &long,
        ] {
            let reply = json(StatusCode::OK, &json!(1), Some(bad));
            assert_eq!(kind(&reply), JSON, "{bad}");
        }
    }
}
