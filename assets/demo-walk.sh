#!/bin/sh
# The main job without a terminal: bring the world up, see prod is bad, roll it back, read the journal, take the world down.
set -eu
INFRACONSOLE_WORLD_DIR=$(mktemp -d)
export INFRACONSOLE_WORLD_DIR
trap 'infraconsole demo down; rm -rf "$INFRACONSOLE_WORLD_DIR"' EXIT
trap 'exit 4' INT TERM

infraconsole demo up --scenario bad-image --factor 20
eval "$(infraconsole demo env)"
infraconsole run ecs-rollback --service fileflow --env prod \
    --set reason="prod answers 503 since the last deploy" --answer type-target=fileflow-prod
infraconsole journal
infraconsole journal verify
