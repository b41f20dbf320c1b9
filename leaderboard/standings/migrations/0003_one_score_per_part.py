"""Scores and paired tests are unique with their part, without it no more."""

from django.db import migrations, models

from leaderboard.operations.schema_changes import AddUniqueConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("standings", "0002_parts_of_a_test")]

    operations = [
        AddUniqueConcurrently(
            model_name="pairedtest",
            constraint=models.UniqueConstraint(
                fields=("first", "second", "metric", "part"), name="one_paired_test_per_pair_metric_and_part"
            ),
        ),
        AddUniqueConcurrently(
            model_name="score",
            constraint=models.UniqueConstraint(
                fields=("evaluation", "metric", "slice", "part"), name="one_score_per_metric_slice_and_part"
            ),
        ),
        migrations.RemoveConstraint(model_name="pairedtest", name="one_paired_test_per_pair_and_metric"),
        migrations.RemoveConstraint(model_name="score", name="one_score_per_metric_and_slice"),
    ]
