"""What PEFT adds to the base for the adapters of ../golden: writes deltas.safetensors here.

Versions as in ../golden/versions.json. Run: python make.py
"""

import pathlib

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
GOLDEN = HERE.parent / "golden"
KEPT = {"patterns": "", "rslora": "layers.0."}


def deltas(adapter, kept):
    base = AutoModelForCausalLM.from_pretrained(GOLDEN / "llama", dtype=torch.float32)
    model = PeftModel.from_pretrained(base, GOLDEN / f"llama.{adapter}")
    return {
        f"{adapter}.{name.removeprefix('base_model.model.')}": layer.get_delta_weight("default").contiguous()
        for name, layer in model.named_modules()
        if isinstance(layer, LoraLayer) and kept in name
    }


if __name__ == "__main__":
    tensors = {}
    for adapter, kept in KEPT.items():
        tensors |= deltas(adapter, kept)
    save_file(tensors, HERE / "deltas.safetensors", metadata={"format": "pt"})
