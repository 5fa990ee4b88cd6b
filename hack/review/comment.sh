#!/bin/sh
# Shows the differences that review.sh wrote: in the summary of the run, and as one comment of the pull request, which
# is brought up to date when there is one.
#
#   COMMENT       the file
#   PULL_REQUEST  its number; empty for no comment
set -eu
: "${COMMENT:?say which file}" "${PULL_REQUEST:=}"

[ -s "$COMMENT" ] || exit 0 # it could not be compared, and the review has said so
[ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat "$COMMENT" >>"$GITHUB_STEP_SUMMARY"
[ -z "$PULL_REQUEST" ] || gh pr comment "$PULL_REQUEST" --body-file "$COMMENT" --edit-last --create-if-none
