//! A function app, read from its files as the host reads them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Mode;

/// A function app as its files describe it.
#[derive(Clone, Debug)]
pub(crate) struct FunctionApp {
    pub(super) root: PathBuf,
    prefix: String,
    pub(super) executable: String,
    pub(crate) mode: Mode,
    pub(crate) functions: Vec<Function>,
}

/// One function directory.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) trigger: Trigger,
}

/// Which key an HTTP trigger requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthLevel {
    Anonymous,
    Function,
    /// The master key of the host.
    Admin,
}

#[derive(Clone, Debug)]
pub(crate) enum Trigger {
    Http {
        methods: Vec<String>,
        route: Vec<String>,
        level: AuthLevel,
    },
    Timer,
}

impl FunctionApp {
    /// Reads the files under `root`, with the host's error messages.
    pub(crate) fn read(root: &Path, settings: &[(&str, &str)]) -> Result<Self, String> {
        let setting = |name: &str| {
            settings
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let read = |path: PathBuf| -> Result<Value, String> {
            let text =
                std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
        };
        let host = read(root.join("host.json"))?;
        if host["version"] != "2.0" {
            return Err("host.json must have version 2.0".to_owned());
        }
        let handler = &host["customHandler"];
        let executable =
            setting("AzureFunctionsJobHost__customHandler__description__defaultExecutablePath")
                .or_else(|| {
                    handler["description"]["defaultExecutablePath"]
                        .as_str()
                        .map(str::to_owned)
                })
                .filter(|path| !path.is_empty())
                .ok_or("customHandler.description.defaultExecutablePath is missing")?;
        let on = |flag: &str| handler[flag].as_bool().unwrap_or(false);
        let mode = match (
            on("enableProxyingHttpRequest"),
            on("enableForwardingHttpRequest"),
        ) {
            (true, _) => Mode::Proxying,
            (false, true) => Mode::Forwarding,
            (false, false) => return Err("HTTP would come as a JSON payload".to_owned()),
        };
        let mut functions: Vec<Function> = Vec::new();
        let mut folders: Vec<_> = std::fs::read_dir(root)
            .map_err(|e| e.to_string())?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.join("function.json").is_file())
            .collect();
        folders.sort();
        for folder in folders {
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            let legal = name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !name.eq_ignore_ascii_case("host");
            if !legal
                || functions
                    .iter()
                    .any(|other| other.name.eq_ignore_ascii_case(&name))
            {
                return Err(format!("{name} is no name for a function"));
            }
            let definition = read(folder.join("function.json"))?;
            // A timer without a usable schedule is disabled, and the others work.
            if let Some(trigger) = trigger(&name, &definition, &setting)? {
                functions.push(Function { name, trigger });
            }
        }
        if functions.is_empty() {
            return Err("there is no function".to_owned());
        }
        let prefix = host["extensions"]["http"]["routePrefix"]
            .as_str()
            .unwrap_or("api")
            .to_owned();
        Ok(Self {
            root: root.to_owned(),
            prefix,
            executable,
            mode,
            functions,
        })
    }

    /// The function that a request is for. Literal segments take precedence over parameters.
    pub(super) fn route(&self, method: &str, path: &str) -> Option<&Function> {
        let path = path.strip_prefix('/')?;
        let mut segments = path.strip_suffix('/').unwrap_or(path).split('/');
        if !self.prefix.is_empty() && !segments.next()?.eq_ignore_ascii_case(&self.prefix) {
            return None;
        }
        let segments: Vec<&str> = segments.collect();
        self.functions
            .iter()
            .filter_map(|function| match &function.trigger {
                Trigger::Http { methods, route, .. } => {
                    let is_method = methods.iter().any(|m| m.eq_ignore_ascii_case(method));
                    let parameters = route.iter().filter(|part| part.starts_with('{')).count();
                    (is_method && matches(route, &segments)).then_some((parameters, function))
                }
                Trigger::Timer => None,
            })
            .min_by_key(|(parameters, _)| *parameters)
            .map(|(_, function)| function)
    }
}

/// Whether the segments of a path match a route: `{id}` is a segment, `{id?}` may be missing, and `{*rest}` is
/// all that is left.
fn matches(route: &[String], segments: &[&str]) -> bool {
    match (route.split_first(), segments.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((part, _)), _) if part.starts_with("{*") => true,
        (Some((part, [])), None) => part.ends_with("?}"),
        (Some(_), None) => false,
        (Some((part, route)), Some((segment, segments))) => {
            let is_match = match part.as_str() {
                part if part.starts_with('{') => !segment.is_empty(),
                part => part.eq_ignore_ascii_case(segment),
            };
            is_match && matches(route, segments)
        }
    }
}

fn trigger(
    name: &str,
    definition: &Value,
    setting: &impl Fn(&str) -> Option<String>,
) -> Result<Option<Trigger>, String> {
    let resolve = |text: &str| match text.strip_prefix('%').and_then(|t| t.strip_suffix('%')) {
        Some(variable) => {
            setting(variable).ok_or_else(|| format!("{name}: %{variable}% is not set"))
        }
        None => Ok(text.to_owned()),
    };
    let bindings = definition["bindings"]
        .as_array()
        .ok_or_else(|| format!("{name}: no bindings"))?;
    let kinds: Vec<(&str, &str)> = bindings
        .iter()
        .map(|b| {
            (
                b["type"].as_str().unwrap_or(""),
                b["direction"].as_str().unwrap_or(""),
            )
        })
        .collect();
    match kinds.as_slice() {
        // With another binding, the host would silently send a JSON payload instead of the HTTP request.
        [("httpTrigger", "in"), ("http", "out")] => {
            let binding = &bindings[0];
            let route = resolve(binding["route"].as_str().unwrap_or(name))?;
            let methods = binding["methods"]
                .as_array()
                .ok_or_else(|| format!("{name}: no methods"))?;
            Ok(Some(Trigger::Http {
                methods: methods
                    .iter()
                    .filter_map(|m| m.as_str().map(str::to_owned))
                    .collect(),
                route: route.split('/').map(str::to_owned).collect(),
                level: match binding["authLevel"].as_str() {
                    Some("anonymous") => AuthLevel::Anonymous,
                    Some("function") => AuthLevel::Function,
                    Some("admin") => AuthLevel::Admin,
                    other => return Err(format!("{name}: authLevel {other:?}")),
                },
            }))
        }
        [("timerTrigger", "in")] => {
            let schedule = resolve(bindings[0]["schedule"].as_str().unwrap_or(""));
            let schedule = schedule.unwrap_or_default();
            let fields = schedule.split_whitespace().count();
            let is_usable = matches!(fields, 5 | 6) || (fields == 1 && schedule.contains(':'));
            Ok(is_usable.then_some(Trigger::Timer))
        }
        other => Err(format!("{name}: bindings {other:?} are not known here")),
    }
}
