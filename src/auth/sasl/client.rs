//! The client's side of a negotiation: DIGEST-MD5 with a name and a password.
//!
//! The server has to prove that it knows the password, too.

use ring::rand::{SecureRandom as _, SystemRandom};

use super::challenge::{self, quoted};
use super::digest::{Proof, QUALITY};
use super::{DIGEST, Message, SERVICE, Status};
use crate::auth::secret::{self, Secret};

/// Who connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: Secret,
    /// Somebody else for whom calls are made; the server has to allow it.
    pub authorise_as: Option<String>,
}

/// One connection's negotiation.
#[derive(Debug)]
pub struct Negotiation<'a> {
    login: &'a Login,
    /// The host that was dialled.
    host: &'a str,
    /// The server's own proof, once ours is on its way.
    expected: Option<Vec<u8>>,
}

/// What a message of the server led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Reply(Message),
    /// Calls can be made.
    Done,
}

/// Why the server does not take us, or we not the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    #[error("it refuses the login: {0}")]
    Refused(String),
    #[error("it does not prove that it knows the password")]
    NoProof,
    #[error("its challenge is none of DIGEST-MD5")]
    Challenge,
    #[error("its {0:?} is not expected")]
    Unexpected(Status),
    #[error("this machine gives no random numbers")]
    NoRandomness,
}

// === impl Negotiation ===

impl<'a> Negotiation<'a> {
    pub fn new(login: &'a Login, host: &'a str) -> Self {
        Negotiation {
            login,
            host,
            expected: None,
        }
    }

    /// What the client opens with.
    pub fn opening(&self) -> [Message; 2] {
        [
            Message::new(Status::Start, DIGEST),
            Message::new(Status::Ok, []),
        ]
    }

    /// Takes the server's next message.
    pub fn handle(&mut self, message: &Message) -> Result<Step, LoginError> {
        match (message.status, self.expected.take()) {
            (Status::Ok, None) => Ok(Step::Reply(self.respond(&message.payload)?)),
            (Status::Complete, Some(expected)) => {
                let said = challenge::parse(&message.payload).ok_or(LoginError::Challenge)?;
                let proof = said.get("rspauth").map(Vec::as_slice).unwrap_or_default();
                match secret::equal(proof, &expected) {
                    true => Ok(Step::Done),
                    false => Err(LoginError::NoProof),
                }
            }
            (Status::Bad | Status::Error, _) => {
                let text = String::from_utf8_lossy(&message.payload);
                Err(LoginError::Refused(text.into_owned()))
            }
            (status, _) => Err(LoginError::Unexpected(status)),
        }
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Message, LoginError> {
        let said = challenge::parse(challenge).ok_or(LoginError::Challenge)?;
        let text = |name: &str| said.get(name).map(Vec::as_slice);
        let is_session = text("algorithm") == Some(b"md5-sess");
        let has_quality = text("qop").is_none_or(|all| {
            all.split(|byte| *byte == b',')
                .any(|one| one.trim_ascii() == QUALITY)
        });
        let (Some(nonce), true, true) = (text("nonce"), is_session, has_quality) else {
            return Err(LoginError::Challenge);
        };
        let realm = text("realm").unwrap_or_default();
        let is_utf8 = text("charset").is_some();
        let mut random = [0; CNONCE_BYTES];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| LoginError::NoRandomness)?;
        use base64::Engine as _;
        let cnonce = base64::engine::general_purpose::STANDARD.encode(random);
        let uri = format!("{SERVICE}/{}", self.host);
        let login = self.login;
        let proof = Proof {
            user: login.user.as_bytes(),
            realm,
            password: login.password.expose(),
            nonce,
            cnonce: cnonce.as_bytes(),
            count: COUNT.as_bytes(),
            uri: uri.as_bytes(),
            authorise_as: login.authorise_as.as_deref().map(str::as_bytes),
            is_utf8,
        };
        let mut parts = Vec::new();
        if is_utf8 {
            parts.push(b"charset=utf-8".to_vec());
        }
        parts.push(quoted("username", proof.user));
        parts.push(quoted("realm", realm));
        parts.push(quoted("nonce", nonce));
        parts.push(format!("nc={COUNT}").into_bytes());
        parts.push(quoted("cnonce", proof.cnonce));
        parts.push(quoted("digest-uri", proof.uri));
        parts.push(b"maxbuf=65536".to_vec());
        parts.push([b"response=", proof.of_client().as_slice()].concat());
        parts.push(b"qop=auth".to_vec());
        parts.extend(proof.authorise_as.map(|other| quoted("authzid", other)));
        self.expected = Some(proof.of_server());
        Ok(Message::new(Status::Ok, parts.join(&b',')))
    }
}

const CNONCE_BYTES: usize = 32;
/// A nonce is used once.
const COUNT: &str = "00000001";
