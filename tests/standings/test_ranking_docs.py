"""The worked example of docs/ranking.md, recomputed."""

import math
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from evaluators.across_tracks import LEAST_TRACKS
from evaluators.aggregate import bradley_terry
from evaluators.comparison import mcnemar
from evaluators.ordering import HEAD, Entry, Paired, holm, rank
from evaluators.pairwise import signs
from evaluators.statistics import t_quantile, wilson
from evaluators.tradeoffs import hypervolume, pareto_front, removals
from leaderboard.standings.tradeoff import LOG_FROM_RATIO, MOST

TEXT = (Path(__file__).resolve().parent.parent.parent / "docs" / "ranking.md").read_text()
N = 400
WRONG = {
    "Ada": set(range(20)),
    "Ben": set(range(16)) | set(range(20, 30)),
    "Cleo": set(range(20)) | set(range(30, 50)),
    "Dan": set(range(30)) | set(range(50, 110)),
}


def table(first):
    """The cells of the table whose header starts with this word."""
    lines = TEXT.split(f"| {first} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def p_of(a, b):
    return mcnemar(len(WRONG[b] - WRONG[a]), len(WRONG[a] - WRONG[b]))


def short(p):
    return f"{p:.2g}"


def places(compare):
    entries = []
    for order, (name, wrong) in enumerate(WRONG.items()):
        share = 1 - len(wrong) / N
        entries.append(Entry(name, share, *wilson(share, N, quantile=t_quantile(math.inf)), order))
    return entries, rank(entries, direction="max", compare=compare)


def by_tests(a, b):
    return Paired((len(WRONG[b]) - len(WRONG[a])) / N, p_of(a, b))


def test_scores_intervals_and_ranks_are_as_written():
    entries, placed = places(by_tests)
    expected = [
        [
            entry.key,
            str(N - len(WRONG[entry.key])),
            f"{entry.value:.3f}",
            f"{entry.low:.3f} to {entry.high:.3f}",
            str(place.rank),
            str(place.rank) if place.rank_low == place.rank_high else f"{place.rank_low}\N{EN DASH}{place.rank_high}",
        ]
        for entry, place in zip(entries, placed, strict=True)
    ]
    assert table("submission") == expected


def test_pairs_are_as_written():
    assert table("pair") == [
        [f"{a}, {b}", str(len(WRONG[b] - WRONG[a])), str(len(WRONG[a] - WRONG[b])), short(p_of(a, b))]
        for a, b in combinations(WRONG, 2)
    ]


def test_corrected_p_values_are_as_written():
    of_cleo = [short(p) for p in holm([p_of("Cleo", other) for other in ("Ada", "Ben", "Dan")])]
    assert f"{of_cleo[0]} against Ada, {of_cleo[1]} against\n  Ben and {of_cleo[2]} against Dan" in TEXT
    of_ben = holm([p_of("Ben", other) for other in ("Ada", "Cleo", "Dan")])
    assert re.search(rf"correct it to {of_ben[1]:.3f}, just below 5 %", TEXT)
    assert of_ben[1] < 0.05


def test_intervals_alone_would_tie_the_first_three():
    assert [place.rank for place in places(None)[1]] == [1, 1, 1, 4]


def test_a_ben_that_could_not_be_told_from_cleo_would_be_sure_within_three():
    def weaker(a, b):
        return Paired(by_tests(a, b).difference, 0.03) if {a, b} == {"Ben", "Cleo"} else by_tests(a, b)

    ben = next(place for place in places(weaker)[1] if place.key == "Ben")
    assert (ben.rank_low, ben.rank_high) == (1, 3)


PARAMETERS = {"Ada": 200_000, "Ben": 20_000, "Cleo": 5_000, "Dan": 8_000}


def front():
    """bool [4], who can remove whom [4, 4], and values [4, 2] of parameters and accuracy."""
    shares = np.array([1 - len(wrong) / N for wrong in WRONG.values()])
    values = np.column_stack([np.array(list(PARAMETERS.values()), dtype=float), shares])
    p = np.array([[p_of(a, b) if a != b else np.nan for b in WRONG] for a in WRONG])
    nothing = np.full(4, np.nan)
    accuracy = signs(shares, nothing, nothing, direction="max", differences=np.subtract.outer(shares, shares), p_values=p)
    rule = {"directions": ("min", "max"), "significance": [None, accuracy]}
    return pareto_front(values, **rule), removals(values, **rule), values


def test_the_front_is_as_written():
    stays, removes, values = front()
    names = list(WRONG)
    expected = []
    for place, name in enumerate(names):
        removers = [other for i, other in enumerate(names) if removes[i, place] and stays[i]]
        verdict = "yes" if stays[place] else f"no: {', '.join(removers)}"
        expected.append([name, f"{PARAMETERS[name]:,}", f"{values[place, 1]:.3f}", verdict])
    found = TEXT.split("| submission | parameters |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in found] == expected


def test_the_hypervolume_is_as_written():
    stays, _, values = front()
    logs = np.column_stack([np.log10(values[:, 0]), values[:, 1]])
    worst, best = (logs[:, 0].max(), logs[:, 1].min()), (logs[:, 0].min(), logs[:, 1].max())
    volume = hypervolume(logs[stays], reference=worst, directions=("min", "max"))
    share = volume / ((worst[0] - best[0]) * (best[1] - worst[1]))
    assert f"Here it is {volume:.3f}, or {100 * share:.0f} % of the" in TEXT
    assert values[:, 0].max() / values[:, 0].min() >= LOG_FROM_RATIO


def test_strengths_against_the_baseline_are_as_written():
    for tracks in (1, 3, 6):
        wins = np.zeros((tracks, 2, 2), dtype=bool)
        wins[:, 1, 0] = True
        strength = bradley_terry(wins, np.ones((tracks, 2), dtype=bool), anchor=0, bootstraps=1).value[1]
        assert f"| {tracks} | {strength:.2f} |" in TEXT


def test_luck_over_tracks_is_as_written():
    assert LEAST_TRACKS == 6
    assert f"{2 / 2**5:.0%}".replace("%", " %") in TEXT
    assert f"with six in {2 / 2**6:.0%}".replace("%", " %") in TEXT


@pytest.mark.parametrize("words", [f"best {MOST} rows", f"best {HEAD}", "wider by a\n   quarter"])
def test_the_constants_are_those_of_the_code(words):
    assert words in TEXT
