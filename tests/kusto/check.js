// Holds infra/queries and the alerts' queries against Microsoft's parser and the tables they read, and
// has their patterns and words find what they are for, and nothing that a caller writes, among the gate's own lines on
// the standard input. Prints what is wrong, one a line.
"use strict";
const { execFileSync } = require("node:child_process");
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
const alerts = JSON.parse(
  execFileSync(path.join(root, ".tools/infra/bin/python"), ["-B", path.join(root, "tests/infra/alerts.py")], { encoding: "utf8" }),
);
const alertQueries = Object.fromEntries(Object.entries(alerts).map(([name, query]) => [`alerts.bicep ${name}`, query]));
Object.assign(queries, alertQueries);

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
// What the host logs of a sweep's answer.
const answer = literals(file("app/sweep_report.rs")).find((words) => words.includes("{complete}"));
lines.push(answer.replace("{complete}", "true").replace(/\{\w+\}/g, "1"));

// The others begin with this one, which stands for a table.
const saved = new Symbols.FunctionSymbol.$ctor16("gate_log", "()", `{${queries["gate_log.kql"]}}`);
const known = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1("logs", [...tables, saved]));
for (const [name, query] of Object.entries(queries)) {
  const faults = KustoCode.ParseAndAnalyze(query, known).GetDiagnostics();
  for (let i = 0; i < faults.Count; i++) {
    const { Start, Length, Message } = faults.getItem(i);
    wrong.push(`${name}: ${JSON.stringify(query.substr(Start, Length))}: ${Message}`);
  }
  // RE2 has all that is used here, and so has JavaScript. What alerts find is below.
  for (const [, pattern] of name in alertQueries ? [] : query.matchAll(/@'([^']+)'/g)) {
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
const pattern = (name) => new RegExp(queries["gate_log.kql"].match(new RegExp(` ${name} = (?:\\w+\\()?extract\\(@'([^']+)'`))[1]);
const parsed = (name, line) => pattern(name).exec(pattern("record").exec(line)[1])?.[1];
const said = new Set(lines.map((line) => parsed("what", line)));
for (const expected of ["answered", "stored", "email sent", "email not sent", "swept", "listening (development mode: anyone who can read the inbox can approve)"]) {
  if (!said.has(expected)) wrong.push(`gate_log.kql: ${JSON.stringify(expected)} is not among ${JSON.stringify([...said])}`);
}

// An alert finds each record that it is for, at its level, in both forms of the log; and none that has the words in a
// field, where callers write them: in the name of an agent, or in an id.
const records = [...sources.matchAll(/(?:tracing::(\w+)|\blog(?:_start)?)!\(([\s\S]*?);/g)].flatMap(([, macro, call]) => {
  const level = macro ?? call.match(/^\s*(\w+),/)?.[1];
  const words = literals(call).filter((it) => it).pop();
  return ["info", "warn", "error"].includes(level) && words ? [[level.toUpperCase(), words]] : [];
});
const calls = lines.filter((line) => / INFO call\{.*\}: answered status=404 id="/.test(line));
const [inText, inJson] = [calls[0], lines.find((line) => /^\{.*"message":"answered"/.test(line))];
const written = ([level, words]) => [
  inText.replace(/( INFO) (.*\}: )answered /, (_, _level, call) => `${level.padStart(6)} ${call}${words} `),
  inJson.replace('"level":"INFO"', `"level":"${level}"`).replace('"message":"answered"', `"message":"${words}"`),
];
for (const [name, query] of Object.entries(alerts).filter(([, query]) => query.startsWith("traces"))) {
  const ways = [
    ...[...query.matchAll(/contains "(.+?)"/g)].map(([, words]) => (line) => line.toLowerCase().includes(words.toLowerCase())),
    ...[...query.matchAll(/matches regex @'(.+?)'/g)].map(([, pattern]) => (line) => new RegExp(pattern).test(line)),
  ];
  const finds = (line) => ways.some((way) => way(line));
  const found = records.filter((record) => written(record).some(finds));
  for (const [level, words] of found) {
    if (!written([level, words]).every(finds)) wrong.push(`alert ${name}: finds ${words} in one form of the log only`);
    const others = ["INFO", "WARN", "ERROR"].filter((other) => other !== level);
    if (others.flatMap((other) => written([other, words])).some(finds)) wrong.push(`alert ${name}: finds ${words} at any level`);
    if (!calls.some((line) => line.includes(` agent="${words.split(":")[0]}"`))) wrong.push(`alert ${name}: ${words} was not tried`);
  }
  // What is not the words of a record is in the log: a field that the gate itself fills, or the sweep's answer.
  for (const words of query.match(/\(([^()]+)\)'$/)?.[1].split("|") ?? []) {
    const isSaid = records.some(([, record]) => record.startsWith(words)) || lines.some((line) => line.includes(words));
    if (!isSaid) wrong.push(`alert ${name}: the gate never says ${words}`);
  }
  if (!found.length && !lines.some(finds)) wrong.push(`alert ${name}: finds nothing`);
  const forged = [...calls, inJson].find(finds);
  if (forged) wrong.push(`alert ${name}: finds what a caller wrote: ${forged}`);
}
// Nor does the parsed log take a caller's words, or those of a mail server in a cause, for a record or its fields.
const unsent = lines.find((line) => line.includes(": email not sent id=")).replace(/ cause=.*/, ' cause=refused permanently: 550 event="Rejected" status=503');
for (const name of ["event", "status"]) {
  if (parsed(name, unsent)) wrong.push(`gate_log.kql: takes the words of a mail server for ${name}`);
}
for (const line of calls) {
  if (parsed("what", line) !== "answered") wrong.push(`gate_log.kql: takes what a caller wrote for a record: ${line}`);
}
for (const [name, query] of Object.entries(queries)) {
  // By an id that the operator inserts.
  if (name !== "invocation.kql" && query.includes("contains")) wrong.push(`${name}: looks in the whole line, where callers write`);
}
if (Object.keys(queries).length < 16) wrong.push(`only ${Object.keys(queries).length} queries`);
wrong.forEach((fault) => console.log(fault));
