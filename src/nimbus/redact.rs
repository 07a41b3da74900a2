//! The one place that decides which values of a configuration nobody may read.
//!
//! Looks at keys only: a secret under a harmless name is not found.

use serde_json::Value;

use crate::conf::Conf;

/// The conf with the value of each key that names a secret hidden. Absent and null stay so.
pub(crate) fn conf(conf: &Conf) -> Conf {
    let hide = |(key, value): (&str, &Value)| {
        let value = match value {
            Value::Null => Value::Null,
            _ if is_secret(key) => Value::from(HIDDEN),
            other => other.clone(),
        };
        (key.to_owned(), value)
    };
    conf.iter().map(hide).collect()
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let ends = |part: &str| WORDS.iter().any(|word| part.ends_with(word));
    key.split(['.', '_', '-']).any(ends)
}

const HIDDEN: &str = "*****";
/// Of Storm's keys these end `storm.zookeeper.auth.payload`, `...keystore.password` and the like.
const WORDS: [&str; 7] = [
    "password",
    "passwd",
    "secret",
    "payload",
    "token",
    "credential",
    "credentials",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_nothing_else() {
        let keys = [
            "storm.zookeeper.auth.payload",
            "nimbus.thrift.tls.server.keystore.password",
            "my.dbPassword",
            "api_token",
        ];
        let open = [
            "topology.workers",
            "storm.log.dir",
            "nimbus.credential.renewers.freq.secs.x",
        ];
        let all = keys.iter().chain(&open[..2]);
        let plain: Conf = all
            .map(|key| ((*key).to_owned(), Value::from("v")))
            .collect();
        let plain = plain.with("storm.zookeeper.topology.auth.payload", Value::Null);
        let redacted = conf(&plain);
        for key in keys {
            assert_eq!(redacted.get(key), Some(&Value::from("*****")), "{key}");
        }
        for key in &open[..2] {
            assert_eq!(redacted.get(key), Some(&Value::from("v")), "{key}");
        }
        let absent = redacted.get("storm.zookeeper.topology.auth.payload");
        assert_eq!(absent, Some(&Value::Null));
    }
}
