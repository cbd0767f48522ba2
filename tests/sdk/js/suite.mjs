// The unmodified OpenAI SDK for JavaScript against a running `openlora serve`.
//
// Usage: node suite.mjs URL CHAT_ADAPTER FILTER_ADAPTER
// The server must hold exactly these two adapters. Prints one line per check and exits 1 at the
// first difference.

import assert from "node:assert/strict";
import OpenAI from "openai";

const [url, chatAdapter, filterAdapter] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0, timeout: 120_000 });

const chat = (model, text, more = {}, options = {}) =>
  client.chat.completions.create(
    { model, messages: [{ role: "user", content: text }], temperature: 0, max_tokens: 8, ...more },
    options,
  );

async function refused(kind, call) {
  const error = await call().then(
    () => assert.fail(`no ${kind.name} was raised`),
    (error) => error,
  );
  assert.ok(error instanceof kind, String(error));
  return error;
}

async function collect(stream, read) {
  const read_all = [];
  for await (const chunk of stream) read_all.push(read(chunk));
  return read_all;
}

const CHECKS = {
  async models() {
    const listed = await collect(client.models.list(), (model) => model.id);
    assert.deepEqual(listed, [chatAdapter, filterAdapter]);
    const one = await client.models.retrieve(chatAdapter);
    assert.equal(one.owned_by, "openlora");
    const { prompt, completion, request } = one.pricing;
    assert.deepEqual({ prompt, completion, request }, { prompt: "0", completion: "0", request: "0" });
  },

  async wholeChat() {
    const answer = await chat(chatAdapter, "hello");
    assert.equal(answer.choices[0].message.role, "assistant");
    assert.ok(["stop", "length"].includes(answer.choices[0].finish_reason));
    const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
    assert.ok(prompt_tokens > 0 && completion_tokens <= 8);
    assert.equal(total_tokens, prompt_tokens + completion_tokens);
    assert.equal(answer._request_id, answer.id);
  },

  async streamedChat() {
    const whole = await chat(chatAdapter, "hello");
    const stream = await chat(chatAdapter, "hello", {
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await collect(stream, (chunk) => chunk);
    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
    assert.equal(text, whole.choices[0].message.content);
    assert.deepEqual(chunks.at(-1).usage, whole.usage);
    assert.equal(chunks.at(-2).choices[0].finish_reason, whole.choices[0].finish_reason);
  },

  async brokenOffStream() {
    const stream = await chat(chatAdapter, "hello", { stream: true, max_tokens: 64 });
    for await (const chunk of stream) {
      assert.equal(chunk.object, "chat.completion.chunk");
      break;
    }
    assert.equal((await chat(chatAdapter, "hello")).choices.length, 1);
  },

  async streamHelper() {
    const helper = client.chat.completions.stream({
      model: chatAdapter,
      messages: [{ role: "user", content: "hello" }],
      temperature: 0,
      max_tokens: 8,
    });
    const whole = await chat(chatAdapter, "hello");
    assert.equal(await helper.finalContent(), whole.choices[0].message.content);
  },

  async textCompletion() {
    const asked = { model: chatAdapter, prompt: "hello", max_tokens: 6, temperature: 0 };
    const whole = await client.completions.create(asked);
    const stream = await client.completions.create({ ...asked, stream: true });
    const texts = await collect(stream, (chunk) => chunk.choices[0].text);
    assert.equal(texts.join(""), whole.choices[0].text);
  },

  async moderation() {
    const answer = await client.moderations.create({ model: filterAdapter, input: "hello" });
    const [result] = answer.results;
    assert.deepEqual(Object.keys(result.category_scores).sort(), ["scam", "spam"]);
    assert.equal(result.flagged, Object.values(result.categories).some(Boolean));
  },

  async errors() {
    const missing = await refused(OpenAI.NotFoundError, () => chat("nobody", "hello"));
    assert.deepEqual([missing.code, missing.param], ["model_not_found", "model"]);
    const hot = await refused(OpenAI.BadRequestError, () =>
      chat(chatAdapter, "hello", { temperature: 9 }),
    );
    assert.deepEqual([hot.code, hot.param], ["invalid_value", "temperature"]);
    const many = await refused(OpenAI.BadRequestError, () => chat(chatAdapter, "hello", { n: 2 }));
    assert.deepEqual([many.code, many.param], ["unsupported_parameter", "n"]);
    const long = await refused(OpenAI.BadRequestError, () =>
      chat(chatAdapter, "hello ".repeat(2000)),
    );
    assert.equal(long.code, "context_length_exceeded");
    const embed = await refused(OpenAI.NotFoundError, () =>
      client.embeddings.create({ model: chatAdapter, input: "hello" }),
    );
    assert.equal(embed.code, "unknown_url");
  },

  async idempotency() {
    const options = { idempotencyKey: "js-suite-1" };
    const headers = { headers: { "Idempotency-Key": "js-suite-1" } };
    const first = await chat(chatAdapter, "again", {}, { ...options, ...headers });
    const second = await chat(chatAdapter, "again", {}, { ...options, ...headers });
    assert.deepEqual(second, first);
  },

  // Two adapters at once answer as each does alone.
  async parallel() {
    const asked = [0, 1, 2, 3, 4, 5].flatMap((n) =>
      [chatAdapter, filterAdapter].map((model) => [model, `question ${n}`]),
    );
    const ask = async ([model, text]) => {
      const answer = await chat(model, text);
      return [answer.model, answer.choices[0].message.content];
    };
    const alone = [];
    for (const pair of asked) alone.push(await ask(pair));
    assert.deepEqual(await Promise.all(asked.map(ask)), alone);
    const said = (name) => alone.filter(([model]) => model === name).map(([, text]) => text);
    assert.notDeepEqual(said(chatAdapter), said(filterAdapter));
  },
};

for (const [name, check] of Object.entries(CHECKS)) {
  await check();
  console.log(`ok ${name}`);
}
