import torch

from train.available import Available, available_memory, read_available

MEMINFO = "MemTotal:       2000 kB\nMemFree:         100 kB\nMemAvailable:   1500 kB\n"


def test_memory_is_what_the_system_says(tmp_path):
    assert read_available(MEMINFO, tmp_path) == Available(1_536_000, 2_048_000)


def test_a_container_may_take_less(tmp_path):
    (tmp_path / "memory.current").write_text("300000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert read_available(MEMINFO, tmp_path) == Available(1_536_000, 2_048_000)
    (tmp_path / "memory.max").write_text("1000000\n")
    assert read_available(MEMINFO, tmp_path) == Available(700_000, 1_000_000)


def test_this_machine_has_some_memory():
    found = available_memory(torch.device("cpu"))
    assert found is None or 0 < found.free <= found.total
