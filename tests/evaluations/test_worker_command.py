"""What `manage.py worker` does with its options."""

import os

import pytest

from leaderboard.evaluations.management.commands.worker import default_concurrency


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_gpu_gets_one_process(device):
    assert default_concurrency(device) == 1


def test_the_cpu_gets_one_process_per_core():
    assert default_concurrency("cpu") == len(os.sched_getaffinity(0))
