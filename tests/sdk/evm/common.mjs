// What both suites share: the arguments, and a runner that prints a line per check and stops at
// the first difference.

import { readFileSync } from "node:fs";

export const [url, ws, artifactFile] = process.argv.slice(2);
export const artifact = JSON.parse(readFileSync(artifactFile, "utf8"));

// The third and fourth development accounts, so that suites do not disturb one another's nonces.
export const KEYS = {
  viem: "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
  ethers: "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
};
export const NOBODY = "0x2000000000000000000000000000000000000002";

export async function run(checks) {
  for (const [name, check] of Object.entries(checks)) {
    await check();
    console.log(`ok ${name}`);
  }
  process.exit(0);
}
