"""What `make fuzz` does for minutes, for a moment: each target takes its seeds and some hundred mutations of them."""

from __future__ import annotations

import random

import pytest
from mutate import mutated
from targets import TARGETS, Target, timed

MUTATIONS = 150

every_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


@every_target
def test_the_seeds_are_inputs_of_the_target(target: Target) -> None:
    for seed in target.seeds():
        assert len(seed) <= target.most
        timed(target, seed)


@every_target
def test_a_mutation_ends_with_a_documented_error_or_a_promise_kept(target: Target) -> None:
    chance = random.Random(7)
    found = list(target.seeds())

    for _ in range(MUTATIONS):
        made = mutated(chance.choice(found), target.most, chance.getrandbits(32))
        if made is not None:
            timed(target, made)
            found.append(made)
