"""ESCO's own files, and pages of an upload."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from assessment import packaged
from assessment.adapters import esco, upload
from assessment.vocabulary import Vocabulary, build, built

SKILL = "http://data.europa.eu/esco/skill/"
OCCUPATION = "http://data.europa.eu/esco/occupation/"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The official CSV form, in two languages."""
    (tmp_path / "skills_fi.csv").write_text(
        "conceptType,conceptUri,skillType,preferredLabel,altLabels\n"
        f'KnowledgeSkillCompetence,{SKILL}a,skill,hitsata,"hitsaaminen\nhitsaus"\n'
        f"KnowledgeSkillCompetence,{SKILL}b,skill,ommella,\n",
        "utf-8",
    )
    (tmp_path / "skills_en.csv").write_text(
        f"conceptType,conceptUri,preferredLabel,altLabels\nX,{SKILL}a,weld,weld metal | welding\n", "utf-8"
    )
    (tmp_path / "occupations_fi.csv").write_text(
        f"conceptType,conceptUri,iscoGroup,preferredLabel\nOccupation,{OCCUPATION}o,7212,hitsaaja\n", "utf-8"
    )
    (tmp_path / "occupationSkillRelations.csv").write_text(
        "occupationUri,relationType,skillType,skillUri\n"
        f"{OCCUPATION}o,essential,skill,{SKILL}a\n"
        f"{OCCUPATION}o,optional,skill,{SKILL}gone\n"
        f"{OCCUPATION}gone,essential,skill,{SKILL}a\n",
        "utf-8-sig",
    )
    return tmp_path


def test_the_official_csv_form_is_read_with_alternative_labels(folder: Path) -> None:
    begin, weld, _sew, welder, complete = esco.records(folder)

    assert begin["kind"] == "begin"
    assert weld["labels"] == {"fi": "hitsata", "en": "weld"}
    assert weld["alternatives"] == {"fi": ["hitsaaminen", "hitsaus"], "en": ["weld metal", "welding"]}
    assert (welder["group"], welder["essential"], welder["optional"]) == ("7212", [f"{SKILL}a"], [f"{SKILL}gone"])
    assert complete["counts"] == {"skills": 2, "occupations": 1, "relations": 2}
    assert complete["dangling"] == 1


def test_relations_to_what_is_not_there_are_counted_and_left_out(folder: Path) -> None:
    *concepts, complete = list(esco.records(folder))[1:]

    made = built(build(concepts, words={}, source="test", dangling=complete["dangling"]))

    assert (made.counts.relations, made.counts.dangling) == (1, 2)


def test_a_folder_without_a_needed_file_or_column_says_which(folder: Path) -> None:
    (folder / "occupationSkillRelations.csv").write_text("a,b\n", "utf-8")
    with pytest.raises(esco.NotEsco, match=r"occupationSkillRelations\.csv has no column occupationUri"):
        list(esco.records(folder))

    (folder / "occupationSkillRelations.csv").unlink()
    with pytest.raises(esco.NotEsco, match="has no occupationSkillRelations"):
        list(esco.records(folder))

    with pytest.raises(esco.NotEsco, match="has neither a JSON of skills nor skills_fi"):
        list(esco.records(folder / "relations"))


def test_a_json_that_is_no_list_of_concepts_is_told(folder: Path) -> None:
    (folder / "my-skills.json").write_text('[{"uri": 1', "utf-8")

    with pytest.raises(esco.NotEsco, match=r"my-skills\.json is no JSON list"):
        list(esco.records(folder))


def test_pages_are_bounded_and_hold_every_record_as_the_service_reads_it(folder: Path) -> None:
    bodies = list(esco.pages(esco.records(folder), most_bytes=300))

    read = [record for body in bodies for record in upload.read(body)]
    assert len(bodies) > 1
    assert [record["kind"] for record in read] == ["begin", "skill", "skill", "occupation", "complete"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "line 2: is not JSON"),
        (b"[]", "line 2: kind must be one of"),
        (b'{"kind": ["skill"]}', "line 2: kind must be one of"),
        (b'{"kind": "skill", "uri": "x", "labels": {"fi": "x"}}', "line 2: uri: .*ESCO identifier"),
        (b'{"kind": "skill", "uri": "http://data.europa.eu/esco/skill/a", "labels": {"de": "x"}}', "line 2: labels"),
        (b'{"kind": "complete", "counts": {}}', "line 2: counts"),
    ],
)
def test_a_wrong_line_is_told_with_its_number_and_field(line: bytes, says: str) -> None:
    body = json.dumps({"kind": "begin", "source": "test"}).encode() + b"\n" + line

    with pytest.raises(upload.WrongRecord, match=says):
        list(upload.read(body))


def test_the_projects_own_vocabulary_is_whole(vocabulary: Vocabulary) -> None:
    records = list(packaged.records())
    skills = {record["uri"] for record in records if record["kind"] == "skill"}

    assert vocabulary.counts.dangling == 0
    assert vocabulary.counts.occupations == 25
    assert vocabulary.counts.skills >= 150
    assert all(set(record["labels"]) == {"fi", "sv", "en"} for record in records)
    assert all(record["essential"] for record in records if record["kind"] == "occupation")
    assert set(packaged.words()) <= {record["uri"] for record in records}
    assert len(skills) == vocabulary.counts.skills


@pytest.fixture(scope="module")
def full(data: Path) -> Vocabulary:
    """All of ESCO, as in the folder of real data."""
    *concepts, complete = (record for record in esco.records(data / "esco") if record["kind"] != "begin")
    return built(build(concepts, words=packaged.words(), source="ESCO", dangling=complete["dangling"]))


def test_the_full_esco_is_read_and_what_dangles_is_reported(full: Vocabulary) -> None:
    counts = full.counts

    assert (counts.skills, counts.occupations) == (13_896, 3_007)
    assert counts.relations + counts.dangling == 123_855
    assert counts.dangling == 67


def test_the_projects_own_vocabulary_agrees_with_the_full_one(full: Vocabulary) -> None:
    for record in packaged.records():
        concept = full.skill(record["uri"]) if record["kind"] == "skill" else full.occupation(record["uri"])
        assert concept is not None
        assert concept.labels == record["labels"]


def test_the_full_esco_proposes_what_clients_name_within_50_ms(full: Vocabulary) -> None:
    text = (
        "Olen hitsannut ja hoitanut vanhuksia, osaan asiakaspalvelua ja tein kassatöitä kaupassa. En osaa ruotsia. "
        "Ajoin trukkia varastolla, keräilin tilauksia ja siivosin. Puhun englantia, ohjelmoin Pythonilla. "
    ) * 3

    started = time.perf_counter()
    proposals = full.propose(text, "fi")
    seconds = time.perf_counter() - started

    named = Counter(full.skill(one.skill).labels["en"] for one in proposals)  # type: ignore[union-attr]
    assert {"welding techniques", "tend to elderly people", "customer service", "operate cash point", "English"} <= set(
        named
    )
    assert "Swedish" not in named
    # Five times the aim, since the machine may be busy with other tests.
    assert seconds < 0.25
