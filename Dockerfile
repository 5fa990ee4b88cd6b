# Two images: the manager (non-root, nothing but the program) and the enforcer (with nft).
#
#   docker build --target manager  -t apptier/manager:dev .
#   docker build --target enforcer -t apptier/enforcer:dev .

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath \
    -ldflags "-s -w -X github.com/apptier/apptier/internal/version.Version=${VERSION}" \
    -o /out/ ./cmd/manager ./cmd/enforcer

FROM gcr.io/distroless/static:nonroot AS manager
COPY --from=build /out/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]

FROM debian:12-slim AS enforcer
RUN apt-get update \
    && apt-get install -y --no-install-recommends nftables \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/enforcer /enforcer
ENTRYPOINT ["/enforcer"]
