"""What llama.cpp answers with an exported adapter: `suite.py BASE ADAPTER EXPECTED NAME` compares its greedy
tokens with those that PEFT gave, and prints how many prompts it compared. `-` is no adapter."""

import json
import sys

import xllamacpp as llama

base, adapter, expected, name = sys.argv[1:]
params = llama.CommonParams()
params.model.path = base
params.n_ctx = 128
params.n_parallel = 1
params.n_gpu_layers = 0
params.warmup = False
# Halves would change the order of near scores.
params.cache_type_k = llama.ggml_type.GGML_TYPE_F32
params.cache_type_v = llama.ggml_type.GGML_TYPE_F32
params.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
if adapter != "-":
    lora = llama.CommonAdapterLoraInfo()
    lora.path, lora.scale = adapter, 1.0
    params.lora_adapters = [lora]
server = llama.Server(params)
compared = 0
with open(expected) as file:
    rows = json.load(file)[name]["greedy"]
for row in rows:
    answer = server.handle_completions(
        {
            "prompt": row["prompt_ids"],
            "n_predict": len(row["ids"]),
            "temperature": 0,
            "ignore_eos": True,
            "logprobs": 1,
            "cache_prompt": False,
        }
    )
    tokens = [it["id"] for it in answer["choices"][0]["logprobs"]["content"]]
    assert tokens == row["ids"], (name, row["prompt"], tokens, row["ids"])
    compared += 1
print(f"{compared} prompts")
