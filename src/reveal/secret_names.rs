//! Names that suggest that their value is a secret.

/// Settings of language models, which count tokens.
const COUNTS: [&str; 10] = [
    "completiontokens",
    "inputtokens",
    "maxcompletiontokens",
    "maxnewtokens",
    "maxoutputtokens",
    "maxtokens",
    "mintokens",
    "outputtokens",
    "prompttokens",
    "totaltokens",
];

/// Whether a value with this name is not to be quoted.
pub fn is_secret_name(name: &str) -> bool {
    let name: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let name = name.to_lowercase();
    let whole = ["key", "pin", "otp", "pwd", "pass", "cvc", "cvv"];
    let parts = [
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "secret",
        "token",
        "apikey",
        "privatekey",
        "privkey",
        "accesskey",
        "accountkey",
        "encryptionkey",
        "masterkey",
        "sharedkey",
        "signingkey",
        "sshkey",
        "authorization",
        "bearer",
        "cookie",
        "credential",
        "connectionstring",
    ];
    whole.contains(&name.as_str())
        || parts.iter().any(|part| name.contains(part)) && !COUNTS.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::is_secret_name;

    #[test]
    fn a_number_of_tokens_is_no_secret() {
        for name in ["maxTokens", "max_tokens", "Prompt-Tokens"] {
            assert!(!is_secret_name(name), "{name}");
        }
        for name in [
            "token",
            "tokens",
            "refreshTokens",
            "apiKey",
            "PIN",
            "client_secret",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
    }
}
