//! Names that suggest that their value is a secret.

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
    whole.contains(&name.as_str()) || parts.iter().any(|part| name.contains(part))
}
