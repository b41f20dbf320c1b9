"""The order over all tracks in words. Pure. Called by `overall`."""

from __future__ import annotations

from evaluators.across_tracks import LEAST_TRACKS
from leaderboard.standings.overall_inputs import MOST_COMPETITORS

PLAYERS = (
    "Players are the reference models, each by its default config, and the competitors, each by the best submission on every "
    f"track; on each track the best {MOST_COMPETITORS} competitors take part. The first baseline that a track names stands on "
    "all tracks as one player, Baseline."
)
WINS = (
    "On a track a player wins against whoever is significantly worse there, by the tests that rank its board; all others tie. "
    "Each track has weight 1, however many stand on it."
)
STRENGTH = (
    "Strength is the natural logarithm of the odds to win against Baseline, whose strength is 0 (Bradley and Terry, with "
    "Davidson's ties). Its 95 % interval comes from drawing the tracks anew."
)
MEAN = (
    "The mean is over the middle half of all scores by track and training seed, where 0 is the baseline's score and 1 the "
    "bound of the metric (where it has none, the best reference model's score). Its 95 % interval is over seeds: it says "
    "nothing of other tracks."
)
RANK = (
    f"Strengths have an interval, and players a rank, from {LEAST_TRACKS} tracks on: with fewer, winning on all of them may "
    "well be luck. A rank is 1 + the number of players whose interval lies wholly above, both made wider by a quarter."
)


def rule_of(tracks: int) -> list[str]:
    """The rule as sentences, for a number of tracks."""
    sentences = [PLAYERS, WINS, STRENGTH, MEAN, RANK]
    if not tracks or tracks >= LEAST_TRACKS:
        return sentences
    counted = "There is 1 track" if tracks == 1 else f"There are {tracks} tracks"
    unranked = "the rows stand by how many tracks they are on, then by strength, which is no ranking."
    return [*sentences, f"{counted} here today, so nobody is ranked: {unranked}"]
