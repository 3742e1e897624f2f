"""The list of all generator families, and of all recipes by name."""

from pathlib import Path
from typing import Any

from inpaintcli.errors import UsageError
from inpaintcli_training.family import BaseGenerator
from inpaintcli_training.generators import blockwise, contextual, dmfn, membrane, regionwise
from inpaintcli_training.recipe import Recipe

FAMILIES: dict[str, Any] = {
    "membrane": membrane,
    "contextual": contextual,
    "dmfn": dmfn,
    "regionwise": regionwise,
    "blockwise": blockwise,
}


def recipes() -> dict[str, Recipe]:
    """All recipes by name."""
    return {recipe.name: recipe for family in FAMILIES.values() for recipe in family.RECIPES}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UsageError: there is none.
    """
    known = recipes()
    if name not in known:
        hint = f"Recipes: {', '.join(sorted(known))}."
        raise UsageError(f"There is no recipe '{name}'.", hint=hint)
    return known[name]


def build_generator(recipe: Recipe) -> BaseGenerator:
    """The recipe's generator with newly initialised weights."""
    generator: BaseGenerator = FAMILIES[recipe.family].Generator(recipe.generator)
    return generator


def build_objective(recipe: Recipe, features: Path | None) -> Any:
    """The recipe's objective; `features` is the folder of pretrained feature networks."""
    return FAMILIES[recipe.family].Objective(recipe, features)
