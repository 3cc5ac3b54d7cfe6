//! What ends `ask` before a request is submitted.

use std::process::Stdio;

use super::{APPROVE, AskProcess, Fixture};
use crate::canary;
use crate::deadline::within;
use crate::process::binary;

#[tokio::test]
async fn without_a_gate_the_command_does_not_run() {
    let fixture = Fixture::with("touch ran").await;
    let run_at = |url| {
        let ask = fixture
            .command(&[], &["./deploy.sh"])
            .env("HO_URL", url)
            .output();
        within(ask)
    };
    // A port without a listener, until the retries end; and a server that is not a gate.
    let inbox = format!("{}/inbox", fixture.gate.url);
    let (unreachable, not_a_gate) =
        tokio::join!(run_at("http://127.0.0.1:1"), run_at(inbox.as_str()));
    for (output, words) in [
        (unreachable.unwrap(), "the gate could not be reached"),
        (not_a_gate.unwrap(), "there is no gate at this address"),
    ] {
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(said.contains("Not run: no one was asked"), "{said}");
        assert!(said.lines().last().unwrap().contains(words), "{said}");
        let away = "human-oversight: the gate does not answer: ";
        let is_away = words.contains("reached");
        assert_eq!(said.matches(away).count(), usize::from(is_away), "{said}");
        assert_eq!(said.lines().count(), 1 + usize::from(is_away), "{said}");
        canary::assert_no_secret(&said);
    }
    // A reachable gate refuses the request.
    let mut wrong = fixture.command(&["--on-behalf-of", "unknown"], &["./deploy.sh"]);
    let output = within(wrong.output()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "no request was submitted");
    assert!(said.contains("/onBehalfOf "), "{said}");
    assert!(!fixture.has_run());
}

#[tokio::test]
async fn a_policy_names_the_approvers_or_decides_without_them() {
    const POLICY: &str = "
version = 1
[groups]
finance = [\"bob@example.com\"]
[[rule]]
id = \"never\"
actions = [\"Deploy*\"]
effect = \"deny\"
[[rule]]
id = \"payments\"
actions = [\"Pay*\"]
effect = \"require\"
stages = [{ from = \"finance\" }]
";
    let fixture = Fixture::under(&[("HO_POLICY", POLICY)], "touch ran").await;
    let denied = fixture.command(&[], &["./deploy.sh"]).output();
    let output = within(denied).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(!said.contains("may approve"), "{said}");

    let mut pay = binary();
    let arguments = ["ask", "--agent", "ci", "--action", "Pay", "--", "/bin/true"];
    pay.args(arguments).env("HO_URL", &fixture.gate.url);
    pay.stderr(Stdio::piped()).stdout(Stdio::piped());
    let ask = AskProcess::start(pay).await;
    let approvers = fixture.row(&ask).await.notifications;
    assert_eq!(approvers[0].approver, "bob@example.com");
}

#[tokio::test]
async fn wrong_usage_submits_no_request() {
    use std::ffi::OsStr;
    use std::fs::Permissions;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::with("touch ran").await;
    let with = |arguments: &[&str]| {
        let mut ask = fixture.command(&[], &[]);
        // The same settings, with other arguments.
        let mut fresh = binary();
        for (name, value) in ask.as_std_mut().get_envs() {
            fresh.env(name, value.unwrap());
        }
        fresh
            .current_dir(fixture.work.path())
            .arg("ask")
            .args(arguments);
        fresh
    };
    let whole = ["--agent", "ci", "--action", "Deploy", "--", "./deploy.sh"];
    let mut bytes = with(&whole);
    bytes.arg(OsStr::from_bytes(b"\xff"));
    let mut file = with(&["--file"]);
    file.arg(OsStr::from_bytes(b"\xff")).args(whole);
    std::fs::write(fixture.work.path().join(OsStr::from_bytes(b"\xff")), "").unwrap();
    std::fs::write(fixture.work.path().join("data"), "no program").unwrap();
    for (name, content) in [
        ("no-interpreter", "#! /no/such/interpreter -x\necho"),
        ("no-python", "#!/usr/bin/env -S A=1 no-such-python -u\n"),
        ("no-first-line", "echo hello\n"),
        ("windows", "#!/bin/sh\r\ntouch ran\r\n"),
        ("windows-env", "#!/usr/bin/env sh\r\ntouch ran\r\n"),
    ] {
        let file = fixture.work.path().join(name);
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
    }
    let mut no_url = with(&whole);
    no_url.env_remove("HO_URL");
    let mut no_approver = with(&whole);
    no_approver.env_remove("APPROVER_EMAILS");
    let missing = "required arguments were not provided";
    for (mut call, words) in [
        (
            with(&[]),
            vec![missing, "--agent <NAME>", "--action <TEXT>", "<COMMAND>..."],
        ),
        (with(&whole[..4]), vec![missing, "  <COMMAND>..."]),
        (with(&whole[..5]), vec![missing, "  <COMMAND>..."]),
        (with(&whole[2..]), vec![missing, "  --agent <NAME>"]),
        (
            with(&["--agent", "ci", "--", "true"]),
            vec![missing, "  --action <TEXT>"],
        ),
        (
            with(&["--agent", "--", "true"]),
            vec!["a value is required for '--agent <NAME>'"],
        ),
        (
            with(&["--agent", "", "--action", "Deploy", "--", "true"]),
            vec!["a value is required for '--agent <NAME>'"],
        ),
        (
            with(&["--agnet", "ci", "--", "true"]),
            vec!["unexpected argument '--agnet'"],
        ),
        (
            with(&["--timeout", "soon", "--", "true"]),
            vec!["'soon' for '--timeout <SECONDS>'", "a whole number"],
        ),
        (
            with(&["--timeout=9", "--", "true"]),
            vec!["'9' for '--timeout <SECONDS>'", "from 10 to 2592000"],
        ),
        (
            with(&["--approver=", "--", "true"]),
            vec!["a value is required for '--approver <ADDRESS>'"],
        ),
        (
            with(&[&whole[..5], &["no-such-command"]].concat()),
            vec!["no program no-such-command in PATH"],
        ),
        (
            with(&[&whole[..5], &["./gone.sh"]].concat()),
            vec!["./gone.sh cannot be found"],
        ),
        (
            with(&[&whole[..5], &["./data"]].concat()),
            vec!["./data is not executable"],
        ),
        (
            with(&[&whole[..5], &["/dev/null"]].concat()),
            vec!["/dev/null is not a regular file"],
        ),
        (
            with(&[&whole[..5], &["./no-interpreter"]].concat()),
            vec!["no-interpreter is a script for /no/such/interpreter, which cannot be found"],
        ),
        (
            with(&[&whole[..5], &["./no-python"]].concat()),
            vec!["no-python is a script for no-such-python, which cannot be found"],
        ),
        (
            with(&[&whole[..5], &["./no-first-line"]].concat()),
            vec!["no-first-line is neither a program nor a script"],
        ),
        (
            with(&[&whole[..5], &["./windows"]].concat()),
            vec![r"windows is a script for /bin/sh\r, which cannot be found"],
        ),
        (
            with(&[&whole[..5], &["./windows-env"]].concat()),
            vec![r"windows-env is a script for sh\r, which cannot be found"],
        ),
        (bytes, vec!["invalid UTF-8"]),
        (file, vec!["the path /", "is not UTF-8"]),
        (no_url, vec!["HO_URL is not set"]),
        (no_approver, vec!["APPROVER_EMAILS"]),
    ] {
        let output = within(call.output()).await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(output.stdout.is_empty());
        for words in words {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    assert!(!fixture.has_run() && !fixture.dir.path().join("mail").exists());
}

#[tokio::test]
async fn a_script_that_can_start_is_asked_about_however_its_first_line_ends() {
    let fixture = Fixture::with("").await;
    let script = fixture.work.path().join("deploy.sh");
    for first in [
        "#! /bin/sh\t",
        "#!/usr/bin/env -S sh\r",
        "#!\t/usr/bin/env\tsh",
    ] {
        std::fs::write(&script, format!("{first}\nexit 0\n")).unwrap();
        let mut ask = fixture.start(&[], &["./deploy.sh"]).await;
        fixture.decide(&ask, APPROVE).await;
        let (ended, _, said) = ask.wait().await;
        assert_eq!(ended.code(), Some(0), "{first:?}: {said}");
    }
}
