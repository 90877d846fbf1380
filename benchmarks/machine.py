"""Describes the machine and the software that a measurement is of."""

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

# As Linux names them, and as people do.
INSTRUCTIONS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX512-VNNI",
    "avx512_bf16": "AVX512-BF16",
    "amx_tile": "AMX",
    "amx_bf16": "AMX-BF16",
}
PACKAGES = {"TensorFlow": "tensorflow", "Keras": "keras", "PyTorch": "torch", "NumPy": "numpy"}


def description() -> dict[str, str]:
    """What is measured on, by name: processor, memory, kernel, versions, load, date."""
    return {
        **of_processor(_text("/proc/cpuinfo")),
        "cores": str(len(os.sched_getaffinity(0))),
        **of_memory(_text("/proc/meminfo")),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": platform.python_version(),
        **{name: _version(package) for name, package in PACKAGES.items()},
        "load before": f"{os.getloadavg()[0]:.2f} processes, the mean of a minute",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def of_processor(cpuinfo: str) -> dict[str, str]:
    """Model and instruction sets, from the text of `/proc/cpuinfo`."""
    fields = _fields(cpuinfo)
    flags = set(fields.get("flags", "").split())
    family = [f"{name} {fields[name]}" for name in ("cpu family", "model") if name in fields]
    model = fields.get("model name", "unknown")
    return {
        "processor": f"{model} ({', '.join(family)})" if family else model,
        "instruction sets": ", ".join(INSTRUCTIONS[f] for f in INSTRUCTIONS if f in flags)
        or "none of " + ", ".join(INSTRUCTIONS.values()),
    }


def of_memory(meminfo: str) -> dict[str, str]:
    """Memory, from the text of `/proc/meminfo`, which counts in KiB."""
    kibibytes = _fields(meminfo).get("MemTotal", "").partition(" ")[0]
    return {"memory": f"{int(kibibytes) * 1024 / 1e9:.1f} GB" if kibibytes else "unknown"}


def _fields(text: str) -> dict[str, str]:
    """The first value of each name in lines of `name : value`."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    return found


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # not Linux
        return ""


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
