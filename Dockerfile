# Two images, of nothing but one program each: the manager and the enforcer.
#
#   docker build --target manager  -t apptier/manager:dev .
#   docker build --target enforcer -t apptier/enforcer:dev .

# Give both by digest for an image that can be built again as it was, as a release does:
#
#   --build-arg GO_IMAGE=golang:1.26@sha256:... --build-arg RUNTIME=gcr.io/distroless/static:nonroot@sha256:...
#
# Renovate pins them here and keeps them current: docs/design/2026-11-26-images.md.
ARG GO_IMAGE=golang:1.26
ARG RUNTIME=gcr.io/distroless/static:nonroot

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath \
    -ldflags "-s -w -X github.com/apptier/apptier/internal/version.Version=${VERSION}" \
    -o /out/ ./cmd/manager ./cmd/enforcer

FROM ${RUNTIME} AS manager
COPY --from=build /out/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]

# Needs root and NET_ADMIN, which its DaemonSet gives it, and no program but itself: no shell, no nft.
FROM ${RUNTIME} AS enforcer
COPY --from=build /out/enforcer /enforcer
USER 0:0
ENTRYPOINT ["/enforcer"]
