"""The unmodified OpenAI SDK for Python buys pictures from a running `openlora serve`.

Usage: pictures.py URL PICTURE_ADAPTER CHAT_ADAPTER
Prints one line per check and exits 1 at the first difference.
"""

import base64
import hashlib
import sys

import openai

url, painter, chat_adapter = sys.argv[1:4]
client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=120)
PNG = b"\x89PNG\r\n\x1a\n"


def generate(prompt="a red circle", **more):
    return client.images.generate(model=painter, prompt=prompt, **more)


def files(answer):
    return [base64.b64decode(item.b64_json) for item in answer.data]


def refused(kind, call):
    """The error that `call` must raise."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def models():
    listed = {model.id: model for model in client.models.list()}
    assert listed[painter].task["kind"] == "image", listed
    assert listed[painter].images["n"] == {"default": 1, "max": 10}, listed
    assert getattr(listed[chat_adapter], "images", None) is None, listed


def one_picture():
    answer = generate()
    (file,) = files(answer)
    assert file.startswith(PNG), file[:8]
    assert answer.created > 1_700_000_000 and answer.output_format == "png", answer
    usage = answer.usage
    assert usage.input_tokens > 0 and usage.output_tokens == 1, usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens, usage
    assert usage.input_tokens_details.text_tokens == usage.input_tokens, usage
    assert answer.data[0].sha256 == hashlib.sha256(file).hexdigest(), answer.data[0].sha256
    assert answer.data[0].url is None, answer.data[0].url


def several_pictures():
    answer = generate(n=3, extra_body={"seed": 5})
    made = files(answer)
    assert len(set(made)) == 3, "three seeds give three pictures"
    assert [item.seed for item in answer.data] == [5, 6, 7], answer.data
    assert answer.usage.pictures == 3, answer.usage


def same_seed():
    first = files(generate(extra_body={"seed": 11}))
    again = files(generate(extra_body={"seed": 11}))
    among = files(generate(n=3, extra_body={"seed": 10}))
    assert first == again and first[0] == among[1]
    assert files(generate(extra_body={"seed": 12})) != first


def usual_parameters():
    answer = generate(size="auto", quality="auto", response_format="b64_json", user="u", n=1)
    assert len(answer.data) == 1, answer
    more = dict(background="opaque", moderation="auto", output_format="png")
    assert len(generate(**more).data) == 1


def errors():
    wrong = [
        (dict(n=0), "invalid_value", "n"),
        (dict(n=1000), "invalid_value", "n"),
        (dict(size="63x64"), "invalid_value", "size"),
        (dict(response_format="url"), "unsupported_parameter", "response_format"),
        (dict(style="vivid"), "unsupported_parameter", "style"),
        (dict(quality="hd"), "unsupported_parameter", "quality"),
        (dict(prompt=""), "invalid_value", "prompt"),
        (dict(prompt="circle " * 500), "context_length_exceeded", None),
    ]
    for more, code, param in wrong:
        error = refused(openai.BadRequestError, lambda: generate(**more))
        assert (error.code, error.param) == (code, param), (more, error)
    chat = lambda: client.chat.completions.create(
        model=painter, messages=[{"role": "user", "content": "hello"}]
    )
    error = refused(openai.BadRequestError, chat)
    assert (error.code, error.param) == ("not_a_text_model", "model"), error
    picture = lambda: client.images.generate(model=chat_adapter, prompt="hello")
    error = refused(openai.BadRequestError, picture)
    assert (error.code, error.param) == ("not_an_image_model", "model"), error


def idempotency():
    headers = {"Idempotency-Key": "python-pictures-1"}
    first = generate(extra_headers=headers)
    again = generate(extra_headers=headers)
    assert first == again
    error = refused(
        openai.UnprocessableEntityError, lambda: generate(n=2, extra_headers=headers)
    )
    assert error.code == "idempotency_mismatch", error


for check in (
    models,
    one_picture,
    several_pictures,
    same_seed,
    usual_parameters,
    errors,
    idempotency,
):
    check()
    print("ok", check.__name__)
