"""Routes of the REST API. Paths are a contract."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path

from leaderboard.api.views import (
    account,
    base,
    boards,
    catalogue,
    claims,
    comparisons,
    documentation,
    files,
    hosting,
    overall,
    submissions,
    teams,
    tradeoff,
    webhooks,
)

app_name = "api"

version_1: list[URLPattern | URLResolver] = [
    path("tracks/", catalogue.TracksView.as_view(), name="tracks"),
    path("tracks/<slug:slug>/", catalogue.TrackView.as_view(), name="track"),
    path("reference-models/", catalogue.ReferenceModelsView.as_view(), name="reference-models"),
    path("reference-models/<slug:name>/", catalogue.ReferenceModelView.as_view(), name="reference-model"),
    path("boards/", boards.BoardsView.as_view(), name="boards"),
    path("boards/<slug:slug>/", boards.BoardView.as_view(), name="board"),
    path("boards/<slug:slug>/standings/", boards.StandingsView.as_view(), name="standings"),
    path("boards/<slug:slug>/tradeoff/", tradeoff.TradeoffView.as_view(), name="tradeoff"),
    path("boards/<slug:slug>/submissions/", boards.BoardSubmissionsView.as_view(), name="board-submissions"),
    path("boards/<slug:slug>/members/", hosting.MembersView.as_view(), name="board-members"),
    path("boards/<slug:slug>/members/<str:username>/", hosting.MemberView.as_view(), name="board-member"),
    path("boards/<slug:slug>/cohosts/", hosting.CohostsView.as_view(), name="board-cohosts"),
    path("boards/<slug:slug>/cohosts/<str:username>/", hosting.CohostView.as_view(), name="board-cohost"),
    path("boards/<slug:slug>/audit/", hosting.AuditView.as_view(), name="board-audit"),
    path("submissions/", submissions.SubmissionsView.as_view(), name="submissions"),
    path("submissions/<uuid:submission_id>/", submissions.SubmissionView.as_view(), name="submission"),
    path("submissions/<uuid:submission_id>/cancel/", submissions.CancelView.as_view(), name="cancel"),
    path("submissions/<uuid:submission_id>/evaluations/", submissions.EvaluationsView.as_view(), name="evaluations"),
    path("submissions/<uuid:submission_id>/claims/", claims.SubmissionClaimsView.as_view(), name="submission-claims"),
    path("submissions/<uuid:submission_id>/log/", files.LogView.as_view(), name="log"),
    path("submissions/<uuid:submission_id>/columns/", files.ColumnsView.as_view(), name="columns"),
    path("submissions/<uuid:submission_id>/artifact/", files.ArtifactView.as_view(), name="artifact"),
    path("compare/", comparisons.CompareView.as_view(), name="compare"),
    path("overall/", overall.OverallView.as_view(), name="overall"),
    path("papers/", claims.PapersView.as_view(), name="papers"),
    path("papers/<slug:paper_id>/", claims.PaperView.as_view(), name="paper"),
    path("claims/", claims.ClaimsView.as_view(), name="claims"),
    re_path(r"^claims/(?P<claim_id>[0-9]{1,15})/$", claims.ClaimView.as_view(), name="claim"),
    path("me/", account.MeView.as_view(), name="me"),
    path("teams/", teams.TeamsView.as_view(), name="teams"),
    path("teams/<slug:slug>/", teams.TeamView.as_view(), name="team"),
    path("teams/<slug:slug>/invitations/", teams.InvitationsView.as_view(), name="team-invitations"),
    path("teams/<slug:slug>/invitations/<str:username>/", teams.InvitationView.as_view(), name="team-invitation"),
    path("teams/<slug:slug>/members/<str:username>/", teams.MemberView.as_view(), name="team-member"),
    path("teams/<slug:slug>/accept/", teams.AcceptView.as_view(), name="team-accept"),
    path("teams/<slug:slug>/leave/", teams.LeaveView.as_view(), name="team-leave"),
    path("tokens/", account.TokensView.as_view(), name="tokens"),
    re_path(r"^tokens/(?P<token_id>[0-9a-f]{32})/$", account.TokenView.as_view(), name="token"),
    path("webhooks/", webhooks.WebhooksView.as_view(), name="webhooks"),
    path("webhooks/<uuid:webhook_id>/", webhooks.WebhookView.as_view(), name="webhook"),
    path("webhooks/<uuid:webhook_id>/ping/", webhooks.PingView.as_view(), name="webhook-ping"),
    path("schema/", documentation.SchemaView.as_view(), name="schema"),
    re_path(r"^.*$", base.NoSuchRoute.as_view(), name="nothing"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/", include(version_1)),
    path("docs/", documentation.explore, name="docs"),
    path("docs/problems", documentation.list_problems, name="problems"),
]
