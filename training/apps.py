from django.apps import AppConfig
from django.db.models.signals import post_migrate


class TrainingConfig(AppConfig):
    name = "training"
    verbose_name = "Tasks and runs"

    def ready(self) -> None:
        from training.search_index import install

        post_migrate.connect(install, sender=self, dispatch_uid="training.search_index")
