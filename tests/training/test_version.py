"""The version of the code changes with what it does, not with how it reads."""

from telucodec.training import version
from telucodec.training.version import code_version, statements

SOURCE = 'class A:\n    """What."""\n\n    def f(self, x):  # why\n        "How."\n        return x + 1\n'


def test_comments_docstrings_and_layout_do_not_count():
    assert statements(SOURCE) == statements("class A:\n\n    def f(\n        self, x\n    ):\n        return (x + 1)")


def test_statements_do():
    assert statements(SOURCE) != statements(SOURCE.replace("x + 1", "x + 2"))


def test_twelve_digits_that_stay():
    assert len(code_version()) == 12
    assert int(code_version(), 16)
    assert code_version() == code_version()


def test_the_cache_keeps_it_and_what_is_damaged_there_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path))
    found = code_version.__wrapped__()
    (kept,) = (tmp_path / "code").iterdir()
    assert kept.read_text() == found
    monkeypatch.setattr(version, "statements", lambda source: "")
    assert code_version.__wrapped__() == found
    kept.write_text("half")
    other = code_version.__wrapped__()
    assert other != found
    assert kept.read_text() == other
