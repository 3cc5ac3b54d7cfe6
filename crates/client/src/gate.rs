use human_oversight_protocol::callback::Secret;
use human_oversight_protocol::types::KeySet;

use crate::claim_key::ClaimKey;
use crate::client::Client;
use crate::environment::setting;
use crate::error::Error;
use crate::trust::Trust;

/// A gate as an agent uses it. Cheap to clone; the front page has an example.
#[derive(Clone, Debug)]
pub struct Gate {
    pub(crate) client: Client,
    pub(crate) trust: Trust,
    pub(crate) agent: String,
    pub(crate) approvers: Vec<String>,
    pub(crate) callback_secret: Option<Secret>,
    pub(crate) claim_key: ClaimKey,
}

impl Gate {
    /// A gate reached through `client`.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            trust: Trust::default(),
            agent: "agent".to_owned(),
            approvers: Vec::new(),
            callback_secret: None,
            claim_key: ClaimKey::of_process(),
        }
    }

    /// The gate that the environment names: `HO_URL`, `HO_KEY` (the Functions key; optional) or `HO_AUDIENCE` (the
    /// application id URI of the gate's app registration, for access tokens in its place; needs the feature `entra`),
    /// `APPROVER_EMAILS` (comma-separated; optional), `HO_KEYS` (the only keys to trust: the file of a JWK
    /// set, or thumbprints as RFC 7638 defines them, comma-separated; optional), `HO_ISSUER` (the
    /// gate's public address, or several, comma-separated; with thumbprints it is required),
    /// `HO_CALLBACK_SECRET` (optional; see [`Gate::on_callback`]) and `HO_CLAIM_KEY` (optional; see
    /// [`Gate::claim_key`]).
    ///
    /// # Errors
    /// When `HO_URL` is missing or not an absolute address, or `HO_KEYS`, `HO_AUDIENCE`, `HO_CALLBACK_SECRET` or
    /// `HO_CLAIM_KEY` cannot be used; or when one of these settings is not UTF-8.
    pub fn from_env() -> Result<Self, Error> {
        let list = |name| {
            let list = setting(name)?.unwrap_or_default();
            let items = list.split(',').map(str::trim).filter(|it| !it.is_empty());
            Ok::<_, Error>(items.map(str::to_owned).collect::<Vec<_>>())
        };
        let url = setting("HO_URL")?.ok_or_else(|| {
            Error::Settings("HO_URL is not set: it must be the gate's address".to_owned())
        })?;
        let client = match (setting("HO_KEY")?, setting("HO_AUDIENCE")?) {
            (Some(_), Some(_)) => {
                return Err(Error::Settings(
                    "HO_KEY and HO_AUDIENCE are two proofs of who the agent is: set one".to_owned(),
                ));
            }
            (None, Some(audience)) => Client::with_credential_of_environment(&url, &audience)?,
            (key, None) => Client::new(&url, key.as_deref())?,
        };
        let mut gate = Self::new(client).issuers(list("HO_ISSUER")?);
        if let Some(keys) = setting("HO_KEYS")? {
            gate.trust.pin_setting(&keys)?;
            gate.trust.check_settings()?;
        }
        if let Some(secret) = setting("HO_CALLBACK_SECRET")? {
            gate = gate.callback_secret(&secret)?;
        }
        if let Some(key) = setting("HO_CLAIM_KEY")? {
            gate = gate.claim_key(&key)?;
        }
        Ok(gate.approvers(list("APPROVER_EMAILS")?))
    }

    /// The client through which this gate is reached, for calls that [`Gate`] has no method for.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The agent's name: 1 to 128 characters.
    #[must_use]
    pub fn agent(mut self, name: impl Into<String>) -> Self {
        self.agent = name.into();
        self
    }

    /// The approvers of actions that name none of their own.
    #[must_use]
    pub fn approvers(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.approvers = addresses.into_iter().map(Into::into).collect();
        self
    }

    /// A secret of the agent's, 64 hexadecimal digits (`openssl rand -hex 32`). With it, a request that has a
    /// correlation id has the same handle in every process, so that nothing need be stored to resume it; and dropping a
    /// future leaves such a request pending, since another process may wait for it. Without it, the handle is the same
    /// within this process.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn claim_key(mut self, key: &str) -> Result<Self, Error> {
        self.claim_key = ClaimKey::shared(key)?;
        Ok(self)
    }

    /// Trusts these keys alone, with the issuers that stand beside them. What the gate publishes counts only
    /// where it is one of these.
    #[must_use]
    pub fn trust(mut self, keys: KeySet) -> Self {
        self.trust.pin_keys(keys);
        self
    }

    /// Like [`Gate::trust`], for keys that are known by their thumbprints (see
    /// [`receipt::thumbprint`](crate::receipt::thumbprint)). It needs [`Gate::issuers`].
    #[must_use]
    pub fn trust_thumbprints(
        mut self,
        thumbprints: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.trust
            .pin(thumbprints.into_iter().map(Into::into).collect());
        self
    }

    /// Trusts receipts and permits of these public addresses of the gate alone. Without it, those count that
    /// the gate named when this process first called it.
    #[must_use]
    pub fn issuers(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let addresses = addresses.into_iter().map(Into::into);
        let addresses = addresses.map(|address: String| address.trim_end_matches('/').to_owned());
        self.trust.set_issuers(addresses.collect());
        self
    }
}
