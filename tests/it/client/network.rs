//! Proxies that the environment names.

use std::error::Error as _;
use std::process::Stdio;

use human_oversight_client::{Client, Error};
use tokio::process::Command;

use crate::deadline::within;

/// Runs in a process of its own, whose environment names a proxy.
#[tokio::test]
#[ignore = "an_error_names_the_variable_of_a_proxy_without_its_value runs it"]
async fn call_through_a_proxy() {
    let client = Client::new("https://gate.example.com", Some("key")).unwrap();
    let error = client.keys().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let mut texts = vec![error.to_string(), format!("{error:?}")];
    let mut source = error.source();
    while let Some(cause) = source {
        texts.push(cause.to_string());
        source = cause.source();
    }
    eprintln!("said: {}", texts.join("|"));
}

#[tokio::test]
async fn an_error_names_the_variable_of_a_proxy_without_its_value() {
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let test = "client::network::call_through_a_proxy";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", test])
            .env_clear()
            .env(variable, "http://user:top-secret@127.0.0.1:9")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = within(child).await.unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{said}");
        let names = format!("{variable} names a proxy");
        assert!(said.contains(&names), "{said}");
        assert!(!said.contains("top-secret"), "{said}");
    }
}
