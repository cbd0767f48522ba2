"""Makes the files in this folder: small GGUF files, and what gguf, sentencepiece and llama.cpp read
from them. Run: python make.py (writes beside itself). See README.md for versions.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
import sentencepiece
from gguf import GGMLQuantizationType as Type

HERE = Path(__file__).parent
NANO = HERE / "../../../assets/nano"
HIDDEN, HEADS, KV_HEADS, WIDE, VOCAB = 256, 4, 1, 32, 64

# The pre-tokenizers, each with the name that a file gives it.
RULES = [
    "default", "llama-bpe", "dbrx", "qwen2", "deepseek-r1-qwen", "smollm", "gpt-2", "tekken",
    "deepseek-coder",
]

LINES = [
    "", " ", "  two  spaces ", "tabs\t\tand\nlines\n\n end", "\r\n windows\r\n", "a\u00a0b\u3000c\u200bd",
    "1", "12", "123", "1234567890", "in 2024, 3.14159 or 1,000,000", "٣٤٥ ४५६ ²³ ½ Ⅷ",
    "don't we'll I'm they've he'd it's 'tis", "DON'T WE'LL", "it’s",
    "Hello, World!!! ... -- => != &&", "$100 €5 <b> a+b ~x~ `code` ^|^", "!\"#$%&'()*+,-./:;<=>?@[]_{}",
    "def f(x):\n    return x**2  # ok\n", "\tif (a && b) {\n\t\ti++;\n\t}\n", "https://a.b/c?d=e&f=1 @user #tag",
    "CamelCase snake_case UPPER lower MixED", "žluťoučký kůň ÉCOLE naïve café", "Ελληνικά Привет мир ПРИВЕТ",
    "漢字かな交じりカタカナ。中文，标点！", "한국어 텍스트", "مرحبا بالعالم", "שלום עולם", "ไทย हिन्दी বাংলা",
    "🚀👍🏽❤️👩‍👩‍👧‍👦🇩🇪", "𝔘𝔫𝔦 𐍈 ﬁ ß İ", "\ufeffmark \ufffd end", "\x00\x01\x7f\x85\u2028",
    "<|im_start|>user\nhi<|im_end|>\n", "a<|endoftext|>b <|im_end|> c", " leading and trailing ",
    "the trader said that the price is going up today and looks weak again",
    "aaaaaaaaaaaaaaaaaaaaaaaa      bbbbbbbb", "x" * 70, "▁under ▁score Ġ Ċ Â", "ｆｕｌｌ ｗｉｄｔｈ",
]


def sha256(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def interleave(values: np.ndarray, heads: int) -> np.ndarray:
    """LlamaModel.permute of convert_hf_to_gguf.py."""
    shape = values.shape
    return values.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def stored(random: np.random.Generator, shape: tuple[int, int], kind: Type) -> np.ndarray:
    """Rows of blocks. Those of K types are random bits with scales of an ordinary size."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    halves = {Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208]}
    if kind not in halves:
        return gguf.quants.quantize(random.standard_normal(shape, dtype=np.float32), kind)
    blocks = random.integers(0, 256, (shape[0], shape[1] // block, size), dtype=np.uint8)
    for at in halves[kind]:
        scales = random.uniform(-0.01, 0.01, blocks.shape[:2]).astype(np.float16)
        blocks[:, :, at:at + 2] = scales[..., None].view(np.uint8)
    return blocks.reshape(shape[0], -1)


def make_types() -> None:
    """One tensor of every type, and the SHA-256 of its values in the order of a checkpoint."""
    random = np.random.default_rng(15)
    writer = gguf.GGUFWriter(HERE / "types.gguf", "llama")
    writer.add_name("types")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(WIDE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(["t", "1", "t1", *(f"t{at}" for at in range(3, VOCAB))])
    writer.add_token_merges(["t 1"])
    matrices = {
        "token_embd": ("model.embed_tokens", (VOCAB, HIDDEN), Type.Q5_1),
        "output": ("lm_head", (VOCAB, HIDDEN), Type.Q8_0),
        "blk.0.attn_q": ("model.layers.0.self_attn.q_proj", (HIDDEN, HIDDEN), Type.Q4_K),
        "blk.0.attn_k": ("model.layers.0.self_attn.k_proj", (HIDDEN // HEADS, HIDDEN), Type.Q6_K),
        "blk.0.attn_v": ("model.layers.0.self_attn.v_proj", (HIDDEN // HEADS, HIDDEN), Type.Q5_0),
        "blk.0.attn_output": ("model.layers.0.self_attn.o_proj", (HIDDEN, HIDDEN), Type.Q5_K),
        "blk.0.ffn_gate": ("model.layers.0.mlp.gate_proj", (WIDE, HIDDEN), Type.Q4_0),
        "blk.0.ffn_up": ("model.layers.0.mlp.up_proj", (WIDE, HIDDEN), Type.BF16),
        "blk.0.ffn_down": ("model.layers.0.mlp.down_proj", (HIDDEN, WIDE), Type.Q4_1),
    }
    expected = {}
    for name, (own, shape, kind) in matrices.items():
        blocks = stored(random, shape, kind)
        values = gguf.quants.dequantize(blocks, kind)
        # A tensor of a checkpoint is stored interleaved: undone by the transposed reshaping.
        heads = {"blk.0.attn_q": HEADS, "blk.0.attn_k": KV_HEADS}.get(name)
        if heads:
            order = interleave(np.arange(shape[0]), heads)
            plain = np.empty_like(values)
            plain[order] = values
            values = plain
        if kind == Type.BF16:
            expected[f"{own}.weight"] = ["BF16", list(shape), sha256(blocks)]
        else:
            expected[f"{own}.weight"] = ["F32", list(shape), sha256(values)]
        writer.add_tensor(f"{name}.weight", blocks, raw_dtype=kind)
    norms = {
        "output_norm": ("model.norm", np.float32),
        "blk.0.attn_norm": ("model.layers.0.input_layernorm", np.float16),
        "blk.0.ffn_norm": ("model.layers.0.post_attention_layernorm", np.float32),
    }
    for name, (own, kind) in norms.items():
        values = random.uniform(0.5, 1.5, HIDDEN).astype(kind)
        expected[f"{own}.weight"] = ["F16" if kind == np.float16 else "F32", [HIDDEN], sha256(values)]
        writer.add_tensor(f"{name}.weight", values)
    finish(writer)
    (HERE / "types.json").write_text(json.dumps(dict(sorted(expected.items())), indent=1) + "\n")


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama_ids(path: Path, parse: bool = True) -> list[list[int]]:
    """Token ids of llama.cpp, special tokens found in the text and added around it."""
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
    vocab = llama_cpp.llama_model_get_vocab(model)
    lines = []
    for line in LINES:
        text = line.encode()
        room = (llama_cpp.llama_token * (len(text) + 8))()
        count = llama_cpp.llama_tokenize(vocab, text, len(text), room, len(room), True, parse)
        assert count >= 0
        lines.append(list(room[:count]))
    llama_cpp.llama_model_free(model)
    return lines


def sizes(writer: gguf.GGUFWriter) -> None:
    """A model as small as can be."""
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(8)
    writer.add_feed_forward_length(8)
    writer.add_head_count(2)
    writer.add_layer_norm_rms_eps(1e-5)


def byte_level(rule: str, path: Path) -> None:
    """The vocabulary of the embedded base under a pre-tokenizer."""
    tokenizer = json.loads((NANO / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    special = {token["id"] for token in tokenizer["added_tokens"]}
    tokens = sorted(vocab, key=vocab.get)
    writer = gguf.GGUFWriter(path, "llama")
    sizes(writer)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(rule)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if at in special else 1 for at in range(len(tokens))])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    finish(writer)


def sentence_piece() -> None:
    """A small SentencePiece vocabulary, and ids of llama.cpp; sentencepiece gives the same ones."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text")
        words = "the trader said that bitcoin is going up today and looks weak again over there".split()
        random = np.random.default_rng(3)
        text.write_text("\n".join(" ".join(random.choice(words, 9)) for _ in range(300)))
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=str(Path(folder, "model")), model_type="bpe", vocab_size=400,
            byte_fallback=True, character_coverage=1.0, hard_vocab_limit=False, normalization_rule_name="identity",
            remove_extra_whitespaces=False, user_defined_symbols=["<|im_start|>", "<|im_end|>"], num_threads=1,
        )
        model = sentencepiece.SentencePieceProcessor(str(Path(folder, "model.model")))
    count = model.vocab_size()

    def kind(at: int) -> int:
        if model.IsUnknown(at):
            return 2
        if model.IsControl(at):
            return 3
        if model.IsByte(at):
            return 6
        return 4 if model.IdToPiece(at).startswith("<|") else 1

    path = HERE / "sentencepiece.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    sizes(writer)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([model.IdToPiece(at) for at in range(count)])
    writer.add_token_scores([model.GetScore(at) for at in range(count)])
    writer.add_token_types([kind(at) for at in range(count)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_tensor("token_embd.weight", np.zeros((count, 8), dtype=np.float16))
    writer.add_tensor("output_norm.weight", np.ones(8, dtype=np.float32))
    for name in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]:
        writer.add_tensor(f"blk.0.{name}.weight", np.zeros((8, 8), dtype=np.float16))
    for name in ["attn_norm", "ffn_norm"]:
        writer.add_tensor(f"blk.0.{name}.weight", np.ones(8, dtype=np.float32))
    finish(writer)
    ids = llama_ids(path)
    for line, found in zip(LINES, ids):
        if "<|" not in line and "\x00" not in line:
            assert found[1:] == model.Encode(line), line
    return ids


def main() -> None:
    make_types()
    expected = {"lines": LINES, "ids": {}}
    with tempfile.TemporaryDirectory() as folder:
        for rule in RULES:
            path = Path(folder, "vocabulary.gguf")
            byte_level(rule, path)
            expected["ids"][rule] = llama_ids(path)
    expected["ids"]["sentencepiece"] = sentence_piece()
    rows = ",\n".join(f" {json.dumps(name)}: {json.dumps(ids)}" for name, ids in expected["ids"].items())
    lines = json.dumps(LINES, ensure_ascii=True)
    (HERE / "tokens.json").write_text(f'{{"lines": {lines},\n"ids": {{\n{rows}\n}}}}\n')


main()
