"""Folders of killed owners are removed by the next one; those of living owners never."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from evaluators.runtime.owned_folder import OwnedFolder

OWNER = """
import sys
from pathlib import Path
from evaluators.runtime.owned_folder import OwnedFolder
folder = OwnedFolder(Path(sys.argv[1]))
Path(folder.name, "file").touch()
print(folder.name, flush=True)
sys.stdin.read()
"""


def test_the_folder_of_a_killed_owner_is_removed_and_that_of_a_living_one_is_not(tmp_path):
    owners = [
        subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    living, dead = (Path(owner.stdout.readline().strip()) for owner in owners)
    owners[1].kill()
    owners[1].wait()
    mine = OwnedFolder(tmp_path)
    assert set(tmp_path.iterdir()) == {living, Path(mine.name)}
    owners[0].communicate()
    mine.cleanup()
    mine.cleanup()
    assert not dead.exists()


def test_owners_that_start_at_once_take_nothing_from_each_other(tmp_path):
    made = []
    threads = [threading.Thread(target=lambda: made.append(OwnedFolder(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(Path(each.name) for each in made) == sorted(tmp_path.iterdir())
    for each in made:
        each.cleanup()
    assert list(tmp_path.iterdir()) == []
