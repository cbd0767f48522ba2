"""The unmodified OpenAI SDK for Python, which buys from two adapters with nothing but OPENAI_BASE_URL
set to `openlora proxy`.

Usage: proxied.py MODEL MODEL
The client is made without arguments. Prints one line per check and exits 1 at the first difference.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import openai

models = sys.argv[1:3]
client = openai.OpenAI(max_retries=0)


def chat(model, **more):
    return client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "hello"}],
        **{"temperature": 0, "max_tokens": 6, **more},
    )


def whole(model):
    answer = chat(model)
    assert answer.usage.completion_tokens > 0, answer
    return answer.choices[0].message.content


def streamed(model):
    pieces = [it.choices[0].delta.content or "" for it in chat(model, stream=True) if it.choices]
    return "".join(pieces)


def listed():
    assert set(models) <= {it.id for it in client.models.list()}
    assert client.models.retrieve(models[0]).id == models[0]


def whole_and_streamed():
    for model in models:
        assert whole(model) == streamed(model), model


def two_at_once():
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(whole, models * 4)) + list(pool.map(streamed, models * 4))
    for index, text in enumerate(texts):
        assert text == texts[index % 2], (index, texts)


def text_completion():
    answer = client.completions.create(model=models[0], prompt="hello", max_tokens=4, temperature=0)
    assert answer.usage.completion_tokens > 0, answer


def left_early():
    stream = chat(models[0], stream=True)
    next(iter(stream))
    stream.close()


def unknown_model():
    try:
        chat("nothing@0x5FbDB2315678afecb367f032d93F642f64180aa3")
    except openai.APIStatusError as error:
        assert error.status_code in (404, 503), error
        assert error.response.headers["content-type"] == "application/json", error
        return
    raise AssertionError("an unknown model was answered")


for check in (listed, whole_and_streamed, two_at_once, text_completion, left_early, unknown_model):
    check()
    print("ok", check.__name__)
