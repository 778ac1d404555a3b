"""The same cohort from a local S3 server (moto), as from a bucket. Needs ``pip install 'moto[server]' s3fs``."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from cardiobind.cohort import Cohort, build, build_cohort
from store_fakes import CMR, ECG, FakeSource

pytestmark = pytest.mark.slow

_READ = """
import sys
import numpy as np
from cardiobind.cohort import Cohort
cohort = Cohort.open("s3://bucket/cohort")
rows = np.flatnonzero(cohort.has("ecg"))[int(sys.argv[1]) :: 3]
for _ in range(3):
    print(int(cohort.read("ecg", rows).astype(np.int64).sum()))
"""


@pytest.fixture(scope="module")
def server():
    """Address of an S3 server with an empty bucket."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    running = moto.ThreadedMotoServer(port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server, monkeypatch, tmp_path):
    """A cohort of many shards on disk and in the bucket."""
    import s3fs

    for name, value in {
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server, "CARDIOBIND_CACHE": str(tmp_path / "cache"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(build, "SHARD_ROWS", 4)
    how = {"ecg": ECG, "cmr": CMR, "workers": 0, "config": {}, "fingerprint": ""}
    build_cohort(FakeSource(60, cmr=True), tmp_path / "cohort", work=tmp_path / "work", **how)
    system = s3fs.S3FileSystem()
    system.mkdir("bucket")
    system.put(str(tmp_path / "cohort"), "bucket/cohort", recursive=True)
    return Cohort.open(tmp_path / "cohort")


def test_a_bucket_is_read_by_several_processes_through_a_small_cache(bucket, tmp_path, monkeypatch):
    largest = max(e["bytes"] for n, e in bucket.artifact.manifest["files"].items() if n.endswith(".npy"))
    monkeypatch.setenv("CARDIOBIND_CACHE_GIB", str(4.5 * largest / 2**30))
    far = Cohort.open("s3://bucket/cohort")
    for modality in ("ecg", "cmr"):
        rows = np.flatnonzero(bucket.has(modality))
        np.testing.assert_array_equal(far.read(modality, rows), bucket.read(modality, rows))
    readers = [
        subprocess.Popen([sys.executable, "-c", _READ, str(i)], stdout=subprocess.PIPE, text=True, env=os.environ)
        for i in range(3)
    ]
    printed = [reader.communicate(timeout=120)[0].split() for reader in readers]
    assert [reader.returncode for reader in readers] == [0, 0, 0]
    for i, sums in enumerate(printed):
        rows = np.flatnonzero(bucket.has("ecg"))[i::3]
        assert sums == [str(int(bucket.read("ecg", rows).astype(np.int64).sum()))] * 3
    shards = [f for f in (tmp_path / "cache" / "shards").iterdir() if not f.name.startswith(".")]
    assert sum(f.stat().st_size for f in shards) <= 4.5 * largest
