"""The version of the code changes with what it does, not with how it reads."""

from telucodec.training import version
from telucodec.training.version import code_version, modules, statements, version_on_disk

SOURCE = 'class A:\n    """What."""\n\n    def f(self, x):  # why\n        "How."\n        return x + 1\n'


def test_comments_docstrings_and_layout_do_not_count():
    assert statements(SOURCE) == statements("class A:\n\n    def f(\n        self, x\n    ):\n        return (x + 1)")


def test_statements_do():
    assert statements(SOURCE) != statements(SOURCE.replace("x + 1", "x + 2"))


def test_twelve_digits_that_stay():
    assert len(code_version()) == 12
    assert int(code_version(), 16)
    assert code_version() == code_version()


def test_what_a_process_says_stays_while_the_files_change(tmp_path, monkeypatch):
    began = code_version()
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(version.telucodec, "__file__", str(tmp_path / "__init__.py"))
    found = []
    for name, source in (("__init__", "A = 1"), ("nn/__init__", "B = 1"), ("nn/__init__", "B = 2"), ("cli/a", "C = 1")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text(source)
        found.append(version_on_disk())
    assert len(set(found)) == 3
    assert found[2] == found[3], "what only launches does not count"
    assert modules() == ["telucodec", "telucodec.nn"]
    assert code_version() == began


def test_the_cache_keeps_it_and_what_is_damaged_there_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path))
    found = version_on_disk()
    (kept,) = (tmp_path / "code").iterdir()
    assert kept.read_text() == found
    monkeypatch.setattr(version, "statements", lambda source: "")
    assert version_on_disk() == found
    kept.write_text("half")
    other = version_on_disk()
    assert other != found
    assert kept.read_text() == other
