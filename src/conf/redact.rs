//! The one place that decides which values of a configuration nobody may read.
//!
//! Looks at keys only: a secret under a harmless name is not found.

use serde_json::Value;

use crate::conf::Conf;

/// The conf with the value of each key that names a secret hidden. Absent, null and empty stay so.
pub(crate) fn conf(conf: &Conf) -> Conf {
    let hide = |(key, value): (&str, &Value)| {
        let value = if !is_empty(value) && is_secret(key, value) {
            Value::from(HIDDEN)
        } else {
            value.clone()
        };
        (key.to_owned(), value)
    };
    conf.iter().map(hide).collect()
}

/// The conf without the keys whose value would be hidden.
pub(crate) fn without_secrets(conf: &Conf) -> Conf {
    let is_open = |(key, value): &(&str, &Value)| is_empty(value) || !is_secret(key, value);
    let open = conf.iter().filter(is_open);
    open.map(|(key, value)| (key.to_owned(), value.clone()))
        .collect()
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

/// A key whose last part is such a word, or text below a key that has one anywhere.
fn is_secret(key: &str, value: &Value) -> bool {
    let key = key.to_ascii_lowercase();
    let mut parts = key.split(['.', '_', '-']).rev();
    let names_one = |part: &str| WORDS.iter().any(|word| part.ends_with(word));
    let is_text = !value.is_number() && !value.is_boolean();
    parts.next().is_some_and(names_one) || (is_text && parts.any(names_one))
}

const HIDDEN: &str = "*****";
/// Of Storm's keys these end `storm.zookeeper.auth.payload`, `...keystore.password` and the like.
const WORDS: [&str; 5] = ["password", "passwd", "secret", "payload", "token"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_nothing_else() {
        let secret = [
            ("storm.zookeeper.auth.payload", Value::from("user:pass")),
            (
                "nimbus.thrift.tls.server.keystore.password",
                Value::from("x"),
            ),
            ("my.dbPassword", Value::from(12345)),
            ("api_token", Value::from("t")),
            ("my.secret.value", Value::from("x")),
        ];
        let open = [
            ("topology.workers", Value::from(3)),
            ("storm.log.dir", Value::from("logs")),
            ("nimbus.credential.renewers.freq.secs", Value::from(600)),
            ("storm.worker.token.life.time.hours", Value::from(24)),
            ("topology.auto-credentials", Value::from(vec!["a.Plugin"])),
            ("drpc.https.keystore.password", Value::from("")),
            ("storm.zookeeper.topology.auth.payload", Value::Null),
        ];
        let all = secret.iter().chain(&open);
        let plain: Conf = all
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        let redacted = conf(&plain);
        let bare = without_secrets(&plain);
        for (key, _) in secret {
            assert!(!bare.contains(key), "{key}");
            assert_eq!(redacted.get(key), Some(&Value::from("*****")), "{key}");
        }
        for (key, value) in open {
            assert_eq!(bare.get(key), Some(&value), "{key}");
            assert_eq!(redacted.get(key), Some(&value), "{key}");
        }
    }
}
