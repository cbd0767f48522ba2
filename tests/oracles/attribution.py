"""Scores of training examples derived a second time, in float64, from the formulas alone.

Run `python tests/oracles/attribution.py` (needs NumPy) to write tests/data/attribution/ again. The
model is a small Llama of random weights. Gradients are found without any backward pass, by complex
steps: f(x + ih) has the derivative h·f'(x) as its imaginary part, exact to the last digit for
h = 1e-40. Every factor value is stepped on its own, so nothing is shared with what is tested.
"""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent.parent / "data" / "attribution"
STEP = 1e-40
H, I, HEADS, KV, HD, LAYERS, VOCAB, RANK = 16, 24, 2, 1, 8, 2, 40, 2
SCALE, EPS, THETA, DAMPING, LEVERAGE = 3.0, 1e-5, 10000.0, 0.05, 2.0
SKETCHED = 64
SHAPES = {
    "self_attn.q_proj": (HEADS * HD, H),
    "self_attn.k_proj": (KV * HD, H),
    "self_attn.v_proj": (KV * HD, H),
    "self_attn.o_proj": (H, HEADS * HD),
    "mlp.gate_proj": (I, H),
    "mlp.up_proj": (I, H),
    "mlp.down_proj": (H, I),
}
MODULES = [f"model.layers.{layer}.{name}" for layer in range(LAYERS) for name in SHAPES]
rng = np.random.default_rng(20260131)


def f32(x):
    return np.asarray(x, dtype=np.float32)


def make_base():
    weights = {"model.embed_tokens.weight": rng.normal(0, 0.5, (VOCAB, H))}
    for module in MODULES:
        out, width = SHAPES[module.split(".", 3)[3]]
        weights[f"{module}.weight"] = rng.normal(0, 0.3, (out, width))
    for layer in range(LAYERS):
        for norm in ("input_layernorm", "post_attention_layernorm"):
            weights[f"model.layers.{layer}.{norm}.weight"] = rng.uniform(0.6, 1.4, H)
    weights["model.norm.weight"] = rng.uniform(0.6, 1.4, H)
    return {name: f32(value) for name, value in weights.items()}


def make_factors():
    """Values by PEFT's names, in the order of modules, A before B."""
    factors = {}
    for module in MODULES:
        out, width = SHAPES[module.split(".", 3)[3]]
        factors[f"base_model.model.{module}.lora_A.weight"] = f32(rng.normal(0, 0.3, (RANK, width)))
        factors[f"base_model.model.{module}.lora_B.weight"] = f32(rng.normal(0, 0.2, (out, RANK)))
    return factors


def loss(base, factors, ids, targets):
    """Sum of −log p over the targets; factors carry a leading axis of variants."""
    weight = lambda name: base[name].astype(np.float64)

    def linear(x, module):
        name = f"base_model.model.{module}"
        a, b = factors[f"{name}.lora_A.weight"], factors[f"{name}.lora_B.weight"]
        low = np.einsum("vti,vri->vtr", x, a)
        return x @ weight(f"{module}.weight").T + SCALE * np.einsum("vtr,vor->vto", low, b)

    def norm(x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS) * weight(f"{name}.weight")

    def rope(x):
        angles = np.arange(len(ids))[:, None] * THETA ** (-np.arange(0, HD, 2) / HD)[None]
        cos, sin = np.cos(angles)[None, :, None], np.sin(angles)[None, :, None]
        low, high = x[..., : HD // 2], x[..., HD // 2 :]
        return np.concatenate([low * cos - high * sin, high * cos + low * sin], -1)

    variants = next(iter(factors.values())).shape[0]
    x = np.broadcast_to(weight("model.embed_tokens.weight")[ids], (variants, len(ids), H))
    mask = np.triu(np.full((len(ids), len(ids)), -np.inf), 1)
    for layer in range(LAYERS):
        path = f"model.layers.{layer}"
        h = norm(x, f"{path}.input_layernorm")
        heads = lambda name, count: linear(h, f"{path}.self_attn.{name}").reshape(variants, len(ids), count, HD)
        q, k, v = rope(heads("q_proj", HEADS)), rope(heads("k_proj", KV)), heads("v_proj", KV)
        k, v = (np.repeat(part, HEADS // KV, 2) for part in (k, v))
        scores = np.einsum("vqhd,vkhd->vhqk", q, k) / np.sqrt(HD)
        scores = np.exp(scores - scores.real.max(-1, keepdims=True)) * np.exp(mask)
        scores = scores / scores.sum(-1, keepdims=True)
        mixed = np.einsum("vhqk,vkhd->vqhd", scores, v).reshape(variants, len(ids), HEADS * HD)
        x = x + linear(mixed, f"{path}.self_attn.o_proj")
        h = norm(x, f"{path}.post_attention_layernorm")
        gate, up = linear(h, f"{path}.mlp.gate_proj"), linear(h, f"{path}.mlp.up_proj")
        x = x + linear(gate / (1 + np.exp(-gate)) * up, f"{path}.mlp.down_proj")
    logits = norm(x, "model.norm") @ weight("model.embed_tokens.weight").T
    logits = logits - logits.real.max(-1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    at = [t for t in range(1, len(ids)) if targets[t]]
    return -sum(log_p[:, t - 1, ids[t]] for t in at)


def gradient(base, factors, ids, targets):
    """By tensor, in the order of `factors`."""
    names = list(factors)
    sizes = [factors[name].size for name in names]
    flat = np.concatenate([factors[name].astype(np.float64).ravel() for name in names])
    found = []
    for start in range(0, flat.size, 128):
        count = min(128, flat.size - start)
        stepped = np.repeat(flat[None].astype(complex), count, 0)
        stepped[np.arange(count), start + np.arange(count)] += 1j * STEP
        parts = np.split(stepped, np.cumsum(sizes)[:-1], axis=1)
        shaped = {
            name: part.reshape(count, *factors[name].shape) for name, part in zip(names, parts)
        }
        found.append(loss(base, shaped, ids, targets).imag / STEP)
    return dict(zip(names, np.split(np.concatenate(found), np.cumsum(sizes)[:-1])))


def draw(seed, name, purpose, number):
    text = seed + name.encode() + b"\0" + purpose.encode() + b"\0" + struct.pack("<Q", number)
    return hashlib.sha256(text).digest()


def projected(gradients, scales, width, seed, grouped):
    """One row per tensor; summed where tensors are not kept apart."""
    total = sum(part.size for part in gradients.values())
    rows, start = [], 0
    for name, values in gradients.items():
        row, values = np.zeros(width), values * scales.get(name, 1.0)
        if total <= width:
            row[start : start + values.size] = values
            start += values.size
        else:
            bits = b"".join(draw(seed, name, "signs", n) for n in range(-(-values.size // 256)))
            signs = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[: values.size]
            values = values * (1.0 - 2.0 * signs)
            for run in range(-(-values.size // width)):
                turn = int.from_bytes(draw(seed, name, "turn", run)[:8], "little") % width
                for place, value in enumerate(values[run * width : (run + 1) * width]):
                    row[(place + turn) % width] += value
        rows.append(row)
    return np.array(rows) if grouped else np.sum(rows, 0)


def influence(rows, query, weights):
    total = weights.sum()
    fisher = (rows * weights[:, None]).T @ rows / total
    damping = DAMPING * (weights * (rows**2).sum(1)).sum() / total
    solved = rows @ np.linalg.inv(fisher + damping * np.eye(len(fisher)))
    own = (solved * rows).sum(1)
    most = LEVERAGE * np.sort(own)[(len(own) - 1) // 2]
    return (solved @ query) * weights * np.minimum(1, np.sqrt(most / own))


def datainf(rows, query, sizes, weights):
    """`rows` [n, tensors, k], `query` [tensors, k]; equation 5 of arXiv:2310.00902, applied to the
    examples. Where tensors share the places of a projection, an index keeps their sum."""
    solved = np.zeros_like(rows)
    for tensor, size in enumerate(sizes):
        g = rows[:, tensor]
        norms = (g**2).sum(1)
        damping = 0.1 * norms.mean() / size
        for k, v in enumerate(g):
            inverse = [v / damping - g_i * (g_i @ v) / (damping * (damping + n)) for g_i, n in zip(g, norms)]
            solved[k, tensor] = np.mean(inverse, 0)
    return solved.sum(1) @ query.sum(0) * weights


def save(path, tensors):
    header, data = {}, b""
    for name in sorted(tensors):
        raw = np.ascontiguousarray(tensors[name]).astype("<f4").tobytes()
        shape = list(tensors[name].shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    base, checkpoints = make_base(), [make_factors() for _ in range(3)]
    names = list(checkpoints[0])
    moments = {name: f32(10 ** rng.uniform(-7, -3, checkpoints[0][name].shape)) for name in names}
    rates = [0.0005, 0.002, 0.0011]
    rows = []
    for _ in range(14):
        length = int(rng.integers(5, 11))
        targets = [bool(at > length // 2) for at in range(length)]
        rows.append((rng.integers(0, VOCAB, length).tolist(), targets))
    queries = [(rng.integers(0, VOCAB, 4).tolist(), rng.integers(0, VOCAB, 5).tolist()) for _ in range(4)]
    weights = np.array([1.0] * 9 + [2.0] * 5)
    digest, adapter = "d" * 64, "a" * 64
    seed = hashlib.sha256(b"openlora attribution projection" + (digest + adapter).encode()).digest()
    as_row = lambda query: (query[0] + query[1], [False] * len(query[0]) + [True] * len(query[1]))
    taken = [
        [gradient(base, factors, *row) for row in rows + [as_row(query) for query in queries]]
        for factors in checkpoints
    ]
    ones, halves = {}, {n: 1 / np.sqrt(np.sqrt(v.astype(np.float64).ravel()) + 1e-8) for n, v in moments.items()}
    sizes = [checkpoints[0][name].size for name in names]
    cases, asked_at = [], []
    for width in (8, 64, -(-sum(sizes) // 64) * 64):
        for method in ("influence", "datainf", "gradient"):
            chosen = range(3) if method == "influence" else [2]
            scores = np.zeros((len(queries), len(rows)))
            for at in chosen:
                scales = halves if method == "influence" else ones
                grouped = method == "datainf"
                found = [projected(g, scales, width, seed, grouped) for g in taken[at]]
                g, asked = np.array(found[: len(rows)]), found[len(rows) :]
                if method == "influence" and width == SKETCHED:
                    asked_at.append([q.tolist() for q in asked])
                for which, q in enumerate(asked):
                    if method == "influence":
                        scores[which] += rates[at] * influence(g, q, weights)
                    elif method == "datainf":
                        scores[which] += datainf(g, q, sizes, weights)
                    else:
                        scores[which] += (g @ q) * weights
            cases.append({"method": method, "width": width, "scores": scores.tolist()})
    OUT.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCAB,
        "hidden_size": H, "intermediate_size": I, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV, "head_dim": HD,
        "hidden_act": "silu", "max_position_embeddings": 64, "initializer_range": 0.02,
        "rms_norm_eps": EPS, "rope_theta": THETA, "tie_word_embeddings": True,
    }
    (OUT / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save(OUT / "model.safetensors", base)
    for at, factors in enumerate(checkpoints):
        save(OUT / f"factors-{at}.safetensors", factors)
    save(OUT / "moments.safetensors", moments)
    case = {
        "rows": [{"ids": ids, "targets": targets} for ids, targets in rows],
        "weights": weights.tolist(),
        "queries": [{"prompt": prompt, "answer": answer} for prompt, answer in queries],
        "rates": rates, "scale": SCALE, "damping": DAMPING, "data": digest, "adapter": adapter,
        "cases": cases, "sketched": {"width": SKETCHED, "gradients": asked_at},
    }
    (OUT / "case.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    main()
