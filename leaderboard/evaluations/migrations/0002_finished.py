from django.db import migrations, models

from leaderboard.operations.schema_changes import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("evaluations", "0001_initial")]

    operations = [
        AddIndexConcurrently(
            model_name="evaluation",
            index=models.Index(
                condition=models.Q(finished_at__isnull=False), fields=["finished_at"], name="evaluation_finished"
            ),
        ),
    ]
