// A TUF client that shares no code with ours (tuf-js): trusts a root, refreshes, downloads TARGET...
// Prints JSON {version, targets: {name: path}}; exit code 1 and the error's class and text on stderr when anything is refused.
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Updater } from "tuf-js";

const text = { type: "string" };
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { root: text, "metadata-url": text, "target-url": text, folder: text },
});

async function fetchTarget(updater, name) {
  const target = await updater.getTargetInfo(name);
  if (!target) throw new Error(`no target ${name}`);
  return (await updater.findCachedTarget(target)) ?? (await updater.downloadTarget(target));
}

async function main() {
  const metadataDir = join(values.folder, "metadata");
  const targetDir = join(values.folder, "targets");
  for (const folder of [metadataDir, targetDir]) mkdirSync(folder, { recursive: true });
  const root = join(metadataDir, "root.json");
  if (values.root && !existsSync(root)) copyFileSync(values.root, root);
  const updater = new Updater({
    metadataDir,
    metadataBaseUrl: values["metadata-url"],
    targetDir,
    targetBaseUrl: values["target-url"],
    config: { fetchTimeout: 10000, fetchRetry: 0 },
  });
  await updater.refresh();
  const targets = {};
  for (const name of positionals) targets[name] = await fetchTarget(updater, name);
  const timestamp = JSON.parse(readFileSync(join(metadataDir, "timestamp.json"), "utf8"));
  console.log(JSON.stringify({ version: timestamp.signed.version, targets }, null, 1));
}

main().catch((error) => {
  console.error(`${error.constructor.name}: ${error.message}`);
  process.exitCode = 1;
});
