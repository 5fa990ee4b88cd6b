#!/bin/sh
# Makes the release of a tag at GitHub, with the files of a folder and what the changelog says of the version.
#
#   VERSION  the tag
#   OUT      the folder that "make release" wrote
set -eu
: "${VERSION:?say which version}" "${OUT:?say which folder}"

notes=$(mktemp)
trap 'rm -f "$notes"' EXIT
awk -v heading="## [${VERSION#v}]" 'index($0, heading) == 1 { found = 1; next } /^## |^\[/ { found = 0 } found' CHANGELOG.md >"$notes"
grep -q . "$notes" || { echo "CHANGELOG.md says nothing of ${VERSION#v}" >&2; exit 1; }

prerelease=
case $VERSION in *-*) prerelease=--prerelease ;; esac
# Images are in the registry; names of files have no spaces.
# shellcheck disable=SC2046,SC2086
gh release create "$VERSION" --verify-tag $prerelease --title "$VERSION" --notes-file "$notes" \
	$(find "$OUT" -path "$OUT/images" -prune -o -type f -print | sort)
