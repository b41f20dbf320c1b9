"""The order over many tracks as the server asks for it: players, ranks from six tracks on, scales, runs by seed."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from evaluators import across_tracks, registry
from evaluators.across_tracks import LEAST_TRACKS, answer, by_seed
from evaluators.aggregate import bradley_terry
from evaluators.columns import Columns
from evaluators.versions import track_version

NUMBER = iter(range(1, 10**6))


def entry(player, value, *, half=0.01, columns=None):
    interval = {"low": value - half, "high": value + half}
    return {"player": player, "evaluation": next(NUMBER), "value": value, **interval, "columns": columns}


def track(slug, scores, *, tests=(), one=1.0, direction="max"):
    """One track with these scores by player."""
    entries = [entry(player, value) for player, value in scores.items()]
    return {
        "slug": slug, "version": "v", "metric": "accuracy", "direction": direction, "one": one,
        "entries": entries, "tests": list(tests),
    }  # fmt: skip


def order(*tracks, families=None, runs=None):
    families = families or {"": [each["slug"] for each in tracks]}
    found = answer({"tracks": list(tracks), "families": families, "runs": runs or {}})
    return {family: {player["player"]: player for player in players} for family, players in found["families"].items()}


def season(count, scores):
    return [track(f"t{n}", scores) for n in range(count)]


SCORES = {"baseline": 0.5, "model:a": 0.8, "person:1": 0.9}


def test_wins_ties_and_losses_are_counted_over_all_tracks():
    found = order(track("t0", SCORES), track("t1", {**SCORES, "person:1": 0.8}))[""]
    assert {name: (each["wins"], each["ties"], each["losses"]) for name, each in found.items()} == {
        "person:1": (3, 1, 0), "model:a": (2, 1, 1), "baseline": (0, 0, 4)
    }  # fmt: skip
    assert {each["tracks"] for each in found.values()} == {2}


def test_where_less_is_better_the_smaller_value_wins():
    found = order(track("t0", {"baseline": 5.0, "model:a": 2.0}, direction="min", one=0.0))[""]
    assert found["model:a"]["wins"] == 1
    assert found["model:a"]["mean"] == pytest.approx(0.6)


def test_kept_tests_decide_over_intervals():
    tested = track("t0", {"baseline": 0.5, "model:a": 0.8}, tests=[[0, 1, -0.3, 0.6]])
    assert order(tested)[""]["model:a"]["ties"] == 1


@pytest.mark.parametrize("count", [1, 3, LEAST_TRACKS - 1])
def test_on_few_tracks_nobody_has_a_rank_or_an_interval_and_is_told_why(count):
    found = order(*season(count, SCORES))[""]
    for player in found.values():
        assert (player["rank"], player["low"], player["high"]) == (None, None, None)
        assert player["reason"].startswith(f"it stands on {count} of {count} track")
    assert found["person:1"]["strength"] > found["model:a"]["strength"] > found["baseline"]["strength"] == 0


def test_from_six_tracks_on_ranks_are_shared_where_intervals_touch():
    rng = np.random.default_rng(1)
    tracks = []
    for n in range(LEAST_TRACKS + 2):
        a, b = rng.permutation([0.8, 0.9])
        tracks.append(track(f"t{n}", {"baseline": 0.5, "model:a": a, "model:b": b, "model:weak": 0.3}))
    found = order(*tracks)[""]
    assert found["model:a"]["rank"] == found["model:b"]["rank"] == 1
    assert (found["baseline"]["rank"], found["model:weak"]["rank"]) == (3, 4)
    assert (found["model:a"]["rank_low"], found["model:a"]["rank_high"]) == (1, 2)
    assert found["model:a"]["low"] < found["model:a"]["strength"] < found["model:a"]["high"]
    assert (found["baseline"]["low"], found["baseline"]["high"]) == (0.0, 0.0)


def test_who_stands_on_too_few_tracks_comes_last_however_strong():
    tracks = season(LEAST_TRACKS, SCORES)
    tracks[0]["entries"].append(entry("person:2", 0.99))
    players = answer({"tracks": tracks, "families": {"": [each["slug"] for each in tracks]}, "runs": {}})["families"][""]
    assert [player["player"] for player in players] == ["person:1", "model:a", "baseline", "person:2"]
    assert players[-1]["reason"] == f"it stands on 1 of {LEAST_TRACKS} tracks; ranks begin at {LEAST_TRACKS}"


def test_strengths_are_bradley_terrys_whatever_the_order_of_players():
    tracks = [track("t0", SCORES), track("t1", {"baseline": 0.5, "person:1": 0.2})]
    found = order(*tracks)[""]
    wins, present = np.zeros((2, 3, 3), dtype=bool), np.array([[True, True, True], [True, False, True]])
    wins[0, 1, 0] = wins[0, 2, 0] = wins[0, 2, 1] = wins[1, 0, 2] = True
    expected = bradley_terry(wins, present, anchor=0, bootstraps=1).value
    assert [found[name]["strength"] for name in ("baseline", "model:a", "person:1")] == pytest.approx(expected.tolist())


def test_a_family_is_ordered_by_its_own_tracks():
    one, two = track("t0", SCORES), track("t1", {"baseline": 0.5, "person:1": 0.2})
    found = order(one, two, families={"": ["t0", "t1"], "x": ["t0"], "y": ["t1"]})
    assert found["x"]["person:1"]["losses"] == 0
    assert found["y"]["person:1"]["losses"] == 1
    assert "model:a" not in found["y"]


def test_a_track_without_its_baseline_counts_for_strengths_and_not_for_means():
    found = order(track("t0", {"model:a": 0.8, "person:1": 0.9}))[""]
    assert "baseline" not in found
    assert (found["person:1"]["wins"], found["person:1"]["mean"]) == (1, None)


@pytest.mark.parametrize("one", [None, 0.5])
def test_a_track_without_a_scale_has_no_mean(one):
    assert order(track("t0", SCORES, one=one))[""]["model:a"]["mean"] is None


def test_the_mean_of_the_baseline_is_zero_and_not_almost():
    tracks = [track("t0", {**SCORES, "baseline": 0.1 + 0.2})]
    runs = {str(tracks[0]["entries"][0]["evaluation"]): [0.1, 0.5, 0.3]}
    assert order(*tracks, runs=runs)[""]["baseline"]["mean"] == 0.0


def test_means_are_over_the_runs_of_all_tracks():
    tracks = season(2, SCORES)
    runs = {
        str(each["evaluation"]): [each["value"] - 0.1, each["value"] + 0.1]
        for part in tracks
        for each in part["entries"]
        if each["player"] == "model:a"
    }
    player = order(*tracks, runs=runs)[""]["model:a"]
    assert player["mean"] == pytest.approx(0.6)
    assert player["mean_low"] < 0.6 < player["mean_high"]
    alone = order(*tracks)[""]["model:a"]
    assert (alone["mean_low"], alone["mean_high"]) == (None, None)


def digits(seeds):
    """Columns of the digits track: each seed is right on another share of ten images."""
    unit = np.tile(np.arange(10), len(seeds))
    correct = np.concatenate([(np.arange(10) < right).astype(float) for right in seeds.values()])
    index = {"slice": np.full(len(unit), "0"), "seed": np.repeat(list(seeds), 10)}
    values = {"correct": correct, "nll": 1 - correct, "confidence": np.full(len(unit), 0.9)}
    return Columns(unit=unit, index=index, values=values, facts={"params": 1.0, "macs": 1.0, "train_s": 1.0})


def test_runs_by_seed_come_from_the_columns():
    reader = registry.get("digits-classification")(secret=b"x")
    assert by_seed(reader, digits({0: 5, 1: 7, 2: 9}), "accuracy") == pytest.approx([0.5, 0.7, 0.9])
    assert by_seed(reader, digits({0: 5}), "combined") == []


@pytest.mark.parametrize("fault", ["none", "missing file", "other version", "no file", "broken file", "unknown track"])
def test_columns_are_read_by_seed_and_the_one_value_is_taken_where_they_cannot(tmp_path, fault):
    path = tmp_path / "columns.npz"
    path.write_bytes(b"no columns" if fault == "broken file" else digits({0: 5, 1: 7}).to_bytes())
    asked = track("digits-classification", {})
    asked["version"] = track_version(registry.get("digits-classification")) if fault != "other version" else "0" * 64
    if fault == "unknown track":
        asked["slug"] = "letters"
    place = {"missing file": str(tmp_path / "nothing"), "no file": None}.get(fault, str(path))
    asked["entries"] = [entry("model:a", 0.6, columns=place)]
    number = str(asked["entries"][0]["evaluation"])
    found = answer({"tracks": [asked], "families": {"": [asked["slug"]]}, "runs": {}})
    assert found["runs"] == {number: [0.5, 0.7] if fault == "none" else [0.6]}


def test_the_process_answers_one_document_with_one():
    request = {"tracks": [track("t0", SCORES)], "families": {"": ["t0"]}, "runs": {}}
    command = [sys.executable, "-m", "evaluators.across_tracks"]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == answer(request)


def test_known_runs_are_not_read_again():
    asked = track("digits-classification", {"model:a": 0.6})
    number = str(asked["entries"][0]["evaluation"])
    found = answer({"tracks": [asked], "families": {"": []}, "runs": {number: [0.1, 0.2]}})
    assert found == {"families": {"": []}, "runs": {number: [0.1, 0.2]}}


def test_from_the_least_number_of_tracks_on_few_equals_have_somebody_ranked_above_them(monkeypatch):
    """Eight players of equal strength, over as many tracks as a rank needs: the share of them that has a rank beyond 1."""
    monkeypatch.setattr(across_tracks, "BOOTSTRAPS", 200)
    rng, wrong, repeats = np.random.default_rng(0), 0, 25
    for _ in range(repeats):
        tracks = [
            track(f"t{n}", {"baseline": -5.0, **{f"person:{i}": value for i, value in enumerate(rng.normal(0, 0.7, 8))}})
            for n in range(LEAST_TRACKS)
        ]
        for each in tracks:
            for one in each["entries"]:
                one["low"], one["high"] = one["value"] - 0.2, one["value"] + 0.2
        found = order(*tracks)[""]
        wrong += sum(found[f"person:{i}"]["rank"] > 1 for i in range(8))
    assert wrong / (8 * repeats) < 0.1
