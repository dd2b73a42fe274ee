"""How pages write times: to the second and with the zone, since all of them are UTC. Named by FORMAT_MODULE_PATH."""

DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = r"Y-m-d H:i:s \U\T\C"
