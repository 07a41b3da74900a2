//! What a conf says of the encryption of links between workers: Storm's keys, and ours.
//!
//! Reads no files and makes no certificates.

use std::path::PathBuf;

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::cipher_suite;

use super::door::Transport;
use super::tls::Identity;
use crate::conf::{Conf, ConfError, keys};

/// How links are encrypted.
#[derive(Clone, Debug)]
pub enum LinkEncryption {
    Off,
    /// By certificates that Nimbus makes for each worker of a topology.
    Issued(Ciphers),
    /// By those that lie on each machine.
    Given {
        identity: Identity,
        /// A PEM file.
        authorities: PathBuf,
        ciphers: Ciphers,
    },
}

/// Cipher suites of TLS 1.3, the best first.
#[derive(Clone, Debug)]
pub struct Ciphers(pub(super) Vec<SupportedCipherSuite>);

/// A conf asks for what cannot be had, or for half of something.
#[derive(Debug, thiserror::Error)]
pub enum LinkConfError {
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(
        "{key} names a key store of Java, which is not read: unset it, and Nimbus makes \
         certificates for workers, or write its content as PEM files (openssl pkcs12) and name \
         them in {}, {} and {}",
        keys::STORMWIRE_LINK_CERTIFICATES,
        keys::STORMWIRE_LINK_KEY,
        keys::STORMWIRE_LINK_AUTHORITIES
    )]
    KeyStore { key: &'static str },
    #[error("{key} asks for OpenSSL, which is not there: unset it, links are encrypted by rustls")]
    OpenSsl { key: &'static str },
    #[error("{key} is `{value}`: links speak TLSv1.3 alone")]
    Protocol { key: &'static str, value: String },
    #[error("{key} names `{value}`: of TLS 1.3 there are {}", suites())]
    Cipher { key: &'static str, value: String },
    #[error("{missing} is not set: {}, {} and {} belong together", GIVEN[0], GIVEN[1], GIVEN[2])]
    Missing { missing: &'static str },
    #[error(
        "{} is on, but Coordination is not encrypted, over which workers get their work and the \
         keys of their links: set {} to org.apache.storm.security.auth.tls.TlsTransportPlugin, \
         and {}, {} and {}{}",
        keys::STORMWIRE_LINK_ENCRYPTION,
        keys::NIMBUS_THRIFT_TRANSPORT_PLUGIN,
        keys::STORMWIRE_TLS_CERTIFICATES,
        keys::STORMWIRE_TLS_KEY,
        keys::STORMWIRE_TLS_AUTHORITIES,
        or_given(*.scope)
    )]
    OpenCoordination { scope: Scope },
}

/// Whose wish encryption is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Cluster,
    Topology,
}

// === impl LinkEncryption ===

impl LinkEncryption {
    /// As a cluster's or a topology's conf says.
    pub fn of(conf: &Conf) -> Result<Self, LinkConfError> {
        if !is_on(conf)? {
            return Ok(LinkEncryption::Off);
        }
        for key in KEY_STORES {
            if text(conf, key)?.is_some() {
                return Err(LinkConfError::KeyStore { key });
            }
        }
        let key = keys::STORM_MESSAGING_NETTY_TLS_REQUIRE_OPEN_SSL;
        if conf.flag(key)? == Some(true) {
            return Err(LinkConfError::OpenSsl { key });
        }
        let key = keys::STORM_MESSAGING_NETTY_TLS_SSL_PROTOCOLS;
        if let Some(value) = text(conf, key)?.filter(|value| value != "TLSv1.3") {
            return Err(LinkConfError::Protocol { key, value });
        }
        let ciphers = Ciphers::of(conf)?;
        let [certificates, key, authorities] = GIVEN;
        let given = [
            text(conf, certificates)?,
            text(conf, key)?,
            text(conf, authorities)?,
        ];
        if given.iter().all(Option::is_none) {
            return Ok(LinkEncryption::Issued(ciphers));
        }
        match given {
            [Some(certificates), Some(key), Some(authorities)] => Ok(LinkEncryption::Given {
                identity: Identity {
                    certificates: certificates.into(),
                    key: key.into(),
                },
                authorities: authorities.into(),
                ciphers,
            }),
            some => {
                let missing = some.iter().zip(GIVEN).find(|(path, _)| path.is_none());
                let missing = missing.map_or(GIVEN[0], |(_, key)| key);
                Err(LinkConfError::Missing { missing })
            }
        }
    }

    /// The same for a whole cluster, whose Coordination then has to be encrypted too: nothing
    /// starts half secured.
    pub fn of_cluster(conf: &Conf) -> Result<Self, LinkConfError> {
        let encryption = LinkEncryption::of(conf)?;
        let is_on = !matches!(encryption, LinkEncryption::Off);
        if is_on && !is_coordination_encrypted(conf) {
            let scope = Scope::Cluster;
            return Err(LinkConfError::OpenCoordination { scope });
        }
        Ok(encryption)
    }

    /// The same for a topology on the cluster of `daemon`: keys that Nimbus makes never travel in
    /// plain.
    pub fn of_topology(conf: &Conf, daemon: &Conf) -> Result<Self, LinkConfError> {
        let encryption = LinkEncryption::of(conf)?;
        if matches!(encryption, LinkEncryption::Issued(_)) && !is_coordination_encrypted(daemon) {
            let scope = Scope::Topology;
            return Err(LinkConfError::OpenCoordination { scope });
        }
        Ok(encryption)
    }
}

// === impl Ciphers ===

impl Ciphers {
    fn of(conf: &Conf) -> Result<Self, LinkConfError> {
        let key = keys::STORM_MESSAGING_NETTY_TLS_CIPHERS;
        let mut chosen = Vec::new();
        for names in conf.texts(key)? {
            for name in names.split([',', ':']).map(str::trim) {
                let known = SUITES.iter().find(|(known, _)| *known == name);
                let (_, suite) = known.ok_or_else(|| LinkConfError::Cipher {
                    key,
                    value: name.to_owned(),
                })?;
                chosen.push(*suite);
            }
        }
        if chosen.is_empty() {
            return Ok(Ciphers::default());
        }
        Ok(Ciphers(chosen))
    }
}

impl Default for Ciphers {
    /// The fastest first (performance 2e).
    fn default() -> Self {
        Ciphers(SUITES.iter().map(|(_, suite)| *suite).collect())
    }
}

/// Whether either key asks for encryption.
pub fn is_on(conf: &Conf) -> Result<bool, ConfError> {
    let ours = conf.flag(keys::STORMWIRE_LINK_ENCRYPTION)? == Some(true);
    Ok(ours || conf.flag(keys::STORM_MESSAGING_NETTY_TLS_ENABLE)? == Some(true))
}

fn is_coordination_encrypted(conf: &Conf) -> bool {
    matches!(Transport::of_coordination(conf), Ok(Transport::Tls))
}

fn text(conf: &Conf, key: &str) -> Result<Option<String>, ConfError> {
    Ok(conf.text(key)?.filter(|text| !text.is_empty()))
}

fn suites() -> String {
    SUITES.map(|(name, _)| name).join(", ")
}

fn or_given(scope: Scope) -> String {
    match scope {
        Scope::Cluster => String::new(),
        Scope::Topology => format!("; or give certificates: {}", GIVEN.join(", ")),
    }
}

const GIVEN: [&str; 3] = [
    keys::STORMWIRE_LINK_CERTIFICATES,
    keys::STORMWIRE_LINK_KEY,
    keys::STORMWIRE_LINK_AUTHORITIES,
];

/// By the names that Java knows.
const SUITES: [(&str, SupportedCipherSuite); 3] = [
    (
        "TLS_AES_128_GCM_SHA256",
        cipher_suite::TLS13_AES_128_GCM_SHA256,
    ),
    (
        "TLS_AES_256_GCM_SHA384",
        cipher_suite::TLS13_AES_256_GCM_SHA384,
    ),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
];

const KEY_STORES: [&str; 4] = [
    keys::STORM_MESSAGING_NETTY_TLS_KEYSTORE_PATH,
    keys::STORM_MESSAGING_NETTY_TLS_TRUSTSTORE_PATH,
    keys::STORM_MESSAGING_NETTY_TLS_CLIENT_KEYSTORE_PATH,
    keys::STORM_MESSAGING_NETTY_TLS_CLIENT_TRUSTSTORE_PATH,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn with(settings: &[(&str, &str)]) -> Conf {
        let on = Conf::defaults().with(keys::STORMWIRE_LINK_ENCRYPTION, true);
        settings
            .iter()
            .fold(on, |conf, (key, value)| conf.with(key, *value))
    }

    fn refused(settings: &[(&str, &str)]) -> String {
        let refused = LinkEncryption::of(&with(settings));
        refused.expect_err("cannot be had").to_string()
    }

    #[test]
    fn either_key_turns_it_on() {
        let of = |conf: &Conf| LinkEncryption::of(conf).expect("can be had");
        let off = Conf::defaults();
        assert!(matches!(of(&off), LinkEncryption::Off));
        assert!(matches!(of(&with(&[])), LinkEncryption::Issued(_)));
        let storms = off
            .clone()
            .with(keys::STORM_MESSAGING_NETTY_TLS_ENABLE, true);
        assert!(matches!(of(&storms), LinkEncryption::Issued(_)));
        let given: Vec<_> = GIVEN.iter().map(|key| (*key, "a.pem")).collect();
        assert!(matches!(of(&with(&given)), LinkEncryption::Given { .. }));
        // Whatever it says, what is off asks for nothing.
        let idle = off.with(KEY_STORES[0], "a.jks");
        assert!(matches!(of(&idle), LinkEncryption::Off));
    }

    #[test]
    fn what_cannot_be_had_is_refused_with_its_remedy() {
        for key in KEY_STORES {
            let text = refused(&[(key, "a.jks")]);
            assert!(text.contains(key) && text.contains("openssl"), "{text}");
        }
        let text = refused(&[(keys::STORM_MESSAGING_NETTY_TLS_SSL_PROTOCOLS, "TLSv1.2")]);
        assert!(text.contains("TLSv1.3 alone"), "{text}");
        let text = refused(&[(
            keys::STORM_MESSAGING_NETTY_TLS_CIPHERS,
            "TLS_RSA_WITH_NULL_MD5",
        )]);
        assert!(
            text.contains("NULL") && text.contains("TLS_AES_128"),
            "{text}"
        );
        let text = refused(&[(GIVEN[0], "a.pem"), (GIVEN[2], "c.pem")]);
        assert!(text.starts_with(GIVEN[1]), "{text}");
        let open_ssl = with(&[]).with(keys::STORM_MESSAGING_NETTY_TLS_REQUIRE_OPEN_SSL, true);
        let text = LinkEncryption::of(&open_ssl).expect_err("none").to_string();
        assert!(text.contains("rustls"), "{text}");
    }

    #[test]
    fn ciphers_are_taken_in_the_order_they_are_named() {
        let names = "TLS_CHACHA20_POLY1305_SHA256,TLS_AES_256_GCM_SHA384";
        let conf = with(&[(keys::STORM_MESSAGING_NETTY_TLS_CIPHERS, names)]);
        let Ok(LinkEncryption::Issued(ciphers)) = LinkEncryption::of(&conf) else {
            panic!("it is on");
        };
        let chosen: Vec<_> = ciphers.0.iter().map(|suite| suite.suite()).collect();
        assert_eq!(chosen, [SUITES[2].1.suite(), SUITES[1].1.suite()]);
    }

    #[test]
    fn nothing_is_half_secured() {
        let open = with(&[]);
        let text = LinkEncryption::of_cluster(&open)
            .expect_err("open")
            .to_string();
        assert!(text.contains(keys::STORMWIRE_TLS_CERTIFICATES), "{text}");
        let plain = Conf::defaults();
        assert!(LinkEncryption::of_cluster(&plain).is_ok());
        let text = LinkEncryption::of_topology(&open, &plain).expect_err("open");
        assert!(text.to_string().contains(GIVEN[0]), "{text}");
        let given: Vec<_> = GIVEN.iter().map(|key| (*key, "a.pem")).collect();
        assert!(LinkEncryption::of_topology(&with(&given), &plain).is_ok());
        assert!(LinkEncryption::of_cluster(&with(&given)).is_err());
        let plugin = "org.apache.storm.security.auth.tls.TlsTransportPlugin";
        let tls = open
            .clone()
            .with(keys::NIMBUS_THRIFT_TRANSPORT_PLUGIN, plugin);
        assert!(LinkEncryption::of_cluster(&tls).is_ok());
        assert!(LinkEncryption::of_topology(&open, &tls).is_ok());
    }
}
