"""Makes the golden vectors in this folder: tiny random image models, and what PyTorch computes with
them. The model, the noise and the training are derived here again from the papers and from the files'
formats. See README.md for the layout. Run: python make.py (writes beside itself).
"""

import json
import math
import struct
from pathlib import Path

import numpy as np
import peft
import tokenizers
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from torch import nn
from transformers import LlamaModel, T5Config, T5EncoderModel

HERE = Path(__file__).parent
M32, M64 = (1 << 32) - 1, (1 << 64) - 1

BASE = dict(
    _class_name="MiniT2IMMJiTModel",
    image_size=16,
    patch_size=4,
    in_channels=3,
    txt_input_size=14,
    hidden_size=24,
    txt_hidden_size=24,
    depth_double=2,
    txt_preamble_depth=1,
    num_heads=2,
    head_dim=12,
    mlp_ratio=2.6667,
    pca_channels=10,
    prompt_length=5,
    n_T=6,
    prediction="x",
    llm="nano",
)
MODELS = {
    # As published: captions filled up with the mask token, constants of MiniT2I.
    "minit2i": BASE,
    # As the embedded base: captions as long as they are.
    "pico": dict(
        BASE,
        padded=False,
        noise_scale=1.3,
        time_floor=0.1,
        loss_floor=0.4,
        t_lognorm_mu=-0.5,
        t_lognorm_sigma=1.1,
        guidance=3.0,
    ),
}
RANK, ALPHA = 3, 6.0


class ChaCha20:
    """ChaCha with 20 rounds, a 64-bit counter and a 64-bit stream, seeded as rand_core seeds from u64."""

    def __init__(self, seed, stream):
        words, state = [], seed
        for _ in range(8):
            state = (state * 6364136223846793005 + 11634580027462260723) & M64
            mixed = (((state >> 18) ^ state) >> 27) & M32
            turn = state >> 59
            words.append(((mixed >> turn) | (mixed << (32 - turn))) & M32 if turn else mixed)
        self.key, self.stream, self.counter, self.left = words, stream, 0, []

    def block(self):
        start = list(struct.unpack("<4I", b"expand 32-byte k")) + self.key
        start += [self.counter & M32, self.counter >> 32, self.stream & M32, self.stream >> 32]
        x = list(start)

        def quarter(a, b, c, d):
            for first, second, third, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[first] = (x[first] + x[second]) & M32
                value = x[third] ^ x[first]
                x[third] = ((value << turn) | (value >> (32 - turn))) & M32

        for _ in range(10):
            quarter(0, 4, 8, 12), quarter(1, 5, 9, 13), quarter(2, 6, 10, 14), quarter(3, 7, 11, 15)
            quarter(0, 5, 10, 15), quarter(1, 6, 11, 12), quarter(2, 7, 8, 13), quarter(3, 4, 9, 14)
        self.counter += 1
        self.left = [(a + b) & M32 for a, b in zip(x, start)]

    def u64(self):
        if not self.left:
            self.block()
        low, high = self.left[0], self.left[1]
        self.left = self.left[2:]
        return low | high << 32

    def unit(self):
        return (self.u64() >> 11) / (1 << 53)

    def normal(self, count):
        values = []
        while len(values) < count:
            radius = math.sqrt(-2.0 * math.log(1.0 - self.unit()))
            angle = math.tau * self.unit()
            values += [radius * math.cos(angle), radius * math.sin(angle)]
        return torch.tensor(values[:count], dtype=torch.float32)


def quantile(p):
    return float(torch.special.ndtri(torch.tensor(p, dtype=torch.float64)))


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6) * self.weight


class SwiGLU(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.w1 = nn.Linear(width, hidden, bias=False)
        self.w3 = nn.Linear(width, hidden, bias=False)
        self.w2 = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


def turned(x, angles):
    """x [batch, tokens, heads, dim], angles [tokens, dim / 2]."""
    a, b = x.chunk(2, dim=-1)
    cos, sin = angles.cos()[None, :, None], angles.sin()[None, :, None]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def frequencies(count):
    return 1.0 / 10000 ** (torch.arange(count, dtype=torch.float32) / count)


class Stream(nn.Module):
    """One side of a block; `names` gives its modules' names in the block."""

    def __init__(self, block, prefix, width, hidden):
        super().__init__()
        self.block, self.prefix = [block], prefix
        block.add_module(prefix + "norm1", RMSNorm(width))
        block.add_module(prefix + "norm2", RMSNorm(width))
        block.add_module(prefix + "qkv", nn.Linear(width, 3 * width))
        block.add_module(prefix + "attn_proj", nn.Linear(width, width))
        block.add_module(prefix + "mlp", SwiGLU(width, hidden))

    def __call__(self, name, x):
        return getattr(self.block[0], self.prefix + name)(x)


class Block(nn.Module):
    def __init__(self, cfg, prefixes):
        super().__init__()
        width = cfg["hidden_size"]
        self.heads, self.dim = cfg["num_heads"], cfg["head_dim"]
        hidden = -(-int(width * cfg["mlp_ratio"]) // 8) * 8
        self.sides = [Stream(self, prefix, width, hidden) for prefix in prefixes]
        self.q_norm, self.k_norm = RMSNorm(self.dim), RMSNorm(self.dim)

    def forward(self, streams, angles):
        parts = []
        for side, x, angle in zip(self.sides, streams, angles):
            qkv = side("qkv", side("norm1", x)).unflatten(-1, (3, self.heads, self.dim))
            q, k, v = qkv.unbind(2)
            parts.append((turned(self.q_norm(q), angle), turned(self.k_norm(k), angle), v))
        q, k, v = (torch.cat(part, dim=1).transpose(1, 2) for part in zip(*parts))
        weights = (q @ k.transpose(-1, -2) / math.sqrt(self.dim)).softmax(-1)
        mixed = (weights @ v).transpose(1, 2).flatten(2)
        results, first = [], 0
        for side, x in zip(self.sides, streams):
            x = x + side("attn_proj", mixed[:, first : first + x.shape[1]])
            first += x.shape[1]
            results.append(x + side("mlp", side("norm2", x)))
        return results


class Embedder(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        patch = cfg["patch_size"]
        self.proj1 = nn.Conv2d(3, cfg["pca_channels"], patch, patch, bias=False)
        self.proj2 = nn.Conv2d(cfg["pca_channels"], cfg["hidden_size"], 1)

    def forward(self, x):
        return self.proj2(self.proj1(x)).flatten(2).transpose(1, 2)


class Head(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.norm_final = RMSNorm(cfg["hidden_size"])
        self.linear = nn.Linear(cfg["hidden_size"], 3 * cfg["patch_size"] ** 2)

    def forward(self, x):
        return self.linear(self.norm_final(x))


class Net(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.img_embedder = Embedder(cfg)
        self.txt_embedder = nn.Linear(cfg["txt_input_size"], cfg["hidden_size"], bias=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, cfg["txt_input_size"]))
        blocks = [Block(cfg, [""]) for _ in range(cfg["txt_preamble_depth"])]
        self.txt_preamble_blocks = nn.ModuleList(blocks)
        blocks = [Block(cfg, ["txt_", "img_"]) for _ in range(cfg["depth_double"])]
        self.double_blocks = nn.ModuleList(blocks)
        self.final_layer = Head(cfg)

    def forward(self, picture, caption):
        """One picture [side, side, 3] and a caption [tokens, width] or None."""
        cfg = self.cfg
        side, dim = cfg["image_size"] // cfg["patch_size"], cfg["head_dim"]
        context = caption if caption is not None else torch.zeros(0, cfg["txt_input_size"])
        length = cfg["prompt_length"] if cfg.get("padded", True) else max(len(context), 1)
        fill = self.mask_token[0].expand(length - len(context), -1)
        text = self.txt_embedder(torch.cat([context, fill])[None])
        image = self.img_embedder(picture.permute(2, 0, 1)[None])
        row = torch.arange(side * side) // side
        column = torch.arange(side * side) % side
        quarter = frequencies(cfg["hidden_size"] // 4)
        places = [at[:, None] * quarter for at in (column.float(), row.float())]
        image = image + torch.cat([part for at in places for part in (at.sin(), at.cos())], dim=1)
        axis = frequencies(dim // 4)
        of_image = torch.cat([row[:, None] * axis, column[:, None] * axis], dim=1)
        of_text = torch.arange(length)[:, None] * frequencies(dim // 2)
        for block in self.txt_preamble_blocks:
            (text,) = block([text], [of_text])
        for block in self.double_blocks:
            text, image = block([text, image], [of_text, of_image])
        patches = self.final_layer(image)[0]
        size = cfg["patch_size"]
        patches = patches.view(side, side, size, size, 3).permute(0, 2, 1, 3, 4)
        return patches.reshape(side * size, side * size, 3)


class Lora(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.base_layer = linear
        self.lora_A = nn.Linear(linear.in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, linear.out_features, bias=False)
        nn.init.normal_(self.lora_B.weight, std=0.1)
        self.scale = alpha / rank

    def forward(self, x):
        return self.base_layer(x) + self.scale * self.lora_B(self.lora_A(x))


def add_lora(net):
    """Adds random factors to every linear layer and returns them by PEFT's names."""
    factors = {}
    for path, module in list(net.named_modules()):
        if not isinstance(module, nn.Linear):
            continue
        parent = net.get_submodule(path.rpartition(".")[0])
        lora = Lora(module, RANK, ALPHA)
        setattr(parent, path.rpartition(".")[2], lora)
        for name in ("lora_A", "lora_B"):
            weight = getattr(lora, name).weight
            factors[f"base_model.model.model.net.{path}.{name}.weight"] = weight
    return factors


class Flow:
    """Noise, losses and samples of a model."""

    def __init__(self, net):
        self.net, cfg = net, net.cfg
        self.size = cfg["image_size"]
        self.scale = cfg.get("noise_scale", 2.0)
        self.floor = cfg.get("time_floor", 0.05)
        self.loss_floor = cfg.get("loss_floor", self.floor)
        self.mean = cfg.get("t_lognorm_mu", -0.8)
        self.deviation = cfg.get("t_lognorm_sigma", 0.8)

    def time(self, p):
        return np.float32(1.0 / (1.0 + math.exp(-(self.mean + self.deviation * quantile(p)))))

    def noise(self, seed, stream):
        return ChaCha20(seed, stream).normal(self.size**2 * 3).view(self.size, self.size, 3) * self.scale

    def predicted(self, picture, caption, time, noise):
        time = float(time)
        return self.net(time * picture + (1.0 - time) * noise, caption)

    def loss(self, picture, caption, time, noise):
        left = max(1.0 - float(time), self.loss_floor)
        return (((self.predicted(picture, caption, time, noise) - picture) / left) ** 2).mean()

    def stratified(self, seed, count):
        return [(self.time((i + 0.5) / count), self.noise(seed, (1 << 32) + i)) for i in range(count)]

    def draws(self, seed, step, count, dropout):
        generator = ChaCha20(seed, step << 32)
        for i in range(count):
            p = (i + generator.unit()) / count
            dropped = generator.unit() < dropout
            yield self.time(p), dropped, self.noise(seed, (step << 32) + 1 + i)

    def batch_loss(self, examples, seed, step, dropout):
        draws = self.draws(seed, step, len(examples), dropout)
        losses = [
            self.loss(picture, None if dropped else caption, time, noise)
            for (picture, caption), (time, dropped, noise) in zip(examples, draws)
        ]
        return sum(losses) / len(losses)

    def velocity(self, x, caption, time, guidance):
        left = max(1.0 - time, self.floor)
        caption_v = (self.net(x, caption) - x) / left
        none_v = (self.net(x, None) - x) / left
        return none_v + guidance * (caption_v - none_v)

    @torch.no_grad()
    def sample(self, caption, seed, steps, guidance, heun):
        x = self.noise(seed, 0)
        times = [i / steps for i in range(steps + 1)]
        for i, (now, after) in enumerate(zip(times, times[1:])):
            v = self.velocity(x, caption, now, guidance)
            if heun and i + 1 < steps:
                ahead = x + (after - now) * v
                v = (v + self.velocity(ahead, caption, after, guidance)) / 2
            x = x + (after - now) * v
        return x


def clipped(parameters, most):
    for p in parameters:
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
    length = torch.sqrt(sum((p.grad.double() ** 2).sum() for p in parameters))
    if length > most:
        for p in parameters:
            p.grad *= most / length
    return float(length)


def ten_losses(flow, examples, parameters, rate):
    matrices = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), eps=1e-8)
    losses, mean = [], [p.detach().clone() for p in parameters]
    for step in range(10):
        optimizer.zero_grad()
        loss = flow.batch_loss(examples, 11, step, 0.3)
        loss.backward()
        clipped(parameters, 1.0)
        optimizer.step()
        losses.append(float(loss))
        decay = min(0.9, (2.0 + step) / (11.0 + step))
        for kept, p in zip(mean, parameters):
            kept += (1.0 - decay) * (p.detach() - kept)
    return losses, mean


def make(name, cfg):
    torch.manual_seed(5)
    net = Net(cfg)
    for parameter_name, parameter in net.named_parameters():
        with torch.no_grad():
            if "norm" in parameter_name:
                parameter += 0.2 * torch.randn_like(parameter)
            elif parameter_name.endswith("bias") or parameter_name == "mask_token":
                parameter.copy_(0.1 * torch.randn_like(parameter))
            else:
                parameter *= 1.7
            parameter.copy_(parameter.bfloat16().float())
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(cfg, indent=2) + "\n")
    weights = {f"model.net.{key}": value.detach().bfloat16() for key, value in net.state_dict().items()}
    if name == "minit2i":
        # Published checkpoints hold these too, and the network does not use them.
        weights["model.net.pooled_embedder.weight"] = torch.zeros(2, 2, dtype=torch.bfloat16)
        weights["model.net.t_embedder.mlp.0.bias"] = torch.zeros(2, dtype=torch.bfloat16)
    save_file(weights, folder / "diffusion_pytorch_model.safetensors")
    flow = Flow(net)
    size, width = cfg["image_size"], cfg["txt_input_size"]
    lengths = [3, 5, 1, 4, 2]
    pictures = [torch.rand(size, size, 3) * 2 - 1 for _ in lengths]
    captions = [torch.randn(length, width) for length in lengths]
    examples = list(zip(pictures, captions))
    out = {"pictures": torch.stack(pictures), "captions": torch.cat(captions)}
    # The whole model: gradients of the first step's loss, then ten steps.
    flow.batch_loss(examples, 11, 0, 0.3).backward()
    for key, parameter in net.named_parameters():
        # The last block's text is not read.
        out[f"grad.{key}"] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        parameter.grad = None
    out["sample.euler"] = flow.sample(captions[0], 21, 4, 2.5, heun=False)
    out["sample.heun"] = flow.sample(captions[1], 22, 3, 2.5, heun=True)
    start = {key: value.clone() for key, value in net.state_dict().items()}
    losses, mean = ten_losses(flow, examples, list(net.parameters()), 3e-3)
    for (key, parameter), kept in zip(net.named_parameters(), mean):
        out[f"after.{key}"], out[f"mean.{key}"] = parameter.detach().clone(), kept
    net.load_state_dict(start)
    # Factors.
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    factors = add_lora(net)
    out.update({f"factor.{key}": value.detach().clone() for key, value in factors.items()})
    points = flow.stratified(31, 4)
    measures = {}
    for measure in ("loss", "output"):
        total = 0
        for time, noise in points:
            if measure == "loss":
                total = total + flow.loss(*examples[0], time, noise)
            else:
                total = total + (flow.predicted(*examples[0], time, noise) ** 2).mean()
        total.backward()
        measures[measure] = float(total)
        for key, factor in factors.items():
            out[f"{measure}.{key}"] = torch.zeros_like(factor) if factor.grad is None else factor.grad
            factor.grad = None
    out["sample.adapted"] = flow.sample(captions[3], 23, 4, 2.0, heun=False)
    if name == "pico":
        make_peft(name, factors)
    adapted, _ = ten_losses(flow, examples, list(factors.values()), 1e-2)
    expected = {
        "lengths": lengths,
        "ten_losses": losses,
        "adapter_ten_losses": adapted,
        "times": [float(time) for time, _ in points],
        "measures": measures,
        "rank": RANK,
        "alpha": ALPHA,
    }
    save_file({key: value.contiguous() for key, value in out.items()}, folder / "expected.safetensors")
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def make_peft(name, factors):
    """The factors in an adapter folder that PEFT itself wrote."""
    net = Net(MODELS[name])
    root = nn.Module()
    root.model = nn.Module()
    root.model.net = net
    targets = sorted({key[len("base_model.model.") : -len(".lora_A.weight")] for key in factors})
    config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets)
    model = peft.get_peft_model(root, config)
    peft.set_peft_model_state_dict(model, {key: value.detach() for key, value in factors.items()})
    model.peft_config["default"].target_modules = targets
    model.save_pretrained(HERE / name / "peft")
    (HERE / name / "peft" / "README.md").unlink(missing_ok=True)


def make_t5():
    """A tiny T5 encoder with a tokenizer of a few words."""
    torch.manual_seed(8)
    folder = HERE / "t5"
    folder.mkdir(exist_ok=True)
    words = {word: at for at, word in enumerate(["<pad>", "</s>", "<unk>", "a", "red", "star", "on", "blue"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = T5Config(
        vocab_size=len(words),
        d_model=14,
        d_kv=6,
        d_ff=20,
        num_layers=2,
        num_heads=3,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )
    model = T5EncoderModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    model.save_pretrained(folder)
    text = "a red star on a blue"
    ids = tokenizer.encode(text).ids
    # As the published pipeline calls it: filled up, with a mask.
    filled = torch.tensor([ids + [0] * 4])
    mask = torch.tensor([[1] * len(ids) + [0] * 4])
    with torch.no_grad():
        states = model(input_ids=filled, attention_mask=mask).last_hidden_state[0, : len(ids)]
    save_file({"states": states.contiguous()}, folder / "expected.safetensors")
    (folder / "expected.json").write_text(json.dumps({"text": text, "ids": ids}) + "\n")


def make_nano():
    """The hidden states of the embedded base for a caption."""
    base = HERE.parents[3] / "assets" / "nano"
    model = LlamaModel.from_pretrained(base, dtype=torch.float32, attn_implementation="eager").eval()
    text = "a large striped red star in the top left on blue"
    ids = tokenizers.Tokenizer.from_file(str(base / "tokenizer.json")).encode(text).ids
    with torch.no_grad():
        states = model(torch.tensor([ids]), output_hidden_states=True)
    parts = [states.hidden_states[0][0], states.last_hidden_state[0]]
    parts = [part / torch.sqrt((part * part).mean(-1, keepdim=True) + 1e-5) for part in parts]
    folder = HERE / "nano"
    folder.mkdir(exist_ok=True)
    save_file({"states": torch.cat(parts, dim=-1).contiguous()}, folder / "expected.safetensors")
    (folder / "expected.json").write_text(json.dumps({"text": text, "ids": ids}) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for model_name, settings in MODELS.items():
        make(model_name, settings)
    make_t5()
    make_nano()
    versions = {module.__name__: module.__version__ for module in (torch, peft, transformers, tokenizers)}
    (HERE / "versions.json").write_text(json.dumps(versions) + "\n")
