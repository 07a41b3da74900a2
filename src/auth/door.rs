//! How connections to a service begin, on both sides, as the configuration says: with the first
//! call, a login, or TLS (control-plane 1.4, 1.5).
//!
//! Reads configuration and files, once; what is behind a door is `gate`'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::accounts::Accounts;
use super::jaas::{Jaas, JaasError};
use super::link_tls::{LinkTls, Peers};
use super::names::{ClassError, choose};
use super::sasl::client::Login;
use super::sasl::server::{Identity as Authenticated, Mechanisms, Negotiation, Step};
use super::sasl::{HEADER_BYTES, Message, MessageError};
use super::tls::{Acceptor, Clients, Connector, Identity, TlsError};
use super::worker_token::{self, TokenKeys};
use crate::clock;
use crate::conf::{Conf, ConfError, keys};

/// A service with a transport of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Nimbus,
    Supervisor,
    Drpc,
    DrpcInvocations,
}

/// How a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Frames; nobody has a name.
    Simple,
    /// Login by PLAIN or DIGEST-MD5, then frames.
    Plain,
    /// Login by DIGEST-MD5, then frames.
    Digest,
    /// TLS, inside it no frames.
    Tls,
}

/// The server's side.
#[derive(Clone, Debug)]
pub enum Door {
    Open,
    Sasl(SaslDoor),
    Tls(Acceptor),
    /// TLS, inside it frames: of our own gateway, so that TLS changes nothing but the socket.
    FramedTls(Acceptor),
    /// The same by the certificate that the worker's links show.
    LinkTls(Arc<LinkTls>, Peers),
    /// TLS; who shows no certificate has to log in, as in `Sasl`. Of our Coordination only.
    TlsOrLogin(Acceptor, SaslDoor),
}

/// Accounts and mechanisms of a door.
#[derive(Clone, Debug)]
pub struct SaslDoor {
    accounts: Arc<Accounts>,
    mechanisms: Mechanisms,
}

/// The client's side.
#[derive(Clone, Debug, Default)]
pub struct Key {
    pub tls: Option<Connector>,
    pub login: Option<Arc<Login>>,
}

/// Why a door cannot be made as configured.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error(transparent)]
    Class(#[from] ClassError),
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Jaas(#[from] JaasError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(
        "{key} asks for Kerberos, which is not there; logins are by \
         org.apache.storm.security.auth.digest.DigestSaslTransportPlugin or by TLS certificates"
    )]
    Kerberos { key: &'static str },
    #[error(
        "{} leaves Nimbus no port: set {}",
        keys::NIMBUS_THRIFT_TLS_SERVER_ONLY,
        keys::NIMBUS_THRIFT_TLS_PORT
    )]
    NoTlsPort,
    #[error("{wanted_by} asks for TLS, but {missing} is not set: name a PEM file")]
    Missing {
        wanted_by: &'static str,
        missing: &'static str,
    },
    #[error(
        "{key} names a key store of Java, which is not read: write its content as PEM files \
         (openssl pkcs12) and name them in {}, {} and {}",
        keys::STORMWIRE_TLS_CERTIFICATES,
        keys::STORMWIRE_TLS_KEY,
        keys::STORMWIRE_TLS_AUTHORITIES
    )]
    KeyStore { key: &'static str },
}

/// A client is not let in. What it is told is in the negotiation.
#[derive(Debug, thiserror::Error)]
pub enum LoginFailure {
    #[error("no login: {0}")]
    Message(#[from] MessageError),
    /// Quotes the client: a mechanism may be called anything.
    #[error("login refused: {0:?}")]
    Refused(String),
    #[error("no random numbers for a login")]
    NoRandomness,
    #[error("the connection ended before the login: {0}")]
    Io(#[from] std::io::Error),
}

#[derive(Clone, Copy)]
enum Choice {
    Transport(Transport),
    Kerberos,
}

// === impl Transport ===

impl Transport {
    /// As the service's own key says, or else the common one.
    pub fn of(conf: &Conf, service: Service) -> Result<Self, DoorError> {
        for key in [service.key(), keys::STORM_THRIFT_TRANSPORT_PLUGIN] {
            match choose(conf, key, &TRANSPORTS)? {
                Some(Choice::Transport(transport)) => return Ok(transport),
                Some(Choice::Kerberos) => return Err(DoorError::Kerberos { key }),
                None => {}
            }
        }
        Ok(Transport::Simple)
    }

    /// Of our own service on Nimbus: as Nimbus's.
    pub fn of_coordination(conf: &Conf) -> Result<Self, DoorError> {
        let transport = Transport::of(conf, Service::Nimbus)?;
        let only = conf.flag(keys::NIMBUS_THRIFT_TLS_SERVER_ONLY)? == Some(true);
        Ok(match transport {
            Transport::Simple if only => Transport::Tls,
            other => other,
        })
    }

    /// Whether callers have names that were proven.
    pub fn proves_names(self) -> bool {
        self != Transport::Simple
    }
}

// === impl Service ===

impl Service {
    fn key(self) -> &'static str {
        match self {
            Service::Nimbus => keys::NIMBUS_THRIFT_TRANSPORT_PLUGIN,
            Service::Supervisor => keys::SUPERVISOR_THRIFT_TRANSPORT_PLUGIN,
            Service::Drpc => keys::DRPC_THRIFT_TRANSPORT_PLUGIN,
            Service::DrpcInvocations => keys::DRPC_INVOCATIONS_THRIFT_TRANSPORT_PLUGIN,
        }
    }

    /// Whether clients without a certificate are let in.
    fn client_auth_key(self) -> Option<&'static str> {
        match self {
            Service::Nimbus => Some(keys::NIMBUS_THRIFT_TLS_CLIENT_AUTH_REQUIRED),
            Service::Supervisor => Some(keys::SUPERVISOR_THRIFT_TLS_CLIENT_AUTH_REQUIRED),
            Service::Drpc | Service::DrpcInvocations => None,
        }
    }
}

// === impl Door ===

impl Door {
    /// The door of a service. Workers are let in by the tokens that `tokens` has keys for.
    pub fn new(
        conf: &Conf,
        service: Service,
        tokens: Option<Arc<TokenKeys>>,
    ) -> Result<Self, DoorError> {
        Ok(match Transport::of(conf, service)? {
            Transport::Simple => Door::Open,
            Transport::Tls => Door::tls(conf, service, service.key())?,
            transport => Door::Sasl(SaslDoor::new(conf, transport, tokens)?),
        })
    }

    /// TLS, whatever the transport is: for a port that has no other purpose.
    pub fn tls(conf: &Conf, service: Service, wanted_by: &'static str) -> Result<Self, DoorError> {
        Ok(Door::Tls(acceptor(conf, service, wanted_by)?))
    }

    /// The gateway of a worker: TLS where its certificate is named, with certificates of peers
    /// where their authorities are. Where links are encrypted it is no back door: without a
    /// certificate of its own it has theirs.
    pub fn gateway(conf: &Conf, links: Option<Arc<LinkTls>>) -> Result<Self, DoorError> {
        let wanted_by = keys::STORMWIRE_GATEWAY_TLS_CERTIFICATES;
        let path = |key| -> Result<_, DoorError> {
            let path = conf.text(key)?.filter(|path| !path.is_empty());
            Ok(path.map(PathBuf::from))
        };
        let Some(certificates) = path(wanted_by)? else {
            let is_any = conf.flag(keys::STORMWIRE_GATEWAY_TLS_PEERS_CERTIFIED)? == Some(false);
            let peers = if is_any { Peers::Any } else { Peers::Certified };
            return Ok(links.map_or(Door::Open, |links| Door::LinkTls(links, peers)));
        };
        let key = path(keys::STORMWIRE_GATEWAY_TLS_KEY)?;
        let key = key.ok_or(DoorError::Missing {
            wanted_by,
            missing: keys::STORMWIRE_GATEWAY_TLS_KEY,
        })?;
        let clients = match path(keys::STORMWIRE_GATEWAY_TLS_AUTHORITIES)? {
            Some(authorities) => Clients::Certified { authorities },
            None => Clients::Anonymous,
        };
        let acceptor = Acceptor::new(&Identity { certificates, key }, &clients)?;
        Ok(Door::FramedTls(acceptor))
    }

    /// Whether names and passwords are asked for, so that workers come by tokens.
    pub fn is_sasl(&self) -> bool {
        matches!(self, Door::Sasl(_) | Door::TlsOrLogin(..))
    }

    /// Our own service on Nimbus asks for as much as Nimbus itself does: it must be no back door.
    /// Workers have no certificates, so that they show their tokens inside TLS.
    pub fn coordination(conf: &Conf, tokens: Arc<TokenKeys>) -> Result<Self, DoorError> {
        if Transport::of_coordination(conf)? == Transport::Tls {
            let wanted_by = keys::NIMBUS_THRIFT_TRANSPORT_PLUGIN;
            let authorities = file(conf, keys::STORMWIRE_TLS_AUTHORITIES, wanted_by)?;
            let clients = Clients::CertifiedOrAnonymous { authorities };
            let acceptor = Acceptor::new(&identity(conf, wanted_by)?, &clients)?;
            let accounts = Arc::new(Accounts::new(Default::default(), Some(tokens)));
            let mechanisms = Mechanisms::Digest;
            let sasl = SaslDoor {
                accounts,
                mechanisms,
            };
            return Ok(Door::TlsOrLogin(acceptor, sasl));
        }
        Door::new(conf, Service::Nimbus, Some(tokens))
    }
}

// === impl SaslDoor ===

impl SaslDoor {
    fn new(
        conf: &Conf,
        transport: Transport,
        tokens: Option<Arc<TokenKeys>>,
    ) -> Result<Self, DoorError> {
        let section = "StormServer";
        let jaas = Jaas::of_conf(conf)?.ok_or(JaasError::Unset { section })?;
        Ok(SaslDoor {
            accounts: Arc::new(Accounts::new(jaas.server_users()?, tokens)),
            mechanisms: match transport {
                Transport::Plain => Mechanisms::PlainToo,
                _ => Mechanisms::Digest,
            },
        })
    }

    /// Negotiates with a client; not a byte beyond the negotiation is read.
    pub async fn log_in<S>(&self, stream: &mut S) -> Result<Authenticated, LoginFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let now_ms = clock::wall_micros() / 1000;
        let negotiation = Negotiation::new(&self.accounts, self.mechanisms, now_ms);
        let mut negotiation = negotiation.ok_or(LoginFailure::NoRandomness)?;
        loop {
            match negotiation.handle(&receive(stream).await?) {
                Step::Silent => {}
                Step::Reply(reply) => send(stream, &reply).await?,
                Step::Done(reply, identity) => {
                    send(stream, &reply).await?;
                    return Ok(identity);
                }
                Step::Refused(reply) => {
                    send(stream, &reply).await?;
                    let reason = String::from_utf8_lossy(&reply.payload).into_owned();
                    return Err(LoginFailure::Refused(reason));
                }
            }
        }
    }
}

/// The next message of a negotiation.
pub async fn receive<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Message, LoginFailure> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header).await?;
    let (status, length) = Message::header(header)?;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    Ok(Message { status, payload })
}

/// Sends one message of a negotiation.
pub async fn send<S: AsyncWrite + Unpin>(stream: &mut S, message: &Message) -> std::io::Result<()> {
    stream.write_all(&message.to_bytes()).await?;
    stream.flush().await
}

// === impl Key ===

impl Key {
    /// What a client of a service needs: name and password of `StormClient`, or TLS with the
    /// certificate that it has, if any.
    pub fn new(conf: &Conf, service: Service) -> Result<Self, DoorError> {
        Key::of_transport(conf, service, client_transport(conf, service)?)
    }

    /// What a daemon needs for Coordination: the certificate it has as a server, or `StormClient`.
    pub fn of_coordination(conf: &Conf) -> Result<Self, DoorError> {
        let key = Key::of_transport(conf, Service::Nimbus, Transport::of_coordination(conf)?)?;
        let own = |login: Arc<Login>| {
            let authorise_as = None;
            Arc::new(Login {
                authorise_as,
                ..Login::clone(&login)
            })
        };
        Ok(Key {
            login: key.login.map(own),
            ..key
        })
    }

    /// What a worker needs for Coordination: its token, inside TLS by these authorities.
    pub fn of_worker(token: Option<&str>, authorities: Option<&Path>) -> Result<Self, DoorError> {
        let tls = authorities.map(|path| Connector::new(path, None));
        let login = token.and_then(worker_token::login);
        let login = login.map(|(user, password)| Login {
            user,
            password,
            authorise_as: None,
        });
        Ok(Key {
            tls: tls.transpose()?,
            login: login.map(Arc::new),
        })
    }

    fn of_transport(
        conf: &Conf,
        service: Service,
        transport: Transport,
    ) -> Result<Self, DoorError> {
        match transport {
            Transport::Simple => Ok(Key::default()),
            Transport::Tls => Ok(Key {
                tls: Some(connector(conf, service)?),
                login: None,
            }),
            Transport::Plain | Transport::Digest => {
                let section = "StormClient";
                let jaas = Jaas::of_conf(conf)?.ok_or(JaasError::Unset { section })?;
                let (user, password) = jaas.client()?;
                let login = Login {
                    user,
                    password,
                    authorise_as: conf.text(keys::STORM_DO_AS_USER)?,
                };
                Ok(Key {
                    tls: None,
                    login: Some(Arc::new(login)),
                })
            }
        }
    }
}

/// A client speaks as the server does, or TLS where it is told to.
fn client_transport(conf: &Conf, service: Service) -> Result<Transport, DoorError> {
    let use_tls = match service {
        Service::Nimbus => conf.flag(keys::NIMBUS_THRIFT_CLIENT_USE_TLS)?,
        Service::Supervisor => conf.flag(keys::SUPERVISOR_THRIFT_CLIENT_USE_TLS)?,
        Service::Drpc | Service::DrpcInvocations => None,
    };
    match use_tls {
        Some(true) => Ok(Transport::Tls),
        _ => Transport::of(conf, service),
    }
}

fn acceptor(conf: &Conf, service: Service, wanted_by: &'static str) -> Result<Acceptor, DoorError> {
    let identity = identity(conf, wanted_by)?;
    let is_required = match service.client_auth_key() {
        Some(key) => conf.flag(key)?.unwrap_or(true),
        None => true,
    };
    let clients = match (
        is_required,
        file(conf, keys::STORMWIRE_TLS_AUTHORITIES, wanted_by),
    ) {
        (true, authorities) => Clients::Certified {
            authorities: authorities?,
        },
        (false, Ok(authorities)) => Clients::CertifiedOrAnonymous { authorities },
        (false, Err(DoorError::Missing { .. })) => Clients::Anonymous,
        (false, Err(error)) => return Err(error),
    };
    Ok(Acceptor::new(&identity, &clients)?)
}

/// Certificate and key of this daemon.
fn identity(conf: &Conf, wanted_by: &'static str) -> Result<Identity, DoorError> {
    Ok(Identity {
        certificates: file(conf, keys::STORMWIRE_TLS_CERTIFICATES, wanted_by)?,
        key: file(conf, keys::STORMWIRE_TLS_KEY, wanted_by)?,
    })
}

/// The certificate of `*.thrift.tls.client.cert.path` if there is one, or else the daemon's own.
fn connector(conf: &Conf, service: Service) -> Result<Connector, DoorError> {
    let (wanted_by, certificates, key) = match service {
        Service::Supervisor => (
            keys::SUPERVISOR_THRIFT_CLIENT_USE_TLS,
            keys::SUPERVISOR_THRIFT_TLS_CLIENT_CERT_PATH,
            keys::SUPERVISOR_THRIFT_TLS_CLIENT_KEY_PATH,
        ),
        _ => (
            keys::NIMBUS_THRIFT_CLIENT_USE_TLS,
            keys::NIMBUS_THRIFT_TLS_CLIENT_CERT_PATH,
            keys::NIMBUS_THRIFT_TLS_CLIENT_KEY_PATH,
        ),
    };
    let authorities = file(conf, keys::STORMWIRE_TLS_AUTHORITIES, wanted_by)?;
    let path = |key| -> Result<Option<PathBuf>, DoorError> {
        let path = conf.text(key)?.filter(|path| !path.is_empty());
        Ok(path.map(PathBuf::from))
    };
    let own = |certificates: Option<PathBuf>, key: Option<PathBuf>| {
        let (certificates, key) = certificates.zip(key)?;
        Some(Identity { certificates, key })
    };
    let identity = match own(path(certificates)?, path(key)?) {
        Some(identity) => Some(identity),
        None => own(
            path(keys::STORMWIRE_TLS_CERTIFICATES)?,
            path(keys::STORMWIRE_TLS_KEY)?,
        ),
    };
    Ok(Connector::new(&authorities, identity.as_ref())?)
}

fn file(conf: &Conf, key: &'static str, wanted_by: &'static str) -> Result<PathBuf, DoorError> {
    if let Some(path) = conf.text(key)?.filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    for key in KEY_STORES {
        if conf.text(key)?.is_some_and(|path| !path.is_empty()) {
            return Err(DoorError::KeyStore { key });
        }
    }
    let missing = key;
    Err(DoorError::Missing { wanted_by, missing })
}

const TRANSPORTS: [(&str, Choice); 5] = [
    (
        "SimpleTransportPlugin",
        Choice::Transport(Transport::Simple),
    ),
    (
        "plain.PlainSaslTransportPlugin",
        Choice::Transport(Transport::Plain),
    ),
    (
        "digest.DigestSaslTransportPlugin",
        Choice::Transport(Transport::Digest),
    ),
    ("tls.TlsTransportPlugin", Choice::Transport(Transport::Tls)),
    ("kerberos.KerberosSaslTransportPlugin", Choice::Kerberos),
];

/// Where Storm has certificates.
const KEY_STORES: [&str; 6] = [
    keys::NIMBUS_THRIFT_TLS_SERVER_KEYSTORE_PATH,
    keys::NIMBUS_THRIFT_TLS_SERVER_TRUSTSTORE_PATH,
    keys::NIMBUS_THRIFT_TLS_CLIENT_KEYSTORE_PATH,
    keys::NIMBUS_THRIFT_TLS_CLIENT_TRUSTSTORE_PATH,
    keys::SUPERVISOR_THRIFT_TLS_SERVER_KEYSTORE_PATH,
    keys::SUPERVISOR_THRIFT_TLS_SERVER_TRUSTSTORE_PATH,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, class: &str) -> Conf {
        Conf::defaults().with(key, format!("org.apache.storm.security.auth.{class}"))
    }

    #[test]
    fn the_services_own_transport_comes_before_the_common_one() {
        let conf = with(
            keys::STORM_THRIFT_TRANSPORT_PLUGIN,
            "digest.DigestSaslTransportPlugin",
        );
        let conf = conf.with(
            keys::DRPC_THRIFT_TRANSPORT_PLUGIN,
            "backtype.storm.security.auth.SimpleTransportPlugin",
        );
        let of = |service| Transport::of(&conf, service).expect("known");
        assert_eq!(of(Service::Nimbus), Transport::Digest);
        assert_eq!(of(Service::Drpc), Transport::Simple);
        assert_eq!(of(Service::DrpcInvocations), Transport::Digest);
        let simple = Transport::of(&Conf::defaults(), Service::Nimbus).expect("the default");
        assert!(!simple.proves_names());
    }

    #[test]
    fn what_is_not_there_or_missing_is_named() {
        let key = keys::NIMBUS_THRIFT_TRANSPORT_PLUGIN;
        let text = |conf: &Conf| {
            let door = Door::new(conf, Service::Nimbus, None);
            door.expect_err("not to be had").to_string()
        };
        let kerberos = text(&with(key, "kerberos.KerberosSaslTransportPlugin"));
        assert!(
            kerberos.contains(key) && kerberos.contains("Digest"),
            "{kerberos}"
        );
        let unknown = text(&with(key, "MyTransportPlugin"));
        assert!(
            unknown.contains(key) && unknown.contains("SimpleTransport"),
            "{unknown}"
        );
        let digest = text(&with(key, "digest.DigestSaslTransportPlugin"));
        assert!(digest.contains(keys::JAAS_FILE), "{digest}");
        let tls = with(key, "tls.TlsTransportPlugin");
        assert!(text(&tls).contains(keys::STORMWIRE_TLS_CERTIFICATES));
        let stores = tls.with(keys::NIMBUS_THRIFT_TLS_SERVER_KEYSTORE_PATH, "a.jks");
        let stores = text(&stores);
        assert!(stores.contains("openssl"), "{stores}");
        let client = Key::new(
            &with(key, "digest.DigestSaslTransportPlugin"),
            Service::Nimbus,
        );
        assert!(
            client
                .expect_err("no file")
                .to_string()
                .contains("StormClient")
        );
    }
    #[tokio::test]
    async fn who_is_refused_writes_no_lines_of_a_log() {
        let door = SaslDoor {
            accounts: Arc::new(Accounts::new(Default::default(), None)),
            mechanisms: Mechanisms::Digest,
        };
        let (mut client, mut server) = tokio::io::duplex(1024);
        let start = Message::new(
            crate::auth::sasl::Status::Start,
            "X\n2026-01-01 ERROR \u{1b}[31m",
        );
        send(&mut client, &start).await.expect("room");
        let refused = door.log_in(&mut server).await.expect_err("no mechanism");
        let text = refused.to_string();
        assert!(
            text.contains("2026") && !text.contains(char::is_control),
            "{text:?}"
        );
    }
}
