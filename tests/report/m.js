// Parses M from stdin with Microsoft's own parser; says what is wrong with it.

const { join } = require("node:path");
const parser = join(__dirname, "../../.tools/report/node_modules/@microsoft/powerquery-parser");
const { DefaultSettings, TaskUtils } = require(parser);

const m = require("node:fs").readFileSync(0, "utf8");
TaskUtils.tryLexParse(DefaultSettings, m).then((task) => {
  if (!TaskUtils.isParseStageOk(task)) {
    console.log(String(task.error?.message ?? task.error));
  }
});
