"""The table of clients: notes become rows, and README's copy is held to them."""

import pytest

import table

NOTES = "b\t2\tlist\na\t1.0\tkill\nb\t2\tsubmit\nb\t2\tlist\nb\t3\tlist\n"
COPY = "| a | 0.9 | kill |\n| b | 2 | list; submit |\n"


def test_notes_are_rows_in_order_and_none_twice():
    cells = table.read_notes(NOTES)
    assert cells == {"a": (["1.0"], ["kill"]), "b": (["2", "3"], ["list", "submit"])}
    assert table.markdown(cells).endswith("| a | 1.0 | kill |\n| b | 2; 3 | list; submit |\n")


def test_a_note_is_a_line_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("STORMWIRE_TABLE", str(tmp_path / "notes"))
    table.note("a", "1.0", "kill", "list")
    assert (tmp_path / "notes").read_text() == "a\t1.0\tkill\na\t1.0\tlist\n"
    with pytest.raises(AssertionError, match="not fit for a table"):
        table.note("a", "1|0", "kill")


def test_versions_may_differ_and_cells_may_not():
    cells = table.read_notes(NOTES)
    assert table.differences(table.HEADER + COPY, cells) == []
    assert table.differences(COPY.replace("; submit", ""), cells) == [
        "passed, but README lacks: b | submit"
    ]
    assert table.differences(COPY.replace("kill", "kill; list"), cells) == [
        "README claims, but no test saw: a | list"
    ]


def test_notes_of_some_tests_join_the_copy():
    cells = table.read_notes("b\t4\tkill\nc\t1\tlist\n")
    rows = "| a | 0.9 | kill |\n| b | 4 | list; submit; kill |\n| c | 1 | list |\n"
    assert table.markdown(table.added(table.HEADER + COPY, cells)) == table.HEADER + rows


def test_readme_has_a_place_for_it():
    before, _, after = table.split_at_copy(table.README.read_text())
    assert before.endswith(table.BEGIN) and after.startswith(table.END)
