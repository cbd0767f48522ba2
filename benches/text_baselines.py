"""Naive Bayes and logistic regression on TF-IDF, for comparison with an adapter on the same rows.

Usage: python text_baselines.py FOLDER [--json FILE]

FOLDER holds labelled sets, or is one: folders with `train.jsonl`, `valid.jsonl` and `test.jsonl` of rows with
`text` and `label`. For each set both models are fitted on the training rows. Their free parameter is the one
with the best accuracy on the validation rows, and the test rows are measured once, with it.

Needs Python 3.11 and `pip install scikit-learn==1.9.1`. The same rows give the same figures.
"""

import argparse
import json
import pathlib
import sys

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

PARTS = ("train", "valid", "test")


def tf_idf():
    """Words and pairs of words, as both models see them."""
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)


def naive_bayes(smoothing):
    return make_pipeline(tf_idf(), MultinomialNB(alpha=smoothing))


def logistic_regression(inverse_penalty):
    return make_pipeline(tf_idf(), LogisticRegression(C=inverse_penalty, max_iter=2000))


# A model's name, how it is made from its free parameter, and the parameters that are tried.
MODELS = (
    ("naive Bayes", naive_bayes, (0.01, 0.03, 0.1, 0.3, 1.0)),
    ("logistic regression", logistic_regression, (1.0, 3.0, 10.0, 30.0, 100.0)),
)


def rows(paths):
    read = []
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            read += [json.loads(line) for line in lines if line.strip()]
    return [row["text"] for row in read], [row["label"] for row in read]


def measured(name, make, parameters, parts):
    (texts, labels), (valid_texts, valid_labels), (test_texts, test_labels) = parts
    fitted = [(parameter, make(parameter).fit(texts, labels)) for parameter in parameters]
    on_valid = [accuracy_score(valid_labels, model.predict(valid_texts)) for _, model in fitted]
    best = on_valid.index(max(on_valid))
    parameter, model = fitted[best]
    answers = model.predict(test_texts)
    order = sorted(set(labels))
    return {
        "model": name,
        "parameter": parameter,
        "validation_accuracy": round(on_valid[best], 4),
        "accuracy": round(accuracy_score(test_labels, answers), 4),
        "macro_f1": round(f1_score(test_labels, answers, average="macro"), 4),
        "labels": order,
        "confusion": confusion_matrix(test_labels, answers, labels=order).tolist(),
    }


def is_labelled(folder):
    if not all(files(folder, part) for part in PARTS):
        return False
    with (folder / "test.jsonl").open(encoding="utf-8") as lines:
        return "label" in json.loads(next(lines))


def files(folder, part):
    """`data split` writes one file of training rows for each source: `train-NAME.jsonl`."""
    return sorted(folder.glob(f"{part}.jsonl")) or sorted(folder.glob(f"{part}-*.jsonl"))


def measured_set(folder):
    parts = [rows(files(folder, part)) for part in PARTS]
    return {
        "set": folder.name,
        "rows": [len(texts) for texts, _ in parts],
        "models": [measured(*model, parts) for model in MODELS],
    }


def print_set(found):
    sizes = "/".join(str(count) for count in found["rows"])
    print(f"{found['set']}: {sizes} rows to train, validate and test")
    for model in found["models"]:
        print(f"  {model['model']:<20} accuracy {model['accuracy']:.3f}  macro-F1 {model['macro_f1']:.3f}")
        for label, counts in zip(model["labels"], model["confusion"]):
            print(f"    {label:<12} " + " ".join(f"{count:>5}" for count in counts))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--json", type=pathlib.Path, help="file for the figures")
    given = arguments.parse_args()
    inside = sorted(path for path in given.folder.iterdir() if path.is_dir()) if given.folder.is_dir() else []
    sets = [path for path in [given.folder, *inside] if is_labelled(path)]
    if not sets:
        sys.exit(f"{given.folder}: no labelled set, expected folders with train.jsonl, valid.jsonl and test.jsonl")
    found = [measured_set(path) for path in sets]
    for one in found:
        print_set(one)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
