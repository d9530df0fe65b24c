"""The network as an ONNX file, and back. The file tells its classes as Ultralytics' exports do.

Only what this needs of the format is read, so that python3-onnx need not be there: ModelProto.graph
is field 7, GraphProto.initializer 5, TensorProto dims 1, name 8, raw_data 9,
ModelProto.metadata_props 14 (onnx.proto3). Appended fields count as if they stood inside.
"""
import ast
import io
import warnings

import numpy as np
import torch

from net import SIDE, Exported, Net


def save(net, path, names, about):
    """`net` is folded for it and good for nothing else afterwards."""
    model = Exported(net.eval().fold().to(memory_format=torch.contiguous_format))
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shapes that the exporter did not infer; it needs none
        torch.onnx.export(model, torch.zeros(1, 3, SIDE, SIDE), out, input_names=["images"],
                          output_names=["output0"], opset_version=13)
    told = {"names": repr(dict(enumerate(names))), "stride": "32", "task": "detect", "batch": "1",
            "imgsz": f"[{SIDE}, {SIDE}]", **about}
    with open(path, "wb") as file:
        file.write(out.getvalue())
        for key, value in told.items():
            file.write(_field(14, _field(1, key.encode()) + _field(2, value.encode())))


def load(path):
    """(network folded, names). ValueError: not a file that save() wrote."""
    weights, told = _read(path)
    names = list(ast.literal_eval(told.get("names", "{}")).values())
    net = Net(len(names) or 1).fold()
    state = {key[4:]: torch.from_numpy(value) for key, value in weights.items() if key.startswith("net.")}
    missing = set(net.state_dict()) - set(state)
    if missing or not names:
        raise ValueError(f"{path}: not a network of this program ({len(missing)} weights missing)")
    net.load_state_dict({key: state[key] for key in net.state_dict()})
    return net, names


def _read(path):
    weights, told = {}, {}
    with open(path, "rb") as file:
        model = file.read()
    for number, body in _fields(model):
        if number == 14:
            pair = dict(_fields(body))
            told[pair[1].decode()] = pair[2].decode()
        for inner, tensor in _fields(body) if number == 7 else ():
            if inner == 5:
                name, value = _tensor(tensor)
                weights[name] = value
    return weights, told


def _tensor(body):
    dims, name, raw = [], "", b""
    for number, value in _fields(body):
        if number == 1:
            dims += [value] if isinstance(value, int) else _packed(value)
        elif number == 8:
            name = value.decode()
        elif number == 9:
            raw = value
    kind = np.float32 if len(raw) == 4 * int(np.prod(dims)) else np.uint8
    value = np.frombuffer(raw, kind)
    return name, (value.reshape(dims) if kind == np.float32 else value).copy()


def _packed(data):
    found, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        found.append(value)
    return found


def _fields(data):
    """(number, bytes or int)"""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = data[at:at + size], at + size
        elif kind == 2:
            size, at = _varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise ValueError("not an ONNX file")
        yield key >> 3, value


def _varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("not an ONNX file")
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _number(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def _field(number, body):
    return _number(number << 3 | 2) + _number(len(body)) + body
