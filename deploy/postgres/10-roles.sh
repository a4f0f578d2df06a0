#!/bin/sh
# Runs once, when the database is first made: one role for each service, each with a schema of its
# own, and one that may read reports and nothing else (Grafana).
set -eu

exec psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
  --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
  --set=ingest="$(cat /run/secrets/postgres_ingest_password)" \
  --set=alert="$(cat /run/secrets/postgres_alert_password)" \
  --set=reports="$(cat /run/secrets/postgres_reports_password)" \
  --file=/docker-entrypoint-initdb.d/roles.psql
