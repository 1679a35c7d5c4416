from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from both_sdks import Sdk, Spoken
from tallybook.optimizely._logging import adapted


@pytest.fixture
def name() -> Iterator[str]:
    """A logger's name that nobody else uses, silent again afterwards."""
    name = "test_loggers.own"
    yield name
    logging.getLogger(name).handlers.clear()


def test_a_reset_logger_has_one_handler_on_standard_error(
    sdk: Sdk, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger(name).addHandler(logging.NullHandler())
    logger = sdk.reset_logger(name)
    assert logger is logging.getLogger(name)
    assert [type(handler) for handler in logger.handlers] == [logging.StreamHandler]
    logger.info("said")
    logger.debug("not said")
    said = capsys.readouterr().err
    assert said.startswith("INFO     ")
    assert said.endswith(":said\n")


def test_a_reset_logger_has_the_level_and_the_handler_it_is_given(sdk: Sdk, name: str) -> None:
    stream = io.StringIO()
    logger = sdk.reset_logger(name, logging.DEBUG, logging.StreamHandler(stream))
    logger.debug("said")
    assert stream.getvalue().endswith(":said\n")


def test_a_base_logger_says_nothing(sdk: Sdk, capsys: pytest.CaptureFixture[str]) -> None:
    logger = sdk.BaseLogger()
    for method in ("error", "warning", "info", "debug", "exception"):
        getattr(logger, method)("anything")
    logger.log(logging.ERROR, "anything")
    assert capsys.readouterr() == ("", "")


def test_a_simple_logger_writes_from_its_level_on_and_warns_that_log_is_deprecated(
    sdk: Sdk, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = sdk.SimpleLogger(logging.WARNING)
    with pytest.warns(DeprecationWarning, match="log"):
        logger.log(logging.WARNING, "said")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        logger.log(logging.INFO, "not said")
    assert capsys.readouterr().err.endswith(":said\n")


def test_a_logger_of_the_module_is_adapted_to_the_one_inside(sdk: Sdk) -> None:
    for logger in (sdk.NoOpLogger(), sdk.SimpleLogger()):
        assert isinstance(logger.logger, logging.Logger)
        assert sdk.adapt_logger(logger) is logger.logger
    stdlib, other = logging.getLogger("own"), Spoken()
    assert sdk.adapt_logger(stdlib) is stdlib
    assert sdk.adapt_logger(other) is other


def test_a_no_op_logger_is_silent(ours: Sdk, capsys: pytest.CaptureFixture[str]) -> None:
    root, heard = logging.getLogger(), io.StringIO()
    handler = logging.StreamHandler(heard)
    root.addHandler(handler)
    try:
        ours.NoOpLogger().logger.critical("said")
    finally:
        root.removeHandler(handler)
    assert heard.getvalue() == ""
    assert capsys.readouterr().err == ""


def test_the_sdks_parts_log_with_the_standard_librarys_loggers_themselves(ours: Sdk) -> None:
    simple, stdlib = ours.SimpleLogger(), logging.getLogger("own")
    assert adapted(stdlib) is stdlib
    assert adapted(simple) is simple.logger


def fail(logger: logging.Logger, message: str, *values: object) -> None:
    try:
        int("no number")
    except ValueError:
        logger.exception(message, *values)


def test_any_other_logger_is_told_by_its_own_methods(spoken: Spoken) -> None:
    logger = adapted(spoken)
    logger.debug("%d %s", 1, "a")
    logger.log(5, "finest")
    logger.info("b")
    logger.warning("c")
    logger.error("d")
    logger.critical("e")
    fail(logger, "100%% %s", "f")
    assert spoken.records == [
        ("debug", "1 a"),
        ("debug", "finest"),
        ("info", "b"),
        ("warning", "c"),
        ("error", "d"),
        ("error", "e"),
        ("exception", "100% f"),
    ]


def test_one_without_exception_is_told_of_an_error() -> None:
    class Plain:
        def __init__(self) -> None:
            self.told: list[str] = []

        def error(self, message: str) -> None:
            self.told.append(message)

    plain = Plain()
    fail(adapted(plain), "said")
    adapted(plain).info("it has no way to be told this")
    assert plain.told == ["said"]


def test_a_logger_that_overrides_log_alone_is_told_everything(ours: Sdk) -> None:
    class Legacy(ours.BaseLogger):  # type: ignore[misc, name-defined]  # by which prefix is said at run time
        told: list[tuple[int, str]] = []  # noqa: RUF012

        @staticmethod
        def log(*args: Any) -> None:
            Legacy.told.append(args)

    logger = adapted(Legacy())
    logger.warning("said")
    logger.error("%s", "and so")
    assert Legacy.told == [(logging.WARNING, "said"), (logging.ERROR, "and so")]


def test_what_a_logger_raises_reaches_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def error(self, message: str) -> None:
            raise RuntimeError(message)

    logger = adapted(Broken())
    logger.error("said")
    logger.error("%d", "wrong arguments")
    assert capsys.readouterr() == ("", "")


def test_adapting_leaves_no_logger_behind_by_name(spoken: Spoken) -> None:
    before = set(logging.Logger.manager.loggerDict)
    logger = adapted(spoken)
    assert set(logging.Logger.manager.loggerDict) == before
    assert logger.level == 1
    assert not logger.handlers[0].lock
