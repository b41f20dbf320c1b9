"""Routes of the pages."""

from __future__ import annotations

from django.urls import path

from leaderboard.web.views import account, boards, comparisons, overall, papers, submissions, submit, tradeoff, webhooks

urlpatterns = [
    path("", boards.home, name="home"),
    path("boards/<slug:slug>/", boards.board, name="board"),
    path("boards/<slug:slug>/tradeoff/", tradeoff.tradeoff, name="tradeoff"),
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
    path("account/tokens/revoke/", account.revoke_token, name="token-revoke"),
    path("account/webhooks/", webhooks.webhooks, name="webhooks"),
    path("account/webhooks/<uuid:pk>/ping/", webhooks.ping, name="webhook-ping"),
    path("account/webhooks/<uuid:pk>/remove/", webhooks.remove, name="webhook-remove"),
]
