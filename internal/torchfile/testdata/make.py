# Makes views.bin and protocol4.bin: python3 make.py (PyTorch 1.13).
from collections import OrderedDict

import torch

row = torch.arange(10.0)
tensors = OrderedDict(
    whole=torch.arange(6.0).reshape(2, 3) / 4,
    transposed=torch.arange(24.0).reshape(4, 6).t(),
    channels_last=torch.arange(24.0).reshape(2, 3, 2, 2).contiguous(memory_format=torch.channels_last),
    middle=row[2:5],
    every_other=row[6:10:2],
    scalar=torch.tensor(-2.5),
    empty=torch.zeros(0, 3),
    one_row=torch.arange(8.0).reshape(2, 4)[1:],
    half=torch.tensor([1.0, -2.0, 65504.0, 2.0**-24]).half(),
    bfloat16=torch.tensor([1.0, -2.0, 3.140625, 2.0**-133]).bfloat16(),
    parameter=torch.nn.Parameter(torch.tensor([7.0, 8.0])),
    expanded=torch.tensor([[5.0], [6.0], [0.0]])[:, 0][:1].expand(3),
    long=torch.tensor([1, 2]),
)
tensors._metadata = OrderedDict({"": {"version": 1}})
torch.save(tensors, "views.bin")
torch.save({"epoch": 3, "rate": 0.5, "done": None, "big": 1 << 40, "state_dict": tensors}, "protocol4.bin", pickle_protocol=4)
