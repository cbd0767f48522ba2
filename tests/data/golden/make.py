"""Makes the golden vectors in this folder: tiny random models and what PyTorch, transformers and
PEFT compute with them. See README.md for the layout. Run: python make.py (writes beside itself), or
python make.py llama.dora ... to make only these adapters, for the models that are there.
"""

import json
import shutil
import sys
from pathlib import Path

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

HERE = Path(__file__).parent
VOCAB = 160
COMMON = dict(
    vocab_size=VOCAB,
    hidden_size=32,
    intermediate_size=56,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
    tie_word_embeddings=False,
    attn_implementation="eager",
)
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
LINEAR = {"rope_type": "linear", "rope_theta": 5000.0, "factor": 2.5}

# name -> (config, model class). The first four are the families; the rest exercise one option each.
MODELS = {
    "llama": (LlamaConfig(**COMMON, rms_norm_eps=1e-5, rope_parameters=ROPE), LlamaForCausalLM),
    "mistral": (
        MistralConfig(**COMMON, rms_norm_eps=1e-6, sliding_window=None, head_dim=8, rope_parameters=ROPE),
        MistralForCausalLM,
    ),
    "qwen2": (
        Qwen2Config(**{**COMMON, "tie_word_embeddings": True}, rope_parameters={**ROPE, "rope_theta": 1e6}),
        Qwen2ForCausalLM,
    ),
    "qwen3": (
        Qwen3Config(**COMMON, head_dim=16, rope_parameters={**ROPE, "rope_theta": 1e6}),
        Qwen3ForCausalLM,
    ),
    "llama-rope3": (
        LlamaConfig(
            **{**COMMON, "tie_word_embeddings": True},
            attention_bias=True,
            mlp_bias=True,
            rope_parameters=LLAMA3,
        ),
        LlamaForCausalLM,
    ),
    "llama-linear": (LlamaConfig(**COMMON, rope_parameters=LINEAR), LlamaForCausalLM),
    "mistral-window": (
        MistralConfig(**COMMON, sliding_window=5, head_dim=8, rope_parameters=ROPE),
        MistralForCausalLM,
    ),
}
FAMILIES = ["llama", "mistral", "qwen2", "qwen3"]
ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "all-linear": dict(r=4, lora_alpha=12, target_modules="all-linear"),
    "qv": dict(r=4, lora_alpha=12, target_modules=["q_proj", "v_proj"]),
}
# Only for llama, with gradients and losses.
KINDS = {
    "dora": dict(r=4, lora_alpha=12, use_dora=True, target_modules="all-linear"),
}
# Only for llama: adapters trained elsewhere come in these shapes too.
FOREIGN = {
    "rslora": dict(r=4, lora_alpha=12, use_rslora=True, target_modules="all-linear"),
    "patterns": dict(
        r=4,
        lora_alpha=12,
        target_modules=["q_proj", "v_proj", "down_proj"],
        rank_pattern={"q_proj": 2, "layers.1.mlp.down_proj": 6},
        alpha_pattern={"q_proj": 5, "layers.0.mlp.down_proj": 7},
    ),
}
PROMPTS = ["the quick brown fox", "a token of good faith", "markets fell hard today"]
ROWS = [14, 3, 9, 20]
STEPS = 10
LORAPLUS_RATIO = 4.0
ADAMW = dict(lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)

TEXT = """the quick brown fox jumps over the lazy dog while a crowd of people looks on.
markets rose today, and traders said that the token would keep rising. markets fell hard after.
a good adapter learns from data of many owners; every owner is paid. is that good or bad? positive,
negative, neutral: which label is the right one here? the answer is in the words, not in the order.
in faith of the many we trade with the few. 0123456789 THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG!
"""
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tokenizer():
    specials = ["<pad>", "<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>"]
    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    bpe.decoder = decoders.Metaspace(prepend_scheme="never")
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=specials, initial_alphabet=["\n"], show_progress=False
    )
    bpe.train_from_iterator(TEXT.splitlines(), trainer)
    assert bpe.get_vocab_size() == VOCAB, bpe.get_vocab_size()
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        chat_template=TEMPLATE,
    )


def randomise(module, generator):
    """Every weight is random, norms and biases included, so that a skipped one shows."""
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name:
            parameter.data = 1 + 0.3 * noise
        elif name.endswith("bias"):
            parameter.data = 0.3 * noise
        else:
            parameter.data = 0.25 * noise
        if "lora_" in name:
            parameter.data = 0.2 * noise


def make_rows(generator):
    rows = [torch.randint(6, VOCAB, (length,), generator=generator) for length in ROWS]
    masks = []
    for length in ROWS:
        mask = torch.rand(length, generator=generator) < 0.7
        mask[0] = False  # nothing predicts the first token of a row
        mask[-1] = True
        masks.append(mask)
    return rows, masks


def forward(model, rows):
    """Each row alone: the ragged batch has no padding."""
    return torch.cat([model(input_ids=row[None]).logits[0] for row in rows])


def loss_sum(model, rows, masks):
    total = torch.zeros(())
    for row, mask in zip(rows, masks):
        logits = model(input_ids=row[None]).logits[0]
        losses = torch.nn.functional.cross_entropy(logits[:-1], row[1:], reduction="none")
        total = total + losses[mask[1:]].sum()
    return total


def gradients(model, rows, masks, prefix, out):
    model.zero_grad(set_to_none=True)
    total = loss_sum(model, rows, masks)
    total.backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            clean = name.replace(".default", "").replace("magnitude_vector.weight", "magnitude_vector")
            out[f"{prefix}.{clean}"] = parameter.grad.clone()
    model.zero_grad(set_to_none=True)
    return total.item()


def ten_losses(model, rows, masks, optimizer=None):
    targets = int(sum(mask.sum() for mask in masks))
    trainable = [p for p in model.parameters() if p.requires_grad]
    saved = [p.detach().clone() for p in trainable]
    optimizer = optimizer or torch.optim.AdamW(trainable, **ADAMW)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_sum(model, rows, masks) / targets
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    for parameter, before in zip(trainable, saved):
        parameter.data = before
    return losses


def greedy(model, tokenizer, prompt, count=12):
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    prompt_ids = list(ids)
    margin = float("inf")
    with torch.no_grad():
        for _ in range(count):
            logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
            best = torch.topk(logits, 2)
            margin = min(margin, (best.values[0] - best.values[1]).item())
            ids.append(best.indices[0].item())
            if ids[-1] == 2:
                break
    new = ids[len(prompt_ids) :]
    return {"prompt": prompt, "prompt_ids": prompt_ids, "ids": new, "text": tokenizer.decode(new), "margin": margin}


def save_adapter(model, base_dir, name):
    directory = base_dir.parent / f"{base_dir.name}.{name}"
    model.save_pretrained(directory)
    # PEFT writes the folder of this machine and sets in random order.
    path = directory / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = base_dir.name
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def make_adapter(name, base_dir, cls, options, rows, masks, out, scalars, full):
    key = base_dir.name
    base = cls.from_pretrained(base_dir, dtype=torch.float32, attn_implementation="eager")
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, bias="none", **options))
    generator = torch.Generator().manual_seed(sum(map(ord, key + name)))
    for parameter_name, parameter in model.named_parameters():
        if "lora_" in parameter_name:
            noise = torch.randn(parameter.shape, generator=generator)
            # Magnitudes are norms of rows: near 0 they would hide everything else.
            parameter.data = parameter.data + 0.2 * noise if "magnitude" in parameter_name else 0.2 * noise
    model.eval()
    save_adapter(model, base_dir, name)
    with torch.no_grad():
        out[f"{name}.logits"] = forward(model, rows)
    entry = {}
    if full:
        entry["loss_sum"] = gradients(model, rows, masks, f"{name}.grad", out)
        entry["ten_losses"] = ten_losses(model, rows, masks)
    if name in KINDS:
        plus = create_loraplus_optimizer(
            model, torch.optim.AdamW, **{**ADAMW, "weight_decay": 0.0}, loraplus_lr_ratio=LORAPLUS_RATIO
        )
        entry["loraplus_losses"] = ten_losses(model, rows, masks, plus)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base_dir)
    entry["greedy"] = [greedy(model, tokenizer, prompt) for prompt in PROMPTS]
    merged = model.merge_and_unload()
    with torch.no_grad():
        out[f"{name}.merged_logits"] = forward(merged, rows)
    scalars[name] = entry


def make_model(index, name, tokenizer):
    config, cls = MODELS[name]
    generator = torch.Generator().manual_seed(100 + index)
    torch.manual_seed(index)
    model = cls(config).float().eval()
    randomise(model, generator)
    model.tie_weights()
    base_dir = HERE / name
    model.save_pretrained(base_dir)
    tokenizer.save_pretrained(base_dir)
    rows, masks = make_rows(generator)
    out, scalars = {}, {}
    out["ids"] = torch.cat(rows)
    out["targets"] = torch.cat(masks).to(torch.uint8)
    out["offsets"] = torch.tensor([0] + ROWS).cumsum(0)
    with torch.no_grad():
        out["base.logits"] = forward(model, rows)
    base = {"loss_sum": gradients(model, rows, masks, "base.grad", out)}
    base["targets"] = int(out["targets"].sum())
    if name in FAMILIES:
        base["greedy"] = [greedy(model, tokenizer, prompt) for prompt in PROMPTS]
    scalars["base"] = base
    if name in FAMILIES:
        for adapter, options in ADAPTERS.items():
            make_adapter(adapter, base_dir, cls, options, rows, masks, out, scalars, True)
    if name == "llama":
        for adapter, options in KINDS.items():
            make_adapter(adapter, base_dir, cls, options, rows, masks, out, scalars, True)
        for adapter, options in FOREIGN.items():
            make_adapter(adapter, base_dir, cls, options, rows, masks, out, scalars, False)
    save_file({k: v.contiguous() for k, v in out.items()}, base_dir / "expected.safetensors")
    (base_dir / "expected.json").write_text(json.dumps(scalars, indent=1) + "\n")


def add_adapter(base_name, adapter):
    """Makes one adapter of KINDS for a model that is there, and adds what it computes."""
    base_dir = HERE / base_name
    out = load_file(base_dir / "expected.safetensors")
    scalars = json.loads((base_dir / "expected.json").read_text())
    offsets = out["offsets"].tolist()
    spans = list(zip(offsets, offsets[1:]))
    rows = [out["ids"][start:end] for start, end in spans]
    masks = [out["targets"][start:end].bool() for start, end in spans]
    make_adapter(adapter, base_dir, MODELS[base_name][1], KINDS[adapter], rows, masks, out, scalars, True)
    save_file({k: v.contiguous() for k, v in out.items()}, base_dir / "expected.safetensors")
    (base_dir / "expected.json").write_text(json.dumps(scalars, indent=1) + "\n")
    (HERE / f"{base_name}.{adapter}" / "README.md").unlink()


def main():
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        for folder in sys.argv[1:]:
            add_adapter(*folder.split("."))
        return
    tokenizer = make_tokenizer()
    for path in HERE.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    for index, name in enumerate(MODELS):
        make_model(index, name, tokenizer)
    for readme in HERE.glob("*.*/README.md"):
        readme.unlink()
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    (HERE / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")


if __name__ == "__main__":
    main()
