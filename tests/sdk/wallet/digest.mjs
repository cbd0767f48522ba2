// What viem makes of our typed data: its digest and who signed it, as one line of JSON.

import { readFileSync } from "node:fs";
import { hashTypedData, recoverTypedDataAddress } from "viem";

const envelope = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { domain, types, primaryType, message, signature } = envelope;
const data = { domain, types, primaryType, message };
const signer = await recoverTypedDataAddress({ ...data, signature });
console.log(JSON.stringify({ digest: hashTypedData(data), signer }));
