"""The Python side of check-torch.sh: safetensors by its specification, PyTorch, and timm where it is given."""
import json
import subprocess
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench" / "peers"))
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
failed = False


def safetensors(path):
    """The tensors of a file, by github.com/huggingface/safetensors#format alone."""
    content = Path(path).read_bytes()
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    header.pop("__metadata__", None)
    tensors = OrderedDict()
    for name, t in header.items():
        begin, end = t["data_offsets"]
        flat = torch.frombuffer(bytearray(data[begin:end]), dtype=DTYPES[t["dtype"]])
        tensors[name] = flat.reshape(t["shape"])
    return tensors


def report(what, ok, figure):
    global failed
    failed |= not ok
    print(f"{'ok  ' if ok else 'FAIL'}  {what}: {figure}")


def same(what, got, want):
    """Whether two state dicts have the same names, shapes, types and bits."""
    wrong = sorted(got.keys() ^ want.keys())
    for name in got.keys() & want.keys():
        a, b = got[name], want[name]
        if a.dtype != b.dtype or a.shape != b.shape or a.contiguous().numpy().tobytes() != b.contiguous().numpy().tobytes():
            wrong.append(name)
    report(what, not wrong, f"{len(want)} tensors, {sum(t.numel() for t in want.values())} values" if not wrong else f"{len(wrong)} differ: {wrong[:3]}")


def write(golden, work):
    """What this program wrote, read by PyTorch; and what PyTorch saves, for this program to read."""
    original = safetensors(golden / "hf-tiny" / "model.safetensors")  # by transformers 4.27
    same("transformers' tensors as this program writes them, float32", safetensors(work / "hf-float32" / "model.safetensors"), original)
    for name, dtype in ("float16", torch.float16), ("bfloat16", torch.bfloat16):
        got = safetensors(work / f"hf-{name}" / "model.safetensors")
        want = {k: v.to(dtype) for k, v in original.items()}
        # Bits of bfloat16 are compared as those of integers: NumPy has no such type.
        view = lambda d: {k: v.contiguous().view(torch.int16) for k, v in d.items()}
        same(f"as {name}, rounded as PyTorch rounds", view(got), view(want))
    config = json.loads((work / "hf-float32" / "config.json").read_text())
    known = json.loads((golden / "hf-tiny" / "config.json").read_text())
    differ = sorted(k for k in config if k in known and config[k] != known[k] and k not in ("transformers_version", "_name_or_path"))
    extra = sorted(config.keys() - known.keys())
    report("config.json beside that of transformers 4.27", not differ, f"{len(config.keys() & known.keys())} keys agree, of our own: {extra}" if not differ else f"differ: {differ}")

    variants = {
        "plain": original,
        "channels-last": {k: v.contiguous(memory_format=torch.channels_last) if v.dim() == 4 else v for k, v in original.items()},
        "half": {k: v.half() for k, v in original.items()},
    }
    for kind, tensors in variants.items():
        folder = work / f"saved-{kind}"
        folder.mkdir()
        torch.save(OrderedDict(tensors), folder / "pytorch_model.bin")
        for name in "config.json", "preprocessor_config.json":
            (folder / name).write_bytes((golden / "hf-tiny" / name).read_bytes())
        reloaded = torch.load(folder / "pytorch_model.bin")
        same(f"PyTorch opens the pytorch_model.bin, {kind}, that is read below", reloaded, variants[kind])


def read(golden, work):
    """What this program read of PyTorch's files; and the networks of both, run in PyTorch."""
    original = safetensors(golden / "hf-tiny" / "model.safetensors")
    for kind in "plain", "channels-last":
        same(f"this program reads torch.save's file, {kind}", safetensors(work / f"back-{kind}" / "model.safetensors"), original)
    same("this program reads torch.save's file, half", safetensors(work / "back-half" / "model.safetensors"), {k: v.half().float() for k, v in original.items()})

    import pytorch as peer

    for case, folder in ("official-tiny", work / "official-hf"), ("hf-tiny", work / "back-plain"):
        network = peer.load(folder).double().eval()  # a tensor that is missing or extra is an error
        arrays = np.load(golden / case / "arrays.npz")
        pairs = [("x0", "logits0"), ("x1", "logits1"), ("x2", "logits2")] if case == "official-tiny" else \
            [(k, k.replace("pixel_values", "logits")) for k in arrays.files if k.endswith("pixel_values")]
        worst = 0.0
        for x, logits in pairs:
            x = torch.from_numpy(arrays[x]).double()
            with torch.no_grad():
                got = network(x if x.dim() == 4 else x[None]).numpy().reshape(-1)
            want = arrays[logits].reshape(-1)
            worst = max(worst, float(np.abs(got - want).max() / np.abs(want).max()))
        report(f"{case} in PyTorch from the file that this program wrote, float64", worst < 1e-6, f"{len(pairs)} inputs, logits within {worst:.1e} of the largest")


def timm(golden, work, source, bit):
    """timm's own code loads a folder and computes the logits of this program."""
    shim = types.ModuleType("safetensors")
    shim.torch = types.ModuleType("safetensors.torch")
    shim.torch.load_file = lambda path, device="cpu": safetensors(path)
    sys.modules["safetensors"], sys.modules["safetensors.torch"] = shim, shim.torch
    sys.path.insert(0, source)
    import timm as library
    from timm.models import load_state_dict_from_hf  # noqa: F401  (the loader of hf-hub is there)

    torch.manual_seed(0)
    model = library.create_model("resnetv2_50x1_bit", num_classes=10)
    with torch.no_grad():
        for p in model.parameters():  # an untrained head is all zeros
            p.add_(torch.randn_like(p) * 0.02)
    model.eval()
    first = work / "timm-saved"
    first.mkdir()
    torch.save(model.state_dict(), first / "pytorch_model.bin")
    cfg = {"architecture": "resnetv2_50x1_bit", "num_classes": 10, "num_features": 2048, "pretrained_cfg": {
        "input_size": [3, 64, 64], "crop_pct": 1.0, "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.5] * 3,
        "first_conv": "stem.conv", "classifier": "head.fc", "num_classes": 10}}
    (first / "config.json").write_text(json.dumps(cfg))
    out = work / "timm-out"
    subprocess.run([bit, "convert", first, out, "--to", "timm"], check=True, stderr=subprocess.DEVNULL)
    tensors = safetensors(out / "model.safetensors")
    same(f"timm {library.__version__}'s own state dict, written again", tensors, model.state_dict())
    try:
        again = library.create_model("local-dir:" + str(out), pretrained=True)
        how = "create_model('local-dir:…', pretrained=True)"
    except Exception as e:  # versions before local-dir
        again = library.create_model("resnetv2_50x1_bit", num_classes=10, checkpoint_path=str(out / "model.safetensors"))
        how = f"create_model(checkpoint_path=…), as this version has no local-dir ({type(e).__name__})"
    again.eval()
    x = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        a, b = model(x), again(x)
    report(f"timm loads what this program wrote, {how}", torch.equal(a, b), "logits of 4 inputs have the same bits")
    reference = work / "reference.npz"
    with torch.no_grad():
        np.savez(reference, x0=x.numpy(), logits0=again.double()(x.double()).numpy())
    result = subprocess.run([bit, "verify", out, reference, "--json"], capture_output=True, text=True)
    line = json.loads(result.stdout or '{"ok":false}')
    report("this program beside timm in float64, R50x1", line["ok"], f"logits within {line.get('relative', float('nan')):.1e} of the largest")
    config = library.data.resolve_data_config({}, model=again)
    report("timm prepares as the folder says", tuple(config["input_size"]) == (3, 64, 64) or how.startswith("create_model(checkpoint"), str({k: config[k] for k in ("input_size", "crop_pct", "interpolation")}))


command, golden, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
print("PyTorch", torch.__version__) if command == "write" else None
{"write": write, "read": read, "timm": timm}[command](golden, work, *sys.argv[4:])
sys.exit(failed)
