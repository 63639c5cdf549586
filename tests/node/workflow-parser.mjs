// GitHub's own workflow parser on the command line: WORKFLOW... -> JSON {file: [problem]}; exit code 1 when there are any.
import { readFileSync } from "node:fs";
import { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } from "@actions/workflow-parser";

async function problemsOf(name) {
  const content = readFileSync(name, "utf8");
  const { context, value } = parseWorkflow({ name, content }, new NoOperationTraceWriter());
  const problems = context.errors.getErrors().map((error) => error.message);
  if (value === undefined) return problems;
  const template = await convertWorkflowTemplate(context, value, undefined, { errorPolicy: 1 });
  const converted = (template.errors ?? []).map((error) => error.Message ?? error.message);
  return [...new Set([...problems, ...converted])];
}

async function main(names) {
  const report = {};
  for (const name of names) report[name] = await problemsOf(name);
  console.log(JSON.stringify(report, null, 1));
  process.exitCode = Object.values(report).some((problems) => problems.length > 0) ? 1 : 0;
}

main(process.argv.slice(2));
