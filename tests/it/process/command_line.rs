//! Arguments, help, and settings that cannot be used.

use human_oversight::keys::keyring;

use super::{Process, binary, run};
use crate::canary;
use crate::deadline::within;
use crate::harness::{repository, request};

#[tokio::test]
async fn an_unusable_setting_ends_the_start_with_one_line_and_exit_code_1() {
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listening.local_addr().unwrap().port().to_string();
    let (link_key, receipt_key) = (
        keyring::generate_link_key(),
        keyring::generate_receipt_key(),
    );
    for (settings, words) in [
        (vec![("HO_PORT", "x")], "HO_PORT cannot be used"),
        (vec![("HO_PORT", taken.as_str())], "is in use"),
        (vec![("HO_STORE", "floppy")], "HO_STORE cannot be used"),
        (
            vec![("HO_LINK_KEYS", "a:topsecret!")],
            "HO_LINK_KEYS cannot be used",
        ),
        (
            vec![("HO_BASE_URL", "ftp://example.com")],
            "HO_BASE_URL cannot be used",
        ),
        (
            vec![("HO_LOCAL", "true")],
            "HO_LOCAL cannot be used: it must be `1`, or not set",
        ),
        (
            vec![("FUNCTIONS_CUSTOMHANDLER_PORT", "4711"), ("HO_LOCAL", "1")],
            "HO_SWEEP_SCHEDULE is not set: without it the host never triggers the sweep",
        ),
        (
            vec![("HO_SWEEP_SCHEDULE", "topsecret")],
            "HO_SWEEP_SCHEDULE cannot be used: it must be an NCRONTAB expression",
        ),
        (
            vec![("HO_SWEEP_SCHEDULE", "0 0 0 31 4 *")],
            "HO_SWEEP_SCHEDULE cannot be used: its date never comes",
        ),
        (
            vec![("HO_STORE", "embedded:/proc/none")],
            "the key file `link.keys` of local development",
        ),
        (
            vec![
                ("HO_STORE", "tables"),
                ("HO_TABLES_CONNECTION_STRING", "UseDevelopmentStorage=true"),
                ("HO_LINK_KEYS", &link_key),
                ("HO_RECEIPT_KEYS", &receipt_key),
                ("SSL_CERT_FILE", "/dev/null"),
            ],
            "No CA certificates were loaded",
        ),
        (
            vec![("HO_LOG", "topsecret=topsecret")],
            "HO_LOG cannot be used",
        ),
        (vec![("HO_LOG", "inof")], "HO_LOG cannot be used"),
    ] {
        let mut gate = binary();
        gate.env("HO_PORT", "0").envs(settings);
        let output = within(gate.output()).await.unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            error.contains(words) && error.lines().count() == 1,
            "{error}"
        );
        canary::assert_no_secret(&error);
        assert!(output.stdout.is_empty());
    }
}

#[tokio::test]
async fn a_command_names_the_key_file_that_it_cannot_use() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Process::start(dir.path(), &[]).await;
    gate.client().submit(&request()).await.unwrap();
    gate.kill().await;
    std::fs::write(dir.path().join("link.keys"), "k:no key").unwrap();
    let store = format!("embedded:{}", dir.path().display());
    let (said, code) = run(&[("HO_STORE", store.as_str())], &["list", "--open"]).await;
    assert!(code == 2 && said.contains("link.keys"), "{said}");
}

#[tokio::test]
async fn a_store_whose_key_file_is_gone_gets_no_new_key() {
    for file in ["link.keys", "receipt.keys"] {
        let dir = tempfile::tempdir().unwrap();
        let gate = Process::start(dir.path(), &[]).await;
        gate.client().submit(&request()).await.unwrap();
        gate.kill().await;
        std::fs::remove_file(dir.path().join(file)).unwrap();
        let store = format!("embedded:{}", dir.path().display());
        let mut gate = binary();
        gate.env("HO_PORT", "0").env("HO_STORE", store);
        let output = within(gate.output()).await.unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(&format!("the key file `{file}`")), "{error}");
        assert!(error.contains("put it back"), "{error}");
        assert!(!dir.path().join(file).exists());
    }
}

#[tokio::test]
async fn all_wrong_settings_are_named_at_once_with_unit_and_rule_and_no_value() {
    let wrong = [
        ("HO_PORT", "topsecret"),
        ("HO_SWEEP_SECONDS", "5m"),
        ("HO_LINK_KEYS", "a:topsecret!"),
        ("HO_LOG", "topsecret"),
    ];
    let rules = [
        "HO_PORT cannot be used: it must be the number of a port, from 0 to 65535",
        "HO_SWEEP_SECONDS cannot be used: it must be a whole number of seconds from 1 to 86400",
        "HO_LINK_KEYS cannot be used: entry 1 is not `kid:base64`",
        "HO_LOG cannot be used: it must be off, error, warn, info, debug or trace",
    ];
    for (arguments, code) in [
        ([].as_slice(), 1),
        (&["demo"], 1),
        (&["check", "--upgrade"], 2),
    ] {
        let output = within(binary().args(arguments).envs(wrong).output())
            .await
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert_eq!(error.lines().count(), rules.len(), "{error}");
        for rule in rules {
            let line = error.lines().find(|line| line.contains(rule));
            let line = line.unwrap_or_else(|| panic!("{rule} in {error}"));
            assert!(line.starts_with("human-oversight "), "{line}");
        }
        assert!(!error.contains("topsecret"), "{error}");
        canary::assert_no_secret(&error);
    }
}

#[tokio::test]
async fn help_and_version_go_to_stdout_with_exit_code_0_and_do_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (vec!["--help"], "HO_PORT"),
        (vec!["--help"], "docs/deployment.md"),
        (vec!["help"], "HO_PORT"),
        (
            vec!["--version"],
            // A release build names its commit.
            concat!(
                "human-oversight ",
                env!("CARGO_PKG_VERSION"),
                " (debug build)"
            ),
        ),
        (vec!["backup", "--help"], "<FILE>"),
        (vec!["ask", "--help"], "HO_URL"),
    ] {
        let mut command = binary();
        command.args(&arguments).current_dir(dir.path());
        let output = within(command.output()).await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(said.contains(words), "{words}: {said}");
        assert!(output.stderr.is_empty(), "{arguments:?}");
    }
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn wrong_arguments_are_named_with_exit_code_2() {
    for (arguments, words) in [
        (vec!["dance"], "'dance'"),
        (vec!["bakup"], "'backup'"),
        (vec!["--dance"], "'--dance'"),
        (vec!["keygen", "dance"], "'dance'"),
        (vec!["demo", "--timeout"], "'--timeout <SECONDS>'"),
        (vec!["demo", "--timeout=soon"], "a whole number of seconds"),
        (vec!["demo", "--timeout=5"], "from 10 to 2592000"),
        (vec!["demo", "--timeout="], "from 10 to 2592000"),
        (vec!["verify", "--keys"], "'--keys <FILE>'"),
        (vec!["backup"], "<FILE>"),
        (vec!["restore"], "<FILE>"),
        (vec!["purge"], "--older-than <DAYS>"),
        (vec!["purge", "--delete"], "--older-than <DAYS>"),
        (
            vec!["purge", "--older-than", "1.5"],
            "a whole number of days",
        ),
    ] {
        let output = within(binary().args(&arguments).output()).await.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(words), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty());
    }
}

#[tokio::test]
async fn settings_that_are_none_are_named_without_their_values_by_gate_and_commands() {
    let unknown = [
        ("HO_ALOWED_APPROVERS", "topsecret"),
        ("ho_port", "topsecret"),
        ("HO_X", "1"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let log = Process::start(dir.path(), &unknown).await.kill().await;
    for words in [
        r#"name="HO_ALOWED_APPROVERS" nearest="HO_ALLOWED_APPROVERS""#,
        r#"name="ho_port" nearest="HO_PORT""#,
        r#"name="HO_X""#,
    ] {
        assert!(log.contains(words), "{words} in {log}");
    }
    let mut keygen = binary();
    let output = within(keygen.arg("keygen").envs(unknown).output())
        .await
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.lines().count(), 3, "{error}");
    let named =
        "HO_ALOWED_APPROVERS is no setting and has no effect: HO_ALLOWED_APPROVERS may be meant";
    assert!(error.contains(named), "{error}");
    assert!(output.status.success() && !output.stdout.is_empty());
    assert!(!log.contains("topsecret") && !error.contains("topsecret"));
}

/// Such as `keygen | head -1`.
#[tokio::test]
async fn a_reader_that_stops_reading_ends_a_command_without_a_word() {
    for arguments in [["keygen"].as_slice(), &["--help"], &["--version"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = binary();
        let output = within(command.args(arguments).stdout(writer).output()).await;
        let said = String::from_utf8(output.unwrap().stderr).unwrap();
        assert_eq!(said, "", "{arguments:?}");
    }
}

/// docs/contributing.md says how to rewrite the page.
#[tokio::test]
async fn the_page_of_commands_has_the_help_of_each() {
    let help = async |arguments: &[&str]| {
        let output = within(binary().args(arguments).output()).await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
        lines.join("\n")
    };
    let program = help(&["--help"]).await;
    let mut page = format!(
        "# Command line\n\nThis page has the `--help` of every command. [deployment.md](deployment.md) explains every \
         setting, [ask.md](ask.md)\n`ask` in full.\n\n```text\n{program}\n```\n"
    );
    for name in commands_in(&program) {
        let text = help(&[name, "--help"]).await;
        page.push_str(&format!("\n## {name}\n\n```text\n{text}\n```\n"));
        for nested in commands_in(&text) {
            let text = help(&[name, nested, "--help"]).await;
            page.push_str(&format!("\n### {name} {nested}\n\n```text\n{text}\n```\n"));
        }
    }
    let file = repository().join("docs/command-line.md");
    if std::env::var_os("HO_UPDATE_HELP").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(page, stored, "{}", file.display());
}

/// The commands that a help lists, but for the help itself.
fn commands_in(help: &str) -> impl Iterator<Item = &str> {
    let commands = help
        .split_once("\nCommands:\n")
        .map_or("", |(_, rest)| rest);
    let commands = commands.split("\n\n").next().unwrap_or_default();
    commands.lines().filter_map(|line| {
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        Some(name).filter(|name| !name.is_empty() && *name != "help")
    })
}
