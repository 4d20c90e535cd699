"""The matrix of a run: what is in it, what settles a recipe, what names a job."""

import dataclasses

import pytest

from benchmarks import registry
from benchmarks.engine.planning.plan import Plan, Source, make_plan
from benchmarks.engine.planning.time_estimate import estimate_seconds
from benchmarks.errors import BadInput

TASK = registry.get_task("human_mpra")


@pytest.fixture(scope="module")
def source():
    data = TASK.simulate(seed=0)
    return Source("simulated", len(data), data, data.content_hash()[:12])


@pytest.fixture
def plan(source):
    return lambda preset="quick", **options: make_plan(TASK, preset, [source], seed=options.pop("seed", 0), **options)


def test_the_published_protocol_is_1080_trainings_without_data():
    sources = [Source(name, TASK.APPROX_ROWS[name]) for name in TASK.DATASETS]
    paper = make_plan(TASK, "paper", sources, seed=0)
    assert len(paper.jobs) == 3 * 10 * 9 * 4 == 1080
    assert "3 datasets × 10 test folds × 9 validation folds × 4 models = 1,080 trainings" in paper.matrix()
    pairs = {(j.test_fold, j.val_fold) for j in paper.jobs}
    assert pairs == {(t, v) for t in range(10) for v in range(10) if t != v}


def test_paper_recipes_are_the_published_ones(plan):
    recipes = plan("paper").recipes
    for name, max_lr in (("dream_cnn", 0.005), ("dream_rnn", 0.005), ("dream_attn", 0.001)):
        published = {"batch_size": 32, "epochs": 80, "max_lr": max_lr, "patience": None, "width_scale": 1.0}
        assert published.items() <= recipes[name].items()
    published = {"batch_size": 32, "epochs": 100, "max_lr": 0.001, "patience": 10, "augment_insert": False}
    assert published.items() <= recipes["mprann"].items()


def test_quick_runs_five_folds_of_five_models_with_one_member(plan):
    quick = plan()
    assert len(quick.jobs) == 25
    assert {j.test_fold for j in quick.jobs} == {0, 1, 2, 3, 4}
    assert all(j.val_fold == j.test_fold + 1 for j in quick.jobs)
    assert set(quick.models) == {*TASK.MODELS, "kmer_ridge"}


def test_members_and_folds_can_be_chosen(plan):
    chosen = plan(test_folds=[9, 2], n_members=3, models=["kmer_ridge"])
    assert {(j.test_fold, j.val_fold) for j in chosen.jobs} == {(2, 3), (2, 4), (2, 5), (9, 0), (9, 1), (9, 2)}


def test_a_recipe_is_settled_in_order_model_task_preset_user(plan):
    recipes = plan(changes=["recipe.epochs=3", "dream_cnn.epochs=4", "mprann.augment_insert=true"]).recipes
    assert recipes["dream_rnn"]["epochs"] == recipes["mprann"]["epochs"] == 3
    assert recipes["dream_cnn"]["epochs"] == 4
    assert recipes["mprann"]["augment_insert"] is True
    assert "epochs" not in recipes["kmer_ridge"]
    assert recipes["dream_cnn"]["weight_decay"] == 0.01


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("recipe.epoch=3", "Did you mean 'epochs'"),
        ("recipe.epochs=three", "expects int, got 'three'"),
        ("recipe.epochs=2.5", "expects int, got '2.5'"),
        ("recipe.epochs=0", "must be greater than 0"),
        ("recipe.max_lr=-1", "must be a finite number >= 0"),
        ("dream_cn.epochs=3", "Did you mean 'dream_cnn'"),
        ("epochs=3", "expects recipe.key=value"),
        ("recipe.epochs", "expects recipe.key=value"),
    ],
)
def test_a_bad_change_is_one_sentence(plan, change, words):
    with pytest.raises(BadInput, match="--set") as error:
        plan(changes=[change])
    assert words in str(error.value)
    assert change in str(error.value)


FAMILY = ["prix_fixe.bhi-bhi-bhi-bhi", "prix_fixe.autosome-bhi-bhi-bhi", "kmer_ridge"]


def test_recipes_of_a_family_hold_for_all_its_variants(plan):
    """Batch size 32 is what this task says of the family, over the 512 and 1,024 of the variants themselves."""
    changes = ["prix_fixe.bhi-bhi-bhi-bhi.epochs=5", "prix_fixe.epochs=4", "recipe.epochs=3"]
    recipes = plan("paper", models=FAMILY, changes=changes).recipes
    assert [recipes[name]["batch_size"] for name in FAMILY[:2]] == [32, 32]
    assert [recipes[name]["epochs"] for name in FAMILY[:2]] == [5, 4]


def test_a_family_value_is_skipped_where_a_variant_lacks_it(plan):
    recipes = plan(models=FAMILY, changes=["prix_fixe.cosine_over_rows=true"]).recipes
    assert recipes[FAMILY[0]]["cosine_over_rows"] is True
    assert "cosine_over_rows" not in recipes[FAMILY[1]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("prix_fixe.bhi-bhi-bhi-bih.epochs=3", "Did you mean 'prix_fixe.bhi-bhi-bhi-bhi'"),
        ("prix_fixe.epoch=3", "Did you mean 'epochs'"),
        ("prix_fixe.bhi-bhi-bhi-bhi.trim_left=3", "Unknown recipe key 'trim_left'"),
    ],
)
def test_a_bad_change_of_a_variant_is_one_sentence(plan, change, words):
    with pytest.raises(BadInput, match="--set") as error:
        plan(models=FAMILY, changes=[change])
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "dream_attn.stem_width=64",
            "dream_attn does not read 'stem_width' here, so it would change nothing; it reads glove_width, width_scale",
        ),
        ("dream_rnn.n_heads=4", "dream_rnn does not read 'n_heads' here"),
        ("recipe.kmer=4", "Unknown recipe key 'kmer'"),
        ("dream_attn.n_head=4", "Unknown recipe key 'n_head'. Did you mean 'n_heads'"),
    ],
)
def test_a_change_without_effect_is_refused(plan, change, words):
    with pytest.raises(BadInput) as error:
        plan(models=["dream_rnn", "dream_attn"], changes=[change])
    assert str(error.value).startswith(f"--set {change}: {words}")


def test_a_shared_change_spares_and_names_who_ignores_it(plan):
    before = plan(models=["dream_rnn", "dream_attn", "kmer_ridge"])
    after = plan(models=["dream_rnn", "dream_attn", "kmer_ridge"], changes=["recipe.stem_width=64"])
    assert after.recipes["dream_rnn"] == before.recipes["dream_rnn"] | {"stem_width": 64}
    assert after.recipes["dream_attn"] == before.recipes["dream_attn"]
    assert after.notes == (
        "--set recipe.stem_width=64: dream_attn, kmer_ridge do not read 'stem_width', and stay as before.",
    )
    assert plan(models=["dream_rnn"], changes=["recipe.stem_width=64"]).notes == ()


def test_combinations_that_do_not_fit_are_left_out_with_reason(plan):
    made = plan(models=[*FAMILY, "prix_fixe.bhi-bhi-bhi-unlockdna"])
    assert "base logits" in made.skipped["prix_fixe.bhi-bhi-bhi-unlockdna"]
    assert made.title("prix_fixe.bhi-bhi-bhi-bhi") == "Prix Fixe 1_1_1_1"


def test_a_bad_fold_model_or_preset_is_one_sentence(plan):
    with pytest.raises(BadInput, match="no test fold 12; its test folds are 0, 1"):
        plan(test_folds=[12])
    with pytest.raises(BadInput, match="Did you mean 'mprann'"):
        plan(models=["mpran"])
    with pytest.raises(BadInput, match="Did you mean 'paper'"):
        plan("papers")


def test_names_of_jobs_follow_what_decides_their_outcome(plan, source):
    def runs(made):
        return {j.model: j.config_hash for j in made.jobs}

    same, other_seed = plan(), plan(seed=1)
    assert runs(plan()) == runs(same)
    assert all(runs(same)[m] != runs(other_seed)[m] for m in same.models)
    changed = plan(changes=["dream_cnn.max_lr=0.004"])
    assert {m for m in same.models if runs(same)[m] != runs(changed)[m]} == {"dream_cnn"}
    other_data = make_plan(TASK, "quick", [dataclasses.replace(source, digest="0" * 12)], seed=0)
    assert not set(runs(same).values()) & set(runs(other_data).values())
    assert len({j.id for j in same.jobs}) == len(same.jobs)
    assert len({j.seed for j in same.jobs}) == 5  # one per split, the same for all models of it


def test_a_plan_survives_being_stored(plan):
    made = plan()
    back = Plan.from_dict(made.to_dict())
    assert back.jobs == made.jobs
    assert back.id == made.id
    assert [(s.name, s.digest) for s in back.sources] == [(s.name, s.digest) for s in made.sources]


def test_time_is_estimated_and_jobs_of_unknown_speed_are_counted(plan):
    made = plan(models=["dream_cnn", "kmer_ridge"], test_folds=[0])
    job = next(j for j in made.jobs if j.model == "dream_cnn")
    seconds, unknown = estimate_seconds(made, lambda j: 50.0 if j.model == "dream_cnn" else None, n_workers=2)
    assert seconds == pytest.approx(job.n_train * job.recipe["epochs"] / 50 / 2)
    assert unknown == 1


def test_a_model_that_cannot_learn_the_task_is_skipped(plan, monkeypatch):
    monkeypatch.setattr(registry.get_model("mprann"), "unsupported", lambda spec: "hates this task")
    made = plan()
    assert made.skipped == {"mprann": "hates this task"}
    assert "mprann" not in {j.model for j in made.jobs}
    with pytest.raises(BadInput, match="None of the models can learn"):
        plan(models=["mprann"])
