"""Training beside PEFT (torch, f32): the same rows, batches, learning rates and initial factors, in turns.

    pip install torch peft transformers
    python benches/train_vs_peft.py --base FOLDER --data FOLDER [--only NAME ...] [--rounds 3] [--threads 2]

FOLDER of --base holds SmolLM2-135M-Instruct in the layout of the Hub, FOLDER of --data the labelled sets.
PEFT pads the rows of a batch to its longest one, as its data collator does. Speeds count tokens that are
no padding. On a machine with other work, compare processor time: `--threads 1` makes it a measure.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
QKVO = {"rank": 8, "alpha": 16.0, "targets": ATTENTION}
ALL = {"rank": 16, "alpha": 32.0, "targets": ["all-linear"]}

SPAM = {"labels": ["ham", "spam"], "instruction": "Is the comment ham or spam?", "set": "youtube_spam"}
FILMS = {
    "labels": ["negative", "positive"],
    "instruction": "Is the review negative or positive?",
    "set": "movie_sentences",
}


def dense(length):
    return {"labels": [], "instruction": "", "set": "tinyshakespeare", "dense": length}


# name: data, factors, rows per batch, most steps
CASES = {
    "youtube_spam qkvo": (SPAM, QKVO, 16, None),
    "youtube_spam all": (SPAM, ALL, 16, None),
    "movie_sentences qkvo": (FILMS, QKVO, 16, None),
    "movie_sentences all": (FILMS, ALL, 16, None),
    "dense-128 qkvo": (dense(128), QKVO, 4, 12),
    "dense-128 all": (dense(128), ALL, 4, 12),
    "dense-1024 qkvo": (dense(1024), QKVO, 1, 6),
    "dense-1024 all": (dense(1024), ALL, 1, 6),
}


def job(arguments, name, seed, plan):
    data, factors, batch, steps = CASES[name]
    folder = arguments.data / data["set"]
    length = data.get("dense")
    return {
        "base": str(arguments.base),
        "train": str(folder / "train.jsonl"),
        "test": None if length else str(folder / "test.jsonl"),
        "labels": data["labels"],
        "instruction": data["instruction"],
        "dense": length,
        "max_len": 1024,
        "epochs": 1,
        "steps": arguments.steps or steps,
        "batch": batch,
        "lr": 1e-3,
        "seed": seed,
        "precision": "f32",
        "plan": str(plan),
        **factors,
    }


def openlora(arguments, verb, path):
    command = arguments.trainer or ["cargo", "bench", "-q", "-p", "openlora-train", "--bench", "training", "--"]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(arguments.threads)}
    done = subprocess.run([*command, verb, str(path)], env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout) if verb == "train" else None


def in_child(arguments, path):
    """PEFT in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, __file__, "--peft", str(path), "--threads", str(arguments.threads)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def peft(path, threads):
    import peft as library
    import torch
    import transformers
    from safetensors.torch import load_file

    torch.set_num_threads(threads)
    job = json.loads(Path(path).read_text())
    plan = json.loads((Path(job["plan"]) / "plan.json").read_text())
    model = transformers.AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32)
    targets = "all-linear" if job["targets"] == ["all-linear"] else job["targets"]
    config = library.LoraConfig(
        r=job["rank"], lora_alpha=job["alpha"], target_modules=targets, lora_dropout=0.0, task_type="CAUSAL_LM"
    )
    model = library.get_peft_model(model, config)
    start = load_file(str(Path(job["plan"]) / "start.safetensors"))
    report = library.set_peft_model_state_dict(model, start)
    assert not report.unexpected_keys, report.unexpected_keys
    model.train()
    factors = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(factors, lr=0.0, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    losses, began, used = [], time.perf_counter(), time.process_time()
    for rows, rate in zip(plan["steps"], plan["rates"]):
        longest = max(len(row["ids"]) for row in rows)
        pad = [longest - len(row["ids"]) for row in rows]
        ids = torch.tensor([row["ids"] + [0] * n for row, n in zip(rows, pad)])
        mask = torch.tensor([[1] * len(row["ids"]) + [0] * n for row, n in zip(rows, pad)])
        learned = torch.tensor([row["targets"] + [False] * n for row, n in zip(rows, pad)])
        labels = torch.where(learned, ids, -100)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(factors, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    figures = {
        "losses": losses,
        "seconds": time.perf_counter() - began,
        "processor_seconds": time.process_time() - used,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "rows": sum(len(rows) for rows in plan["steps"]),
        "tokens": sum(len(row["ids"]) for rows in plan["steps"] for row in rows),
        "accuracy": None,
    }
    if plan["test"]:
        figures["accuracy"] = accuracy(model, plan["test"])
    print(json.dumps(figures))


def accuracy(model, rows):
    import torch

    model.eval()
    right = 0
    with torch.no_grad():
        for row in rows:
            logits = model(input_ids=torch.tensor([row["ids"]])).logits[0, -1, row["choices"]]
            right += int(logits.argmax()) == row["truth"]
    return right / len(rows)


def compare(arguments, name):
    runs = {"openlora": [], "PEFT": []}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1, arguments.rounds + 1):
            path = Path(folder) / "job.json"
            path.write_text(json.dumps(job(arguments, name, seed, folder)))
            openlora(arguments, "prepare", path)
            runs["openlora"].append(openlora(arguments, "train", path))
            runs["PEFT"].append(in_child(arguments, path))
    show(name, runs)


def show(name, runs):
    clock = "processor_seconds"
    print(f"\n{name}")
    for who, found in runs.items():
        for run in found:
            line = [
                f"{who:9}",
                f"{run['seconds']:8.1f} s",
                f"{run[clock]:8.1f} processor s",
                f"{run['tokens'] / run['seconds']:7.0f} tokens/s",
                f"{run['rows'] / run['seconds']:6.1f} rows/s",
                f"{run['peak_memory_bytes'] / 1e9:5.2f} GB",
            ]
            if run["accuracy"] is not None:
                line.append(f"accuracy {run['accuracy']:.3f}")
            if "ceiling" in run:
                wall = run["operations"] / run["seconds"] / run["ceiling"]
                processor = run["operations"] / run[clock] / run["processor_ceiling"]
                line.append(f"ceiling {run['ceiling'] / 1e9:.0f} GFLOP/s, share {wall:.2f} ({processor:.2f} by processor time)")
            print("  ".join(line))
    ours, theirs = runs["openlora"], runs["PEFT"]
    best = lambda found, key: min(run[key] for run in found)
    gap = max(abs(a - b) for o, t in zip(ours, theirs) for a, b in zip(o["losses"], t["losses"]))
    print(
        f"ratio {best(theirs, 'seconds') / best(ours, 'seconds'):.2f} by the clock, "
        f"{best(theirs, clock) / best(ours, clock):.2f} by processor time; "
        f"memory {best(ours, 'peak_memory_bytes') / best(theirs, 'peak_memory_bytes'):.2f}; "
        f"largest gap of {len(ours[0]['losses'])} losses {gap:.1e}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", nargs="*", choices=CASES, help="cases, all by default")
    parser.add_argument("--rounds", type=int, default=3, help="seeds; each trains both")
    parser.add_argument("--steps", type=int, help="end after this many steps")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--trainer", nargs=1, help="a built `training` bench instead of cargo")
    parser.add_argument("--peft", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peft:
        return peft(arguments.peft, arguments.threads)
    for name in arguments.only or CASES:
        compare(arguments, name)


if __name__ == "__main__":
    main()
