"""The benchmark's PyTorch side: answers one JSON request a line on stdin with one JSON object a line on stdout.

The requests are described in ../worker.go. The network is a directory with config.json and model.safetensors.

Tensors stay N C H W: with PyTorch 1.13 and oneDNN 2.6, training steps in channels_last take 1.15 (R50x1, 128 px) to
1.5 (embedded model, 64 px) times as long.
"""
import json
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class StdConv2d(nn.Conv2d):
    """A convolution without bias whose filters are standardised before use."""

    def __init__(self, cin, cout, side, stride, eps):
        super().__init__(cin, cout, side, stride, padding=side // 2, bias=False)
        self.eps = eps

    def forward(self, x):
        # Batch norm over [1, filters, values] is standardisation, in one operation forward and one backward.
        w = self.weight
        w = F.batch_norm(w.reshape(1, w.shape[0], -1), None, None, training=True, eps=self.eps).reshape_as(w)
        return F.conv2d(x, w, None, self.stride, self.padding)


class Unit(nn.Module):
    """A pre-activation bottleneck. The projection, if any, reads what conv1 reads."""

    def __init__(self, cin, cout, stride, project, norm, conv):
        super().__init__()
        mid = cout // 4
        self.norm1, self.norm2, self.norm3 = norm(cin), norm(mid), norm(mid)
        self.conv1 = conv(cin, mid, 1, 1)
        self.conv2 = conv(mid, mid, 3, stride)
        self.conv3 = conv(mid, cout, 1, 1)
        self.downsample = nn.ModuleDict({"conv": conv(cin, cout, 1, stride)}) if project else None

    def forward(self, x):
        p = F.relu(self.norm1(x), inplace=True)
        shortcut = self.downsample["conv"](p) if self.downsample else x
        h = self.conv2(F.relu(self.norm2(self.conv1(p)), inplace=True))
        return self.conv3(F.relu(self.norm3(h), inplace=True)) + shortcut


class Bit(nn.Module):
    """The network of a config.json. Attributes are named so that the state dict has the names of the file."""

    def __init__(self, config):
        super().__init__()

        def norm(channels):
            return nn.GroupNorm(config["num_groups"], channels, eps=config.get("bit_gn_epsilon", 1e-5))

        def conv(*shape):
            return StdConv2d(*shape, eps=config.get("bit_ws_epsilon", 1e-8))

        width = config["embedding_size"]
        stages = []
        self.stem = conv(config["num_channels"], width, 7, 2)
        for s, (depth, cout) in enumerate(zip(config["depths"], config["hidden_sizes"])):
            units = []
            for u in range(depth):
                units.append(Unit(width, cout, 2 if s > 0 and u == 0 else 1, u == 0, norm, conv))
                width = cout
            stages.append(nn.ModuleDict({"layers": nn.ModuleList(units)}))
        self.stages = nn.ModuleList(stages)
        self.norm = norm(width)
        self.classifier = nn.Linear(width, len(config["id2label"]))

    def forward(self, x):
        x = F.max_pool2d(F.pad(self.stem(x), (1, 1, 1, 1)), 3, 2)
        for stage in self.stages:
            for unit in stage["layers"]:
                x = unit(x)
        return self.classifier(F.relu(self.norm(x), inplace=True).mean((2, 3)))


PREFIXES = {"bit.embedder.convolution.": "stem.", "bit.encoder.": "", "bit.norm.": "norm.", "classifier.1.": "classifier."}


def load(directory):
    """Reads a network; a tensor that is missing, extra or of another shape is an error."""
    directory = Path(directory)
    net = Bit(json.loads((directory / "config.json").read_text()))
    raw = np.memmap(directory / "model.safetensors", np.uint8, "r")
    start = 8 + int(raw[:8].view("<u8")[0])
    state = {}
    for name, entry in json.loads(bytes(raw[8:start])).items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            raise ValueError(f"{name} is {entry['dtype']}, want F32")
        begin, end = entry["data_offsets"]
        values = np.array(raw[start + begin:start + end]).view("<f4").reshape(entry["shape"])
        old = next(p for p in PREFIXES if name.startswith(p))
        state[PREFIXES[old] + name[len(old):]] = torch.from_numpy(values)
    net.load_state_dict(state)
    return net


class Worker:
    def open(self, r):
        torch.set_num_threads(r["threads"])
        torch.set_num_interop_threads(1)
        self.net = load(r["model"])
        return {"version": f"PyTorch {torch.__version__}", "detail": "oneDNN" if torch.backends.mkldnn.is_available() else "no oneDNN"}

    def input(self, r):
        x = np.fromfile(r["input"], "<f4").reshape(r["shape"])  # N C H W
        self.x = torch.from_numpy(x)
        return {}

    def logits(self, r):
        with torch.inference_mode():
            return {"logits": self.net(self.x).flatten().tolist()}

    def train(self, r):
        self.y = torch.tensor(r["labels"])
        self.sgd = torch.optim.SGD(self.net.parameters(), lr=r["rate"], momentum=r["momentum"])
        return {}

    def step(self):
        self.sgd.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.net(self.x), self.y)
        loss.backward()
        self.sgd.step()
        return loss.item()

    def steps(self, r):
        return {"losses": [self.step() for _ in range(r["count"])]}

    def predict(self):
        with torch.inference_mode():
            self.net(self.x)

    def time(self, r):
        run = self.step if hasattr(self, "sgd") else self.predict
        for _ in range(r["warmup"]):
            run()
        begin = time.perf_counter()
        for _ in range(r["count"]):
            run()
        return {"seconds": (time.perf_counter() - begin) / r["count"]}


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the benchmark ends this program when it is interrupted
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = getattr(worker, request["op"])(request)
        except Exception as e:  # the benchmark shows it and stops
            reply = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
