import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaintcli.models.toml_writer import to_toml

plain = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.booleans(),
)
values = st.one_of(plain, st.lists(plain, max_size=3), st.lists(st.lists(plain, max_size=2)))
keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
tables = st.recursive(
    st.dictionaries(keys, values, max_size=4),
    lambda inner: st.dictionaries(keys, st.one_of(values, inner), max_size=4),
    max_leaves=6,
)


@settings(deadline=None)  # a busy machine is no fault
@given(tables)
def test_toml_comes_back_equal(table: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(table)) == table


def test_what_toml_has_no_form_for_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        to_toml({"nothing": None})
