"""The batch size of a small assay."""

from benchmarks import registry
from benchmarks.engine.planning.plan import Source, make_plan

TASK = registry.get_task("assay")


def planned(n_rows, preset="paper", changes=()):
    source = Source("made_up", n_rows, TASK.simulate(split=TASK.SPLITS[0], seed=0), "0" * 12)
    words = {"models": ["dream_cnn", "mprann", "deepstarr", "kmer_ridge"], "test_folds": [0], "n_members": 1}
    return make_plan(TASK, preset, [source], seed=0, changes=changes, **words).recipes


def test_small_data_is_trained_in_smaller_steps():
    large, small = planned(50_000), planned(1_743)
    assert [large[name]["batch_size"] for name in ("dream_cnn", "mprann")] == [32, 32]
    assert [small[name]["batch_size"] for name in ("dream_cnn", "mprann")] == [8, 8]
    assert small["deepstarr"] == large["deepstarr"]
    assert {key: small["dream_cnn"][key] for key in small["dream_cnn"] if key != "batch_size"} == {
        key: large["dream_cnn"][key] for key in large["dream_cnn"] if key != "batch_size"
    }


def test_a_preset_and_the_user_have_the_last_word():
    assert planned(500, "quick")["dream_cnn"]["batch_size"] == 16
    assert planned(500, changes=["mprann.batch_size=64"])["mprann"]["batch_size"] == 64
