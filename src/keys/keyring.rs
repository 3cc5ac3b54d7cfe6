//! Lists of keys in the form `kid[;nbf=DATE][;exp=DATE][;revoked]:base64,…`: parsing them, generating new keys, and the
//! key files of local development.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use human_oversight_protocol::types::KeyLife;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};

use super::key_life::{self, LifeFault};
use super::random::random_bytes;
use crate::private_files;
use crate::values::is_plain_name;

/// What a list of keys is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Links, codes and row MACs.
    Link,
    /// Receipts and permits.
    Receipt,
}

impl KeyKind {
    /// A key with its kind, for what is stored and listed of keys.
    pub fn name_key(self, kid: &str) -> String {
        match self {
            Self::Link => format!("link {kid}"),
            Self::Receipt => format!("receipt {kid}"),
        }
    }

    /// The setting.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Link => "HO_LINK_KEYS",
            Self::Receipt => "HO_RECEIPT_KEYS",
        }
    }

    /// The key file of local development, in the gate's folder.
    pub fn file(self) -> &'static str {
        match self {
            Self::Link => "link.keys",
            Self::Receipt => "receipt.keys",
        }
    }

    fn generate(self) -> String {
        match self {
            Self::Link => generate_link_key(),
            Self::Receipt => generate_receipt_key(),
        }
    }
}

/// One key of a list.
#[derive(Clone, PartialEq, Eq)]
pub struct NamedKey {
    /// Its id: `[A-Za-z0-9._-]{1,16}`.
    pub kid: String,
    /// When a receipt key counts; a link key has no life.
    pub life: KeyLife,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for NamedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedKey({}, …)", self.kid)
    }
}

/// Why a list of keys is invalid. The text never contains a key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it contains no key")]
    Empty,
    #[error(
        "entry {entry} is not `kid:base64`, with a kid of 1 to 16 characters of [A-Za-z0-9._-]"
    )]
    Malformed {
        /// Its number, from 1.
        entry: usize,
    },
    #[error("entry {entry} has the kid of an earlier one")]
    Duplicate { entry: usize },
    #[error("entry {entry}: {fault}")]
    Life { entry: usize, fault: LifeFault },
    /// Otherwise a link key that was meant to end would go on.
    #[error("entry {entry} has nbf, exp or revoked, which only receipt keys have")]
    LifeOfLinkKey { entry: usize },
    /// Otherwise a revoked key would go on under the other kid.
    #[error("entry {entry} is the key of an earlier one with another nbf, exp or revoked")]
    OtherLife { entry: usize },
    #[error("the key of entry {entry} is shorter than {bytes} bytes")]
    TooShort { entry: usize, bytes: usize },
    /// A public key is no secret, and a private one must not serve two purposes.
    #[error(
        "the key of entry {entry} is a receipt key (Ed25519 or P-256), not a link key: `human-oversight keygen` prints one for each setting"
    )]
    ReceiptKey { entry: usize },
    /// A public key signs nothing.
    #[error(
        "the first key that is not revoked is not a private key in PKCS#8 DER, of Ed25519 or of P-256 with its public half"
    )]
    NotPrivate,
    /// The other keys verify, so they may be private or public.
    #[error(
        "the key of entry {entry} is neither a private (PKCS#8 DER) nor a public (SPKI DER) key of Ed25519 or P-256"
    )]
    NotReceiptKey { entry: usize },
    /// The gate could sign nothing.
    #[error("no private key is in force now, by its nbf, exp and revoked")]
    NoneInForce,
}

/// Parses `kid:base64,…`, where `kid` may be followed by the life of the key.
///
/// # Errors
/// When the list has another form.
pub fn parse(list: &str) -> Result<Vec<NamedKey>, KeyError> {
    let mut keys: Vec<NamedKey> = Vec::new();
    for (index, entry) in list.split(',').map(str::trim).enumerate() {
        let entry_number = index + 1;
        let malformed = || KeyError::Malformed {
            entry: entry_number,
        };
        // A time has colons, base64 has none.
        let (name, key) = entry.rsplit_once(':').ok_or_else(malformed)?;
        let (kid, life) = name
            .split_once(';')
            .map_or((name, None), |(kid, life)| (kid, Some(life)));
        let bytes = BASE64.decode(key).ok().filter(|_| is_plain_name(kid, 16));
        let key = NamedKey {
            kid: kid.to_owned(),
            bytes: bytes.ok_or_else(malformed)?,
            life: key_life::parse(life).map_err(|fault| KeyError::Life {
                entry: entry_number,
                fault,
            })?,
        };
        if keys.iter().any(|other| other.kid == key.kid) {
            return Err(KeyError::Duplicate { entry: index + 1 });
        }
        keys.push(key);
    }
    Ok(keys)
}

/// Generates a link key in the form of `HO_LINK_KEYS`.
pub fn generate_link_key() -> String {
    let secret: [u8; 32] = random_bytes();
    format!("{}:{}", generate_kid(), BASE64.encode(secret))
}

/// Generates a receipt key of Ed25519 in the form of `HO_RECEIPT_KEYS`.
pub fn generate_receipt_key() -> String {
    let der =
        Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("the system has random bytes");
    format!("{}:{}", generate_kid(), BASE64.encode(der.as_ref()))
}

/// Generates a receipt key of P-256, which signs ES256, in the form of `HO_RECEIPT_KEYS`.
pub fn generate_es256_key() -> String {
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let der = der.expect("the system has random bytes");
    format!("{}:{}", generate_kid(), BASE64.encode(der.as_ref()))
}

/// Loads the keys of the key file in the folder `home`. If it does not exist and may be created, it is, with a generated
/// key. Only for local development.
///
/// # Errors
/// When the file cannot be read, parsed or created.
pub fn load_or_create(home: &Path, kind: KeyKind, may_create: bool) -> io::Result<Vec<NamedKey>> {
    let path = &home.join(kind.file());
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !may_create => {
            let why = format!(
                "it is missing, and with a new key no row of the store beside it could be trusted: put it back, \
                 or set its keys as the setting {}",
                kind.setting()
            );
            Err(io::Error::new(error.kind(), why))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            private_files::create_folder(home)?;
            // Two gates that start at the same time must agree: the first hard link wins.
            let (temporary, mut file) = create_temporary_file(path)?;
            writeln!(file, "{}", kind.generate())?;
            file.sync_all()?;
            match fs::hard_link(&temporary, path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => fs::remove_file(&temporary)?,
            }
            load_or_create(home, kind, may_create)
        }
        text => {
            let text = text?;
            if !private_files::is_private(&fs::metadata(path)?) {
                tracing::warn!(
                    file = kind.file(),
                    "other users of this machine can access a key file: chmod 600 ends that"
                );
            }
            parse(text.trim()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        }
    }
}

/// Creates a file in the folder of `path` that only this user can read.
fn create_temporary_file(path: &Path) -> io::Result<(PathBuf, fs::File)> {
    let name = format!(
        "{}.{:016x}",
        path.display(),
        u64::from_ne_bytes(random_bytes())
    );
    let file = private_files::options().create_new(true).open(&name)?;
    Ok((name.into(), file))
}

fn generate_kid() -> String {
    format!("{:08x}", u32::from_ne_bytes(random_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::LinkKeys;
    use crate::keys::ReceiptKeys;

    #[test]
    fn generated_keys_parse() {
        let list = format!("{},{}", generate_link_key(), generate_link_key());
        assert_eq!(parse(&list).unwrap().len(), 2);
        assert!(LinkKeys::new(&parse(&list).unwrap()).is_ok());
        for receipt in [generate_receipt_key(), generate_es256_key()] {
            assert!(ReceiptKeys::new(&parse(&receipt).unwrap()).is_ok());
        }
    }

    #[test]
    fn an_invalid_list_gives_an_error_without_the_key() {
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
            Err(KeyError::Duplicate { entry: 2 })
        );
        let short = parse(&format!("a:{}", BASE64.encode([7; 31]))).unwrap();
        assert_eq!(
            LinkKeys::new(&short).map(|_| ()),
            Err(KeyError::TooShort {
                entry: 1,
                bytes: 32
            })
        );
        let receipt = parse(&generate_receipt_key()).unwrap();
        assert!(matches!(
            LinkKeys::new(&receipt),
            Err(KeyError::ReceiptKey { .. })
        ));
        assert!(matches!(
            ReceiptKeys::new(&short),
            Err(KeyError::NotPrivate)
        ));
        // SPKI of keys that have one byte too few and one too many.
        let public = |length: usize| {
            let mut der = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".to_vec();
            der.resize(12 + length, 7);
            BASE64.encode(der)
        };
        let with = |retired: &str| {
            let keys = parse(&format!("{},b:{retired}", generate_receipt_key())).unwrap();
            ReceiptKeys::new(&keys).map(|_| ())
        };
        assert_eq!(with(&public(32)), Ok(()));
        for retired in ["QQ==", &public(31), &public(33)] {
            assert_eq!(with(retired), Err(KeyError::NotReceiptKey { entry: 2 }));
        }
    }
}
