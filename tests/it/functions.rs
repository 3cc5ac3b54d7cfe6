//! The functions: each has a directory, a route, a handler module and a test file.

use std::collections::BTreeSet;

use crate::agent_identity;
use crate::harness::{TestGate, repository};
use crate::host::{AuthLevel, FunctionApp, Mode, Trigger};

fn app() -> FunctionApp {
    FunctionApp::read(repository(), &[("HO_SWEEP_SCHEDULE", "0 * * * * *")]).unwrap()
}

#[test]
fn every_function_has_a_directory_a_route_a_module_and_a_test() {
    let directories: BTreeSet<String> = app().functions.into_iter().map(|f| f.name).collect();
    let routes: BTreeSet<String> = include_str!("../../src/http.rs")
        .split('"')
        .filter(|literal| literal.starts_with('/') && *literal != "/" && !literal.contains(' '))
        // The inbox exists in local development only.
        .filter(|path| !path.starts_with("/inbox"))
        .map(|path| {
            let path = path.trim_start_matches("/api").replace("agent/", "agent_");
            path.split(['/', '.']).nth(1).unwrap().to_owned()
        })
        .collect();
    assert_eq!(directories, routes);
    for name in &directories {
        // The functions for an identity have the handlers of those for a key, and one test file.
        let by_identity = name.strip_prefix("agent_");
        let (handler, test) = by_identity.map_or((name.as_str(), name.as_str()), |handler| {
            (handler, "agent_identity")
        });
        for file in [
            format!("src/http/{handler}.rs"),
            format!("tests/it/{test}.rs"),
        ] {
            assert!(repository().join(&file).is_file(), "{file}");
        }
    }
}

#[tokio::test]
async fn each_route_allows_exactly_the_methods_of_its_function() {
    let gate = TestGate::with(&agent_identity::BOTH).await;
    for function in app().functions {
        let (path, methods) = match &function.trigger {
            Trigger::Http { methods, route, .. } => {
                let route = route
                    .join("/")
                    .replace("{id}", "YQ.b")
                    .replace("{id?}", "YQ.b");
                (format!("/api/{route}"), methods.clone())
            }
            Trigger::Timer => (format!("/{}", function.name), vec!["post".to_owned()]),
        };
        let request = gate
            .http
            .request(reqwest::Method::TRACE, gate.direct(&path));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 405, "{path}");
        let allowed = answer.headers()["allow"]
            .to_str()
            .unwrap()
            .to_ascii_lowercase();
        let allowed: BTreeSet<&str> = allowed
            .split(',')
            .filter(|method| *method != "head")
            .collect();
        assert_eq!(
            allowed,
            methods.iter().map(String::as_str).collect(),
            "{path}"
        );
    }
}

#[test]
fn only_what_needs_no_function_key_is_anonymous_and_only_operate_takes_the_master_key() {
    for function in app().functions {
        if let Trigger::Http { level, .. } = function.trigger {
            let expected = match function.name.as_str() {
                "decision" | "requests" | "keys" | "openapi" => AuthLevel::Anonymous,
                // The gate demands an identity.
                name if name.starts_with("agent_") => AuthLevel::Anonymous,
                "operate" => AuthLevel::Admin,
                _ => AuthLevel::Function,
            };
            assert_eq!(level, expected, "{}", function.name);
        }
    }
}

#[test]
fn host_json_enables_proxying_and_disables_dependency_tracking() {
    assert_eq!(app().mode, Mode::Proxying);
    let host = std::fs::read_to_string(repository().join("host.json")).unwrap();
    let host: serde_json::Value = serde_json::from_str(&host).unwrap();
    // Older hosts, which do not know proxying, forward.
    assert_eq!(host["customHandler"]["enableForwardingHttpRequest"], true);
    // With dependency tracking, the host would record URLs with the tokens in their queries.
    assert_eq!(
        host["logging"]["applicationInsights"]["enableDependencyTracking"],
        false
    );
    // Two lines for each call, which say nothing that the record of the call does not. The sweep's own words are
    // what `alive.kql` and the alert `sweep-silent` look for.
    let levels = &host["logging"]["logLevel"];
    assert_eq!(levels["Function"], "Warning");
    for kept in [
        "Function.sweep.User",
        "Host.Results",
        "Host.Function.Console",
    ] {
        assert_eq!(levels[kept], "Information", "{kept}");
    }
    assert_eq!(host["functionTimeout"], "00:05:00");
    assert_eq!(host["extensions"]["http"]["routePrefix"], "api");
    assert!(
        host.get("extensionBundle").is_none(),
        "timer and HTTP triggers need no extension bundle"
    );
    let executable = host["customHandler"]["description"]["defaultExecutablePath"]
        .as_str()
        .unwrap();
    assert_eq!(
        executable, "human-oversight",
        "with `./` before the name, the tools lose its executable bit"
    );
}

#[test]
fn the_host_disables_the_sweep_alone_where_it_cannot_read_the_schedule() {
    let settings: [&[(&str, &str)]; 3] = [
        &[],
        &[("HO_SWEEP_SCHEDULE", "every minute")],
        &[("HO_SWEEP_SCHEDULE", "0 * * *")],
    ];
    for settings in settings {
        let functions = FunctionApp::read(repository(), settings).unwrap().functions;
        assert_eq!(functions.len(), app().functions.len() - 1);
        assert!(functions.iter().all(|function| function.name != "sweep"));
    }
    for schedule in ["* * * * *", "00:01:00"] {
        let settings = [("HO_SWEEP_SCHEDULE", schedule)];
        let functions = FunctionApp::read(repository(), &settings)
            .unwrap()
            .functions;
        assert_eq!(functions.len(), app().functions.len());
    }
}
