"""Wide instructions occur only in the functions of their instruction set."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path

import compiler
import pytest

import crnn._cell

pytestmark = [
    pytest.mark.skipif(
        platform.machine().lower() not in ("x86_64", "amd64"),
        reason=f"looks for x86-64's wide instructions; this is {platform.machine()}",
    ),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="objdump is not installed"),
]

SUFFIXES = ("_avx2", "_avx512")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
INSTRUCTION = re.compile(r"^ *[0-9a-f]+:\s+(\S.*)$")
# Mnemonics of AVX and AVX-512 start with v, or use a ymm, zmm or mask register. A prefix such as
# {evex} is possible.
WIDE = re.compile(r"^(\{\w+\}\s*)*v|%?\b[yz]mm\d|%k[0-7]\b")


def objdump(option: str, path: Path) -> str:
    return subprocess.run(
        ["objdump", option, "--no-show-raw-insn", path], capture_output=True, text=True, check=True
    ).stdout


def wide_functions(disassembly: str) -> dict[str, str]:
    """The functions with a wide instruction, and the first of these.

    Names are without the compiler's suffixes (.constprop.0, .isra.0, .part.0, .cold) and without
    the leading underscore of macOS.
    """
    found: dict[str, str] = {}
    function = ""
    for line in disassembly.splitlines():
        if header := FUNCTION.match(line):
            function = header[1].split(".")[0].removeprefix("_")
        elif (instruction := INSTRUCTION.match(line)) and WIDE.search(instruction[1]):
            found.setdefault(function, instruction[1])
    return found


def leaks(disassembly: str) -> dict[str, str]:
    return {
        function: instruction
        for function, instruction in wide_functions(disassembly).items()
        if not function.endswith(SUFFIXES)
    }


def test_no_wide_instruction_outside_its_functions() -> None:
    module = Path(crnn._cell.__file__)
    if "no symbols" in objdump("-t", module):
        pytest.skip(f"{module.name} is stripped of its symbols")
    disassembly = objdump("-d", module)
    for suffix in SUFFIXES:  # proves that the search finds these functions
        assert any(name.endswith(suffix) for name in wide_functions(disassembly)), suffix
    assert leaks(disassembly) == {}


SCALE = """
void NAME(float *x, const float *y)
{
    for (int i = 0; i < 1024; i++)
        x[i] = x[i] * y[i] + 1;
}
float PREFIXED(float x)
{
    return x * 3;
}
"""


@pytest.mark.parametrize(
    ("name", "prefixed", "flags", "expected"),
    [
        ("scale_f32_avx2", "triple_f32_avx512", ["-mavx2"], set()),
        ("scale", "triple_f32_avx2", ["-mavx2"], {"scale"}),
        ("scale_f32_avx2", "triple", ["-mavx2"], {"triple"}),
        ("scale_avx2_portable", "triple", ["-mavx512f"], {"scale_avx2_portable", "triple"}),
        ("scale", "triple", [], set()),
    ],
)
def test_a_leak_is_seen(
    tmp_path: Path, name: str, prefixed: str, flags: list[str], expected: set[str]
) -> None:
    source, output = tmp_path / "scale.c", tmp_path / "scale.o"
    source.write_text(SCALE.replace("NAME", name).replace("PREFIXED", prefixed))
    compiler.build(output, "-O3", *flags, "-c", source)
    assert leaks(objdump("-d", output)).keys() == expected


@pytest.mark.parametrize(
    ("function", "instruction", "leaked"),
    [
        ("product_f32_avx2", "vaddps %ymm0,%ymm1,%ymm2", False),
        ("product_f32_avx2.cold", "vaddps %ymm0,%ymm1,%ymm2", False),
        ("accumulate_f64_avx512.constprop.0.isra.0", "vmulpd (%rax),%zmm1,%zmm2", False),
        ("row_f64_avx512.part.1", "kmovw  %eax,%k1", False),
        ("predict.constprop.0", "vmulss %xmm0,%xmm1,%xmm0", True),
        ("predict", "{evex} vmovaps %xmm0,%xmm1", True),
        ("predict", "kmovw  %eax,%k1", True),
        ("predict", "mov    %rax,%rbx", False),
        ("predict", "call   1234 <vsum4_f32_avx2>", False),
        ("product_f32_avx", "vzeroupper", True),
    ],
)
def test_what_counts_as_wide_and_as_a_name(function: str, instruction: str, leaked: bool) -> None:
    text = f"0000000000001130 <{function}>:\n    1130:\t{instruction} \n"
    assert bool(leaks(text)) == leaked
