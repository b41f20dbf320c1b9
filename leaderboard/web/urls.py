"""Routes of the pages."""

from __future__ import annotations

from django.urls import path

from leaderboard.web.views import (
    account,
    boards,
    comparisons,
    hosting,
    leaving,
    overall,
    papers,
    submissions,
    submit,
    teams,
    tradeoff,
    webhooks,
)

urlpatterns = [
    path("", boards.home, name="home"),
    path("boards/new/", hosting.new_board, name="board-new"),
    path("boards/<slug:slug>/", boards.board, name="board"),
    path("boards/<slug:slug>/tradeoff/", tradeoff.tradeoff, name="tradeoff"),
    path("boards/<slug:slug>/rules/", hosting.rules, name="board-rules"),
    path("boards/<slug:slug>/people/", hosting.people, name="board-people"),
    path("boards/<slug:slug>/people/add/", hosting.add_person, name="board-person-add"),
    path("boards/<slug:slug>/people/remove/", hosting.remove_person, name="board-person-remove"),
    path("boards/<slug:slug>/claims/", hosting.claims, name="board-claims"),
    path("boards/<slug:slug>/claims/<int:claim_id>/remove/", hosting.remove_claim, name="board-claim-remove"),
    path("boards/<slug:slug>/audit/", hosting.audit, name="board-audit"),
    path("hosting/", hosting.hosted, name="hosting"),
    path("teams/", teams.mine, name="teams"),
    path("teams/<slug:slug>/", teams.team, name="team"),
    *(path(f"teams/<slug:slug>/{what}/", teams.change, {"what": what}, name=f"team-{what}") for what in teams.CHANGES),
    path("boards/<slug:slug>/submit/", submit.submit, name="submit"),
    path("overall/", overall.overall, name="overall"),
    path("papers/", papers.papers, name="papers"),
    path("papers/<slug:paper_id>/", papers.paper, name="paper"),
    path("submissions/", submissions.mine, name="my-submissions"),
    path("submissions/<uuid:pk>/", submissions.submission, name="submission"),
    path("submissions/<uuid:pk>/live/", submissions.live, name="submission-live"),
    path("submissions/<uuid:pk>/cancel/", submissions.cancel, name="submission-cancel"),
    path("submissions/<uuid:pk>/withdraw/", submissions.withdraw, name="submission-withdraw"),
    path("submissions/<uuid:pk>/again/", submissions.again, name="submission-again"),
    path("compare/", comparisons.comparison, name="compare"),
    path("account/", account.account, name="account"),
    path("account/delete/", leaving.delete, name="account-delete"),
    path("account/data/", leaving.data, name="account-data"),
    path("account/tokens/revoke/", account.revoke_token, name="token-revoke"),
    path("account/webhooks/", webhooks.webhooks, name="webhooks"),
    path("account/webhooks/<uuid:pk>/ping/", webhooks.ping, name="webhook-ping"),
    path("account/webhooks/<uuid:pk>/remove/", webhooks.remove, name="webhook-remove"),
]
