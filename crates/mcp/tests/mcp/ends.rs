//! What a model reads of each end, and what follows from it.

use serde_json::json;

use crate::gate::Gate;
use crate::harness::{Folder, SETTINGS, Session, eventually, proxy, with_server};
use crate::relay::Relay;

#[test]
fn a_rejection_is_read_with_its_comment_and_the_next_call_asks_again() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let id = client.call("delete_file", &json!({"path": "/a"}));
    gate.reject(&gate.only_id(), "Not on a Friday.");
    let (text, status) = client.told(id);
    assert_eq!(status, "rejected");
    let expected = "Not run: rejected by alice@example.com. The approver's comment: \"Not on a Friday.\". Do not call it \
                    again, and do not do the same in another way, unless the comment asks for a change.";
    assert_eq!(text, expected);
    client.call("delete_file", &json!({"path": "/a"}));
    eventually("a new request", || (gate.asked().len() == 2).then_some(()));
    assert!(folder.runs().is_empty());
}

#[test]
fn who_rejects_can_ask_for_a_changed_call() {
    let policy = "version = 1\n[[rule]]\nid = \"all\"\neffect = \"require\"\nstages = [{ from = \"requested\" }]\n\
                  reject_reasons = [\"Too much\"]\n";
    let (gate, folder) = (Gate::with_policy(policy), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let question = ("revise", "Only \"half\" of it, please");
    let [preset, words] = [("preset", "Too much"), ("words", "Not now.")];
    let asks = "Not run: rejected by alice@example.com, who asks for a change: \"Only \\\"half\\\" of it, please\".";
    let may_call = "Call again, with arguments changed accordingly: people are then asked again. Do not do the same in \
                    another way.";
    let rejected = "Not run: rejected by alice@example.com.";
    let may_not_call = "Do not call it again, and do not do the same in another way, unless the comment asks for a change.";
    for (number, (has_code, fields, expected)) in [
        (true, vec![question], format!("{asks} {may_call}")),
        (
            true,
            vec![question, preset, words],
            format!("{asks} The approver's comment: \"Too much: Not now.\". {may_call}"),
        ),
        // Anyone with the link can have written words without the code: the agent does not get them.
        (
            false,
            vec![question, preset, words],
            format!("{rejected} The approver's comment: \"Too much\". {may_not_call}"),
        ),
        (false, vec![question], format!("{rejected} {may_not_call}")),
    ]
    .into_iter()
    .enumerate()
    {
        let id = client.call("delete_file", &json!({"number": number}));
        let asked = eventually("an email", || {
            let open = |id: &String| gate.status(id)["status"] == "Pending";
            gate.asked().into_iter().find(open)
        });
        let code = gate.code(&asked);
        let code = [("code", code.as_str())];
        let code = if has_code { &code[..] } else { &[] };
        gate.reject_with(&asked, &[code, &fields].concat());
        assert_eq!(client.told(id), (expected, "rejected".to_owned()));
    }
}

#[test]
fn an_expiry_is_not_told_as_a_rejection() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let settings = format!("{SETTINGS}timeout = \"10s\"\n");
    let mut client = Session::spawn(with_server(
        &mut proxy(&gate.url, &folder, &settings),
        &folder,
    ));
    let id = client.call("delete_file", &json!({}));
    gate.only_id();
    let (text, status) = client.told(id);
    assert_eq!(status, "expired");
    assert!(
        text.starts_with("Not run: no one decided in time."),
        "{text}"
    );
    assert!(folder.runs().is_empty());
}

#[test]
fn the_model_reads_that_the_gate_is_away_and_the_call_can_be_repeated() {
    let (mut gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::answering_within(&gate, &folder, "3s");
    let id = client.call("delete_file", &json!({}));
    client.told(id);
    let asked = gate.only_id();
    gate.kill();
    let id = client.call("delete_file", &json!({}));
    let (text, status) = client.told(id);
    assert_eq!(status, "unavailable", "{text}");
    assert!(text.starts_with("Not run: the gate"), "{text}");
    // What needs no approval runs all the same.
    let id = client.call("read_file", &json!({}));
    assert!(client.answer(id)["result"]["isError"].is_null());
    gate.restart();
    gate.approve(&asked);
    eventually("the run", || {
        let id = client.call("delete_file", &json!({}));
        client.answer(id)["result"]["isError"]
            .is_null()
            .then_some(())
    });
    assert_eq!(
        folder
            .runs()
            .iter()
            .filter(|run| run[0] == "delete_file")
            .count(),
        1
    );
}

#[test]
fn a_pause_has_its_own_words_and_does_not_end_the_request() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::answering_within(&gate, &folder, "3s");
    let id = client.call("delete_file", &json!({}));
    client.told(id);
    let asked = gate.only_id();
    gate.operate(&["pause", "--because", "An incident.", "--again-after", "1"]);
    gate.approve(&asked);
    let id = client.call("delete_file", &json!({}));
    let (text, status) = client.told(id);
    assert_eq!(status, "paused", "{text}");
    gate.operate(&["resume"]);
    let id = client.call("delete_file", &json!({}));
    assert!(client.answer(id)["result"]["isError"].is_null());
    assert_eq!((folder.runs().len(), gate.asked().len()), (1, 1));
}

#[test]
fn a_revoked_approval_has_its_own_words() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::answering_within(&gate, &folder, "3s");
    let id = client.call("delete_file", &json!({}));
    client.told(id);
    let asked = gate.only_id();
    gate.approve(&asked);
    gate.operate(&["revoke", &asked]);
    let id = client.call("delete_file", &json!({}));
    let (text, status) = client.told(id);
    assert_eq!(status, "revoked", "{text}");
    assert!(folder.runs().is_empty());
}

#[test]
fn a_denial_of_the_policy_is_read_with_its_reason() {
    let policy = "version = 1\n[[rule]]\nid = \"never\"\nactions = [\"*\"]\neffect = \"deny\"\nreason = \"Open a change instead.\"\n";
    let (gate, folder) = (Gate::with_policy(policy), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let id = client.call("delete_file", &json!({}));
    let (text, status) = client.told(id);
    assert_eq!(status, "denied");
    assert!(
        text.contains("Open a change instead.") && text.contains("Do not try again"),
        "{text}"
    );
}

#[test]
fn a_tool_that_fails_is_reported_and_its_own_words_are_read() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    for (tool, error) in [("fail", "no such file"), ("error", "broken")] {
        let id = client.call(tool, &json!({}));
        let asked = eventually("an email", || {
            let open = |id: &String| gate.status(id)["status"] == "Pending";
            gate.asked().into_iter().find(open)
        });
        gate.approve(&asked);
        let answer = client.answer(id);
        let text = answer.to_string();
        assert!(
            text.contains(error) && !text.contains("human-oversight"),
            "{text}"
        );
        let execution = gate.await_execution(&asked, "ExecutionFailed");
        assert_eq!(execution["error"], error);
    }
}

#[test]
fn a_server_that_ends_while_it_runs_a_call_may_have_run_it_and_is_not_asked_again() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let id = client.call("crash", &json!({}));
    let asked = gate.only_id();
    gate.approve(&asked);
    let (text, status) = client.told(id);
    assert_eq!(status, "unknown");
    assert!(text.contains("may have run"), "{text}");
    assert_eq!(client.end().code(), Some(3));
    let execution = gate.await_execution(&asked, "ExecutionFailed");
    assert!(
        execution["error"]
            .as_str()
            .unwrap()
            .contains("may have run")
    );
    assert_eq!(folder.runs().len(), 1);
}

#[test]
fn a_proxy_that_was_killed_while_a_tool_ran_does_not_run_it_again() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    client.call("slow", &json!({}));
    let asked = gate.only_id();
    gate.approve(&asked);
    eventually("the run", || (folder.runs().len() == 1).then_some(()));
    client.kill();
    folder.go();
    let mut client = Session::start(&gate, &folder);
    for _ in 0..2 {
        let id = client.call("slow", &json!({}));
        let (text, status) = client.told(id);
        assert_eq!(status, "unknown");
        assert!(text.contains("may have run"), "{text}");
    }
    assert_eq!((folder.runs().len(), gate.asked().len()), (1, 1));
}

#[test]
fn a_second_proxy_joins_the_request_and_reads_who_ran_it() {
    let (gate, folder, other) = (Gate::start(), Folder::new(), Folder::new());
    let mut first = Session::start(&gate, &folder);
    let mut second = Session::start(&gate, &other);
    let id = first.call("slow", &json!({}));
    let asked = gate.only_id();
    let again = second.call("slow", &json!({}));
    second.settle();
    folder.go();
    other.go();
    gate.approve(&asked);
    let answers = [first.answer(id), second.answer(again)];
    let ran = answers
        .iter()
        .filter(|it| it["result"]["isError"].is_null())
        .count();
    assert_eq!(ran, 1, "{answers:?}");
    assert_eq!(folder.runs().len() + other.runs().len(), 1);
    assert_eq!(gate.asked().len(), 1);
    let text = answers
        .iter()
        .find(|it| it["result"]["isError"] == true)
        .unwrap()
        .to_string();
    assert!(text.contains("Not run again"), "{text}");
}

/// Each says of the tool what its server has listed: the call is the same.
#[test]
fn the_same_call_of_two_sessions_at_the_same_time_is_one_request_whatever_each_says_of_it() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let relay = Relay::before("/api/submit", &gate.url);
    let mut first = Session::start(&gate, &folder);
    let list = first.request("tools/list", &json!({}));
    first.answer(list);
    let mut second = Session::through(&relay, &folder);
    let arguments = json!({"path": "/a"});
    // It has found no request yet.
    let again = second.call("delete_file", &arguments);
    relay.await_claim();
    let id = first.call("delete_file", &arguments);
    let asked = gate.only_id();
    relay.open();
    gate.approve(&asked);
    let answers = [first.answer(id), second.answer(again)];
    let results = answers.iter().map(|it| &it["result"]);
    let (ran, others): (Vec<_>, Vec<_>) = results.partition(|it| it["isError"].is_null());
    assert_eq!(ran.len(), 1, "{answers:?}");
    let text = others[0]["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("Not run again: "), "{text}");
    assert_eq!((folder.runs().len(), gate.only_id()), (1, asked));
}

#[test]
fn a_fresh_call_does_not_get_the_end_of_another_sessions_earlier_call() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let [mut first, mut second] = [(); 2].map(|()| Session::start(&gate, &folder));
    let call = |client: &mut Session, decide: &dyn Fn(&str)| {
        let before = gate.asked();
        let id = client.call("delete_file", &json!({"path": "/a"}));
        let asked = eventually("a new request", || {
            gate.asked().into_iter().find(|it| !before.contains(it))
        });
        decide(&asked);
        client.answer(id)
    };
    let approve = |asked: &str| gate.approve(asked);
    let run = |client: &mut Session| {
        let answer = call(client, &approve);
        assert!(answer["result"]["isError"].is_null(), "{answer}");
        let executions = gate.asked().into_iter();
        executions.for_each(|id| drop(gate.await_execution(&id, "Executed")));
    };
    run(&mut first);
    run(&mut second);
    run(&mut first);
    let answer = call(&mut second, &|asked| gate.reject(asked, ""));
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let answer = call(&mut first, &approve);
    assert!(answer["result"]["isError"].is_null(), "{answer}");
    assert_eq!(folder.runs().len(), 4);
}

#[test]
fn an_error_of_null_is_none() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let id = client.call("no error", &json!({}));
    let asked = gate.only_id();
    gate.approve(&asked);
    let answer = client.answer(id);
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    gate.await_execution(&asked, "Executed");
}

#[test]
fn an_error_that_is_a_text_is_reported_in_its_words() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let mut client = Session::start(&gate, &folder);
    let id = client.call("error as text", &json!({}));
    let asked = gate.only_id();
    gate.approve(&asked);
    assert_eq!(client.answer(id)["error"], "broken");
    let execution = gate.await_execution(&asked, "ExecutionFailed");
    assert_eq!(execution["error"], "broken");
}

#[test]
fn what_only_the_operator_can_correct_is_not_put_to_the_model_and_the_log_names_the_setting() {
    let allowed = ("HO_ALLOWED_APPROVERS", "*@example.com");
    let (gate, folder) = (Gate::with(&[allowed]), Folder::new());
    let log = folder.path().join("log");
    for approvers in ["", "bob@example.org"] {
        let mut command = proxy(&gate.url, &folder, SETTINGS);
        command.env("APPROVER_EMAILS", approvers);
        command.stderr(std::fs::File::create(&log).unwrap());
        let mut client = Session::spawn(with_server(&mut command, &folder));
        let id = client.call("delete_file", &json!({"approvers": approvers}));
        let (text, status) = client.told(id);
        assert_eq!(status, "invalid");
        let expected = "Not run: the gate refuses what the operator has set for this proxy. Do not call it again: tell the \
                        operator, who finds the cause in the proxy's log.";
        assert_eq!(text, expected);
        let log = std::fs::read_to_string(&log).unwrap();
        assert!(
            log.contains("ERROR") && log.contains("setting=\"APPROVER_EMAILS\""),
            "{log}"
        );
        assert!(!log.contains("bob@"), "{log}");
    }
}

/// No answer can come any more: the client sees the end that it would see without a proxy.
#[test]
fn a_server_that_closes_its_output_and_lives_on_ends_the_proxy_and_uses_no_approval_up() {
    let (gate, folder) = (Gate::start(), Folder::new());
    let log = folder.path().join("log");
    let mut command = proxy(&gate.url, &folder, SETTINGS);
    command.args(["--", "sh", "-c", "read -r line; exec >&-; exec sleep 60"]);
    command.stderr(std::fs::File::create(&log).unwrap());
    let mut client = Session::spawn(&mut command);
    client.call("delete_file", &json!({}));
    let asked = gate.only_id();
    client.request("ping", &json!({}));
    assert_eq!(client.end().code(), Some(1));
    gate.approve(&asked);
    assert!(gate.status(&asked)["execution"].is_null());
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("the server has closed its output"), "{log}");
}
