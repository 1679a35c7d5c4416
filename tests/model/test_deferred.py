from __future__ import annotations

import copy
import pickle
import threading
import weakref

import pytest
from msgspec import structs

from tallybook.model.deferred import DeferredExperiment
from tallybook.model.project import Experiment, Flag, Group, Project, Rollout, Variation

GROUP = Group("5", "random", ())


def made(key: str = "rule") -> Experiment:
    variations = (Variation("3", "on"), Variation("4", "off"))
    return Experiment("1", key, "Running", "2", variations, (), allowlist={"a": "on"}, group=GROUP)


def deferred(key: str = "rule") -> Experiment:
    return DeferredExperiment.of("1", key, GROUP, made, key)


class Maker:
    """Makes an experiment and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, key: str) -> Experiment:
        self.calls += 1
        return made(key)


def test_what_is_known_makes_nothing_and_the_rest_is_made_once() -> None:
    make = Maker()
    experiment = DeferredExperiment.of("1", "rule", GROUP, make, "rule")

    assert (experiment.id, experiment.key, experiment.group) == ("1", "rule", GROUP)
    assert make.calls == 0
    assert experiment.variations == made().variations
    assert experiment.variation_by_key["off"] == Variation("4", "off")
    assert make.calls == 1


def test_a_project_is_indexed_without_making_its_rules() -> None:
    make = Maker()
    experiment = DeferredExperiment.of("1", "rule", GROUP, make, "rule")
    flag = Flag("9", "f", (experiment,), "6", Rollout("6", (experiment,)), ())
    project = Project("1", "2", "3", experiments=(experiment,), flags=(flag,))

    assert project.flag_by_key["f"] is flag
    assert project.experiment_by_id == {"1": experiment}
    assert project.flag_experiment_ids == {"1"}
    assert make.calls == 0


def test_once_looked_into_it_is_an_experiment_like_any_other() -> None:
    experiment = deferred()
    elsewhere = [experiment]

    assert experiment.status == "Running"
    assert type(elsewhere[0]) is Experiment


def test_what_it_was_made_from_is_let_go() -> None:
    source = Maker()
    kept = weakref.ref(source)
    experiment = DeferredExperiment.of("1", "rule", GROUP, lambda _: made(), source)
    del source

    assert kept() is not None
    assert experiment.status == "Running"
    assert kept() is None


def test_it_equals_what_it_stands_for_from_either_side() -> None:
    assert deferred() == made()
    assert made() == deferred()
    assert deferred() == deferred()
    assert (deferred(),) == (made(),)


def test_it_differs_from_everything_else() -> None:
    assert deferred() != made("other")
    assert made() != deferred("other")
    assert deferred() != deferred("other")
    assert deferred() != object()


def test_it_has_the_hash_of_what_it_stands_for() -> None:
    without_dicts = {"variations": (), "allowlist": None}  # they have no hash
    plain = structs.replace(made(), **without_dicts)

    assert hash(DeferredExperiment.of("1", "rule", GROUP, lambda _: plain, None)) == hash(plain)


def test_it_is_shown_as_what_it_stands_for() -> None:
    assert repr(deferred()) == repr(made())


def test_copies_are_of_what_it_stands_for() -> None:
    for again in (
        copy.copy(deferred()),
        copy.deepcopy(deferred()),
        pickle.loads(pickle.dumps(deferred())),  # noqa: S301 - our own bytes
        deferred().__replace__(),
    ):
        assert type(again) is Experiment
        assert again == made()


def test_what_no_experiment_has_it_does_not_have() -> None:
    with pytest.raises(AttributeError, match="colour"):
        deferred().colour  # type: ignore[attr-defined]  # noqa: B018 - the look is what is tested


def test_nobody_changes_it() -> None:
    with pytest.raises(AttributeError):
        deferred().status = "Paused"  # type: ignore[misc]  # frozen


def test_two_threads_that_look_first_find_the_same() -> None:
    both_make = threading.Barrier(2, timeout=30)

    def make(key: str) -> Experiment:
        both_make.wait()
        return made(key)

    experiment = DeferredExperiment.of("1", "rule", GROUP, make, "rule")
    found: list[tuple[Variation, ...]] = []
    threads = [
        threading.Thread(target=lambda: found.append(experiment.variations)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    one, other = found
    assert one is other
    assert one is experiment.variations
