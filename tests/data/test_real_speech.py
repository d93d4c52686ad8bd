import os
from pathlib import Path

import pytest
from speechlike import QUIET

from telucodec.data.folder import index_folder

SPEECH = os.environ.get("TELUCODEC_SPEECH")


@pytest.mark.slow
@pytest.mark.skipif(not SPEECH, reason="TELUCODEC_SPEECH names no folder with train/*.flac")
def test_real_recordings_are_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path))
    indexed = index_folder(Path(str(SPEECH), "train"), QUIET)
    assert indexed.refused == ()
    assert len(indexed.manifest.entries) > 100
    assert all(-60 < entry.rms_dbfs < 0 and 2500 < entry.bandwidth_hz <= 8000 for entry in indexed.manifest.entries)
    assert all(0.3 <= entry.seconds < 60 and 0 < entry.peak <= 1 for entry in indexed.manifest.entries)
