from __future__ import annotations

from pathlib import Path

import pytest

from tallybook.errors import ConfigError
from tallybook.keep.place import place


def test_everything_lies_in_the_data_directory_unless_moved(tmp_path: Path) -> None:
    kept = place(tmp_path, {})
    assert kept.log == tmp_path / "log"
    assert kept.lake_uri == str(tmp_path / "lake")
    assert kept.catalog_url == f"sqlite:///{tmp_path}/catalog.sqlite3"


def test_the_flag_wins_over_the_environment_and_that_over_the_default(tmp_path: Path) -> None:
    environment = {"TALLYBOOK_DATA": str(tmp_path / "there")}
    assert place(tmp_path / "here", environment).data == tmp_path / "here"
    assert place(None, environment).data == tmp_path / "there"
    assert place(None, {}).data == Path("tallybook-data").absolute()


def test_lake_and_catalog_may_be_shared_by_several_machines(tmp_path: Path) -> None:
    kept = place(
        tmp_path,
        {"TALLYBOOK_LAKE": "s3://lake/here", "TALLYBOOK_CATALOG": "postgresql://db/catalog"},
    )
    assert kept.lake_uri == "s3://lake/here"
    assert kept.catalog_url == "postgresql://db/catalog"


@pytest.mark.parametrize("name", ["TALLYBOOK_DATA", "TALLYBOOK_LAKE", "TALLYBOOK_CATALOG"])
def test_an_empty_variable_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        place(tmp_path, {name: " "})


def test_a_catalog_that_is_no_url_and_a_directory_that_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"TALLYBOOK_CATALOG is 'catalog\.db'"):
        place(tmp_path, {"TALLYBOOK_CATALOG": "catalog.db"})
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="expected a directory"):
        place(tmp_path / "file", {})
