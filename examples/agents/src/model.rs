//! Which model the agents think with.

use std::env;

use anyhow::Context;

/// A chat model, and how to reach it.
pub struct Model {
    pub provider: Provider,
    pub url: String,
    pub key: String,
    /// The deployment's name with Azure, else the model's.
    pub name: String,
}

/// Two ways to address the same interface.
#[derive(Clone, Copy)]
pub enum Provider {
    AzureOpenAi,
    OpenAi,
}

/// The version of Azure's interface that both demos speak.
pub const AZURE_API_VERSION: &str = "2024-10-21";

impl Model {
    /// `AZURE_OPENAI_ENDPOINT`, `AZURE_OPENAI_API_KEY` and `AZURE_OPENAI_DEPLOYMENT_NAME`; or
    /// `OPENAI_API_KEY` and, if you like, `OPENAI_MODEL` and `OPENAI_BASE_URL`.
    pub fn from_env() -> anyhow::Result<Self> {
        let needed = |name| setting(name).with_context(|| format!("{name} is not set"));
        let given = |name, otherwise: &str| setting(name).unwrap_or_else(|| otherwise.to_owned());
        if let Some(endpoint) = setting("AZURE_OPENAI_ENDPOINT") {
            return Ok(Self {
                provider: Provider::AzureOpenAi,
                url: endpoint.trim_end_matches('/').to_owned(),
                key: needed("AZURE_OPENAI_API_KEY")?,
                name: needed("AZURE_OPENAI_DEPLOYMENT_NAME")?,
            });
        }
        Ok(Self {
            provider: Provider::OpenAi,
            url: given("OPENAI_BASE_URL", "https://api.openai.com/v1"),
            key: needed("OPENAI_API_KEY")
                .context("no model: set AZURE_OPENAI_ENDPOINT, or give --offline")?,
            name: given("OPENAI_MODEL", "gpt-4o"),
        })
    }
}

/// A variable of the environment; an empty one counts as not set.
pub fn setting(name: &str) -> Option<String> {
    let value = env::var(name).ok()?.trim().to_owned();
    (!value.is_empty()).then_some(value)
}
