//! A certificate that nobody vouches for, as servers on this machine show it.

use std::path::PathBuf;

use tempfile::TempDir;

/// For `localhost` and 127.0.0.1, in files that go when it is dropped.
pub(crate) struct Certificate {
    pub(crate) pem: PathBuf,
    pub(crate) key: PathBuf,
    _dir: TempDir,
}

impl Certificate {
    pub(crate) fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let [pem, key] = ["cert.pem", "key.pem"].map(|name| dir.path().join(name));
        std::fs::write(&pem, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self {
            pem,
            key,
            _dir: dir,
        }
    }
}
