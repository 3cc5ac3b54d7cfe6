//! Names that suggest that their value is a secret.

use serde_json::Value;

/// Whether the value under this name is not to be quoted.
pub fn is_secret(name: &str, value: &Value) -> bool {
    if value.is_number() {
        is_secret_number_name(name)
    } else {
        is_secret_name(name)
    }
}

/// Whether a text, a list or an object with this name is not to be quoted.
pub fn is_secret_name(name: &str) -> bool {
    suggests_secret(&letters(name))
}

/// Whether a number with this name is not to be quoted: as the others, but how many tokens there are is no secret.
pub fn is_secret_number_name(name: &str) -> bool {
    let counts = ["tokens", "tokencount", "tokenlimit", "tokenbudget"];
    let rest = |name: String, count: &&str| name.replace(count, "");
    suggests_secret(&counts.iter().fold(letters(name), rest))
}

fn letters(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.collect::<String>().to_lowercase()
}

fn suggests_secret(name: &str) -> bool {
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
    whole.contains(&name) || parts.iter().any(|part| name.contains(part))
}
