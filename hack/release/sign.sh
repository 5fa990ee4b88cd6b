#!/bin/sh
# Signs a release with cosign: its checksums, and with them all of its files; each image by its digest; and, as attestations
# of each image, its provenance and what is in it. cosign asks who signs, or takes the identity that the workflow has.
#
#   OUT       the folder that "make release" wrote
#   REGISTRY  where "make release-push" pushed the images
set -eu
: "${OUT:?say which folder}" "${REGISTRY:?say which registry}"

predicate=$(mktemp)
trap 'rm -f "$predicate"' EXIT
jq .predicate "$OUT/provenance.intoto.json" >"$predicate"

cosign sign-blob --yes --bundle "$OUT/SHA256SUMS.sigstore.json" "$OUT/SHA256SUMS"
for image in manager enforcer; do
	digest=$(sed -n "s|.*image: \($REGISTRY/$image\):.*@|\1@|p" "$OUT/install.yaml" | head -n 1)
	[ -n "$digest" ] || { echo "$OUT/install.yaml has no image $REGISTRY/$image" >&2; exit 1; }
	cosign sign --yes "$digest"
	cosign attest --yes --type slsaprovenance1 --predicate "$predicate" "$digest"
	cosign attest --yes --type spdxjson --predicate "$OUT/sbom/${image}_linux_amd64.spdx.json" "$digest"
done
