// Compiles Tokens.sol with the solc and libraries of contracts/ (`npm ci` there first) and writes
// the creation code of each contract beside it: `node tests/data/tokens/make.mjs`.

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { standardJson } from "../../../contracts/solc.mjs";

const folder = dirname(fileURLToPath(import.meta.url));
const token = join(folder, "../../../contracts/artifacts/DevelopmentToken.json");
const { version, ...settings } = JSON.parse(readFileSync(token, "utf8")).compiler;
const input = {
  language: "Solidity",
  sources: { "Tokens.sol": { content: readFileSync(join(folder, "Tokens.sol"), "utf8") } },
  settings: { ...settings, outputSelection: { "Tokens.sol": { "*": ["evm.bytecode.object"] } } },
};
const output = JSON.parse(standardJson(JSON.stringify(input)));
const errors = (output.errors ?? []).filter(({ severity }) => severity === "error");
if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
for (const [name, { evm }] of Object.entries(output.contracts["Tokens.sol"])) {
  writeFileSync(join(folder, `${name}.hex`), `${evm.bytecode.object}\n`);
}
