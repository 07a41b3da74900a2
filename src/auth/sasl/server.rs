//! The server's side of a negotiation: who the client is, or why it is nobody.
//!
//! Each negotiation draws its own nonce and takes one response to it, so that a recorded one is of
//! no use. What a client may do is asked later.

use ring::rand::{SecureRandom as _, SystemRandom};

use super::challenge::{self, Directives};
use super::digest::{Proof, QUALITY};
use super::{DIGEST, Message, PLAIN, REALM, SERVICE, Status};
use crate::auth::accounts::{Account, Accounts};
use crate::auth::secret::{self, Secret};

/// Who was authenticated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// For whom it is done.
    pub principal: String,
    /// Who showed a password, where that is somebody else.
    pub real_principal: Option<String>,
    /// Of the worker token, if one was shown.
    pub token_topology: Option<String>,
}

/// What a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanisms {
    Digest,
    /// PLAIN beside it: passwords in the clear.
    PlainToo,
}

/// One client's negotiation.
#[derive(Debug)]
pub struct Negotiation<'a> {
    accounts: &'a Accounts,
    mechanisms: Mechanisms,
    /// Wall clock, for the expiry of tokens.
    now_ms: i64,
    nonce: String,
    state: State,
}

/// What a message led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Wait for another message.
    Silent,
    Reply(Message),
    /// Send this; the client is authenticated.
    Done(Message, Identity),
    /// Send this and close.
    Refused(Message),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Plain,
    /// A first response is due; of DIGEST-MD5 it is empty.
    Digest,
    /// The nonce is out.
    Challenged,
    Over,
}

// === impl Negotiation ===

impl<'a> Negotiation<'a> {
    /// None when the system gives no randomness.
    pub fn new(accounts: &'a Accounts, mechanisms: Mechanisms, now_ms: i64) -> Option<Self> {
        let mut random = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut random).ok()?;
        use base64::Engine as _;
        let nonce = base64::engine::general_purpose::STANDARD.encode(random);
        Some(Negotiation {
            accounts,
            mechanisms,
            now_ms,
            nonce,
            state: State::Start,
        })
    }

    /// Takes the client's next message.
    pub fn handle(&mut self, message: &Message) -> Step {
        let state = std::mem::replace(&mut self.state, State::Over);
        let goes_on = matches!(message.status, Status::Ok | Status::Complete);
        match (state, message.status) {
            (State::Start, Status::Start) => self.start(&message.payload),
            (State::Plain, _) if goes_on => match self.plain(&message.payload) {
                Some(identity) => Step::Done(Message::new(Status::Complete, []), identity),
                None => bad(NOT_AUTHENTICATED),
            },
            (State::Digest, _) if goes_on && message.payload.is_empty() => {
                self.state = State::Challenged;
                let text = format!(
                    "realm=\"{REALM}\",nonce=\"{}\",charset=utf-8,algorithm=md5-sess",
                    self.nonce
                );
                Step::Reply(Message::new(Status::Ok, text))
            }
            (State::Challenged, _) if goes_on => match self.digest(&message.payload) {
                Some((proof, identity)) => {
                    let payload = [b"rspauth=", proof.as_slice()].concat();
                    Step::Done(Message::new(Status::Complete, payload), identity)
                }
                None => bad(NOT_AUTHENTICATED),
            },
            _ => {
                let text = format!("{:?} is not expected now", message.status);
                Step::Refused(Message::new(Status::Error, text))
            }
        }
    }

    fn start(&mut self, mechanism: &[u8]) -> Step {
        self.state = match (mechanism, self.mechanisms) {
            (name, _) if name == DIGEST.as_bytes() => State::Digest,
            (name, Mechanisms::PlainToo) if name == PLAIN.as_bytes() => State::Plain,
            _ => {
                let name = String::from_utf8_lossy(mechanism);
                let shown: String = name.chars().take(MECHANISM_CHARS_MAX).collect();
                return bad(&format!("Unsupported mechanism type {shown}"));
            }
        };
        Step::Silent
    }

    fn plain(&self, payload: &[u8]) -> Option<Identity> {
        let mut parts = payload.splitn(3, |byte| *byte == 0);
        let (authorise_as, user, password) = (parts.next()?, parts.next()?, parts.next()?);
        let user = std::str::from_utf8(user).ok()?;
        let account = self.accounts.find(user, self.now_ms);
        let expected = account
            .as_ref()
            .map_or(&b""[..], |account| account.password.expose());
        let is_equal = secret::equal(expected, password);
        let account = account.filter(|_| is_equal)?;
        let other = Some(authorise_as).filter(|other| !other.is_empty());
        identity(user, account, other)
    }

    /// The server's own proof, and who the client is.
    fn digest(&self, payload: &[u8]) -> Option<(Vec<u8>, Identity)> {
        let said = challenge::parse(payload)?;
        let text = |name: &str| said.get(name).map(Vec::as_slice);
        let is_ours = text("nonce") == Some(self.nonce.as_bytes())
            && text("nc") == Some(b"00000001")
            && text("realm").is_none_or(|realm| realm == REALM.as_bytes())
            && text("qop").is_none_or(|quality| quality == QUALITY)
            && text("cnonce").is_some_and(|cnonce| !cnonce.is_empty())
            && is_service(&said);
        let user = std::str::from_utf8(text("username")?).ok()?;
        let account = self.accounts.find(user, self.now_ms);
        // As much is computed for a user who is unknown.
        let password = account.as_ref().map(|account| account.password.clone());
        let password = password.unwrap_or_else(|| Secret::from("-"));
        let proof = Proof {
            user: user.as_bytes(),
            realm: text("realm").unwrap_or_default(),
            password: password.expose(),
            nonce: self.nonce.as_bytes(),
            cnonce: text("cnonce")?,
            count: text("nc")?,
            uri: text("digest-uri")?,
            authorise_as: text("authzid"),
            is_utf8: text("charset").is_some_and(|set| set.eq_ignore_ascii_case(b"utf-8")),
        };
        let is_equal = secret::equal(&proof.of_client(), text("response")?);
        let account = account.filter(|_| is_equal && is_ours)?;
        let own = proof.of_server();
        let identity = identity(user, account, text("authzid"))?;
        Some((own, identity))
    }
}

/// Storm's service on any host: Java's server refuses clients that dialled another name than
/// `localhost` (control-plane 1.4).
fn is_service(said: &Directives) -> bool {
    let uri = said
        .get("digest-uri")
        .map(Vec::as_slice)
        .unwrap_or_default();
    let host = uri
        .strip_prefix(SERVICE.as_bytes())
        .and_then(|rest| rest.strip_prefix(b"/"));
    host.is_some_and(|host| !host.is_empty())
}

/// A worker's token speaks for nobody but its owner.
fn identity(user: &str, account: Account, authorise_as: Option<&[u8]>) -> Option<Identity> {
    let other = authorise_as.map(std::str::from_utf8).transpose().ok()?;
    let other = other.filter(|other| *other != user && *other != account.principal);
    match other {
        None => Some(Identity {
            principal: account.principal,
            real_principal: None,
            token_topology: account.token_topology,
        }),
        Some(_) if account.token_topology.is_some() => None,
        Some(other) => Some(Identity {
            principal: other.to_owned(),
            real_principal: Some(account.principal),
            token_topology: None,
        }),
    }
}

fn bad(text: &str) -> Step {
    Step::Refused(Message::new(Status::Bad, text))
}

const NONCE_BYTES: usize = 32;
const MECHANISM_CHARS_MAX: usize = 32;
/// Whether name or password is wrong is not said.
const NOT_AUTHENTICATED: &str = "the name or the password is wrong";
