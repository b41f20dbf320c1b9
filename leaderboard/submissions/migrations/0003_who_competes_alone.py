"""Everybody who has submitted before there were teams competes alone where they did."""

from django.db import migrations


def bind(apps, schema_editor):
    Submission = apps.get_model("submissions", "Submission")
    Participation = apps.get_model("boards", "Participation")
    using = schema_editor.connection.alias
    sent = (
        Submission.objects.using(using).filter(user__is_system=False).order_by().values_list("board_id", "user_id").distinct()
    )
    rows = [Participation(board_id=board, user_id=user) for board, user in sent]
    Participation.objects.using(using).bulk_create(rows, ignore_conflicts=True, batch_size=1000)


class Migration(migrations.Migration):
    dependencies = [("submissions", "0002_of_teams"), ("boards", "0003_teams_and_cohosts")]

    operations = [migrations.RunPython(bind, migrations.RunPython.noop)]
