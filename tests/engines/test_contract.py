"""The names and parameters of NVIDIA's bindings that our code uses are those that they have.

The code is run against stand-ins (test_tensorrt.py), which have nothing beside what it uses; here
the stand-ins are compared with the true bindings, and what the code names is compared as well.
"""

import ast
import inspect
import re
from pathlib import Path

import pytest

from tests.engines import bindings, fake_cuda

ENGINES = Path(__file__).parents[2] / "engines/inpaintcli_engines"
VERSIONS = [
    ("tensorrt-cu12-bindings", "10.3.0"),
    ("tensorrt-cu12-bindings", "10.16.1.11"),
    ("tensorrt-cu13-bindings", "11.0.0.114"),
    ("tensorrt-cu13-bindings", "11.4.0.106"),
]


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda v: v[1])
def api(request):
    """Names, classes, and docstrings of their members."""
    folder = request.config.cache.mkdir("tensorrt-bindings")
    try:
        return bindings.read_api(*request.param, folder)
    except OSError as error:
        pytest.skip(f"the true bindings are not to be had: {error}")


@pytest.fixture(scope="module")
def fake():
    pytest.importorskip("onnx", reason="the extra `train` is not installed")
    from tests.engines import fake_tensorrt

    return fake_tensorrt


def classes_of(module):
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__ and name != "Knobs"
    }


def test_every_class_and_member_of_the_stand_in_is_true(api, fake):
    for name, stand_in in classes_of(fake).items():
        assert name in api["classes"], name
        members = {m for m in vars(stand_in) if not m.startswith("_")}
        assert members <= api["classes"][name].keys(), name


def test_every_parameter_of_the_stand_in_is_true(api, fake):
    compared = 0
    for name, stand_in in classes_of(fake).items():
        for member, function in vars(stand_in).items():
            if not inspect.isfunction(function) or member.startswith("_"):
                continue
            ours = list(inspect.signature(function).parameters)[1:]
            theirs = overloads(member, api["classes"][name][member])
            # Positions count, because the code passes by position.
            assert any(ours == true[: len(ours)] for true in theirs), (name, member, ours, theirs)
            compared += 1
    assert compared > 20


def overloads(member, docstring):
    """The parameters of every overload that a docstring of pybind11 names, without self."""
    found = []
    for line in docstring.splitlines():
        match = re.match(rf"(?:\d+\. )?{member}\((.*)\) -> ", line.strip())
        if match and match.group(1) != "*args, **kwargs":
            found.append(re.findall(r"(\w+): ", match.group(1))[1:])
    return found


def test_every_name_that_the_code_takes_from_tensorrt_is_true(api):
    used = names_in_the_code("trt")
    assert {("Builder",), ("BuilderFlag", "TF32"), ("Runtime",)} <= used
    for first, *rest in used:
        assert first in api["names"], first
        members = api["classes"].get(first, {})
        assert not rest or rest[0] in members, (first, *rest)


def test_no_name_that_version_11_removed_is_used():
    removed = {"FP16", "BF16", "INT8", "FP8", "EXPLICIT_BATCH", "platform_has_fast_fp16"}
    assert not removed & {name for chain in names_in_the_code("trt") for name in chain}


def names_in_the_code(root):
    """Every chain `root.A.B` in the engines, as ("A", "B")."""
    found = set()
    for path in ENGINES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            first, *chain = (
                ast.unparse(node).split(".") if isinstance(node, ast.Attribute) else [""]
            )
            if first == root and all(part.isidentifier() for part in chain):
                found.add(tuple(chain))
    return found


@pytest.fixture(scope="module")
def runtime():
    return pytest.importorskip(
        "cuda.bindings.runtime", reason="cuda-bindings has no wheel for this machine"
    )


def test_every_name_of_the_stand_in_is_one_of_cuda(runtime):
    for name, ours in vars(fake_cuda).items():
        if not name.startswith("cuda"):
            continue
        theirs = getattr(runtime, name)
        if inspect.isclass(ours):
            for member in ours:
                assert getattr(theirs, member.name) == member.value, member
        elif inspect.isfunction(ours):
            # cuda-python's functions are compiled: their first line is their signature.
            signature = theirs.__doc__.strip().splitlines()[0]
            inner = re.search(r"\((.*)\)", signature).group(1)
            parameters = [p.split(":")[0].split()[-1] for p in inner.split(",") if p.strip()]
            assert list(inspect.signature(ours).parameters) == parameters, name
        else:
            assert theirs == ours, name


def test_the_code_uses_nothing_of_cuda_that_the_stand_in_lacks():
    text = (ENGINES / "tensorrt/cuda.py").read_text(encoding="utf-8")
    used = set(re.findall(r"(?:_rt|runtime)\.(cuda\w+)", text))
    assert len(used) > 15
    assert used <= set(vars(fake_cuda))
