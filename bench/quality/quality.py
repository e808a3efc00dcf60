"""What speech is worth after a bad network: PESQ of our receive path and of simpler ones, one JSON object a row.

`longline-quality` (Rust) sends the speech and writes what each receiver made of it; here it is spoken (flite,
espeak-ng), filled by spandsp where spandsp is the contender, and scored. The reference is what a perfect receiver
hears: the same G.711, nothing lost. Delay is measured on the sound itself, by correlation. docs/reference/quality.md
explains the fields.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pesq import pesq

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target/release/longline-quality"
RESULTS = ROOT / "bench/results"
RATE_HZ = 8_000
FRAME = 160
#: Delays of the fixed buffers among which the one that scores as we do is looked for.
FIXED_MS = (0, 20, 40, 60, 80, 100, 120, 160, 200, 260)
#: PESQ differs by this much between seeds; less is no difference.
SAME = 0.02

VOICES = {
    "slt": ["flite", "-voice", "slt"],
    "rms": ["flite", "-voice", "rms"],
    "awb": ["flite", "-voice", "awb"],
    "kal16": ["flite", "-voice", "kal16"],
    "us-f3": ["espeak-ng", "-v", "en-us+f3", "-s", "160"],
    "gb": ["espeak-ng", "-v", "en-gb", "-s", "160"],
}
#: From the Harvard sentences (IEEE 1969), four a voice.
SENTENCES = (
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. "
    "It is easy to tell the depth of a well. These days a chicken leg is a rare dish.",
    "Rice is often served in round bowls. The juice of lemons makes fine punch. "
    "The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage.",
    "Four hours of steady work faced us. A large size in stockings is hard to sell. "
    "The boy was there when the sun rose. A rod is used to catch pink salmon.",
    "The source of the huge river is the clear spring. Kick the ball straight and follow through. "
    "Help the woman get back to her feet. A pot of tea helps to pass the evening.",
    "Smoky fires lack flame and heat. The soft cushion broke the man's fall. "
    "The salt breeze came across from the sea. The girl at the booth sold fifty bonds.",
    "The small pup gnawed a hole in the sock. The fish twisted and turned on the bent hook. "
    "Press the pants and sew a button on the vest. The swan dive was far short of perfect.",
)


@dataclass(frozen=True)
class Network:
    """A row: what `longline-quality` is told, and what the row says of it."""

    name: str
    arguments: tuple[str, ...] = ()
    loss_pct: float = 0.0
    burst: float = 1.0
    jitter_ms: float = 0.0
    reorder_pct: float = 0.0
    drift_ppm: int = 0
    warmup_s: int = 20
    #: The clean hour is heard too, and concealments in it counted.
    clean: bool = False

    @property
    def fixed_ms(self) -> tuple[int, ...]:
        """Where nothing comes late, the delay of a buffer changes no score."""
        steady = not (self.jitter_ms or self.reorder_pct or self.drift_ppm or self.arguments)
        return (0, 60) if steady else FIXED_MS

    def command(self) -> list[str]:
        command = [str(PROGRAM), *self.arguments, "--drift-ppm", str(self.drift_ppm)]
        if self.loss_pct:
            command += ["--loss-pct", str(self.loss_pct), "--burst", str(self.burst)]
        if self.jitter_ms:
            command += ["--jitter-ms", str(self.jitter_ms)]
        if self.reorder_pct:
            command += ["--reorder-pct", str(self.reorder_pct)]
        return command


def preset(name: str, clean: bool = False) -> Network:
    return Network(name, ("--network", name), clean=clean)


NETWORKS = (
    Network("clean", clean=True),
    *(Network(f"loss {loss} %", loss_pct=loss) for loss in (1, 2, 3, 5, 10)),
    *(Network(f"loss {loss} % in bursts", loss_pct=loss, burst=3) for loss in (1, 3, 5, 10)),
    *(Network(f"jitter {jitter} ms", jitter_ms=jitter) for jitter in (5, 10, 20, 40, 80)),
    Network("jitter 20 ms, loss 3 %", jitter_ms=20, loss_pct=3),
    Network("jitter 40 ms, loss 5 % in bursts", jitter_ms=40, loss_pct=5, burst=3),
    *(Network(f"reordered {share} %", reorder_pct=share) for share in (1, 5)),
    # Ten minutes on: by then a clock of 200 ppm is 120 ms off.
    Network("drift +200 ppm", drift_ppm=200, warmup_s=600, clean=True),
    Network("drift -200 ppm", drift_ppm=-200, warmup_s=600, clean=True),
    preset("lan", clean=True),
    *(preset(name) for name in ("dsl", "cable", "wifi", "wifi_busy", "lte", "hspa", "satellite", "intercontinental")),
)
QUICK = tuple(network for network in NETWORKS if network.name in {"clean", "loss 3 %", "jitter 20 ms"})


def speak(directory: Path) -> list[Path]:
    files = []
    for (voice, command), text in zip(VOICES.items(), SENTENCES, strict=True):
        file = directory / f"{voice}.wav"
        ending = ["-t", text, "-o", str(file)] if command[0] == "flite" else ["-w", str(file), text]
        subprocess.run([*command, *ending], check=True, capture_output=True)
        files.append(file)
    return files


def spandsp(lossy: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """The frames that are missing, filled by spandsp: an oracle that is loaded, and never linked."""
    library = ctypes.CDLL("libspandsp.so.2")
    library.plc_init.restype = ctypes.c_void_p
    library.plc_init.argtypes = [ctypes.c_void_p]
    samples = ctypes.POINTER(ctypes.c_int16)
    for function in (library.plc_rx, library.plc_fillin):
        function.argtypes = [ctypes.c_void_p, samples, ctypes.c_int]
    room = ctypes.create_string_buffer(1 << 14)
    state = library.plc_init(ctypes.addressof(room))
    out = np.ascontiguousarray(lossy).copy()
    for n, is_missing in enumerate(missing):
        frame = out[n * FRAME : (n + 1) * FRAME]
        function = library.plc_fillin if is_missing else library.plc_rx
        function(state, frame.ctypes.data_as(samples), FRAME)
    return out


def delays_ms(reference: np.ndarray, heard: np.ndarray) -> list[float]:
    """By how much each loud stretch of 300 ms comes later than it was said; those not found do not count."""
    length, reach = RATE_HZ * 3 // 10, RATE_HZ * 7 // 10
    clean, noisy = reference.astype(float), heard.astype(float)
    loud = np.sqrt(np.mean(clean**2))
    found = []
    for start in range(0, len(clean) - length, length // 2):
        part = clean[start : start + length]
        window = noisy[start : start + length + reach]
        if np.sqrt(np.mean(part**2)) < loud or len(window) < length + reach // 2:
            continue
        size = 1 << (len(window) + length).bit_length()
        product = np.fft.irfft(np.fft.rfft(window, size) * np.conj(np.fft.rfft(part, size)), size)
        product = product[: len(window) - length + 1]
        energy = np.cumsum(np.concatenate([[0.0], window**2]))
        likeness = product / np.sqrt((energy[length:] - energy[:-length] + 1.0) * (part @ part))
        best = int(np.argmax(likeness))
        if likeness[best] > 0.7:
            found.append(best * 1_000 / RATE_HZ)
    return found


def run(job: tuple[Network, Path, int, int]) -> dict[str, Any]:
    """One voice through one weather: the scores and delays of everybody."""
    network, speech, seed, phase_ms = job
    with tempfile.TemporaryDirectory() as directory:
        command = [
            *network.command(),
            *("--speech", str(speech), "--out", directory, "--seed", str(seed), "--phase-ms", str(phase_ms)),
            *("--warmup-s", str(network.warmup_s), "--fixed-ms", ",".join(map(str, network.fixed_ms))),
        ]
        told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

        def sound(name: str) -> np.ndarray:
            return np.fromfile(Path(directory) / f"{name}.raw", dtype=np.int16)

        reference = sound("reference")
        names = ["ours", "zero", "repeat", *(f"fixed{delay}" for delay in network.fixed_ms)]
        heard = {name: sound(name) for name in names}
        heard["spandsp"] = spandsp(heard["zero"], np.fromfile(Path(directory) / "fixed60.mask", dtype=np.uint8))
    # What is said in 20 ms can be sent at their end only, and the way takes its time: neither is the receiver's.
    others = told["offset_ms"] - 20 - told["way_ms"]
    timed = ["ours", *(f"fixed{delay}" for delay in network.fixed_ms)]
    return {
        "pesq": {name: float(pesq(RATE_HZ, reference, sound, "nb")) for name, sound in heard.items()},
        "delays": {name: [delay + others for delay in delays_ms(reference, heard[name])] for name in timed},
    }


def clean_hour(network: Network, speech: Path) -> float:
    """Concealments in an hour in which nothing is lost."""
    command = [*network.command(), "--speech", str(speech), "--warmup-s", "3600"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return told["needless_concealments"] / told["hours"]


def row(network: Network, runs: list[dict[str, Any]], needless: float | None) -> dict[str, Any]:
    score = {name: float(np.mean([run["pesq"][name] for run in runs])) for name in runs[0]["pesq"]}
    every = {name: [delay for run in runs for delay in run["delays"][name]] for name in runs[0]["delays"]}
    middle = {name: float(np.median(delays)) if delays else float("nan") for name, delays in every.items()}
    # The fixed buffer, with the same concealment, that scores as we do with the least delay.
    equal = [delay for delay in network.fixed_ms if score[f"fixed{delay}"] >= score["ours"] - SAME]
    rounded = {
        "pesq": score["ours"],
        "pesq_spandsp": score["spandsp"],
        "pesq_zero": score["zero"],
        "pesq_repeat": score["repeat"],
        "pesq_fixed60": score["repeat"],
        "pesq_fixed60_conceal": score["fixed60"],
    }
    return {
        "network": network.name,
        "loss_pct": network.loss_pct,
        "burst": network.burst,
        "jitter_ms": network.jitter_ms,
        "reorder_pct": network.reorder_pct,
        "drift_ppm": network.drift_ppm,
        **{name: round(value, 3) for name, value in rounded.items()},
        "delay_ms": round(middle["ours"], 1),
        "delay_p95_ms": round(float(np.percentile(every["ours"], 95)), 1) if every["ours"] else None,
        "delay_fixed60_ms": round(middle["fixed60"], 1),
        "fixed_equal": equal[0] if equal else None,
        "delay_fixed_ms": round(middle[f"fixed{equal[0]}"], 1) if equal else None,
        "needless_concealments_per_hour": None if needless is None else round(needless, 2),
        "runs": len(runs),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as the page shows them."""
    lines = [
        "| network | ours | spandsp | repeat | zero | 60 ms + ours | delay (p95) | 60 ms | equal fixed | needless/h |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        needless = row["needless_concealments_per_hour"]
        equal = "none" if row["fixed_equal"] is None else f"{row['fixed_equal']}: {row['delay_fixed_ms']:.0f} ms"
        lines.append(
            f"| {row['network']} | **{row['pesq']:.2f}** | {row['pesq_spandsp']:.2f} | {row['pesq_repeat']:.2f} "
            f"| {row['pesq_zero']:.2f} | {row['pesq_fixed60_conceal']:.2f} "
            f"| {row['delay_ms']:.0f} ({row['delay_p95_ms'] or 0:.0f}) ms | {row['delay_fixed60_ms']:.0f} ms | {equal} "
            f"| {'' if needless is None else f'{needless:g}'} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few rows, one seed")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each voice")
    arguments = parser.parse_args()
    seeds = 1 if arguments.quick else arguments.seeds
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory() as directory, ProcessPoolExecutor(os.cpu_count()) as pool:
        speech = speak(Path(directory))
        with (RESULTS / "quality.jsonl").open("w") as output:
            for network in QUICK if arguments.quick else NETWORKS:
                jobs = [
                    # Where in a packet's 20 ms the frames fall differs from call to call.
                    (network, file, 100 * seed + n, (1 + 7 * n + 3 * seed) % 20)
                    for seed in range(seeds)
                    for n, file in enumerate(speech)
                ]
                needless = clean_hour(network, speech[0]) if network.clean else None
                rows.append(row(network, list(pool.map(run, jobs)), needless))
                print(json.dumps(rows[-1]), file=output, flush=True)
                print(f"{network.name}: {rows[-1]['pesq']} ({rows[-1]['pesq_spandsp']})", file=sys.stderr, flush=True)
    (RESULTS / "quality.md").write_text(table(rows))
    print(table(rows), end="")


if __name__ == "__main__":
    main()
