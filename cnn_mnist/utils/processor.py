"""What the processor can do, found without TensorFlow."""

import os
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
BFLOAT16_INSTRUCTIONS = {"amx_bf16", "avx512_bf16"}  # as Linux names them
# With these TensorFlow takes oneDNN's operations unasked (`DefaultOneDnnPolicy` in its
# core/util/port.cc).
FOR_NETWORKS = {"avx512_vnni", "avx_vnni", "amx_tile", "amx_int8"} | BFLOAT16_INSTRUCTIONS


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

    With AVX2 alone they are, though TensorFlow does not take them there: see docs/speed.md.
    """
    return "avx2" in instructions(cpuinfo)


def onednn_unasked(cpuinfo: Path = CPUINFO) -> bool:
    """Whether TensorFlow takes oneDNN's operations when it is left alone."""
    return bool(FOR_NETWORKS & instructions(cpuinfo))


def has_avx512(cpuinfo: Path = CPUINFO) -> bool:
    """Whether registers are 512 bits wide, for which oneDNN has code of its own."""
    return "avx512f" in instructions(cpuinfo)


def instructions(cpuinfo: Path = CPUINFO) -> set[str]:
    """What Linux says that the processor can do; nothing where it cannot be asked."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return set()
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return set(flags.split())
