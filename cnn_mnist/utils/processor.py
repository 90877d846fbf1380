"""What the processor can do, found without TensorFlow."""

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
BFLOAT16_INSTRUCTIONS = {"amx_bf16", "avx512_bf16"}  # as Linux names them


def precision(cpuinfo: Path = CPUINFO) -> str:
    """`bfloat16` where the processor multiplies such numbers itself, or else `float32`.

    Without such instructions bfloat16 is the slower of the two. Where the processor cannot be
    asked, on other systems than Linux, the answer is `float32`.
    """
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return "float32"
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return "bfloat16" if BFLOAT16_INSTRUCTIONS & set(flags.split()) else "float32"
