#!/bin/sh
# Dump the database into FOLDER, under the day of the fortnight: fourteen dumps, the oldest replaced.
#   deploy/backup.sh FOLDER        from the folder of docker-compose.yml, by cron every night
# A dump that fails leaves the one before it in place, and this ends with an exit code other than 0.
set -eu

folder=${1:?"name the folder for the dumps"}
mkdir -p "$folder"
umask 077
file="$folder/presence-$(( $(date +%s) / 86400 % 14 )).dump"
docker compose exec -T postgres pg_dump --username=presence_owner --format=custom presence > "$file.new"
mv "$file.new" "$file"
