"""All routes of the server."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

handler500 = "leaderboard.web.views.errors.server_error"

urlpatterns = [
    path("admin/login/", secure_admin_login(admin.site.login)),  # one door: its limits and second factor hold here too
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("api/", include("leaderboard.api.urls")),
    path("", include("leaderboard.operations.urls")),
    path("", include("leaderboard.web.urls")),
]
