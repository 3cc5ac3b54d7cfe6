//! What the proxy adds to two answers of the server, for clients that have declared tasks as revision 2025-11-25 does:
//! without it they could ask for none. All else stays as the server wrote it.

use serde_json::value::RawValue;

use crate::answer::Answer;
use crate::lenient;
use crate::members::Members;

/// What the server can do with tasks, and what the proxy adds.
const CAPABILITY: [&[&str]; 3] = [&["list"], &["cancel"], &["requests", "tools", "call"]];

/// The answer to `initialize` of a server that has tools, with tasks for calls of them.
pub(crate) fn with_tasks(result: &RawValue) -> Option<Answer> {
    let members = Members::read(result)?;
    let revision: String = serde_json::from_str(members.get("protocolVersion")?.get()).ok()?;
    let capabilities = Members::read(members.get("capabilities")?)?;
    if revision != "2025-11-25" || capabilities.get("tools").is_none() {
        return None;
    }
    let mut capabilities =
        RawValue::from_string(members.get("capabilities")?.get().to_owned()).ok()?;
    for path in CAPABILITY {
        let path: Vec<&str> = ["tasks"].iter().chain(path).copied().collect();
        capabilities = with_object(&capabilities, &path)?;
    }
    let result = members.with("capabilities", capabilities.get());
    RawValue::from_string(result).map(Answer::Result).ok()
}

/// Whether the server itself lists its tasks.
pub(crate) fn lists_tasks(result: &RawValue) -> bool {
    lenient::read(result)["capabilities"]["tasks"]["list"].is_object()
}

/// The answer to `tools/list`, in which the tools that are held can be called as tasks.
pub(crate) fn with_task_support(
    result: &RawValue,
    is_held: impl Fn(&str) -> bool,
) -> Option<Answer> {
    let members = Members::read(result)?;
    let tools: Vec<&RawValue> = serde_json::from_str(members.get("tools")?.get()).ok()?;
    // One that cannot be read stays as it is.
    let tools = tools
        .into_iter()
        .map(|tool| supported(tool, &is_held).unwrap_or_else(|| tool.get().to_owned()));
    let tools: Vec<String> = tools.collect();
    let result = members.with("tools", &format!("[{}]", tools.join(",")));
    RawValue::from_string(result).map(Answer::Result).ok()
}

fn supported(tool: &RawValue, is_held: &impl Fn(&str) -> bool) -> Option<String> {
    let members = Members::read(tool)?;
    let name: String = serde_json::from_str(members.get("name")?.get()).ok()?;
    let execution = members.get("execution");
    let support = execution.and_then(|it| Members::read(it)?.get("taskSupport"));
    if !is_held(&name) || support.is_some_and(|it| it.get() == "\"required\"") {
        return Some(tool.get().to_owned());
    }
    let execution = match execution {
        Some(execution) => Members::read(execution)?.with("taskSupport", "\"optional\""),
        None => r#"{"taskSupport":"optional"}"#.to_owned(),
    };
    Some(members.with("execution", &execution))
}

/// The object with an object at this path.
fn with_object(object: &RawValue, path: &[&str]) -> Option<Box<RawValue>> {
    let Some((name, rest)) = path.split_first() else {
        return Some(object.to_owned());
    };
    let members = Members::read(object)?;
    let empty = RawValue::from_string("{}".to_owned()).ok()?;
    let inner = with_object(members.get(name).unwrap_or(&empty), rest)?;
    RawValue::from_string(members.with(name, inner.get())).ok()
}
