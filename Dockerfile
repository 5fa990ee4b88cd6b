# Two images, of nothing but one program each: the manager and the enforcer.
#
#   docker build --target manager  -t apptier/manager:dev .
#   docker build --target enforcer -t apptier/enforcer:dev .

# Give Go's image by digest for an image that can be built again as it was: --build-arg GO_IMAGE=golang:1.26@sha256:...
# Renovate pins it here and keeps it current: docs/design/2026-11-26-images.md. "make release" makes the same images for
# several processors without a container engine.
ARG GO_IMAGE=golang:1.26

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath \
    -ldflags "-s -w -X github.com/apptier/apptier/internal/version.Version=${VERSION}" \
    -o /out/ ./cmd/manager ./cmd/enforcer

# The programs are linked statically, and need nothing else: no libraries, no authorities of certificates.
FROM scratch AS manager
COPY --from=build /out/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]

# Needs root and NET_ADMIN, which its DaemonSet gives it, and no program but itself: no shell, no nft.
FROM scratch AS enforcer
COPY --from=build /out/enforcer /enforcer
USER 0:0
ENTRYPOINT ["/enforcer"]
