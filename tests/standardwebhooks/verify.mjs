// Verifies a delivery by the JavaScript library of Standard Webhooks: the library's folder and SECRET as arguments,
// {"headers", "body"} on stdin.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, secret] = process.argv.slice(2);
const { Webhook } = createRequire(`${folder}/`)("standardwebhooks");
const { headers, body } = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(new Webhook(secret).verify(body, headers)));
