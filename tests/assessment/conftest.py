"""The project's own vocabulary, built once."""

from __future__ import annotations

import pytest

from assessment import packaged
from assessment.vocabulary import Vocabulary, build, built


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """The small vocabulary that comes with the project."""
    return built(build(packaged.records(), words=packaged.words(), source=packaged.SOURCE))
