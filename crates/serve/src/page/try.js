"use strict";
// Sends the form's text as a free call and shows the answer. Everything shown is set as text.
const form = document.getElementById("form");
const field = document.getElementById("text");
const state = document.getElementById("state");
const answer = document.getElementById("answer");
const labels = document.getElementById("labels");
const pictures = document.getElementById("pictures");
const button = form.querySelector("button");
const NS = "http://www.w3.org/2000/svg";

function body(path, model, text) {
  if (path === "/v1/classify") return { model, input: text };
  if (path === "/v1/images/generations") return { model, prompt: text };
  if (path === "/v1/completions") return { model, prompt: text, max_tokens: 128 };
  return { model, messages: [{ role: "user", content: text }], max_tokens: 256 };
}

function bar(probability) {
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("class", "share");
  svg.setAttribute("viewBox", "0 0 1000 8");
  svg.setAttribute("preserveAspectRatio", "none");
  for (const [name, width] of [["rail", 1000], ["fill", Math.round(probability * 1000)]]) {
    const rect = document.createElementNS(NS, "rect");
    rect.setAttribute("class", name);
    rect.setAttribute("width", width);
    rect.setAttribute("height", 8);
    rect.setAttribute("rx", 4);
    svg.append(rect);
  }
  return svg;
}

function element(tag, kind, text) {
  const made = document.createElement(tag);
  made.className = kind;
  made.textContent = text;
  return made;
}

function showLabels(found) {
  labels.replaceChildren(...found.slice().sort((a, b) => b.probability - a.probability).slice(0, 8).map((one) => {
    const who = element("div", "who", "");
    who.append(element("span", "name", one.label), element("span", "amount", `${(one.probability * 100).toFixed(1)} %`));
    const line = document.createElement("li");
    line.append(who, bar(one.probability));
    return line;
  }));
  labels.hidden = false;
}

// Decoded here, because the page may load no pictures from elsewhere.
async function showPictures(found) {
  const drawn = await Promise.all(found.map(async (one) => {
    const bytes = Uint8Array.from(atob(one.b64_json), (letter) => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = element("canvas", "picture", "");
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    return canvas;
  }));
  pictures.replaceChildren(...drawn);
  pictures.hidden = false;
}

async function show(said) {
  if (said.data) return showPictures(said.data);
  const choice = said.choices?.[0];
  answer.textContent = said.label ?? choice?.message?.content ?? choice?.text ?? "";
  answer.hidden = false;
  if (said.labels) showLabels(said.labels);
}

function amount(usage) {
  if (!usage.evaluations) return `${usage.total_tokens} tokens`;
  return `${usage.pictures === 1 ? "1 picture" : `${usage.pictures} pictures`}, ${usage.evaluations} evaluations,`;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  state.textContent = "…";
  answer.hidden = labels.hidden = pictures.hidden = true;
  const began = performance.now();
  try {
    const response = await fetch(form.dataset.path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body(form.dataset.path, form.dataset.model, field.value)),
    });
    const said = await response.json();
    if (response.ok) await show(said);
    state.textContent = response.ok
      ? `${amount(said.usage)} in ${((performance.now() - began) / 1000).toFixed(1)} s`
      : said.error.message;
  } catch (error) {
    state.textContent = `The server did not answer: ${error.message}`;
  } finally {
    button.disabled = false;
  }
});

field.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
