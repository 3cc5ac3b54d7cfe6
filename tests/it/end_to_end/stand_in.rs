//! Tests of the stand-in host.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use tempfile::TempDir;

use crate::deadline::eventually;
use crate::host::{FunctionApp, Health, Host, Invocation, Level, Mode, Trigger, tick};

/// A function app whose handler is a shell script.
fn script(text: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let handler = root.path().join("handler");
    std::fs::write(&handler, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&handler, std::fs::Permissions::from_mode(0o755)).unwrap();
    let host = json!({"version": "2.0", "customHandler": {
        "description": {"defaultExecutablePath": "handler"}, "enableForwardingHttpRequest": true}});
    std::fs::write(root.path().join("host.json"), host.to_string()).unwrap();
    std::fs::create_dir(root.path().join("ping")).unwrap();
    let function = json!({"bindings": [
        {"type": "httpTrigger", "direction": "in", "name": "req", "methods": ["get"], "authLevel": "anonymous"},
        {"type": "http", "direction": "out", "name": "res"}]});
    std::fs::write(root.path().join("ping/function.json"), function.to_string()).unwrap();
    root
}

#[tokio::test]
async fn the_stand_in_restarts_by_the_exit_code() {
    for (code, restart_on_zero, end, starts) in [
        (1, true, Health::HostStopped, 3),
        (134, true, Health::HostStopped, 3),
        (0, false, Health::Abandoned, 1),
    ] {
        let root = script(&format!("echo started; echo 'forewarned' >&2; exit {code}"));
        let mut host = Host::start(root.path(), &[], restart_on_zero, None)
            .await
            .unwrap();
        host.until(end).await;
        let log = host.log();
        let count = |level| log.iter().filter(|(l, _)| *l == level).count();
        assert_eq!(count(Level::Information), starts, "{code}");
        assert_eq!(
            count(Level::Warning),
            starts,
            "a line that contains `warn` is a warning"
        );
    }
    for (code, restart_on_zero) in [(200, false), (0, true)] {
        let root = script(&format!(
            "echo started; [ -e again ] && sleep 60; touch again; exit {code}"
        ));
        let host = Host::start(root.path(), &[], restart_on_zero, None)
            .await
            .unwrap();
        eventually(async || (host.log().len() >= 2).then_some(())).await;
        assert_ne!(*host.health.borrow(), Health::HostStopped);
    }
}

#[test]
fn the_stand_in_refuses_invalid_functions() {
    let root = script("");
    assert_eq!(
        FunctionApp::read(root.path(), &[]).unwrap().mode,
        Mode::Forwarding
    );
    let function = root.path().join("ping/function.json");
    let good = std::fs::read_to_string(&function).unwrap();
    let parsed = FunctionApp::read(root.path(), &[]).unwrap();
    assert!(
        matches!(&parsed.functions[0].trigger, Trigger::Http { route, .. } if route == &["ping"])
    );
    for bad in [
        good.replace(
            "[{\"auth",
            "[{\"type\":\"queue\",\"direction\":\"out\"},{\"auth",
        ),
        good.replace("anonymous", "public"),
        good.replace("httpTrigger", "smokeSignal"),
        "{".to_owned(),
    ] {
        assert_ne!(bad, good);
        std::fs::write(&function, bad).unwrap();
        assert!(FunctionApp::read(root.path(), &[]).is_err());
    }
}

#[tokio::test]
async fn the_stand_in_recognizes_invocations_that_hang() {
    let answer = async |kind: &'static str, body: &'static str, status: u16| {
        let router = axum::Router::new().fallback(move || async move {
            (
                axum::http::StatusCode::from_u16(status).unwrap(),
                [("content-type", kind)],
                body,
            )
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, router).await });
        tick(address, "sweep").await
    };
    let json = "application/json";
    assert_eq!(answer(json, "", 200).await, Invocation::Hang);
    assert_eq!(answer(json, "null", 200).await, Invocation::Hang);
    assert!(matches!(
        answer("text/plain", "{}", 200).await,
        Invocation::Failed(_)
    ));
    assert!(matches!(
        answer(json, "{}", 503).await,
        Invocation::Failed(_)
    ));
    let logs = vec!["a".to_owned()];
    assert_eq!(
        answer(json, r#"{"Logs":["a"]}"#, 200).await,
        Invocation::Succeeded { logs }
    );
}
