// Parses the texts of M in a JSON array on stdin with Microsoft's own parser; says what is wrong with them.

const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const parser = join(__dirname, "../../.tools/report/node_modules/@microsoft/powerquery-parser");
const { DefaultSettings, TaskUtils } = require(parser);

(async () => {
  for (const m of JSON.parse(readFileSync(0, "utf8"))) {
    const task = await TaskUtils.tryLexParse(DefaultSettings, m);
    if (!TaskUtils.isParseStageOk(task)) {
      console.log(String(task.error?.message ?? task.error));
    }
  }
})();
