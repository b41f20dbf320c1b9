from django.db import migrations, models

from leaderboard.operations.schema_changes import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("standings", "0004_order_that_does_not_move")]

    operations = [
        AddIndexConcurrently(
            model_name="standing",
            index=models.Index(
                condition=models.Q(("superseded", False)),
                fields=["board", "track_version", "tier", "-over", "-merit", "submitted_at", "submission"],
                name="standing_in_order",
            ),
        ),
        migrations.RemoveIndex(model_name="standing", name="standing_page"),
    ]
