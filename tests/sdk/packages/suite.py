"""What other programs make of the files of a package and of exported adapters, without a network."""

import json
import pathlib
import re
import socket
import struct
import sys


def refuse(*_):
    raise OSError("this suite uses no network")


socket.socket.connect = refuse


def bom(package):
    """CycloneDX's own strict schema, and its model of a bill."""
    from cyclonedx.model.bom import Bom
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (package / "bom.cdx.json").read_text()
    errors = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text, all_errors=True)
    for error in errors or []:
        print("bom:", error)
    bill = Bom.from_json(json.loads(text))
    bill.validate()
    component = bill.metadata.component
    licences = [it.id if hasattr(it, "id") else it.value for it in component.licenses]
    print("bom", component.type.value, component.name, component.version, *licences)
    for inner in sorted(bill.components, key=lambda it: it.bom_ref.value):
        print("component", inner.type.value, inner.bom_ref.value, len(inner.hashes))
    for dependency in sorted(bill.dependencies, key=lambda it: it.ref.value):
        needs = sorted(it.ref.value for it in dependency.dependencies)
        if needs:
            print("depends", dependency.ref.value, *needs)


def provenance(package):
    """in-toto's messages, which refuse unknown fields and other types."""
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    text = (package / "provenance.slsa.json").read_text()
    statement = json_format.Parse(text, statement_pb2.Statement())
    Statement.copy_from_pb(statement).validate()
    predicate = json_format.ParseDict(
        json_format.MessageToDict(statement.predicate), provenance_pb2.Provenance()
    )
    print("provenance", statement.predicate_type, predicate.build_definition.build_type)
    for subject in statement.subject:
        print("subject", subject.name)
    for needed in predicate.build_definition.resolved_dependencies:
        print("needs", needed.name)
    metadata = predicate.run_details.metadata
    print("from", metadata.started_on.seconds, "to", metadata.finished_on.seconds)
    print("version", dict(predicate.run_details.builder.version))


def card(package):
    """The Hub's own reader of model cards."""
    from huggingface_hub import ModelCard

    read = ModelCard((package / "README.md").read_text()).data
    results = read.eval_results or []
    shown = {key: value for key, value in read.to_dict().items() if key != "model-index"}
    print("card", json.dumps(shown, sort_keys=True))
    for result in results:
        print("result", result.task_type, result.metric_type, result.metric_value)


def safetensors(path):
    """Shapes and values of a file with f32 values."""
    import numpy

    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32", entry
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = numpy.frombuffer(data[start:end], "<f4").reshape(entry["shape"])
    return tensors


def permuted(weights, heads):
    """The order of rows that llama.cpp's converter gives queries and keys of llama."""
    return (
        weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
        .swapaxes(1, 2)
        .reshape(weights.shape)
    )


def scale_of(config, module):
    """PEFT's scale of a module."""

    def matching(table, default):
        for pattern, value in (table or {}).items():
            if re.match(rf"(.*\.)?({pattern})$", module):
                return value
        return default

    rank = matching(config.get("rank_pattern"), config["r"])
    alpha = matching(config.get("alpha_pattern"), config["lora_alpha"])
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)


def gguf(exported, adapter, base):
    """The export as llama.cpp's reader sees it computes what PEFT computes on the converted base."""
    import numpy
    from gguf import GGUFReader, MODEL_ARCH_NAMES, get_tensor_name_map

    reader = GGUFReader(exported)
    fields = {key: field.contents() for key, field in reader.fields.items()}
    config = json.loads((adapter / "adapter_config.json").read_text())
    model = json.loads((base / "config.json").read_text())
    architecture = fields["general.architecture"]
    (known,) = [key for key, name in MODEL_ARCH_NAMES.items() if name == architecture]
    names = get_tensor_name_map(known, model["num_hidden_layers"])
    heads = {"q_proj": model["num_attention_heads"], "k_proj": model["num_key_value_heads"]}
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    factors = safetensors(adapter / "adapter_model.safetensors")
    modules = sorted({name.rsplit(".lora_", 1)[0] for name in factors})
    for module in modules:
        path = module.removeprefix("base_model.model.")
        name = names.get_name(path) + ".weight"
        a, b = (tensors.pop(f"{name}.lora_{it}").data for it in "ab")
        assert a.shape[0] == b.shape[1], (a.shape, b.shape)
        found = fields["adapter.lora.alpha"] / b.shape[1] * (b @ a)
        expected = factors[f"{module}.lora_B.weight"] @ factors[f"{module}.lora_A.weight"]
        expected = scale_of(config, path) * expected
        last = path.rsplit(".", 1)[1]
        if architecture == "llama" and last in heads:
            expected = permuted(expected, heads[last])
        numpy.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=name)
    assert not tensors, tensors
    shown = ["general.type", "general.architecture", "adapter.type", "adapter.lora.alpha"]
    print("gguf", *(fields[key] for key in shown), len(modules))


def diffusers(exported, adapter):
    """The file of diffusers, which scales by one, computes what PEFT computes."""
    import numpy

    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["task_type"] is None, config["task_type"]
    written = safetensors(exported / "pytorch_lora_weights.safetensors")
    factors = safetensors(adapter / "adapter_model.safetensors")
    modules = sorted({name.rsplit(".lora_", 1)[0] for name in factors})
    ranks = set()
    for module in modules:
        path = module.removeprefix("base_model.model.")
        assert any(path == it or path.endswith(f".{it}") for it in config["target_modules"]), path
        a, b = (written.pop(f"transformer.{path}.lora_{it}.weight") for it in "AB")
        ranks.add(a.shape[0])
        expected = factors[f"{module}.lora_B.weight"] @ factors[f"{module}.lora_A.weight"]
        expected = scale_of(config, path) * expected
        numpy.testing.assert_allclose(b @ a, expected, rtol=1e-4, atol=1e-6, err_msg=path)
    assert not written, written
    assert len(ranks) == 1, ranks
    print("diffusers", *ranks, len(modules))


verb, *paths = sys.argv[1:]
verbs = [bom, provenance, card, gguf, diffusers]
{it.__name__: it for it in verbs}[verb](
    *map(pathlib.Path, paths)
)
