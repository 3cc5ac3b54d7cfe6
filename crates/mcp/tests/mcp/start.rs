//! The command line and the file of settings.

use std::process::Command;

use crate::gate::Gate;
use crate::harness::{Folder, PROXY, SETTINGS, Session, eventually, output, proxy, with_server};

const NO_GATE: &str = "http://127.0.0.1:9";

fn fails(settings: &str, change: impl FnOnce(&mut Command)) -> String {
    let folder = Folder::new();
    let mut command = proxy(NO_GATE, &folder, settings);
    change(&mut command);
    let (text, code) = output(with_server(&mut command, &folder));
    assert_eq!(code, 2, "{text} {settings:.80}");
    assert!(!text.contains("stand-in server: started"), "{text}");
    text
}

#[test]
fn wrong_settings_end_the_start_with_their_line_and_cause() {
    for (settings, causes) in [
        (
            "agent = \"A\"\nholds = []\n",
            ["line 2", "unknown field `holds`"],
        ),
        ("pass = []\n", ["settings.toml", "missing field `agent`"]),
        ("agent = \"\"\n", ["line 1", "1 to 128 characters"]),
        ("agent = \" A\"\n", ["line 1", "without blanks"]),
        ("agent = \"A\\nB\"\n", ["line 1", "on one line"]),
        (
            "agent = \"A\"\naction = \"\"\n",
            ["line 2", "must have characters"],
        ),
        (
            "agent = \"A\"\naction = \"x\\u0000y\"\n",
            ["line 2", "on one line"],
        ),
        ("agent = \"A\\u202eB\"\n", ["line 1", "on one line"]),
        (
            "agent = \"A\"\naction = \"Run a\\u202eb\"\n",
            ["line 2", "none that turns it"],
        ),
        (
            &format!("agent = \"A\"\naction = \"{}\"\n", "x".repeat(257)),
            ["the action must have", "256 characters"],
        ),
        (
            &format!(
                "agent = \"A\"\naction = {{ \"x_*\" = \"{}{{server}}\" }}\n",
                "x".repeat(252)
            ),
            ["the action must have", "--server"],
        ),
        (
            "agent = \"A\"\ntimeout = \"5s\"\n",
            ["line 2", "from 10s to 30d"],
        ),
        ("agent = \"A\"\ntimeout = 60\n", ["line 2", "string"]),
        (
            "agent = \"A\"\npass = [\"\"]\n",
            ["line 2", "must not be empty"],
        ),
        (
            "agent = \"A\"\naction = \"Delete {arguments.path}\"\n",
            ["line 2", "belong in `summary`"],
        ),
        (
            "agent = \"A\"\nsummary = \"Delete {path}\"\n",
            ["line 2", "no placeholder `{path}`"],
        ),
        (
            "agent = \"A\"\nagent = \"B\"\n",
            ["line 2", "duplicate key"],
        ),
    ] {
        let text = fails(settings, |_| {});
        for cause in causes {
            assert!(text.contains(cause), "{cause} in {text}");
        }
    }
}

/// As one that is the command's file name may be.
#[test]
fn a_servers_name_that_people_cannot_be_shown_ends_the_start() {
    let folder = Folder::new();
    let settings = folder.path().join("settings.toml");
    std::fs::write(&settings, SETTINGS).unwrap();
    for name in ["a\nb", "a\u{202e}b", &"x".repeat(255)] {
        let command = proxy(NO_GATE, &folder, SETTINGS);
        let mut unnamed = Command::new(PROXY);
        unnamed.env_clear().envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let (text, code) = output(unnamed.arg("--config").arg(&settings).args(["--", name]));
        assert_eq!(code, 2);
        assert!(text.contains("change `action`, or --server"), "{text}");
    }
}

#[test]
fn wrong_environment_ends_the_start_without_showing_its_values() {
    let text = fails(SETTINGS, |command| {
        command.env_remove("HO_CLAIM_KEY");
    });
    assert!(text.contains("HO_CLAIM_KEY is not set"), "{text}");
    let text = fails(SETTINGS, |command| {
        command.env("HO_CLAIM_KEY", "hunter2");
    });
    assert!(
        text.contains("64 hexadecimal digits") && !text.contains("hunter2"),
        "{text}"
    );
    let text = fails(SETTINGS, |command| {
        command.env_remove("HO_URL");
    });
    assert!(text.contains("HO_URL"), "{text}");
}

#[test]
fn approvers_that_are_no_addresses_end_the_start_and_none_are_named_in_the_log() {
    let text = fails(SETTINGS, |command| {
        command.env("APPROVER_EMAILS", "bob;carol");
    });
    assert!(
        text.contains("APPROVER_EMAILS") && !text.contains("bob"),
        "{text}"
    );
    let folder = Folder::new();
    let mut command = proxy(NO_GATE, &folder, SETTINGS);
    let (text, code) = output(with_server(command.env_remove("APPROVER_EMAILS"), &folder));
    assert_eq!(code, 0);
    assert!(
        text.contains("WARN") && text.contains("APPROVER_EMAILS is not set"),
        "{text}"
    );
}

#[test]
fn a_server_that_cannot_be_started_is_named() {
    let folder = Folder::new();
    let mut command = proxy(NO_GATE, &folder, SETTINGS);
    let (text, code) = output(command.args(["--", "/no/such/server"]));
    assert_eq!(code, 2);
    assert!(text.contains("/no/such/server cannot be started"), "{text}");
}

#[test]
fn keygen_prints_a_key_that_the_proxy_takes() {
    let (text, code) = output(Command::new(PROXY).arg("keygen"));
    assert_eq!(code, 0);
    let key = text.trim().strip_prefix("HO_CLAIM_KEY=").unwrap();
    let folder = Folder::new();
    let mut command = proxy(NO_GATE, &folder, SETTINGS);
    let (_, code) = output(with_server(command.env("HO_CLAIM_KEY", key), &folder));
    assert_eq!(code, 0);
}

#[test]
fn the_log_names_the_setting_for_which_the_gate_is_not_trusted() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let log = folder.path().join("log");
    let mut command = proxy(&gate.url, &folder, SETTINGS);
    command.env("HO_ISSUER", "https://other.example.com");
    command.stderr(std::fs::File::create(&log).unwrap());
    let _client = Session::spawn(with_server(&mut command, &folder));
    let line = eventually("a line of the log", || {
        let text = std::fs::read_to_string(&log).unwrap();
        let mut lines = text.lines();
        let line = lines.find(|line| line.contains("held calls are refused until it does"));
        line.map(str::to_owned)
    });
    assert!(
        line.contains("ERROR") && line.contains("HO_ISSUER"),
        "{line}"
    );
}

#[test]
fn wrong_arguments_are_refused() {
    for arguments in [
        &["--answer-within", "45", "--", "x"][..],
        &["--answer-within", "0s", "--", "x"],
        &["--server", "", "--", "x"],
        &["--server", " \t", "--", "x"],
        &["--server", "a\nb", "--", "x"],
        &["--server", "a\u{2028}b", "--", "x"],
        &["--server", &"x".repeat(129), "--", "x"],
        &[],
        &["x"],
    ] {
        let (text, code) = output(Command::new(PROXY).args(arguments));
        assert_eq!(code, 2, "{arguments:?} {text}");
    }
}
