import os
import zipfile

import pytest

from pipeline.readers import glue
from pipeline.readers.glue import unpack_glue
from pipeline.stage import UNFINISHED, Outcome
from pipeline.tasks import TASKS, read_examples
from shards.errors import DataError

COLA = {
    "CoLA/train.tsv": "gj04\t1\t\tShe left.\ngj04\t0\t*\tLeft she the.\n",
    "CoLA/dev.tsv": "gj04\t1\t\tHe left.",
    "CoLA/test.tsv": "index\tsentence\n0\tThey left.\n",
}
MRPC_HEADER = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
MRPC = {
    "msr_paraphrase_train.txt": MRPC_HEADER
    + "1\t1\t2\tA .\tB .\n0\t3\t4\tC .\tD .\n0\t4\t3\tE\tF\n",
    "msr_paraphrase_test.txt": MRPC_HEADER + "1\t5\t6\tG .\tH .\n",
    "mrpc_dev_ids.tsv": "3\t4\n",
}


def write_zip(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def write_files(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


def all_files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_zip_deep_in_the_folder_is_unpacked(tmp_path):
    extra = {"CoLA/original/raw/in_domain_train.tsv": "x", "CoLA/README": "y"}
    write_zip(tmp_path / "from" / "glue" / "data" / "CoLA.zip", COLA | extra)
    manifest = unpack_glue(tmp_path / "from", tmp_path / "out").manifest
    assert all_files(tmp_path / "out") == {*COLA, "manifest.json"}
    for name, text in COLA.items():
        assert (tmp_path / "out" / name).read_text() == text
    assert manifest.stage == "glue"
    assert {name: record.rows for name, record in manifest.files.items()} == {
        "CoLA/train.tsv": 2,
        "CoLA/dev.tsv": 1,
        "CoLA/test.tsv": 1,
    }


def test_counts_name_what_is_partial_and_what_is_absent(tmp_path):
    write_zip(tmp_path / "from" / "CoLA.zip", COLA)
    counts = unpack_glue(tmp_path / "from", tmp_path / "out").manifest.counts
    assert counts["tasks"] == {
        "cola": {
            "train": {"rows": 2, "official": 8551, "partial": True, "skipped": 0},
            "dev": {"rows": 1, "official": 1043, "partial": True, "skipped": 0},
            "test": {"rows": 1, "official": 1063, "partial": True, "skipped": 0},
        }
    }
    assert set(counts["absent"]) == set(TASKS) - {"cola"}
    assert counts["absent"]["qqp"] == "no QQP-clean.zip and no folder QQP with a train.tsv"
    assert "mrpc_dev_ids.tsv" in counts["absent"]["mrpc"]


def test_an_unpacked_folder_gives_the_same_as_its_zip(tmp_path):
    write_zip(tmp_path / "zips" / "CoLA.zip", COLA)
    write_files(tmp_path / "folders", COLA)
    zipped = unpack_glue(tmp_path / "zips", tmp_path / "a").manifest
    unpacked = unpack_glue(tmp_path / "folders", tmp_path / "b").manifest
    assert zipped.fingerprint() == unpacked.fingerprint()
    assert set(unpacked.inputs) == {"cola/train.tsv", "cola/dev.tsv", "cola/test.tsv"}


def test_a_zip_is_taken_before_a_folder(tmp_path):
    write_files(tmp_path / "from", COLA)
    write_zip(tmp_path / "from" / "CoLA.zip", COLA)
    assert set(unpack_glue(tmp_path / "from", tmp_path / "out").manifest.inputs) == {
        "cola/CoLA.zip"
    }


def test_mrpc_is_divided_by_its_dev_ids(tmp_path):
    write_files(tmp_path / "from", MRPC)
    unpack_glue(tmp_path / "from", tmp_path / "out")
    firsts = {
        split: read_examples(TASKS["mrpc"], tmp_path / "out", split).first
        for split in ("train", "dev", "test")
    }
    assert firsts == {"train": ["A .", "E"], "dev": ["C ."], "test": ["G ."]}


def test_ax_is_a_single_file(tmp_path):
    write_files(tmp_path / "from", {"AX.tsv": "index\tsentence1\tsentence2\n0\tA.\tB."})
    unpack_glue(tmp_path / "from", tmp_path / "out")
    assert read_examples(TASKS["ax"], tmp_path / "out", "test").second == ["B."]


@pytest.mark.parametrize(
    "member", ["../CoLA/train.tsv", "/CoLA/train.tsv", "CoLA/../../train.tsv", "..\\train.tsv"]
)
def test_a_member_that_points_outside_is_refused(tmp_path, member):
    write_zip(tmp_path / "from" / "CoLA.zip", COLA | {member: "gj04\t1\t\tEvil.\n"})
    with pytest.raises(DataError, match="points outside"):
        unpack_glue(tmp_path / "from", tmp_path / "here" / "out")
    assert all_files(tmp_path) == {"from/CoLA.zip", f"here/out/{UNFINISHED}/manifest.json"}


def test_a_member_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(glue, "LARGEST_FILE", 30)
    write_zip(tmp_path / "from" / "CoLA.zip", COLA)
    with pytest.raises(DataError, match=r"CoLA/train\.tsv unpacks to more than 30 bytes"):
        unpack_glue(tmp_path / "from", tmp_path / "out")


def test_a_truncated_zip_is_named(tmp_path):
    path = write_zip(tmp_path / "from" / "CoLA.zip", COLA)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"CoLA\.zip.* is damaged"):
        unpack_glue(tmp_path / "from", tmp_path / "out")


def test_a_flipped_byte_inside_a_zip_is_named_and_leaves_no_manifest(tmp_path):
    path = write_zip(tmp_path / "from" / "CoLA.zip", COLA)
    content = bytearray(path.read_bytes())
    content[len("CoLA/train.tsv") + 30 + 5] ^= 0xFF  # in the first member's compressed bytes
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"CoLA\.zip.* is damaged"):
        unpack_glue(tmp_path / "from", tmp_path / "out")
    assert all_files(tmp_path / "out") == {f"{UNFINISHED}/manifest.json"}


def test_a_zip_without_its_dev_file_is_named(tmp_path):
    write_zip(tmp_path / "from" / "CoLA.zip", {"CoLA/train.tsv": COLA["CoLA/train.tsv"]})
    with pytest.raises(DataError, match=r"CoLA\.zip has no member CoLA/dev\.tsv"):
        unpack_glue(tmp_path / "from", tmp_path / "out")


def test_a_folder_without_its_dev_file_is_named(tmp_path):
    write_files(tmp_path / "from", {"CoLA/train.tsv": COLA["CoLA/train.tsv"]})
    with pytest.raises(DataError, match=r"CoLA has no dev\.tsv"):
        unpack_glue(tmp_path / "from", tmp_path / "out")


@pytest.mark.parametrize("name", ["", "missing"])
def test_a_folder_without_tasks_is_an_error(tmp_path, name):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match=r"no (GLUE task|folder)"):
        unpack_glue(tmp_path / name, tmp_path / "out")


def test_unpacking_again_does_nothing_and_a_damaged_file_is_made_again(tmp_path):
    write_zip(tmp_path / "from" / "CoLA.zip", COLA)
    out = tmp_path / "out"
    first = unpack_glue(tmp_path / "from", out).manifest
    before = (out / "CoLA" / "train.tsv").stat().st_mtime_ns
    assert unpack_glue(tmp_path / "from", out) == Outcome(first, was_finished=True)
    assert (out / "CoLA" / "train.tsv").stat().st_mtime_ns == before
    (out / "CoLA" / "train.tsv").write_text("")
    again = unpack_glue(tmp_path / "from", out).manifest
    assert again.fingerprint() == first.fingerprint()
    assert (out / "CoLA" / "train.tsv").read_text() == COLA["CoLA/train.tsv"]


def test_what_an_unfinished_unpacking_left_is_removed(tmp_path):
    write_files(tmp_path / "bad", {"RTE/train.tsv": "no RTE\n", "RTE/dev.tsv": "no RTE\n"})
    write_zip(tmp_path / "bad" / "CoLA.zip", COLA)
    out = tmp_path / "out"
    with pytest.raises(DataError, match="RTE"):
        unpack_glue(tmp_path / "bad", out)
    assert {"CoLA/test.tsv", "RTE/train.tsv"} <= all_files(out)
    trained = {name: text for name, text in COLA.items() if name != "CoLA/test.tsv"}
    write_zip(tmp_path / "good" / "CoLA.zip", trained)
    manifest = unpack_glue(tmp_path / "good", out).manifest
    assert set(manifest.files) == set(trained)
    assert all_files(out) == {*trained, "manifest.json"}


def test_files_that_were_not_unpacked_now_are_not_recorded(tmp_path):
    out = tmp_path / "out"
    write_files(out, {"CoLA/test.tsv": COLA["CoLA/test.tsv"], "RTE/dev.tsv": "mine"})
    trained = {name: text for name, text in COLA.items() if name != "CoLA/test.tsv"}
    write_zip(tmp_path / "from" / "CoLA.zip", trained)
    assert set(unpack_glue(tmp_path / "from", out).manifest.files) == set(trained)
    assert (out / "RTE" / "dev.tsv").read_text() == "mine"


def test_a_touched_zip_is_the_same_zip(tmp_path):
    path = write_zip(tmp_path / "from" / "CoLA.zip", COLA)
    first = unpack_glue(tmp_path / "from", tmp_path / "out").manifest
    os.utime(path, ns=(1, 1))
    assert unpack_glue(tmp_path / "from", tmp_path / "out") == Outcome(first, was_finished=True)


def test_another_source_into_the_same_folder_is_refused(tmp_path):
    write_zip(tmp_path / "a" / "CoLA.zip", COLA)
    write_zip(tmp_path / "b" / "CoLA.zip", COLA)
    write_files(tmp_path / "b", MRPC)
    unpack_glue(tmp_path / "a", tmp_path / "out")
    with pytest.raises(DataError, match="mrpc"):
        unpack_glue(tmp_path / "b", tmp_path / "out")


def test_the_output_is_not_taken_for_input(tmp_path):
    write_zip(tmp_path / "CoLA.zip", COLA)
    first = unpack_glue(tmp_path, tmp_path / "glue").manifest
    (tmp_path / "CoLA.zip").rename(tmp_path / "CoLA.txt")
    with pytest.raises(DataError, match="no GLUE task"):
        unpack_glue(tmp_path, tmp_path / "glue")
    assert set(first.inputs) == {"cola/CoLA.zip"}


def test_real_mrpc_has_408_dev_and_3668_train_rows(real_data, tmp_path):
    source = real_data / "mirror" / "dl.fbaipublicfiles.com"
    manifest = unpack_glue(source, tmp_path / "out").manifest
    assert manifest.files["MRPC/train.tsv"].rows == 3668
    assert manifest.files["MRPC/dev.tsv"].rows == 408
    assert manifest.counts["absent"] == {}
