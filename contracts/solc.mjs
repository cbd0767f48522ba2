#!/usr/bin/env node
// The pinned npm solc as a module, and as a program with the two switches that forge uses:
// `--version` and `--standard-json` (input on stdin, output on stdout).
import { readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
const compiler = createRequire(import.meta.url)("solc");

/** Such as `0.8.37+commit.<hash>`. */
export function version() {
  return compiler.version().replace(".Emscripten.clang", "");
}

/** Compiles a standard JSON input; imports are read from src/ and node_modules/. */
export function standardJson(input) {
  return compiler.compile(input, {
    import(path) {
      for (const base of [root, join(root, "node_modules")]) {
        try {
          return { contents: readFileSync(join(base, path), "utf8") };
        } catch (error) {
          if (error.code !== "ENOENT") throw error;
        }
      }
      return { error: `${path}: not found` };
    },
  });
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  if (process.argv.includes("--version")) {
    console.log(`solc, the solidity compiler commandline interface\nVersion: ${version()}.Linux.g++`);
  } else if (process.argv.includes("--standard-json")) {
    process.stdout.write(standardJson(readFileSync(0, "utf8")));
  } else {
    console.error("usage: solc.mjs --version | --standard-json < input.json");
    process.exit(2);
  }
}
