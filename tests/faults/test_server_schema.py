"""Whatever the OpenAPI document lets one ask is answered, and never with a 5xx."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import booleans
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from faults.server_load import HEADERS, Load, open_shop
from faults.server_process import Victim, until
from faults.server_table import everything, record

SEED = 20_261_129


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
def test_no_question_is_answered_with_a_fault_of_ours(tmp_path: Path, mode: GenerationMode) -> None:
    server, load = Victim(tmp_path), Load(open_shop(tmp_path), SEED)
    server.start()
    with load.on(server.url):
        until(lambda: load.answers[204] > 30)
    schema = schemathesis.openapi.from_url(server.url + "/api/schema/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert operations
    answers: Counter[int] = Counter()
    for operation in operations:

        @seed(SEED)
        @settings(
            max_examples=2_000 if everything() else 8,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), real=booleans())
        def ask(case: schemathesis.Case, real: bool) -> None:
            if real and "key" in case.path_parameters:  # or nothing would get beyond "no such key"
                case.path_parameters["key"] = "checkout_test"
            answer = case.call(headers=HEADERS)
            answers[answer.status_code] += 1
            case.validate_response(answer, checks=[not_a_server_error])

        ask()
    load.settle(server.url)
    server.stop()
    assert load.tally(server.data).is_whole
    shown = ", ".join(f"{count:,} × {status}" for status, count in sorted(answers.items()))
    record(f"schemathesis, {mode.value} cases", answers.total(), None, shown)
