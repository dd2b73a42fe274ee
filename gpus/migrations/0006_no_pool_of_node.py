from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('gpus', '0005_pools'),
    ]

    operations = [
        migrations.RemoveField(
            model_name='node',
            name='pool',
        ),
    ]
