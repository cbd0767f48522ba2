// The unmodified OpenAI SDK for JavaScript buys pictures from a running `openlora serve`.
//
// Usage: node pictures.mjs URL PICTURE_ADAPTER CHAT_ADAPTER
// Prints one line per check and exits 1 at the first difference.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import OpenAI from "openai";

const [url, painter, chatAdapter] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0, timeout: 120_000 });

const generate = (more = {}, options = {}) =>
  client.images.generate({ model: painter, prompt: "a red circle", ...more }, options);
const files = (answer) => answer.data.map((item) => Buffer.from(item.b64_json, "base64"));

async function refused(kind, call) {
  const error = await call().then(
    () => assert.fail(`no ${kind.name} was raised`),
    (error) => error,
  );
  assert.ok(error instanceof kind, String(error));
  return error;
}

const CHECKS = {
  async onePicture() {
    const answer = await generate();
    const [file] = files(answer);
    assert.equal(file.subarray(1, 4).toString(), "PNG");
    const { input_tokens, output_tokens, total_tokens } = answer.usage;
    assert.ok(input_tokens > 0);
    assert.deepEqual([output_tokens, total_tokens], [1, input_tokens + 1]);
    assert.equal(answer.data[0].sha256, createHash("sha256").update(file).digest("hex"));
  },

  async sameSeed() {
    const [first] = files(await generate({ seed: 11 }));
    const among = files(await generate({ seed: 10, n: 3 }));
    assert.equal(among.length, 3);
    assert.ok(first.equals(among[1]));
    assert.ok(!first.equals(among[0]));
  },

  async errors() {
    for (const [more, code, param] of [
      [{ n: 0 }, "invalid_value", "n"],
      [{ size: "1024x1024" }, "invalid_value", "size"],
      [{ response_format: "url" }, "unsupported_parameter", "response_format"],
      [{ stream: true }, "unsupported_parameter", "stream"],
      [{ prompt: "" }, "invalid_value", "prompt"],
    ]) {
      const error = await refused(OpenAI.BadRequestError, () => generate(more));
      assert.deepEqual([error.code, error.param], [code, param]);
    }
    const error = await refused(OpenAI.BadRequestError, () => generate({ model: chatAdapter }));
    assert.equal(error.code, "not_an_image_model");
  },

  async idempotency() {
    const options = { headers: { "Idempotency-Key": "js-pictures-1" } };
    const first = await generate({}, options);
    assert.deepEqual(await generate({}, options), first);
  },
};

for (const [name, check] of Object.entries(CHECKS)) {
  await check();
  console.log("ok", name);
}
