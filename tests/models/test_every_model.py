"""Every model that the registry finds, on every task: the checks of `benchmarks.apps.model_checks`.

Models and tasks are found by folder scan, so a new file is tested as soon as it is there.
"""

import dataclasses
from functools import cache

import pytest

from benchmarks import registry
from benchmarks.api.recipe import Preset
from benchmarks.apps import model_checks

QUICK = ("module", "refusal")
"""Checks that ask nothing of a task: they are checked once for a model."""


def declines(model, task):
    return registry.get_model(model).unsupported(registry.get_task(task).SPEC)


def is_profile(task):
    return registry.get_task(task).SPEC.head == "profile_counts"


def tasks_of(model):
    """The tasks that a model learns; the first is that of shortest sequences, and none of profiles where it can be."""
    able = [task for task in registry.tasks() if declines(model, task) is None]
    return sorted(able, key=lambda task: (is_profile(task), task == "assay", registry.get_task(task).SPEC.seq_len))


SLOW = {
    *(("deepstarr", check) for check in ("seed", "resume", "single steps")),
    *((model, check) for model in ("mprann", "dream_attn", "dream_rnn") for check in ("seed", "resume")),
}
"""Checks of several trainings: DREAM-CNN's stand for torch, those of the backend for Keras."""


def is_slow(model, task, check):
    """Windows of 2,114 bp take minutes per model; test_every_profile_model.py tries the same on short ones.

    On other tasks than a model's first, shapes are what differs; the other checks are slow tests there.
    """
    repeated = check.name != "shapes" and task != tasks_of(model)[0]
    return is_profile(task) or task == "assay" or repeated or (model, check.name) in SLOW


CASES = [
    pytest.param(
        model,
        task,
        check,
        id=f"{model}-{task}-{check.name}",
        marks=[pytest.mark.slow, pytest.mark.timeout(1800)] if is_slow(model, task, check) else [],
    )
    for check in model_checks.CHECKS
    if check.name not in QUICK
    for model in registry.models()
    for task in tasks_of(model)
]
FILE_CASES = [
    pytest.param(model, check, id=f"{model}-{check.name}")
    for check in model_checks.CHECKS
    if check.name in QUICK
    for model in registry.models()
]


@cache
def case_of(model, task):
    return model_checks.Case(model, task)


@pytest.mark.parametrize(("model", "check"), FILE_CASES)
def test_a_model_file_passes_its_checks(model, check):
    check.run(case_of(model, next(iter(registry.tasks()))))


@pytest.mark.parametrize(("model", "task", "check"), CASES)
def test_a_model_passes_its_checks(model, task, check):
    try:
        check.run(case_of(model, task))
    except model_checks.NotTested as why:
        pytest.skip(str(why))


@pytest.mark.parametrize("task", list(registry.tasks()))
@pytest.mark.parametrize("model", list(registry.models()))
def test_a_model_learns_a_task_or_declines_it_with_a_reason(model, task):
    reason = declines(model, task)
    assert (task in tasks_of(model)) == (reason is None)
    assert reason is None or reason.strip()


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
