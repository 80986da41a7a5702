# Everything that this project checks, builds and measures. `make help` lists the targets.
# Needs Go and make; a C compiler adds the race detector, Chromium adds the browser tests (.ci/setup installs both on Debian).

SHELL   := bash
GO      ?= go
STEP    := .ci/step
# Without that of k8s-e2e, of which half of Kubernetes would have to be fetched.
MODULES := $(patsubst ./%/go.mod,%,$(shell find . -mindepth 2 -name go.mod -not -path './.tmp/*' -not -path './tools/kube-apiserver/*' -not -path '*/testdata/*' -not -path '*/node_modules/*' | sort))
TESTED  := $(filter-out tools/%,$(MODULES))
ENGINES := $(filter discovery/% events/%,$(MODULES))
# Without natsdiscovery: its servers are processes of the test's own program, which with the race detector are too slow to choose a leader.
RACED    = $$($(GO) list ./rpc/... ./balancer/... ./discovery/... . | grep -v /natsdiscovery)
HAVE_CC := $(shell command -v $$($(GO) env CC) >/dev/null 2>&1 && echo 1)
BROWSER := $(or $(HANSE_CHROMIUM),$(firstword $(shell command -v chromium chromium-browser google-chrome google-chrome-stable 2>/dev/null)))
TESTFLAGS ?=
FUZZTIME  ?= 30s
SOAKTIME  ?= 3m

export GOWORK = off

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: test
test: ## all tests of every module (with the race detector for the call path, where there is a C compiler)
	@$(STEP) --begin
	@$(MAKE) --no-print-directory test-steps
	@$(STEP) --table

.PHONY: test-steps
test-steps:
ifeq ($(HAVE_CC),1)
	@$(STEP) test-race $(GO) test -race $(TESTFLAGS) $(RACED)
	@$(STEP) test-root $(GO) test -timeout 20m $(TESTFLAGS) $$($(GO) list ./... | grep -vxF "$(RACED)")
else
	@echo "no C compiler: the race detector was not used"; [ -z "$(HANSE_CI)" ]
	@$(STEP) test-root $(GO) test -timeout 20m $(TESTFLAGS) ./...
endif
ifeq ($(BROWSER),)
	@echo "no Chromium: the storefront was not looked at in a browser"; [ -z "$(HANSE_CI)" ]
endif
ifneq ($(BROWSER),)
	@$(STEP) axe $(GO) -C tools/assets run . -axe $(CURDIR)/.tmp/axe.js || { echo "no axe-core: what people with a disability cannot use was not looked for"; [ -z "$(HANSE_CI)" ]; }
	@$(STEP) build-grpcurl $(GO) -C tools/grpcurl build -o $(CURDIR)/.tmp/bin/grpcurl github.com/fullstorydev/grpcurl/cmd/grpcurl || { echo "no grpcurl: what the console copies for it was not run"; [ -z "$(HANSE_CI)" ]; }
endif
ifeq ($(shell command -v node),)
	@echo "no Node.js: the shop's service in JavaScript, and Connect's client for Node, were not tested"; [ -z "$(HANSE_CI)" ]
endif
ifeq ($(HANSE_CI),)
	@echo "the suites of others were not run (they want the network, and one of them Node): make conformance"
endif
	@for m in $(TESTED); do $(STEP) test-$$m $(GO) -C $$m test -timeout 20m $(TESTFLAGS) ./... || exit 1; done

.PHONY: race-all
race-all: ## all tests of every module with the race detector (slow)
	$(GO) test -race ./...
	@for m in $(TESTED); do echo "▸ $$m"; $(GO) -C $$m test -race ./... || exit 1; done

.PHONY: check
check: ## formatting, vet (linux, darwin, windows), the analyser, generated code
	@$(STEP) format bash -c 'out=$$(gofmt -l $$(git ls-files "*.go")); [ -z "$$out" ] || { echo "gofmt would change:"; echo "$$out"; exit 1; }'
	@$(STEP) vet $(GO) vet ./...
	@$(STEP) vet-darwin env GOOS=darwin CGO_ENABLED=0 $(GO) vet ./...
	@$(STEP) vet-windows env GOOS=windows CGO_ENABLED=0 $(GO) vet ./...
	@for m in $(TESTED); do $(STEP) vet-$$m $(GO) -C $$m vet ./... || exit 1; done
	@$(STEP) build-staticcheck $(GO) -C tools/staticcheck build -o $(CURDIR)/.tmp/bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	@$(STEP) staticcheck .tmp/bin/staticcheck ./...
	@for m in $(TESTED); do $(STEP) staticcheck-$$m bash -c 'cd '$$m' && $(CURDIR)/.tmp/bin/staticcheck ./...' || exit 1; done
	@$(STEP) house $(GO) test -count=1 -run '^Test(Floors|Bans|NestedModules|Size)$$' .
	@$(STEP) generated bash -c '$(GO) build -o .tmp/bin/hanse ./cmd/hanse && .tmp/bin/hanse gen --check && for m in examples bench; do (cd $$m && ../.tmp/bin/hanse gen --check) || exit 1; done'
	@$(STEP) assets $(GO) -C tools/assets run . -check -types
	@$(STEP) tidy bash -c 'for m in . $(MODULES); do $(GO) -C $$m mod tidy -diff || { echo "run go mod tidy in $$m"; exit 1; }; done'

.PHONY: ci
ci: ## what continuous integration runs
	@$(STEP) --begin
	@$(MAKE) --no-print-directory check test-steps
	@$(MAKE) --no-print-directory conformance
	@$(STEP) --table

.PHONY: e2e
e2e: ## the shop end to end, under load: rolling restarts, kills, scaling (about 6 minutes; the short form is in test)
	HANSE_E2E=full $(GO) -C examples test -count=1 -v -timeout 20m ./e2e

.PHONY: chaos
chaos: ## what happens to systems, done to the shop under load, with a table of what became of the calls (about 9 minutes; the short form is in test)
	HANSE_E2E=chaos $(GO) -C examples test -count=1 -v -timeout 15m -run '^TestChaos$$' ./e2e

.PHONY: chaos-events
chaos-events: ## what happens to publishers, handlers and brokers, done to them under load, with a table of what became of the events (about 10 minutes; the short form is in test)
	HANSE_E2E=chaos-events $(GO) -C examples test -count=1 -v -timeout 20m -run '^TestChaosEvents' ./e2e
	HANSE_CLUSTER=1 $(GO) test -count=1 -run '^TestSuiteOnCluster$$' ./events/natsevents

.PHONY: conformance
conformance: ## suites of others against our server and client: gRPC conformance, interoperability, h2spec, grpc-js, nghttpx (needs the network)
	@$(STEP) conformance-fetch tools/conformance/fetch .tmp/conformance
	@HANSE_CONFORMANCE=$(CURDIR)/.tmp/conformance $(STEP) conformance $(GO) -C internal/conformance/suites test -count=1 -timeout 10m $(TESTFLAGS) $(if $(SKIP),-skip "$(SKIP)")

.PHONY: engines
engines: ## registries, brokers and databases of others: the real servers, which it installs from Debian's packages, and how fast a change spreads
	@bash .ci/engines
	@$(STEP) --begin
	@for m in $(ENGINES); do HANSE_ENGINES=1 $(STEP) $$m $(GO) -C $$m test $(if $(HAVE_CC),-race) -count=1 -timeout 10m $(TESTFLAGS) ./... || exit 1; done
	@for m in $(filter discovery/%,$(ENGINES)); do HANSE_ENGINES=1 $(STEP) bench-$$m $(GO) -C $$m test -run '^$$' -bench Change -benchtime 20x ./... || exit 1; done
	@$(STEP) --table

.PHONY: consul
consul: ## the Consul registry against a real Consul, which is built first (3 minutes, once; needs the network)
	.ci/consul .tmp/bin/consul
	PATH="$(CURDIR)/.tmp/bin:$$PATH" HANSE_CONSUL=1 $(GO) -C discovery/consuldiscovery test -count=1 -v -run RealConsul $(TESTFLAGS) .

.PHONY: k8s-e2e
k8s-e2e: ## the Kubernetes registry against a real API server over etcd, which is built first (half an hour, once; needs the network)
	command -v etcd >/dev/null || bash .ci/engines
	PATH="$$(.ci/kube-apiserver):$$PATH" HANSE_K8S=1 $(GO) -C discovery/k8sdiscovery test -count=1 -v -timeout 20m -run '^TestKubernetes$$' $(TESTFLAGS) .

.PHONY: bench
bench: ## measure everything, and write docs/benchmarks.md and docs/wire.svg (about an hour)
	$(GO) -C bench run . -write

.PHONY: bench-wire
bench-wire: ## measure remote calls only, and write that part (about 40 minutes)
	$(GO) -C bench run . -only wire -write

.PHONY: fuzz
fuzz: ## fuzz every target in turn, each for FUZZTIME (30s); the committed inputs run in test
	@GO="$(GO)" .ci/fuzz $(FUZZTIME)

.PHONY: soak
soak: ## drive mixed calls while connections break and instances come and go, for SOAKTIME (3m), and look for what is left
	HANSE_SOAK=$(SOAKTIME) $(GO) test $(if $(HAVE_CC),-race) -count=1 -v -parallel 3 -run '^TestSoak$$' -timeout 60m ./rpc

.PHONY: assets
assets: ## bundle the dashboard's page (dashboard/web) into dashboard/assets, and check its types (needs the network once)
	@$(GO) -C tools/assets run . -types

.PHONY: pictures
pictures: ## make the pictures of the dashboard in docs anew, from the running shop (needs Chromium)
	HANSE_PICTURES=1 $(GO) -C examples test -count=1 -run '^TestPictures$$' ./shop

.PHONY: tidy
tidy: ## go mod tidy in every module
	@for m in . $(MODULES); do $(GO) -C $$m mod tidy || exit 1; done

.PHONY: install
install: ## install the hanse command
	$(GO) install ./cmd/hanse
