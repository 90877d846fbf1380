"""What the processor can do, found without TensorFlow."""

import os
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
BFLOAT16_INSTRUCTIONS = {"amx_bf16", "avx512_bf16"}  # as Linux names them


def precision(cpuinfo: Path = CPUINFO) -> str:
    """`bfloat16` where the processor multiplies such numbers itself, or else `float32`.

    Without such instructions bfloat16 is the slower of the two. Where the processor cannot be
    asked, on other systems than Linux, the answer is `float32`.
    """
    return "bfloat16" if BFLOAT16_INSTRUCTIONS & instructions(cpuinfo) else "float32"


def prefer_onednn() -> None:
    """Lets TensorFlow, which is still to be loaded, take oneDNN where it pays.

    Whoever sets TF_ENABLE_ONEDNN_OPTS decides that.
    """
    if onednn_pays():
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def onednn_pays(cpuinfo: Path = CPUINFO) -> bool:
    """Whether TensorFlow's networks are faster with oneDNN's operations than with its own.

    Left alone, TensorFlow takes them only where a processor has instructions made for networks
    (AVX512-VNNI and the like: `DefaultOneDnnPolicy` in its `core/util/port.cc`). With AVX2 alone
    they are the faster ones as well: see docs/speed.md.
    """
    return "avx2" in instructions(cpuinfo)


def instructions(cpuinfo: Path = CPUINFO) -> set[str]:
    """What Linux says that the processor can do; nothing where it cannot be asked."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return set()
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return set(flags.split())
