from django.apps import AppConfig


class MlserverConfig(AppConfig):
    name = "mlserver"

    def ready(self) -> None:
        from mlserver import checks  # noqa: F401  registers the start-up checks
