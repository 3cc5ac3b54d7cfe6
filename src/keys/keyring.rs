//! Keys as they are configured: `kid:base64,…`, fresh ones, and those a developer's gate keeps.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::Ed25519KeyPair;

use crate::values::is_plain_name;

/// One key of a list.
#[derive(Clone, PartialEq, Eq)]
pub struct NamedKey {
    /// Its name: `[A-Za-z0-9._-]{1,16}`.
    pub kid: String,
    /// The key itself.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for NamedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedKey({}, …)", self.kid)
    }
}

/// What is wrong with a list of keys. Never says anything of the keys themselves.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The list is empty.
    #[error("it names no key")]
    None,
    /// The Functions host could not read the key from the vault.
    #[error(
        "the Key Vault reference was not resolved: check the vault's name, the secret's name and the app's access to it"
    )]
    Unresolved,
    /// An entry is not `kid:base64`.
    #[error("entry {entry} is not `kid:base64`, with a kid of 1 to 16 of [A-Za-z0-9._-]")]
    Malformed {
        /// Which one, from 1.
        entry: usize,
    },
    /// Two keys have one name.
    #[error("the kid {kid} is there twice")]
    Twice {
        /// The name.
        kid: String,
    },
    /// The key is too short.
    #[error("the key {kid} has fewer than {bytes} bytes")]
    TooShort {
        /// Its name.
        kid: String,
        /// What it needs.
        bytes: usize,
    },
    /// The first key must be able to sign.
    #[error("the first key, {kid}, is no private Ed25519 key in PKCS#8 DER")]
    NotPrivate {
        /// Its name.
        kid: String,
    },
    /// A retired key must at least verify.
    #[error("the key {kid} is no Ed25519 key, neither private (PKCS#8 DER) nor public (SPKI DER)")]
    NotEd25519 {
        /// Its name.
        kid: String,
    },
}

/// Reads `kid:base64,…`.
///
/// # Errors
/// When it is anything else.
pub fn parse(list: &str) -> Result<Vec<NamedKey>, KeyError> {
    if list.trim_start().starts_with("@Microsoft.KeyVault(") {
        return Err(KeyError::Unresolved);
    }
    let mut keys: Vec<NamedKey> = Vec::new();
    for (index, entry) in list.split(',').map(str::trim).enumerate() {
        let malformed = KeyError::Malformed { entry: index + 1 };
        let parsed = entry.split_once(':').and_then(|(kid, key)| {
            let bytes = BASE64.decode(key).ok()?;
            is_plain_name(kid, 16).then(|| NamedKey {
                kid: kid.to_owned(),
                bytes,
            })
        });
        let key = parsed.ok_or(malformed)?;
        if keys.iter().any(|other| other.kid == key.kid) {
            return Err(KeyError::Twice { kid: key.kid });
        }
        keys.push(key);
    }
    Ok(keys)
}

/// A fresh link key, as `HO_LINK_KEYS` takes it.
pub fn fresh_link_key() -> String {
    let mut secret = [0; 32];
    fill(&mut secret);
    format!("{}:{}", fresh_kid(), BASE64.encode(secret))
}

/// A fresh receipt key, as `HO_RECEIPT_KEYS` takes it.
pub fn fresh_receipt_key() -> String {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .expect("the system gives random bytes");
    format!("{}:{}", fresh_kid(), BASE64.encode(der.as_ref()))
}

/// The keys kept in the file at `path`; made and written first if there is no such file. Only for a
/// developer's machine.
///
/// # Errors
/// When the file cannot be read or written.
pub fn load_or_create(path: &Path, fresh: impl Fn() -> String) -> io::Result<Vec<NamedKey>> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir)?;
            }
            // Two gates that start at once must agree: whoever links the name first wins.
            let mut file = tempfile_beside(path)?;
            writeln!(file.1, "{}", fresh())?;
            file.1.sync_all()?;
            match fs::hard_link(&file.0, path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => fs::remove_file(&file.0)?,
            }
            load_or_create(path, fresh)
        }
        text => {
            parse(text?.trim()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        }
    }
}

/// Bytes that nobody can guess.
pub fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    fill(&mut bytes);
    bytes
}

fn tempfile_beside(path: &Path) -> io::Result<(std::path::PathBuf, fs::File)> {
    let name = format!("{}.{:016x}", path.display(), u64::from_ne_bytes(random()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&name)?;
    Ok((name.into(), file))
}

fn fresh_kid() -> String {
    format!("{:08x}", u32::from_ne_bytes(random()))
}

fn fill(bytes: &mut [u8]) {
    SystemRandom::new()
        .fill(bytes)
        .expect("the system gives random bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::LinkKeys;
    use crate::keys::ReceiptKeys;

    #[test]
    fn fresh_keys_are_in_the_right_form() {
        let list = format!("{},{}", fresh_link_key(), fresh_link_key());
        assert_eq!(parse(&list).unwrap().len(), 2);
        assert!(LinkKeys::new(&parse(&list).unwrap()).is_ok());
        assert!(ReceiptKeys::new(&parse(&fresh_receipt_key()).unwrap()).is_ok());
    }

    #[test]
    fn says_what_is_wrong_without_saying_the_key() {
        assert_eq!(
            parse("@Microsoft.KeyVault(SecretUri=https://x)"),
            Err(KeyError::Unresolved)
        );
        for (list, entry) in [
            ("", 1),
            ("a", 1),
            ("a:!", 1),
            ("a:QQ==,", 2),
            ("a b:QQ==", 1),
        ] {
            assert_eq!(parse(list), Err(KeyError::Malformed { entry }), "{list}");
        }
        assert_eq!(
            parse("a:QQ==,a:Qg=="),
            Err(KeyError::Twice {
                kid: "a".to_owned()
            })
        );
        let short = parse(&format!("a:{}", BASE64.encode([7; 31]))).unwrap();
        let (kid, bytes) = ("a".to_owned(), 32);
        assert_eq!(
            LinkKeys::new(&short).map(|_| ()),
            Err(KeyError::TooShort { kid, bytes })
        );
        assert!(matches!(
            ReceiptKeys::new(&short),
            Err(KeyError::NotPrivate { .. })
        ));
        // SPKI of a key that is short of a byte, and of one that has one too many.
        let public = |length: usize| {
            let mut der = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".to_vec();
            der.resize(12 + length, 7);
            BASE64.encode(der)
        };
        let with = |retired: &str| {
            let keys = parse(&format!("{},b:{retired}", fresh_receipt_key())).unwrap();
            ReceiptKeys::new(&keys).map(|_| ())
        };
        assert_eq!(with(&public(32)), Ok(()));
        for retired in ["QQ==", &public(31), &public(33)] {
            let kid = "b".to_owned();
            assert_eq!(with(retired), Err(KeyError::NotEd25519 { kid }));
        }
    }
}
