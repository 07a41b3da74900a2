//! The sums of DIGEST-MD5 (RFC 2831, `md5-sess`, quality `auth`).
//!
//! What may stand in a challenge or response is `server`'s and `client`'s to judge.

use md5::{Digest as _, Md5};

/// What goes into a response.
pub(super) struct Proof<'a> {
    pub user: &'a [u8],
    pub realm: &'a [u8],
    pub password: &'a [u8],
    pub nonce: &'a [u8],
    pub cnonce: &'a [u8],
    /// How often this nonce was used, as 8 hexadecimal digits.
    pub count: &'a [u8],
    pub uri: &'a [u8],
    pub authorise_as: Option<&'a [u8]>,
    /// Whether both sides said `charset=utf-8`.
    pub is_utf8: bool,
}

// === impl Proof ===

impl Proof<'_> {
    /// That the client knows the password.
    pub fn of_client(&self) -> Vec<u8> {
        self.response(b"AUTHENTICATE:")
    }

    /// That the server knows it, too.
    pub fn of_server(&self) -> Vec<u8> {
        self.response(b":")
    }

    fn response(&self, verb: &[u8]) -> Vec<u8> {
        let (user, realm) = (self.hashed(self.user), self.hashed(self.realm));
        let password = self.hashed(self.password);
        let secret = md5(&[&user, b":", &realm, b":", &password]);
        let mut session = secret.to_vec();
        let parts = [Some(self.nonce), Some(self.cnonce), self.authorise_as];
        for part in parts.into_iter().flatten() {
            session.push(b':');
            session.extend(part);
        }
        let session = hex(&md5(&[&session]));
        let call = hex(&md5(&[verb, self.uri]));
        let parts: [&[u8]; 11] = [
            &session,
            b":",
            self.nonce,
            b":",
            self.count,
            b":",
            self.cnonce,
            b":",
            QUALITY,
            b":",
            &call,
        ];
        hex(&md5(&parts))
    }

    /// UTF-8 that Latin-1 could say is hashed as Latin-1.
    fn hashed(&self, text: &[u8]) -> Vec<u8> {
        let utf8 = std::str::from_utf8(text).ok().filter(|_| self.is_utf8);
        let latin1 = |text: &str| -> Option<Vec<u8>> {
            text.chars()
                .map(|char| u8::try_from(u32::from(char)).ok())
                .collect()
        };
        utf8.and_then(latin1).unwrap_or_else(|| text.to_vec())
    }
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.into_bytes()
}

pub(super) const QUALITY: &[u8] = b"auth";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        let proof = Proof {
            user: b"chris",
            realm: b"elwood.innosoft.com",
            password: b"secret",
            nonce: b"OA6MG9tEQGm2hh",
            cnonce: b"OA6MHXh6VqTrRk",
            count: b"00000001",
            uri: b"imap/elwood.innosoft.com",
            authorise_as: None,
            is_utf8: true,
        };
        assert_eq!(proof.of_client(), b"d388dad90d4bbd760a152321f2143af7");
        assert_eq!(proof.of_server(), b"ea40f60335c427b5527b84dbabcdfffd");
    }
}
