"""Every model that the registry finds, on every task: the checks of `benchmarks.apps.model_checks`.

Models and tasks are found by folder scan, so a new file is tested as soon as it is there.
"""

import dataclasses
from functools import cache

import pytest

from benchmarks import registry
from benchmarks.api.recipe import Preset
from benchmarks.apps import model_checks

PAIRS = [(model, task) for model in registry.models() for task in registry.tasks()]
QUICK = ("module", "refusal")
"""Checks that need no training."""


def profiles_are_slow(model, task, check):
    """Windows of 2,114 bp take minutes per model; test_every_profile_model.py tries the same on short ones."""
    spec = registry.get_task(task).SPEC
    return spec.head == "profile_counts" and check.name not in QUICK


CASES = [
    pytest.param(
        model,
        task,
        check,
        id=f"{model}-{task}-{check.name}",
        marks=[pytest.mark.slow, pytest.mark.timeout(1800)] if profiles_are_slow(model, task, check) else [],
    )
    for check in model_checks.CHECKS
    for model, task in PAIRS
]


@cache
def case_of(model, task):
    return model_checks.Case(model, task)


@pytest.mark.parametrize(("model", "task", "check"), CASES)
def test_a_model_passes_its_checks(model, task, check):
    case = case_of(model, task)
    reason = case.module.unsupported(case.spec)
    if reason and check.name not in QUICK:
        pytest.skip(f"{model} declines {task}: {reason}")
    try:
        check.run(case)
    except model_checks.NotTested as why:
        pytest.skip(str(why))


@pytest.mark.parametrize("model", list(registry.models()))
def test_the_title_read_from_the_text_is_the_module_s(model):
    assert registry.model_entry(model).title == registry.get_model(model).NAME


@pytest.mark.parametrize("task", list(registry.tasks()))
def test_a_task_s_own_recipes_name_known_models_and_fields(task):
    module = registry.get_task(task)
    assert {*module.MODELS, module.BASELINE} <= set(registry.models())
    families = {name: list(registry.get_family(name).VARIANTS.values()) for name in registry.families()}
    named = [module.RECIPES, *(preset.recipes for preset in module.PRESETS.values() if isinstance(preset, Preset))]
    for recipes in named:
        for model, changes in recipes.items():
            if model != "*":
                for module in families.get(model) or [registry.get_model(model)]:
                    assert set(changes) <= {field.name for field in dataclasses.fields(module.RECIPE)}
