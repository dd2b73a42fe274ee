from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "mlserver.accounts"
    label = "accounts"
    verbose_name = "Accounts and keys"
