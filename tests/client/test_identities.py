from __future__ import annotations

import uuid

from tallybook.client.identities import Identities


def test_identities_are_random_uuids_of_version_4() -> None:
    for text in Identities().take(3):
        identity = uuid.UUID(text.decode())
        assert str(identity).encode() == text
        assert (identity.version, identity.variant) == (4, uuid.RFC_4122)


def test_no_two_are_equal_however_they_are_taken() -> None:
    one, other = Identities(), Identities()
    taken = [text for size in (0, 1, 255, 256, 257, 1_000) for text in one.take(size)]
    taken += other.take(600) + one.take(1)
    assert len(taken) == 1_769 + 600 + 1
    assert len(set(taken)) == len(taken)


def test_a_forked_childs_are_its_own() -> None:
    identities = Identities()
    before = identities.take(2)
    identities.begin_in_child()
    after = identities.take(2)
    assert before[0][:24] != after[0][:24]
