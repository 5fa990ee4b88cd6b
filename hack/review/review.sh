#!/bin/sh
# Reviews the manifests of a branch: what is wrong with them, whether who may reach whom is as written down, and which
# connections the branch opens and closes. The action of this repository runs it, and any other CI system can.
#
#   MANIFESTS  the file or directory to review; a directory with a kustomization is built
#   CASES      a file or directory of kind ConnectionTest; empty for none
#   BASE       the revision to compare with, such as origin/main; empty for none
#   FAIL_ON    opened, closed or any: which differences fail; empty for none
#   FORMAT     github for annotations, or text (the default)
#   COMMENT    the file that the differences are written to, as Markdown
#
# It says everything before it fails, with 1 for findings and 2 for what cannot be read.
set -u
: "${MANIFESTS:?say what to review}" "${CASES:=}" "${BASE:=}" "${FAIL_ON:=}" "${FORMAT:=text}" "${COMMENT:=/dev/stdout}"

worst=0
noted() {
	"$@"
	code=$?
	[ "$code" -le "$worst" ] || worst=$code
}

from=-f
for recipe in kustomization.yaml kustomization.yml Kustomization; do
	[ ! -e "$MANIFESTS/$recipe" ] || from=-k
done
recursive=
[ "$from" = -k ] || recursive=-R

# shellcheck disable=SC2086 # no flag is no argument
noted kubectl-apptier lint "$from" "$MANIFESTS" $recursive -o "$FORMAT"
if [ -n "$CASES" ]; then
	# shellcheck disable=SC2086
	noted kubectl-apptier test -f "$CASES" "$from" "$MANIFESTS" $recursive -o "$FORMAT"
fi
if [ -n "$BASE" ]; then
	old=git:$BASE:$MANIFESTS
	if ! git cat-file -e "$BASE:./$MANIFESTS" 2>/dev/null; then
		old=/dev/null # they are new
	fi
	noted kubectl-apptier diff "$old" "$MANIFESTS" -o md ${FAIL_ON:+--fail-on "$FAIL_ON"} >"$COMMENT"
fi
exit "$worst"
