// Holds infra/queries and the alerts' queries against Microsoft's parser and the tables they read, and
// has their patterns and words find what they are for, among the gate's own lines on the standard input.
// Prints what is wrong, one a line.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const root = path.join(__dirname, "../..");
const service = path.join(root, ".tools/kusto/node_modules/@kusto/language-service-next");
for (const file of ["bridge.min.js", "Kusto.Language.Bridge.min.js"]) {
  vm.runInThisContext(fs.readFileSync(path.join(service, file), "utf8"), file);
}
const { KustoCode, GlobalState, Symbols } = globalThis.Kusto.Language;

// The columns that are used here, as Azure Monitor documents its tables.
const ITEM = "TimeGenerated: datetime, Properties: dynamic, OperationId: string, AppRoleInstance: string";
const TABLES = {
  AppTraces: `(${ITEM}, Message: string, SeverityLevel: int)`,
  AppExceptions: `(${ITEM}, OuterMessage: string)`,
  AppRequests: `(${ITEM}, Name: string, ResultCode: string, DurationMs: real)`,
  traces: "(timestamp: datetime, message: string)",
  requests: "(timestamp: datetime, resultCode: string)",
};
const tables = Object.entries(TABLES).map(([name, columns]) => new Symbols.TableSymbol.$ctor7(name, columns));

const queries = {};
const folder = path.join(root, "infra/queries");
for (const file of fs.readdirSync(folder)) {
  queries[file] = fs.readFileSync(path.join(folder, file), "utf8");
}
const alerts = fs.readFileSync(path.join(root, "infra/alerts.bicep"), "utf8");
[...alerts.matchAll(/^ +query: '(.+)'$/gm)].forEach(([, query], n) => (queries[`alerts.bicep ${n + 1}`] = query));

const wrong = [];
const lines = fs.readFileSync(0, "utf8").split("\n");
const sources = fs
  .readdirSync(path.join(root, "src"), { recursive: true })
  .filter((file) => file.endsWith(".rs"))
  .map((file) => fs.readFileSync(path.join(root, "src", file), "utf8"))
  .join("\n");

// What the gate writes: the words of each line of the log, the words of events, what the sweep answers to the host, and
// why the program does not start.
const literals = (text) => [...text.matchAll(/"((?:[^"\\]|\\[\s\S])*)"/g)].map(([, literal]) => literal.replace(/\\\n\s*/g, ""));
const file = (name) => fs.readFileSync(path.join(root, "src", name), "utf8");
const lineMacros = [...sources.matchAll(/(?:tracing::\w+|\blog(?:_start)?)!\(([\s\S]*?);/g)];
const logged = [
  ...lineMacros.flatMap(([, call]) => literals(call)),
  ...file("domain/history.rs").match(/pub enum EventKind \{[\s\S]*?\n {4}\}/)[0].match(/\b[A-Z]\w+(?=,)/g),
  ...literals(file("app/sweep_report.rs")),
  ...literals(file("cli.rs")),
];

// The others begin with this one, which stands for a table.
const saved = new Symbols.FunctionSymbol.$ctor16("gate_log", "()", `{${queries["gate_log.kql"]}}`);
const known = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1("logs", [...tables, saved]));
for (const [name, query] of Object.entries(queries)) {
  const faults = KustoCode.ParseAndAnalyze(query, known).GetDiagnostics();
  for (let i = 0; i < faults.Count; i++) {
    const { Start, Length, Message } = faults.getItem(i);
    wrong.push(`${name}: ${JSON.stringify(query.substr(Start, Length))}: ${Message}`);
  }
  // RE2 has all that is used here, and so has JavaScript.
  for (const [, pattern] of query.matchAll(/@'([^']+)'/g)) {
    if (!lines.some((line) => new RegExp(pattern).test(line))) wrong.push(`${name}: nothing matches ${pattern}`);
  }
  const words = query.match(/(?<=contains )(['"])[^'"]+\1|(?<=what in \()[^)]+|(?<=event (==|in) \(?)'[^)\n]+'/g) ?? [];
  for (const word of words.join(",").split(",").map((word) => word.trim().slice(1, -1))) {
    // What ends with a value.
    const written = word.replace("true", "{complete}").replace("status=", "").trim();
    if (!logged.some((words) => words.includes(written))) wrong.push(`${name}: the gate never says ${JSON.stringify(word)}`);
  }
}
// What a line is taken to say must be what it says.
const what = new RegExp(queries["gate_log.kql"].match(/what = extract\(@'([^']+)'/)[1]);
const said = new Set(lines.map((line) => what.exec(line)?.[1]));
for (const expected of ["answered", "stored", "email sent", "email not sent", "swept", "listening (development mode: anyone who can read the inbox can approve)"]) {
  if (!said.has(expected)) wrong.push(`gate_log.kql: ${JSON.stringify(expected)} is not among ${JSON.stringify([...said])}`);
}
if (Object.keys(queries).length < 16) wrong.push(`only ${Object.keys(queries).length} queries`);
wrong.forEach((fault) => console.log(fault));
