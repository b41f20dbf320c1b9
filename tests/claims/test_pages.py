"""The ledger for readers: pages and API, and what visitors may not see."""

from __future__ import annotations

import html
import re
import subprocess
import sys

import pytest

from evaluators.claim_catalogue import source_text
from evaluators.versions import model_hash
from leaderboard.boards.models import Board, ReferenceModel
from leaderboard.claims import judging, trials
from leaderboard.claims.models import Claim, Trial
from leaderboard.evaluations import lifecycle
from leaderboard.submissions import intake
from leaderboard.submissions.models import Submission
from leaderboard.web.highlight import highlighted
from reference_models import registry
from tests.claims.conftest import result
from tests.services import ROOT


@pytest.fixture
def judged(nin, finish, board) -> Claim:
    finish("nin", 0.95)
    finish("plain-cnn", 0.75)
    judging.judge_board(board)
    return Claim.objects.select_related("verdict").get(pk=nin.pk)


@pytest.fixture
def hidden(judged, user) -> Claim:
    """A claim on a private board of `user`."""
    board = Board.objects.create(
        slug="secret", track=judged.board.track, title="Secret", host=user, visibility="private", entry="members"
    )
    return Claim.objects.create(board=board, statement="Whispered.", check_text="accuracy(nin) >= 0.5")


def test_all_papers_are_listed_a_page_at_a_time(judged, client):
    text = client.get("/papers/").content.decode()
    assert "381 papers" in text
    assert text.count('scope="row"') == 100
    assert 'rel="next"' in text


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("search=deeply+SUPERVISED", "1 paper"),
        ("search=003-143", "1 paper"),
        ("search=nosuchpaperanywhere", None),
        ("verdict=holds", "1 paper"),
        ("verdict=does+not+hold", None),
        ("family=image_classification&verdict=holds", "1 paper"),
        ("status=ready&verdict=holds", "1 paper"),
        ("status=planned&verdict=holds", None),
        ("family=graph_nodes&verdict=holds", None),
        ("search=%00", "381 papers"),
    ],
)
def test_papers_are_found_by_words_family_status_and_verdict(judged, client, query, count):
    text = client.get(f"/papers/?{query}").content.decode()
    if count is None:
        assert "No paper matches" in text
    else:
        assert f">{count}<" in text


@pytest.mark.parametrize(("query", "told"), [("verdict=maybe", "it may be holds"), ("status=lost", "it may be ready")])
def test_a_choice_that_there_is_not_is_refused(judged, client, query, told):
    response = client.get(f"/papers/?{query}")
    assert response.status_code == 400
    assert told in response.content.decode()


def test_a_paper_shows_claim_verdict_evidence_and_where_to_look(judged, client):
    text = client.get("/papers/003-143/").content.decode()
    assert '<h2 id="verdict-title">Holds</h2>' in text
    assert judged.statement in text
    assert "clause-picture" in text
    assert "reference_models/image_classification/nin.py" in text
    assert f"/api/v1/claims/{judged.pk}/" in text
    for evaluation in judged.verdict.evaluations.values():
        from leaderboard.evaluations.models import Evaluation

        assert f"/submissions/{Evaluation.objects.get(pk=evaluation).submission_id}/" in text


@pytest.mark.parametrize(
    ("paper", "told"),
    [
        ("000-001", "not checked yet"),
        ("000-011", "Nothing of it can be measured"),
        ("004-025", "stands twice"),
        ("003-127", "has no result"),
    ],
)
def test_a_paper_without_a_verdict_says_why(judged, client, paper, told):
    assert told in client.get(f"/papers/{paper}/").content.decode()


def test_a_paper_that_is_none_is_not_found(judged, client):
    assert client.get("/papers/999-999/").status_code == 404


def test_a_board_shows_the_claims_that_stand_on_it(judged, client, board, graph_board):
    text = client.get(f"/boards/{board.slug}/").content.decode()
    assert judged.statement in text
    assert "clause-picture" in text
    assert judged.statement not in client.get(f"/boards/{graph_board.slug}/").content.decode()


def test_what_the_host_claims_stands_before_what_papers_claim(judged, client, board):
    Claim.objects.create(board=board, statement="Said last, by the host.", check_text="accuracy(nin) >= 0.5")
    text = client.get(f"/boards/{board.slug}/").content.decode()
    assert 0 < text.index("Said last, by the host.") < text.index(judged.statement)


def test_lists_cost_the_same_however_many_rows(judged, client, django_assert_max_num_queries):
    with django_assert_max_num_queries(9):
        client.get("/papers/")
    with django_assert_max_num_queries(4):
        client.get("/api/v1/papers/?page_size=200")
    with django_assert_max_num_queries(3):
        client.get("/api/v1/claims/")


def test_a_host_writes_a_claim_is_told_what_is_wrong_with_it_and_finds_its_verdict(judged, board, user, client):
    board.host = user
    board.save()
    client.force_login(user)
    path = f"/boards/{board.slug}/claims/"
    page = client.post(path, {"statement": "Ours.", "check_text": "acuracy(nin) >= 0.5"}).content.decode()
    assert "did you mean “accuracy”?" in page
    assert client.post(path, {"statement": "Ours.", "check_text": "accuracy(nin) >= 0.5"}).status_code == 302
    claim = Claim.objects.get(statement="Ours.")
    assert f'href="/claims/{claim.pk}/"' in client.get(path).content.decode()
    assert "There is no verdict yet" in client.get(f"/claims/{claim.pk}/").content.decode()
    judging.judge_board(board)
    assert "There is no verdict yet" not in client.get(f"/claims/{claim.pk}/").content.decode()
    assert "verdict-holds" in client.get(path).content.decode()


def test_the_administration_lists_claims_with_their_verdicts(judged, staff, client):
    client.force_login(staff)
    page = client.get("/admin/claims/claim/").content.decode()
    assert judged.statement in page
    assert '<td class="field-newest_verdict">holds</td>' in page


# --- API


def test_a_claim_carries_its_verdict_and_what_it_rests_on(judged, client):
    claim = client.get(f"/api/v1/claims/{judged.pk}/").json()
    assert claim["verdict"] == "holds"
    assert claim["ci_low"] > 0
    assert {each["entrant"] for each in claim["evaluations"]} == {"nin", "plain-cnn"}
    assert claim["history"][0]["verdict"] == "holds"
    assert claim["clauses"][0]["values"][0]["text"] == "accuracy(nin)"
    assert client.get(claim["evaluations"][0]["submission"]).status_code == 200


def test_a_claim_without_a_verdict_has_nulls(claims, client):
    claim = client.get(f"/api/v1/claims/{claims['003-127'].pk}/").json()
    assert (claim["verdict"], claim["effect"], claim["clauses"], claim["evaluations"]) == ("not yet evaluated", None, [], [])


def test_papers_carry_their_verdicts(judged, client):
    paper = client.get("/api/v1/papers/003-143/").json()
    assert (paper["verdict"], paper["claim"]["id"], paper["status"]) == ("holds", judged.pk, "ready")
    assert client.get("/api/v1/papers/004-025/").json()["verdict"] is None
    (found,) = client.get("/api/v1/papers/?verdict=holds").json()["results"]
    assert (found["id"], found["claim"]) == ("003-143", judged.pk)
    assert client.get("/api/v1/papers/?search=supervised+nets").json()["results"][0]["id"] == "003-127"


@pytest.mark.parametrize("path", ["claims/999/", f"claims/{'9' * 15}/", f"claims/{'9' * 22}/", "papers/nothing/"])
def test_what_is_not_there_is_a_problem(judged, client, path):
    response = client.get(f"/api/v1/{path}")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("query", ["claims/?verdict=maybe", "papers/?status=lost", "papers/?verdct=holds", "claims/?verdict="])
def test_a_wrong_query_is_refused(judged, client, query):
    assert client.get(f"/api/v1/{query}").status_code == 400


def test_claims_of_hidden_boards_are_seen_by_those_who_see_the_board(hidden, client, user):
    def seen() -> tuple[bool, int]:
        listed = hidden.statement in client.get("/api/v1/claims/").content.decode()
        return listed, client.get(f"/api/v1/claims/{hidden.pk}/").status_code

    assert seen() == (False, 404)
    client.force_login(user)
    assert seen() == (True, 200)


def test_the_server_loads_no_numerical_library_for_the_ledger():
    heavy = "torch", "scipy", "sklearn", "onnx"
    code = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'leaderboard.settings'; import django; django.setup(); "
        "from leaderboard.claims import catalogue, judging, ledger, reading, submitting; "
        "from leaderboard.web.views import papers; from leaderboard.api.views import claims; "
        "catalogue.catalogue(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(heavy) & set(done.stdout.split())


# --- submissions before claims


@pytest.fixture
def challenger(judged, board, user):
    """A submission of `user` that is far better than nin, judged."""
    Claim.objects.exclude(pk=judged.pk).update(available=False)
    receipt = intake.submit(user=user, board=board, name="My <b>net", kind="config", model="logistic", config={})
    evaluation = receipt.evaluation
    lease = lifecycle.claim(evaluation.pk, worker="tests", pool=evaluation.pool)
    assert lifecycle.succeed(lease, result(board, 0.999), key=evaluation.key)
    trials.judge_some(board)
    return receipt.submission


def test_a_submission_says_which_claims_it_overturns_and_the_claim_by_whom(challenger, judged, client):
    text = client.get(f"/submissions/{challenger.pk}/").content.decode()
    assert "Overturned" in text
    assert "against the one that it puts first; without it: holds" in text
    assert "clause-picture" in text
    paper = client.get("/papers/003-143/").content.decode()
    assert "Submissions that overturn it" in paper
    assert f"/submissions/{challenger.pk}/" in paper
    assert "My &lt;b&gt;net" in paper
    assert "up to one in 40 stands here by chance" in paper


def test_the_same_in_the_api(challenger, judged, client):
    trial = client.get(f"/api/v1/submissions/{challenger.pk}/claims/").json()
    (outcome,) = trial["outcomes"]
    assert (trial["due"], outcome["claim"], outcome["overturns"], outcome["instead_of"]) == (False, judged.pk, True, "")
    assert (outcome["verdict"], outcome["verdict_with"]) == ("holds", "does not hold")
    assert outcome["ci_low"] < outcome["effect"] < outcome["ci_high"] < 0
    assert outcome["clauses"][0]["text"] == f"accuracy(nin) >= accuracy(#{challenger.pk})"
    assert client.get(f"/api/v1/claims/{judged.pk}/").json()["overturned_by"] == [str(challenger.pk)]


def test_a_private_submission_is_not_named_among_those_that_overturn_a_claim(challenger, judged, client, user):
    Submission.objects.filter(pk=challenger.pk).update(visibility="private")
    assert client.get(f"/api/v1/claims/{judged.pk}/").json()["overturned_by"] == []
    assert str(challenger.pk) not in client.get("/papers/003-143/").content.decode()
    client.force_login(user)
    assert str(challenger.pk) in client.get("/papers/003-143/").content.decode()


def test_a_result_that_waits_for_its_turn_is_followed(challenger, judged, client):
    Trial.objects.all().delete()
    path = f"/submissions/{challenger.pk}/claims/"
    assert 'hx-trigger="every 3s"' in client.get(f"/submissions/{challenger.pk}/").content.decode()
    assert "that takes seconds" in client.get(path).content.decode()
    trials.judge_some(challenger.board)
    text = client.get(path).content.decode()
    assert "Overturned" in text
    assert "hx-trigger" not in text


def test_a_board_that_hides_results_tells_nothing_of_claims(challenger, judged, board, client):
    Board.objects.filter(pk=board.pk).update(shows="own")
    assert client.get(f"/api/v1/submissions/{challenger.pk}/claims/").json() == {
        "due": False,
        "judged_at": None,
        "outcomes": [],
    }
    Trial.objects.all().delete()
    assert trials.judge_some(Board.objects.get(pk=board.pk)) == 0
    assert not Trial.objects.exists()


def test_a_claim_of_a_host_has_a_page_with_names_instead_of_ids(challenger, board, client):
    claim = Claim.objects.create(
        board=board, statement="Ours is the best.", check_text=f"accuracy(#{challenger.pk}) >= accuracy(nin)"
    )
    judging.judge_board(board)
    text = client.get(f"/claims/{claim.pk}/").content.decode()
    assert "accuracy(“My &lt;b&gt;net” by ada) &gt;= accuracy(nin)" in text
    assert "Holds" in text
    assert f"(#{challenger.pk})" not in text
    assert f"/claims/{claim.pk}/" in client.get(f"/boards/{board.slug}/").content.decode()


def test_the_claim_of_a_paper_stands_on_the_papers_page(judged, hidden, client):
    assert client.get(f"/claims/{judged.pk}/").headers["Location"] == "/papers/003-143/"
    assert client.get(f"/claims/{hidden.pk}/").status_code == 404
    assert client.get("/claims/999999/").status_code == 404


# --- reference models


def test_a_model_shows_settings_standings_claims_and_its_source(judged, client):
    ReferenceModel.objects.filter(name="nin").update(source_hash=model_hash("nin"))
    text = client.get("/models/nin/").content.decode()
    for shown in ("learning_rate", judged.statement, "reference_models/image_classification/nin.py", 'class="code-keyword"'):
        assert shown in text
    assert f'<a href="/boards/{judged.board.slug}/">' in text
    response = client.get("/models/nin/source/")
    assert response.content.decode() == (ROOT / "reference_models/image_classification/nin.py").read_text()
    assert response["Content-Disposition"] == 'attachment; filename="nin.py"'
    assert client.get("/api/v1/reference-models/nin/").json()["source_url"].endswith("/models/nin/source/")


def test_a_source_that_is_not_what_was_evaluated_is_not_shown(judged, client):
    """The rows of the tests carry hashes of their own."""
    text = client.get("/models/nin/").content.decode()
    assert "has changed since" in text
    assert "code-keyword" not in text
    assert client.get("/models/nin/source/").status_code == 409


def test_a_model_that_is_not_installed_any_more_has_a_page_without_source(judged, client):
    ReferenceModel.objects.filter(name="nin").update(name="gone")
    ReferenceModel.objects.filter(name="gone").update(available=False)
    assert "not installed" in client.get("/models/gone/").content.decode()
    assert client.get("/models/gone/source/").status_code == 404


@pytest.mark.parametrize("name", ["nothing", "..", "..%2f..%2fetc%2fpasswd", "papers.csv", "nin.py", "%00"])
def test_no_other_file_is_ever_read(judged, client, name):
    assert client.get(f"/models/{name}/").status_code == 404
    assert client.get(f"/models/{name}/source/").status_code == 404


def test_standings_on_hidden_boards_are_not_shown(judged, client, staff):
    Board.objects.filter(pk=judged.board_id).update(visibility="private")
    assert f"/boards/{judged.board.slug}/" not in client.get("/models/nin/").content.decode()
    client.force_login(staff)
    assert f"/boards/{judged.board.slug}/" in client.get("/models/nin/").content.decode()


@pytest.mark.parametrize("name", sorted(registry.MODELS))
def test_highlighting_changes_no_character(name):
    source = source_text(name)
    assert html.unescape(re.sub(r"</?span[^>]*>", "", highlighted(source))) == source


@pytest.mark.parametrize("source", ["", "x", "'''open", "def f(:\n  <script>", "a\n\tb\n  c", "\x00"])
def test_highlighting_escapes_what_is_no_python(source):
    assert html.unescape(re.sub(r"</?span[^>]*>", "", highlighted(source))) == source
    assert "<script" not in highlighted(source)
