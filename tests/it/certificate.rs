//! A self-signed certificate for servers on this machine.

use std::path::PathBuf;

use tempfile::TempDir;

/// For `localhost` and 127.0.0.1, in files that are deleted with the value.
pub(crate) struct Certificate {
    pub(crate) pem: PathBuf,
    pub(crate) key: PathBuf,
    _dir: TempDir,
}

impl Certificate {
    pub(crate) fn generate() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let generated = rcgen::generate_simple_self_signed(names).unwrap();
        let [pem, key] = ["cert.pem", "key.pem"].map(|name| dir.path().join(name));
        std::fs::write(&pem, generated.cert.pem()).unwrap();
        std::fs::write(&key, generated.signing_key.serialize_pem()).unwrap();
        Self {
            pem,
            key,
            _dir: dir,
        }
    }
}
