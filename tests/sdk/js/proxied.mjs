// The unmodified OpenAI SDK for JavaScript, which buys from two adapters with nothing but
// OPENAI_BASE_URL set to `openlora proxy`.
//
// Usage: node proxied.mjs MODEL MODEL
// The client is made without an address. Prints one line per check and exits 1 at the first
// difference.

import assert from "node:assert/strict";
import OpenAI from "openai";

const models = process.argv.slice(2, 4);
const client = new OpenAI({ maxRetries: 0 });

const chat = (model, more = {}) =>
  client.chat.completions.create({
    model,
    messages: [{ role: "user", content: "hello" }],
    temperature: 0,
    max_tokens: 6,
    ...more,
  });

async function whole(model) {
  const answer = await chat(model);
  assert.ok(answer.usage.completion_tokens > 0);
  return answer.choices[0].message.content;
}

async function streamed(model) {
  let text = "";
  for await (const chunk of await chat(model, { stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  return text;
}

const CHECKS = {
  async listed() {
    const ids = new Set();
    for await (const model of client.models.list()) ids.add(model.id);
    for (const model of models) assert.ok(ids.has(model), model);
  },

  async wholeAndStreamed() {
    for (const model of models) assert.equal(await whole(model), await streamed(model));
  },

  async twoAtOnce() {
    const calls = [...models, ...models].flatMap((model) => [whole(model), streamed(model)]);
    const texts = await Promise.all(calls);
    texts.forEach((text, index) => assert.equal(text, texts[index % 4]));
    assert.equal(texts[0], texts[1]);
    assert.equal(texts[2], texts[3]);
  },

  async leftEarly() {
    const stream = await chat(models[0], { stream: true });
    for await (const _ of stream) break;
  },

  async unknownModel() {
    const error = await chat("").then(() => assert.fail("it was answered"), (error) => error);
    assert.ok(error instanceof OpenAI.BadRequestError, String(error));
    assert.equal(error.code, "invalid_model");
  },
};

for (const [name, check] of Object.entries(CHECKS)) {
  await check();
  console.log("ok", name);
}
