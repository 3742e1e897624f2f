import dataclasses
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inpaintcli_training.catalog import FAMILIES, build_generator, find_recipe, recipes
from inpaintcli_training.recipe import HoleMix, Pasted, recipe_from_json, to_json, with_settings

from inpaintcli.errors import UsageError

NAMES = sorted(recipes())


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_comes_back_from_its_json_equal(name: str) -> None:
    recipe = find_recipe(name)
    assert recipe_from_json(recipe, to_json(recipe)) == recipe


@settings(deadline=None)  # a busy machine is no fault
@given(
    lr=st.floats(1e-9, 1, allow_subnormal=False),
    crop=st.integers(1, 4096),
    ratio=st.tuples(st.floats(0, 0.4), st.floats(0.5, 1)),
    weight=st.floats(0, 1e6),
    box=st.floats(0.1, 1),
    flag=st.booleans(),
)
def test_settings_are_kept_exactly_through_text_and_json(
    lr, crop, ratio, weight, box, flag
) -> None:
    recipe = find_recipe("dmfn")
    texts = {
        "lr": repr(lr),
        "crop": str(crop),
        "hole_ratio": json.dumps(ratio),
        "objective.vgg": repr(weight),
        "holes.box": repr(box),
        "channels_last": json.dumps(flag),
    }
    changed = with_settings(recipe, texts)
    assert (changed.lr, changed.crop, changed.hole_ratio) == (lr, crop, ratio)
    assert (changed.objective.vgg, changed.holes.box) == (weight, box)
    assert changed.channels_last is flag
    assert recipe_from_json(recipe, to_json(changed)) == changed


def test_integers_are_taken_where_floats_are_wanted_and_texts_unquoted() -> None:
    recipe = find_recipe("dmfn")
    changed = with_settings(recipe, {"hole_ratio": "[0, 1]", "lr": "1", "generator.form": "public"})
    assert changed.hole_ratio == (0.0, 1.0)
    assert all(type(share) is float for share in changed.hole_ratio)
    assert type(changed.lr) is float
    assert changed.generator.form == "public"


def test_tuples_of_any_length_take_any_length() -> None:
    changed = with_settings(find_recipe("membrane"), {"generator.trunk_dilations": "[1, 2, 3]"})
    assert changed.generator.trunk_dilations == (1, 2, 3)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("rate", "1"),  # no such field
        ("lr.x", "1"),  # lr has no fields
        ("lr", "fast"),
        ("lr", "NaN"),
        ("lr", "Infinity"),
        ("lr", "true"),
        ("batch", "1.5"),
        ("batch", "0"),
        ("hole_ratio", "[0.1]"),
        ("hole_ratio", "[0.5, 0.1]"),
        ("hole_ratio", '["a", "b"]'),
        ("holes", "1"),
        ("holes.box", "-1"),
        ("lr", "-1"),
        ("betas", "[0.5, 1]"),
        ("ema_decay", "1"),
        ("weight_decay", "-1"),
        ("gradient_norm", "-1"),
        ("images", "-1"),
        ("warmup_images", "-1"),
        ("seed", "-1"),
        ("short_side", "[60, 40]"),
        ("generator.width", "0"),
        ("generator.blocks", "-1"),
        ("objective.critic_width", "0"),
        ("precision", "fp8"),
        ("generator.form", "own"),
        ("name", "other"),
    ],
)
def test_settings_that_do_not_fit_are_usage_errors(setting: str, text: str) -> None:
    with pytest.raises(UsageError):
        with_settings(find_recipe("dmfn"), {setting: text})


def test_a_value_error_names_the_setting_and_what_it_takes() -> None:
    with pytest.raises(UsageError, match=r"'fast'.*'lr'.*such as 0\.0002"):
        with_settings(find_recipe("dmfn"), {"lr": "fast"})
    with pytest.raises(UsageError, match=r"'1'.*'holes'.*holes\.rectangle="):
        with_settings(find_recipe("dmfn"), {"holes": "1"})


@pytest.mark.parametrize("turn", [1, -1])
def test_settings_that_fit_only_together_are_taken_in_any_order(turn: int) -> None:
    together = {"holes.box": "0", "holes.thin": "2", "hole_ratio": "[0.3, 0.6]", "batch": "6",
                "accumulate": "3"}  # fmt: skip
    changed = with_settings(find_recipe("dmfn"), dict(list(together.items())[::turn]))
    assert (changed.holes.box, changed.holes.thin, changed.part()) == (0.0, 2.0, 2)
    assert changed.holes.brush == find_recipe("dmfn").holes.brush
    with pytest.raises(UsageError, match=r"'holes\.round'"):
        with_settings(changed, {"holes.round": "1"})


@pytest.mark.parametrize(
    ("name", "setting", "text"),
    [
        ("membrane", "generator.channels", "[0, 4, 4, 4]"),
        ("membrane", "generator.trunk_dilations", "[0]"),
        ("membrane", "generator.sizes", "0"),
        ("contextual", "generator.width", "1"),
        ("contextual", "generator.attention.rate", "0"),
        ("regionwise", "generator.width", "1"),
        ("regionwise", "objective.rows", "0"),
        ("blockwise", "generator.dilation", "0"),
        ("blockwise", "objective.critic_scales", "0"),
    ],
)
def test_networks_that_cannot_be_built_are_usage_errors(name: str, setting: str, text: str) -> None:
    with pytest.raises(UsageError, match=rf"{setting.rpartition('.')[2]} is .* at least"):
        with_settings(find_recipe(name), {setting: text})


def test_fields_added_since_a_run_began_take_their_default() -> None:
    recipe = find_recipe("membrane")
    saved = json.loads(to_json(replace(recipe, lr=0.5)))
    del saved["holes"]["box"]
    del saved["gradient_norm"]
    back = recipe_from_json(recipe, json.dumps(saved))
    assert back == replace(recipe, lr=0.5, gradient_norm=0.0)


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"name": "membrane"}', '{"name": "dmfn"}'])
def test_damaged_or_foreign_json_is_a_usage_error(damage: str) -> None:
    with pytest.raises(UsageError):
        recipe_from_json(find_recipe("membrane"), damage)


def test_a_wrongly_typed_field_of_the_json_is_a_usage_error() -> None:
    recipe = find_recipe("membrane")
    saved = json.loads(to_json(recipe)) | {"batch": "16"}
    with pytest.raises(UsageError, match="damaged"):
        recipe_from_json(recipe, json.dumps(saved))


def test_hole_weights_must_leave_a_hole_to_draw() -> None:
    with pytest.raises(UsageError):
        HoleMix(rectangle=0, brush=0, blob=0, thin=0, box=0)


@pytest.mark.parametrize(
    "wrong", [{"share": 1.5}, {"background": -0.1}, {"share_of_crop": (0.3, 0.1)}]
)
def test_shares_of_pasted_objects_are_shares(wrong) -> None:
    with pytest.raises(UsageError, match="pasted"):
        Pasted(**wrong)


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_builds_its_generator_and_its_crop_fits(name: str) -> None:
    recipe = find_recipe(name)
    assert recipe.family in FAMILIES
    generator = build_generator(recipe)
    assert recipe.crop % generator.size_multiple == 0


def test_an_unknown_recipe_lists_the_known() -> None:
    with pytest.raises(UsageError, match="dmfn"):
        find_recipe("nothing")


def test_recipes_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        find_recipe("dmfn").lr = 1.0
