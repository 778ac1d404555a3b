"""A cohort in object storage is read as the one on disk, through a bounded cache, and never with a wrong byte."""

from __future__ import annotations

import multiprocessing
import pickle
import uuid

import fsspec
import numpy as np
import pytest

from cardiobind.cohort import Cohort, build, build_cohort, remote
from cardiobind.cohort.shard_cache import ShardCache
from cardiobind.errors import ArtifactError, ConfigError, CorruptArtifactError
from store_fakes import CMR, ECG, FakeSource


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """A cohort of many small shards."""
    folder = tmp_path_factory.mktemp("cohort")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "SHARD_ROWS", 4)
        source = FakeSource(24, cmr=True)
        how = {"work": folder / "work", "ecg": ECG, "cmr": CMR, "workers": 0, "config": {}, "fingerprint": ""}
        build_cohort(source, folder / "cohort", **how)
    return Cohort.open(folder / "cohort")


@pytest.fixture
def url(local):
    """The same cohort in the memory of this process, where it can be damaged."""
    place = f"memory://bucket-{uuid.uuid4().hex}/cohort"
    system = fsspec.filesystem("memory")
    system.put(str(local.artifact.path), place, recursive=True)
    return place


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CARDIOBIND_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def shard_bytes(cohort, modality="ecg"):
    return max(e["bytes"] for n, e in cohort.artifact.manifest["files"].items() if n.startswith(modality))


def cached(cache):
    return {f.name: f.stat().st_size for f in (cache / "shards").iterdir() if not f.name.startswith(".")}


def test_it_reads_the_same(local, url):
    far = Cohort.open(url)
    assert len(far) == len(local)
    assert far.artifact.digest == local.artifact.digest
    assert far.table.equals(local.table)
    for modality in ("ecg", "cmr"):
        rows = np.flatnonzero(local.has(modality))[::-1]
        np.testing.assert_array_equal(far.read(modality, rows), local.read(modality, rows))
        np.testing.assert_array_equal(far.shards(modality, rows), local.shards(modality, rows))
    np.testing.assert_array_equal(far.labels(far.tasks[0]), local.labels(local.tasks[0]))


def test_opening_fetches_no_shard_and_reading_fetches_whole_shards_once(local, url, cache, monkeypatch):
    fetched = []
    download = remote._download
    monkeypatch.setattr(remote, "_download", lambda where, to: (fetched.append(where), download(where, to)))
    far = Cohort.open(url)
    assert not (cache / "shards").exists()
    rows = np.flatnonzero(local.has("ecg"))
    far.read("ecg", rows[:1])
    assert [f for f in fetched if f.endswith(".npy")] == [f"{url}/ecg/shard-00000.npy"]
    for _ in range(3):
        Cohort.open(url).read("ecg", rows)
    shards = [f for f in fetched if f.endswith(".npy")]
    assert len(shards) == len(set(shards)) == len(np.unique(local.shards("ecg", rows)))


def test_the_cache_is_bounded_and_the_longest_unused_shard_goes(local, url, cache, monkeypatch):
    size = shard_bytes(local)
    monkeypatch.setenv("CARDIOBIND_CACHE_GIB", str(2.5 * size / 2**30))
    rows = np.flatnonzero(local.has("ecg"))
    shards = local.shards("ecg", rows)
    names = [local.artifact.manifest["files"][f"ecg/shard-{s:05d}.npy"]["sha256"] for s in range(3)]
    firsts = [rows[shards == s][:1] for s in range(3)]
    for wanted in (0, 1, 0, 2):
        Cohort.open(url).read("ecg", firsts[wanted])
        assert sum(cached(cache).values()) <= 2.5 * size
    assert set(cached(cache)) == {names[0], names[2]}
    np.testing.assert_array_equal(Cohort.open(url).read("ecg", rows), local.read("ecg", rows))


def test_a_shard_larger_than_the_bound_is_kept_alone(local, url, cache, monkeypatch):
    monkeypatch.setenv("CARDIOBIND_CACHE_GIB", "0.000001")
    rows = np.flatnonzero(local.has("ecg"))
    np.testing.assert_array_equal(Cohort.open(url).read("ecg", rows), local.read("ecg", rows))
    assert len(cached(cache)) == 1


def test_few_shards_are_open_at_once(url, monkeypatch):
    monkeypatch.setattr("cardiobind.cohort.store.REMOTE_MAPS", 2)
    far = Cohort.open(url)
    far.read("ecg", np.flatnonzero(far.has("ecg")))
    assert len(far._maps) == 2


def damage(place, change):
    with fsspec.open(place, "rb") as stream:
        data = bytearray(stream.read())
    with fsspec.open(place, "wb") as stream:
        stream.write(change(data))


def read_all(url):
    far = Cohort.open(url)
    return far.read("ecg", np.flatnonzero(far.has("ecg")))


def flip(data):
    data[len(data) // 2] ^= 1
    return bytes(data)


@pytest.mark.parametrize("change", [flip, lambda data: bytes(data[:-1]), lambda data: bytes(data) + b"x"])
@pytest.mark.parametrize("name", ["ecg/shard-00001.npy", "samples.parquet", "manifest.json"])
def test_a_wrong_byte_is_never_used(url, cache, name, change):
    damage(f"{url}/{name}", change)
    with pytest.raises(CorruptArtifactError, match=r"altered|not JSON"):
        read_all(url)
    assert not [f for f in cache.rglob("*") if ".partial-" in f.name]


def test_a_wrong_byte_in_the_cache_is_never_used(local, url, cache):
    rows = np.flatnonzero(local.has("ecg"))
    Cohort.open(url).read("ecg", rows)
    for file in [f for f in cache.rglob("*") if f.is_file() and not f.name.startswith(".")]:
        file.write_bytes(flip(bytearray(file.read_bytes())))
    far = Cohort.open(url)
    np.testing.assert_array_equal(far.read("ecg", rows), local.read("ecg", rows))
    assert far.table.equals(local.table)


def test_a_damaged_download_is_tried_again(local, url, monkeypatch):
    download, times = remote._download, []

    def first_time_wrong(where, to):
        download(where, to)
        times.append(where)
        if where.endswith(".npy") and times.count(where) == 1:
            to.write_bytes(flip(bytearray(to.read_bytes())))

    monkeypatch.setattr(remote, "_download", first_time_wrong)
    rows = np.flatnonzero(local.has("ecg"))
    np.testing.assert_array_equal(Cohort.open(url).read("ecg", rows), local.read("ecg", rows))


def test_a_shard_that_is_deleted_before_it_is_read_is_fetched_again(local, url, cache, monkeypatch):
    far, load, missed = Cohort.open(url), np.load, []

    def stolen(path, **options):
        if not missed:
            missed.append(path)
            path.unlink()
        return load(path, **options)

    monkeypatch.setattr(np, "load", stolen)
    rows = np.flatnonzero(local.has("ecg"))
    np.testing.assert_array_equal(far.read("ecg", rows), local.read("ecg", rows))
    assert missed


def test_places_that_cannot_be_read_say_so(tmp_path):
    with pytest.raises(ArtifactError, match="no artefact here"):
        Cohort.open("memory://nowhere/cohort")
    with pytest.raises(ConfigError, match="cannot be read"):
        Cohort.open("nonsense://bucket/cohort")


def test_a_bound_that_is_no_number_is_refused(url, monkeypatch):
    monkeypatch.setenv("CARDIOBIND_CACHE_GIB", "much")
    with pytest.raises(ConfigError, match="no number"):
        Cohort.open(url)


def test_it_can_be_sent_to_a_worker(url, local):
    far = Cohort.open(url)
    far.read("ecg", np.flatnonzero(far.has("ecg"))[:1])
    again = pickle.loads(pickle.dumps(far))  # noqa: S301
    rows = np.flatnonzero(local.has("ecg"))
    np.testing.assert_array_equal(again.read("ecg", rows), local.read("ecg", rows))


def _crowd(folder, files, seed):
    cache = ShardCache(folder, 3 * 1000)
    for i in range(60):
        name, content = files[(i * 7 + seed * 3) % len(files)]
        for _ in range(50):
            try:
                held = cache.get(name, 1000, lambda to, c=content: to.write_bytes(c), name).read_bytes()
            except FileNotFoundError:
                continue
            break
        if held != content:
            raise SystemExit(1)


def test_several_processes_share_a_cache(tmp_path):
    import hashlib

    contents = [bytes([i]) * 1000 for i in range(8)]
    files = [(hashlib.sha256(c).hexdigest(), c) for c in contents]
    context = multiprocessing.get_context("fork")
    crowd = [context.Process(target=_crowd, args=(tmp_path / "shards", files, seed)) for seed in range(3)]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()
    assert [process.exitcode for process in crowd] == [0, 0, 0]
    left = [f for f in (tmp_path / "shards").iterdir() if not f.name.startswith(".")]
    assert sum(f.stat().st_size for f in left) <= 3000
    assert all(hashlib.sha256(f.read_bytes()).hexdigest() == f.name for f in left)


class StoreError(Exception):
    """As of botocore: no OSError, with the answer of the server."""

    def __init__(self, status):
        super().__init__(f"an error occurred ({status})")
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status}}


class NoCredentialsError(Exception):
    pass


class HttpError(Exception):
    """As of gcsfs or azure."""

    def __init__(self, code):
        super().__init__("an error occurred")
        self.code = code


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StoreError(403), PermissionError), (StoreError(404), FileNotFoundError), (StoreError(503), OSError),
        (NoCredentialsError(), PermissionError), (HttpError("401"), PermissionError), (HttpError(None), OSError),
        (ValueError("connection reset"), OSError),
    ],
)  # fmt: skip
def test_errors_of_object_stores_are_those_of_a_disk(error, kind):
    found = remote.as_os_error(error)
    assert type(found) is kind
    assert type(error).__name__ in str(found)


@pytest.mark.parametrize(("times", "status", "passes"), [(2, 503, True), (9, 503, False), (1, 403, False)])
@pytest.mark.parametrize("name", ["manifest.json", "ecg/shard-00000.npy"])
def test_what_passes_by_itself_is_tried_again(local, url, monkeypatch, name, times, status, passes):
    system, tried = fsspec.filesystem("memory"), []
    get = type(system).get_file

    def get_file(self, place, target, **options):
        if place.endswith(name):
            tried.append(place)
            if len(tried) <= times:
                raise StoreError(status)
        return get(self, place, target, **options)

    monkeypatch.setattr(type(system), "get_file", get_file)
    monkeypatch.setattr("cardiobind.cohort.shard_cache.PAUSE_S", 0.0)
    if passes:
        assert len(read_all(url)) == int(local.has("ecg").sum())
        assert len(tried) == times + 1
    else:
        with pytest.raises(ArtifactError, match=r"cannot be (reached|fetched)[\s\S]*StoreError"):
            read_all(url)
        assert len(tried) == (3 if status == 503 else 1)
