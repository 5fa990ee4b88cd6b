# apptier: see "make help".

# Images that "make deploy" installs.
IMG ?= apptier/manager:dev
ENFORCER_IMG ?= apptier/enforcer:dev

# What "make release" makes, and where. "make build" and "make docker-build" put a version into the programs, too.
VERSION ?=
REGISTRY ?= ghcr.io/apptier
OUT ?= dist

GO ?= go
TOOL := $(GO) tool -modfile=tools/go.mod
# Programs of the module test, with the flags that images and the cluster are built with, so that what they share is compiled once.
RUN := cd test && CGO_ENABLED=0 $(GO) run -trimpath -gcflags=all=-dwarf=false
CLUSTER := $(RUN) ./cluster/cmd/cluster
KUBECTL ?= kubectl
CONTAINER_TOOL ?= docker
ignore-not-found ?= false
TESTFLAGS ?= -race -shuffle=on
# Never from the cache: go test takes no notice of files outside of a module, such as config/ and README.md.
TESTS := cd test && $(GO) test -count=1 $(TESTFLAGS)

.DEFAULT_GOAL := help

##@ Start here

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN {FS = ":.*##"; printf "Usage: make \033[36m<target>\033[0m\n"} \
	  /^[a-zA-Z_0-9-]+:.*?##/ {printf "  \033[36m%-16s\033[0m %s\n", $$1, $$2} \
	  /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)}' $(MAKEFILE_LIST)

# KUBECONFIG counts where it is given to make alone: most people have one in their environment.
theirs = $(if $(filter command line,$(origin KUBECONFIG)),$(KUBECONFIG))

.PHONY: demo
demo: ## See the whole thing work, with real packets, on a cluster in network namespaces (root), or on yours: KUBECONFIG=...
	@echo 'Compiling what needs no cluster (half a minute when nothing is cached yet)'
	@$(RUN) ./demo/first
	@$(if $(theirs),,./test/prerequisites)
	@printf '\nCompiling the demo itself (minutes when nothing is cached yet)\n'
	@$(RUN) ./demo $(if $(theirs),-kubeconfig '$(abspath $(theirs))')

.PHONY: demo-down
demo-down: ## Remove every trace of the demo.
	$(CLUSTER) down --name demo

##@ Trust

.PHONY: test
test: prerequisites-tests ## Run every test: unit, golden, property, kernel, API server and end-to-end (root).
	$(CLUSTER) build
	$(GO) test $(TESTFLAGS) -timeout 30m ./...
	$(TESTS) -timeout 30m $$($(GO) list ./... | grep -vE '/test/(e2e|patterns)$$')
	@# A module of its own for what makes a release, which takes two of them to see that they are the same: for some of the platforms, of
	@# which each is everything compiled anew. "make release" is for all.
	cd hack/release && $(GO) test -shuffle=on -timeout 30m ./... -platforms linux/amd64,linux/arm64,windows/amd64
	@# By themselves: whole clusters, whose pods are ready in time, and of which one measures how soon things happen.
	$(TESTS) -p 1 -timeout 30m ./patterns ./e2e
	@# By their number: a corpus that an earlier search left takes longer to read than a few seconds.
	@GO='$(GO)' TIME=2000x ./test/fuzz input

.PHONY: test-unit
test-unit: ## Run what needs seconds and no root.
	$(GO) test -short $(TESTFLAGS) ./...
	$(TESTS) -short ./...

.PHONY: test-e2e
test-e2e: prerequisites ## Run the end-to-end tests alone, on a cluster in network namespaces (root).
	$(TESTS) -timeout 30m ./e2e

.PHONY: conformance
conformance: prerequisites ## Run Kubernetes' own NetworkPolicy tests against the enforcer (root; SHAPE='--ip-family ipv6' for others).
	@$(RUN) ./conformance $(SHAPE)

.PHONY: attack
attack: prerequisites ## Try to get packets past the rules, and print a table of all attacks (root).
	@cd test/attack && $(GO) test -count=1 -table

.PHONY: fuzz
fuzz: prerequisites ## Look for packets and histories that go wrong, for TIME=5m (root).
	@GO='$(GO)' TIME='$(TIME)' ./test/fuzz

.PHONY: fuzz-input
fuzz-input: ## Feed arbitrary manifests to what reads and judges them, for TIME=5m each.
	@GO='$(GO)' TIME='$(TIME)' ./test/fuzz input

.PHONY: lint
lint: ## Check style, imports and likely mistakes.
	$(TOOL) golangci-lint run ./...
	cd test && $(GO) tool -modfile=../tools/go.mod golangci-lint run ./...
	cd hack/release && $(GO) tool -modfile=../../tools/go.mod golangci-lint run ./...
	$(GO) tool -modfile=tools/actionlint/go.mod actionlint
	cd hack/monitoring && $(GO) tool -modfile=../../tools/go.mod golangci-lint run ./...

.PHONY: lint-fix
lint-fix: ## Put right what "make lint" finds, where that can be done without asking.
	$(TOOL) golangci-lint run --fix ./...

.PHONY: check-generated
check-generated: generate ## Fail if generated files are not current.
	@test -z "$$(git status --porcelain -- api config docs charts schemas)" || { git --no-pager diff --stat -- api config docs charts schemas; echo 'generated files were stale: commit the result of "make generate"'; exit 1; }

.PHONY: bench
bench: bench-core bench-manager bench-plugin bench-enforcer bench-denied ## Measure the core, the manager, the plugin and the enforcer, on real API servers (root).

.PHONY: bench-core
bench-core:
	$(GO) test -run '^$$' -bench . -benchmem ./policy/... ./enforcer/compile

.PHONY: bench-manager
bench-manager:
	$(RUN) ./bench/manager

.PHONY: bench-plugin
bench-plugin:
	$(RUN) ./bench/plugin

.PHONY: bench-enforcer
bench-enforcer: ## Measure the enforcer alone, with real packets, for docs/benchmarks.md (root; ENFORCER_BENCH=-h for choices).
	$(RUN) ./bench/enforcer $(ENFORCER_BENCH)

.PHONY: bench-denied
bench-denied: prerequisites
	$(RUN) ./bench/denied

##@ Documentation

HUGO := CGO_ENABLED=0 $(GO) tool -modfile=../tools/hugo/go.mod hugo
SITE ?= $(CURDIR)/bin/site/html

.PHONY: docs
docs: docs-pictures ## Serve the documentation's site, and follow changes of docs/ (the first time, Hugo is built for a minute or two).
	cd site && $(HUGO) server

.PHONY: docs-build
docs-build: docs-pictures ## Build the site of docs/ into bin/site/html (SITE=...).
	cd site && $(HUGO) build --panicOnWarning --cleanDestinationDir --destination '$(SITE)'

.PHONY: tour
tour: ## Record a tour of the plugin into bin/tour.cast: asciinema play bin/tour.cast.
	@cd test && $(GO) run ./tour ../bin/tour.cast

.PHONY: docs-pictures
docs-pictures:
	@$(GO) run ./internal/docpictures

##@ Build

.PHONY: manifests
manifests: ## Write the CRD, the manager's role and the webhooks of config/ anew.
	$(TOOL) controller-gen crd paths=./api/... output:crd:dir=config/crd/bases
	$(TOOL) controller-gen rbac:roleName=manager-role webhook paths=./controllers/... paths=./webhooks/... \
	  paths=./internal/certs/... paths=./cmd/manager/...

.PHONY: generate
generate: manifests ## Write generated code, manifests, the chart and documentation anew.
	$(TOOL) controller-gen object applyconfiguration paths=./api/...
	$(TOOL) openapi-gen --go-header-file /dev/null --output-dir internal/connections/openapi --output-file zz_generated.openapi.go \
	  --output-pkg github.com/apptier/apptier/internal/connections/openapi --report-filename /dev/null ./api/connections/v1alpha1
	$(TOOL) crd-ref-docs --log-level=ERROR --source-path=./api --config=docs/reference/config.yaml --renderer=markdown --output-path=docs/reference/api.md
	$(GO) run ./internal/checksdoc
	$(GO) run ./internal/clidoc docs/reference/cli.md
	cd test && $(GO) run ./patterns/docs
	cd hack/monitoring && $(GO) run . ../..
	$(GO) run ./internal/chartgen
	$(GO) run ./internal/schemagen

.PHONY: build
build: ## Build the programs into bin/.
	CGO_ENABLED=0 $(GO) build -trimpath $(VERSION:%=-ldflags '-X github.com/apptier/apptier/internal/version.Version=%') -o bin/ ./cmd/...

.PHONY: fmt
fmt: ## Format the code.
	$(TOOL) golangci-lint fmt ./...

.PHONY: vet
vet: ## Look for likely mistakes with go vet.
	$(GO) vet ./...

.PHONY: images docker-build
images: docker-build
docker-build: ## Build the images with docker (make docker-build IMG=... ENFORCER_IMG=...); "make images" is the same.
	$(CONTAINER_TOOL) build $(VERSION:%=--build-arg VERSION=%) --target manager -t $(IMG) .
	$(CONTAINER_TOOL) build $(VERSION:%=--build-arg VERSION=%) --target enforcer -t $(ENFORCER_IMG) .

.PHONY: docker-push
docker-push: ## Push the images with docker.
	$(CONTAINER_TOOL) push $(IMG)
	$(CONTAINER_TOOL) push $(ENFORCER_IMG)

.PHONY: build-installer
build-installer: overlay ## Write dist/install.yaml, which installs IMG and ENFORCER_IMG by "kubectl apply".
	@mkdir -p dist
	$(TOOL) kustomize build bin/deploy >dist/install.yaml

.PHONY: release
release: ## Write a version to install into a folder: make release VERSION=v0.1.0 OUT=dist REGISTRY=ghcr.io/apptier.
	cd hack/release && $(GO) run . -repository ../.. -version '$(VERSION)' -registry '$(REGISTRY)' -out '$(abspath $(OUT))' $(RELEASEFLAGS)

.PHONY: release-push
release-push: ## Push the images of such a folder: make release-push OUT=dist REGISTRY=ghcr.io/apptier.
	cd hack/release && $(GO) run . -push -registry '$(REGISTRY)' -out '$(abspath $(OUT))'

.PHONY: release-sign
release-sign: ## Sign such a folder and its images with cosign: make release-sign OUT=dist REGISTRY=ghcr.io/apptier.
	OUT='$(OUT)' REGISTRY='$(REGISTRY)' ./hack/release/sign.sh

.PHONY: release-publish
release-publish: ## Make the release of a tag at GitHub, with gh: make release-publish VERSION=v0.1.0 OUT=dist.
	VERSION='$(VERSION)' OUT='$(OUT)' ./hack/release/publish.sh

##@ Your own cluster

# A kustomization beside the repository's own, so that setting an image changes no file of it.
define overlay
mkdir -p bin/deploy && cd bin/deploy && printf '%s\n' \
  'resources: [../../config/default]' \
  'images:' \
  '- {name: apptier/manager, newName: "$(1)", newTag: "$(2)"}' \
  '- {name: apptier/enforcer, newName: "$(3)", newTag: "$(4)"}' > kustomization.yaml
endef
tag = $(lastword $(subst :, ,$(1)))
name = $(patsubst %:$(call tag,$(1)),%,$(1))

.PHONY: overlay
overlay:
	@$(call overlay,$(call name,$(IMG)),$(call tag,$(IMG)),$(call name,$(ENFORCER_IMG)),$(call tag,$(ENFORCER_IMG)))

.PHONY: install
install: ## Install the CRD alone, for a manager that runs elsewhere.
	$(TOOL) kustomize build config/crd | $(KUBECTL) apply --server-side -f -

.PHONY: uninstall
uninstall: ## Remove the CRD, and with it all AppTiers (make uninstall ignore-not-found=true).
	$(TOOL) kustomize build config/crd | $(KUBECTL) delete --ignore-not-found=$(ignore-not-found) -f -

.PHONY: run
run: ## Run the manager on this machine for your cluster, without the webhook, which the cluster could not reach.
	$(GO) run ./cmd/manager --webhook=false --namespace=apptier-system

.PHONY: deploy
deploy: overlay ## Install apptier with kubectl (make deploy IMG=... ENFORCER_IMG=...).
	$(TOOL) kustomize build bin/deploy | $(KUBECTL) apply --server-side -f -

.PHONY: undeploy
undeploy: ## Remove apptier with kubectl: AppTiers and their policies first, then the rules on every node, then the rest.
	@# Without its kind the garbage collector cannot look an owner up, and leaves what it owned.
	-$(KUBECTL) delete apptiers --all --all-namespaces --cascade=foreground
	@KUBECTL='$(KUBECTL)' KUSTOMIZE='$(TOOL) kustomize' ./config/cleanup/run
	$(TOOL) kustomize build config/default | $(KUBECTL) delete --ignore-not-found -f -

.PHONY: prerequisites prerequisites-tests
prerequisites:
	@./test/prerequisites
prerequisites-tests:
	@./test/prerequisites tests
