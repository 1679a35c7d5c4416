"""What is kept is found again, revision by revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import sqlalchemy as sa

from tallybook.catalog.publication import (
    EnvironmentAccess,
    EnvironmentRevision,
    ProjectIdentity,
    Publication,
    PublishedExperiment,
)
from tallybook.catalog.store import Catalog, token_hash
from tallybook.errors import ConfigError, NotFoundError, StorageError
from tallybook.model.experiment import AllocationEpoch
from tallybook.model.metric import Aggregator, Metric, Scope, WinningDirection

SHOP = ProjectIdentity("shop", "71", "7")
PRODUCTION = EnvironmentAccess("production", "prod-key")
STAGING = EnvironmentAccess("staging", "staging-key", token_hash("sesame"))
REVENUE = Metric(
    "revenue",
    "purchase",
    Aggregator.SUM,
    "revenue",
    Scope.EVENT,
    WinningDirection.DECREASING,
)


def experiment(id_: str = "101", key: str = "checkout_test", **weights: int) -> PublishedExperiment:
    weights = weights or {"a": 5000, "b": 5000}
    return PublishedExperiment(
        id=id_,
        key=key,
        flag_key="checkout",
        status="running",
        arms={variation_id: f"key-{variation_id}" for variation_id in weights},
        baseline_id=next(iter(weights)),
        weights=weights,
        metrics=("revenue", "gone"),
        start_ms=5,
    )


def revision(
    access: EnvironmentAccess, *experiments: PublishedExperiment, body: bytes = b"{}"
) -> EnvironmentRevision:
    return EnvironmentRevision(access, body, experiments, ("purchase",))


def publication(
    number: int, *environments: EnvironmentRevision, project: ProjectIdentity = SHOP
) -> Publication:
    return Publication(
        project=project,
        revision=str(number),
        at_ms=number * 1000,
        environments=environments,
        definition=f"project: {project.key}",
        metrics=(REVENUE,),
    )


def record(catalog: Catalog, *publications: Publication) -> None:
    for each in publications:
        with catalog.transaction() as transaction:
            transaction.record(each)


def weights_by_epoch(catalog: Catalog) -> list[tuple[int, tuple[str, ...], Mapping[str, int]]]:
    epochs = catalog.find_experiment("checkout_test").epochs
    return [(e.from_ms, e.revisions, e.weights) for e in epochs]


def test_an_empty_catalog_has_nothing(catalog):
    assert catalog.datafile("prod-key") is None
    assert catalog.latest_publication() == 0
    assert not catalog.token_matches("prod-key", "sesame")
    assert catalog.experiments() == ()
    assert catalog.event_keys() == ()
    assert catalog.attribute_keys() == ()
    assert catalog.find_metric("revenue") is None
    with pytest.raises(NotFoundError, match="checkout_test`; none is defined yet"):
        catalog.find_experiment("checkout_test")


def test_the_newest_datafile_of_an_environment_is_served(catalog):
    record(catalog, publication(1, revision(PRODUCTION, body=b"one")))
    first, number = catalog.datafile("prod-key"), catalog.latest_publication()
    record(catalog, publication(2, revision(PRODUCTION, body=b"two")))
    second = catalog.datafile("prod-key")
    assert catalog.latest_publication() > number
    assert (first.body, first.revision, first.published_at_ms) == (b"one", "1", 1000)
    assert (second.body, second.revision, second.published_at_ms) == (b"two", "2", 2000)
    assert first.etag != second.etag
    assert not first.access_token_required


def test_an_access_token_is_kept_as_a_hash_only(catalog):
    record(catalog, publication(1, revision(PRODUCTION), revision(STAGING)))
    assert catalog.datafile("staging-key").access_token_required
    assert catalog.token_matches("staging-key", "sesame")
    assert not catalog.token_matches("staging-key", "Sesame")
    assert not catalog.token_matches("staging-key", STAGING.token_hash)
    assert not catalog.token_matches("prod-key", "sesame")


def test_an_environment_that_is_no_longer_defined_is_not_served(catalog):
    record(catalog, publication(1, revision(PRODUCTION), revision(STAGING)))
    record(catalog, publication(2, revision(PRODUCTION)))
    assert catalog.datafile("staging-key") is None
    assert not catalog.token_matches("staging-key", "sesame")


def test_environments_may_exchange_their_sdk_keys(catalog):
    record(catalog, publication(1, revision(PRODUCTION, body=b"p"), revision(STAGING, body=b"s")))
    swapped = (replace(PRODUCTION, sdk_key="staging-key"), replace(STAGING, sdk_key="prod-key"))
    record(
        catalog, publication(2, revision(swapped[0], body=b"p"), revision(swapped[1], body=b"s"))
    )
    assert catalog.datafile("staging-key").body == b"p"


def test_an_import_leaves_other_environments_as_they_are(catalog):
    record(catalog, publication(1, revision(PRODUCTION, experiment())))
    imported = replace(publication(2, revision(STAGING, experiment("202"))), definition=None)
    record(catalog, imported, replace(imported, revision="3"))
    assert catalog.datafile("prod-key").revision == "1"
    assert catalog.datafile("staging-key").revision == "3"
    assert catalog.find_experiment("checkout_test").environment_key == "production"
    assert catalog.find_metric("revenue") == REVENUE


def test_an_experiment_is_registered_with_all_that_results_need(catalog):
    record(catalog, publication(1, revision(PRODUCTION, experiment(a=3000, b=4000))))
    found = catalog.find_experiment("checkout_test")
    assert (found.id, found.key, found.account_id) == ("101", "checkout_test", "7")
    assert (found.project_key, found.environment_key) == ("shop", "production")
    assert (found.flag_key, found.status) == ("checkout", "running")
    assert list(found.arms.keys.items()) == [("a", "key-a"), ("b", "key-b")]
    assert found.arms.baseline_id == "a"
    assert found.metrics == (REVENUE,)
    assert (found.start_ms, found.end_ms) == (5, None)
    assert found.epochs == (AllocationEpoch(1000, ("1",), {"a": 3000, "b": 4000}),)
    assert catalog.find_experiment("101") == found
    assert catalog.experiments() == (found,)


def test_consecutive_revisions_with_equal_weights_are_one_epoch(catalog):
    even, low = experiment(a=5000, b=5000), experiment(a=1000, b=1000)
    for number, each in enumerate([even, even, low, even], 1):
        record(catalog, publication(number, revision(PRODUCTION, each)))
    assert weights_by_epoch(catalog) == [
        (1000, ("1", "2"), {"a": 5000, "b": 5000}),
        (3000, ("3",), {"a": 1000, "b": 1000}),
        (4000, ("4",), {"a": 5000, "b": 5000}),
    ]


def test_an_arm_that_was_taken_out_keeps_its_name(catalog):
    record(catalog, publication(1, revision(PRODUCTION, experiment(a=5000, b=5000))))
    record(catalog, publication(2, revision(PRODUCTION, experiment(c=5000, a=5000))))
    arms = catalog.find_experiment("checkout_test").arms
    assert list(arms.keys) == ["c", "a", "b"]
    assert arms.baseline_id == "c"


def test_an_experiment_without_known_weights_has_no_epochs(catalog):
    unknown = replace(experiment(), weights={})
    record(catalog, publication(1, revision(PRODUCTION, unknown)))
    assert catalog.find_experiment("checkout_test").epochs == ()


def test_a_removed_experiment_is_still_found_as_removed(catalog):
    record(catalog, publication(1, revision(PRODUCTION, experiment())))
    record(catalog, publication(2, revision(PRODUCTION)))
    assert catalog.find_experiment("checkout_test").status == "removed"


def test_an_experiment_of_a_removed_environment_is_removed(catalog):
    record(catalog, publication(1, revision(PRODUCTION), revision(STAGING, experiment())))
    record(catalog, publication(2, revision(PRODUCTION)))
    assert catalog.find_experiment("checkout_test", environment="staging").status == "removed"
    assert catalog.event_keys() == ("purchase",)


def test_a_key_that_moved_to_another_flag_names_the_present_experiment(catalog):
    record(catalog, publication(1, revision(PRODUCTION, experiment("101"))))
    record(catalog, publication(2, revision(PRODUCTION, experiment("102"))))
    assert catalog.find_experiment("checkout_test").id == "102"
    assert catalog.find_experiment("101").status == "removed"


def test_without_an_environment_the_primary_one_is_meant(catalog):
    record(
        catalog,
        publication(1, revision(STAGING, experiment("201")), revision(PRODUCTION, experiment())),
    )
    assert catalog.find_experiment("checkout_test").environment_key == "staging"
    found = catalog.find_experiment("checkout_test", environment="production")
    assert found.id == "101"
    assert catalog.find_experiment("101").environment_key == "production"


def test_an_experiment_that_is_only_elsewhere_is_found_there(catalog):
    record(catalog, publication(1, revision(PRODUCTION), revision(STAGING, experiment())))
    assert catalog.find_experiment("checkout_test").environment_key == "staging"


def test_a_key_in_two_projects_must_be_told_apart(catalog):
    other = ProjectIdentity("blog", "72", "7")
    access = EnvironmentAccess("production", "blog-key")
    record(
        catalog,
        publication(1, revision(PRODUCTION, experiment("101"))),
        publication(1, revision(access, experiment("102")), project=other),
    )
    with pytest.raises(ConfigError) as error:
        catalog.find_experiment("checkout_test")
    assert "--project blog --environment production (102)" in str(error.value)
    assert "--project shop --environment production (101)" in str(error.value)
    assert catalog.find_experiment("checkout_test", project="blog").id == "102"


def test_a_misspelt_experiment_is_not_found_and_the_right_one_is_named(catalog):
    record(catalog, publication(1, revision(PRODUCTION, experiment())))
    with pytest.raises(NotFoundError, match="did you mean `checkout_test`"):
        catalog.find_experiment("chekout_test")
    with pytest.raises(NotFoundError, match="`xyz` in shop/production; there are: checkout_test"):
        catalog.find_experiment("xyz", project="shop", environment="production")


def test_a_metric_defined_differently_in_two_projects_must_be_told_apart(catalog):
    other = ProjectIdentity("blog", "72", "7")
    access = EnvironmentAccess("production", "blog-key")
    record(catalog, publication(1, revision(PRODUCTION)))
    same = publication(1, revision(access), project=other)
    record(catalog, same)
    assert catalog.find_metric("revenue") == REVENUE
    count = Metric("revenue", "purchase", Aggregator.COUNT)
    record(catalog, replace(same, revision="2", metrics=(count,)))
    with pytest.raises(ConfigError, match="blog, shop"):
        catalog.find_metric("revenue")
    assert catalog.find_metric("revenue", project="blog") == count
    assert catalog.find_metric("revenue", "nowhere") is None


def test_attribute_keys_are_all_that_ever_had_an_id(catalog):
    ids = {("attribute", ("plan",)): "1", ("attribute", ("age",)): "2", ("event", ("x",)): "3"}
    record(catalog, replace(publication(1, revision(PRODUCTION)), ids=ids))
    record(catalog, publication(2, revision(PRODUCTION)))
    assert catalog.attribute_keys() == ("age", "plan")
    with catalog.transaction() as transaction:
        assert transaction.ids("shop") == ids
        assert transaction.ids("blog") == {}
        assert transaction.taken_ids() == {"1", "2", "3"}


def test_the_account_remembers_how_far_ids_were_given(catalog):
    with catalog.transaction() as transaction:
        assert (transaction.account_id(), transaction.next_id(70)) == (None, 70)
        transaction.keep_account("70", 75)
    with catalog.transaction() as transaction:
        transaction.keep_account("70", 80)
    with catalog.transaction() as transaction:
        assert (transaction.account_id(), transaction.next_id(70)) == ("70", 80)


def test_revisions_and_definitions_are_kept_whole(catalog):
    first = replace(publication(1, revision(PRODUCTION, body=b"one")), definition="first")
    imported = replace(publication(2, revision(PRODUCTION, body=b"two")), definition=None)
    record(catalog, first, imported)
    with catalog.transaction() as transaction:
        assert transaction.latest("shop").definition is None
        assert transaction.last_definition("shop") == "first"
        assert transaction.revisions("shop") == {"1", "2"}
        assert transaction.served("shop", "production") == b"two"
        assert transaction.served("shop", "production", "1") == b"one"
        assert transaction.served("shop", "staging") is None
        assert transaction.project("shop") == transaction.project_of_id("71") == SHOP
        assert transaction.project("blog") is transaction.project_of_id("70") is None
        assert transaction.latest("blog") is transaction.last_definition("blog") is None
        assert transaction.sdk_key_owner("prod-key") == ("shop", "production")
        assert transaction.sdk_key_owner("other") is None
        assert transaction.environments("shop") == {"production": PRODUCTION}


def record_and_fail(catalog: Catalog) -> None:
    with catalog.transaction() as transaction:
        transaction.record(publication(1, revision(PRODUCTION)))
        raise NotFoundError("something else")


def test_an_error_inside_a_transaction_undoes_all_of_it(catalog):
    with pytest.raises(NotFoundError, match="something else"):
        record_and_fail(catalog)
    assert catalog.datafile("prod-key") is None


def test_a_refusal_of_the_database_is_one_line(catalog):
    record(catalog, publication(1, revision(PRODUCTION)))
    taken = replace(STAGING, sdk_key="prod-key")
    with pytest.raises(StorageError) as error:
        record(catalog, replace(publication(2, revision(taken)), definition=None))
    assert "\n" not in str(error.value)
    assert catalog.datafile("prod-key").revision == "1"


def test_a_fault_of_the_library_is_a_storage_error_too(catalog):
    with pytest.raises(StorageError, match="No row was found"), catalog.transaction():
        raise sa.exc.NoResultFound("No row was found")
