//! The configuration of the model.

use std::env;

use anyhow::Context;

/// A chat model and its address.
pub struct Model {
    pub provider: Provider,
    pub url: String,
    pub key: String,
    /// The name of the deployment with Azure, otherwise of the model.
    pub name: String,
}

/// Two services with almost the same API.
#[derive(Clone, Copy)]
pub enum Provider {
    AzureOpenAi,
    OpenAi,
}

/// The version of Azure's API that both demos use.
pub const AZURE_API_VERSION: &str = "2024-10-21";

impl Model {
    /// `AZURE_OPENAI_ENDPOINT`, `AZURE_OPENAI_API_KEY` and `AZURE_OPENAI_DEPLOYMENT_NAME`; or
    /// `OPENAI_API_KEY` and optionally `OPENAI_MODEL` and `OPENAI_BASE_URL`.
    pub fn from_env() -> anyhow::Result<Self> {
        let required = |name| setting(name).with_context(|| format!("{name} is not set"));
        let optional = |name, default: &str| setting(name).unwrap_or_else(|| default.to_owned());
        if let Some(endpoint) = setting("AZURE_OPENAI_ENDPOINT") {
            return Ok(Self {
                provider: Provider::AzureOpenAi,
                url: endpoint.trim_end_matches('/').to_owned(),
                key: required("AZURE_OPENAI_API_KEY")?,
                name: required("AZURE_OPENAI_DEPLOYMENT_NAME")?,
            });
        }
        Ok(Self {
            provider: Provider::OpenAi,
            url: optional("OPENAI_BASE_URL", "https://api.openai.com/v1"),
            key: required("OPENAI_API_KEY")
                .context("no model: set AZURE_OPENAI_ENDPOINT, or use --offline")?,
            name: optional("OPENAI_MODEL", "gpt-4o"),
        })
    }
}

/// An environment variable. An empty one counts as not set.
pub fn setting(name: &str) -> Option<String> {
    let value = env::var(name).ok()?.trim().to_owned();
    (!value.is_empty()).then_some(value)
}
