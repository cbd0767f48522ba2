"""The unmodified OpenAI SDK for Python against a running `openlora serve`.

Usage: suite.py URL CHAT_ADAPTER FILTER_ADAPTER
The server must hold exactly these two adapters. Prints one line per check and exits 1 at the
first difference.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import openai

url, chat_adapter, filter_adapter = sys.argv[1:4]
client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=120)


def chat(model, text, **more):
    return client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": text}],
        **{"temperature": 0, "max_tokens": 8, **more},
    )


def refused(kind, call):
    """The error that `call` must raise."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def models():
    listed = client.models.list()
    assert [model.id for model in listed] == [chat_adapter, filter_adapter], listed
    one = client.models.retrieve(chat_adapter)
    assert (one.id, one.object, one.owned_by) == (chat_adapter, "model", "openlora"), one
    prices = ("prompt", "completion", "request")
    assert [one.pricing[name] for name in prices] == ["0", "0", "0"], one


def whole_chat():
    answer = chat(chat_adapter, "hello")
    choice = answer.choices[0]
    assert choice.message.role == "assistant" and isinstance(choice.message.content, str), answer
    assert choice.finish_reason in ("stop", "length"), answer
    usage = answer.usage
    assert usage.prompt_tokens > 0 and 0 <= usage.completion_tokens <= 8, usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage
    assert answer._request_id == answer.id, answer


def streamed_chat():
    whole = chat(chat_adapter, "hello")
    chunks = list(chat(chat_adapter, "hello", stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content, (text, whole)
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage, chunks[-1]
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason, chunks[-2]


def broken_off_stream():
    stream = chat(chat_adapter, "hello", stream=True, max_tokens=64)
    next(iter(stream))
    stream.close()
    assert chat(chat_adapter, "hello").choices, "the server answers after a broken-off stream"


def logprobs():
    answer = chat(chat_adapter, "hello", logprobs=True, top_logprobs=2)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == answer.usage.completion_tokens, answer
    for token in tokens:
        assert token.logprob <= 0 and len(token.top_logprobs) == 2, token


def text_completion():
    asked = dict(model=chat_adapter, prompt="hello", max_tokens=6, temperature=0)
    whole = client.completions.create(**asked)
    assert whole.object == "text_completion" and whole.usage.completion_tokens <= 6, whole
    text = "".join(chunk.choices[0].text for chunk in client.completions.create(**asked, stream=True))
    assert text == whole.choices[0].text, (text, whole)


def moderation():
    answer = client.moderations.create(model=filter_adapter, input=["hello", "win a prize"])
    assert len(answer.results) == 2, answer
    for result in answer.results:
        scores = result.category_scores.to_dict()
        assert set(scores) == {"spam", "scam"} and 0 <= sum(scores.values()) <= 1, result
        assert result.flagged == any(result.categories.to_dict().values()), result


def errors():
    error = refused(openai.NotFoundError, lambda: chat("nobody", "hello"))
    assert (error.code, error.param, error.type) == (
        "model_not_found",
        "model",
        "invalid_request_error",
    ), error
    error = refused(openai.BadRequestError, lambda: chat(chat_adapter, "hello", temperature=9))
    assert (error.code, error.param) == ("invalid_value", "temperature"), error
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    error = refused(openai.BadRequestError, lambda: chat(chat_adapter, "hello", tools=[tool]))
    assert (error.code, error.param) == ("unsupported_parameter", "tools"), error
    error = refused(openai.BadRequestError, lambda: chat(chat_adapter, "hello " * 2000))
    assert error.code == "context_length_exceeded", error
    embed = lambda: client.embeddings.create(model=chat_adapter, input="hello")
    error = refused(openai.NotFoundError, embed)
    assert (error.code, error.body["message"]) == (
        "unknown_url",
        "There is no route POST /v1/embeddings.",
    ), error


def idempotency():
    headers = {"Idempotency-Key": "python-suite-1"}
    first = chat(chat_adapter, "again", extra_headers=headers)
    assert chat(chat_adapter, "again", extra_headers=headers) == first
    error = refused(
        openai.UnprocessableEntityError,
        lambda: chat(chat_adapter, "other", extra_headers=headers),
    )
    assert error.code == "idempotency_mismatch", error


def parallel():
    """Two adapters at once answer as each does alone."""
    asked = [(model, f"question {n}") for n in range(6) for model in (chat_adapter, filter_adapter)]
    ask = lambda pair: (chat(*pair).model, chat(*pair).choices[0].message.content)
    alone = [ask(pair) for pair in asked]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, asked))
    assert together == alone, (together, alone)
    assert [model for model, _ in alone] == [model for model, _ in asked]
    by_model = {model: [text for name, text in alone if name == model] for model, _ in asked}
    assert by_model[chat_adapter] != by_model[filter_adapter], by_model


CHECKS = [
    models,
    whole_chat,
    streamed_chat,
    broken_off_stream,
    logprobs,
    text_completion,
    moderation,
    errors,
    idempotency,
    parallel,
]

for check in CHECKS:
    check()
    print(f"ok {check.__name__}")
