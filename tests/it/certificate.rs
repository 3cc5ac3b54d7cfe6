//! A self-signed certificate for servers on this machine.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

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

    /// Accepts TLS connections with it.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let shown = CertificateDer::from_pem_file(&self.pem).unwrap();
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![shown], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
